"""What files take up on the disk: several names of one file count once, whatever comes and goes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.state import Directory
from fexp.counting.usage import DiskUsage
from fexp.model import DiskUse

NAMES = st.sampled_from([b"a", b"b", b"c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "let_go", "clear"]),
        st.integers(0, 1),
        NAMES,
        st.integers(0, 3),
        st.sampled_from([None, (1, 1), (1, 2), (2, 1)]),
        st.sampled_from([(0,), (0, 1)]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_as_an_oracle_has_it(
    steps: list[tuple[str, int, bytes, int, tuple[int, int] | None, tuple[int, ...]]],
) -> None:
    usage, directories = DiskUsage(), [Directory(b""), Directory(b"sub/")]
    there: dict[tuple[int, bytes], tuple[DiskUse, tuple[int, ...]]] = {}
    latest: dict[tuple[int, int], int] = {}
    for what, where, name, size_bytes, link, groups in steps:
        if what == "put":
            there[where, name] = DiskUse(size_bytes, link), groups
            if link is not None:
                latest[link] = size_bytes
                # A look at one name is a look at the file: the others take up as much.
                for place, other in list(there):
                    use, others = there[place, other]
                    if use.link == link:
                        there[place, other] = DiskUse(size_bytes, link), others
                        usage.put(directories[place], other, DiskUse(size_bytes, link), others)
            usage.put(directories[where], name, *there[where, name])
        elif what == "let_go":
            there.pop((where, name), None)
            usage.let_go(directories[where], [name])
        else:
            there = {at: use for at, use in there.items() if at[0] != where}
            usage.clear(directories[where])
        for key in (0, 1):
            own = [use for use, others in there.values() if key in others]
            links = {use.link for use in own if use.link is not None}
            single = sum(use.size_bytes for use in own if use.link is None)
            assert usage.value(key) == single + sum(latest[link] for link in links)
    for directory in directories:
        usage.clear(directory)
    assert not usage._links
    assert not usage._places
