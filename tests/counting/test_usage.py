"""What files take up on the disk: several names of one file count once, whatever comes and goes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.detailed import DetailedState
from fexp.counting.group_by import GroupBy
from fexp.counting.grouping import grouping_of
from fexp.counting.measures import Measures
from fexp.counting.selection import Folder, Selection
from fexp.counting.state import Directory
from fexp.counting.usage import DiskUsage
from fexp.metrics import makers
from fexp.model import LEFT, DiskUse, FileInfo, Instant
from tests.counting.columns import columns

NAMES = st.sampled_from([b"a", b"b", b"c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "let_go", "clear"]),
        st.integers(0, 1),
        NAMES,
        st.integers(0, 3),
        st.sampled_from([None, (1, 1), (1, 2), (2, 1)]),
        st.sampled_from([(0,), (1,), (0, 1)]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=150)
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
        together = [use for use, _ in there.values()]
        once = sum(use.size_bytes for use in together if use.link is None)
        once += sum(latest[link] for link in {use.link for use in together if use.link is not None})
        single_in_both = sum(use.size_bytes for use, others in there.values() if use.link is None and len(others) > 1)
        doubled = usage.doubled(lambda _: "both").get("both", 0)
        assert usage.value(0) + usage.value(1) - doubled - single_in_both == once
        assert not usage.doubled(lambda key: key)
        for key in (0, 1):
            own = [use for use, others in there.values() if key in others]
            links = {use.link for use in own if use.link is not None}
            single = sum(use.size_bytes for use in own if use.link is None)
            assert usage.value(key) == single + sum(latest[link] for link in links)
    for directory in directories:
        usage.clear(directory)
    assert not usage._links
    assert not usage._spread_bytes
    assert not usage._places


def test_many_groups_in_one_directory() -> None:
    measures = Measures(settle_seconds=60.0, counts_settled=True, disk_usage=True)
    folder = Folder(b"/f", "/f", Selection(), measures=measures, group_by=GroupBy(extensions_max=30))
    state, root = DetailedState(folder, grouping_of(folder), makers(measures), (1.0,)), Directory(b"")
    letters = b"abcdefghijklmn"
    files = {b"%d.%c" % (number, letter): FileInfo(1, 0.0, 0.0, letter) for letter in letters for number in (0, 1)}
    state.disk_use = {name: DiskUse(4096 * (1 + (name[:1] == b"1")), None) for name in files}

    def used(seconds: float) -> dict[str, float | None]:
        groups = state.groups(Instant(1e9 + seconds, seconds))
        return {group.pattern: group.values["disk_usage_bytes"] for group in groups if group.files}

    state.take_in(root, columns(files), Instant(1e9, 0.0), 0.0, is_start=True)
    assert len(used(0.0)) == 14
    assert set(used(0.0).values()) == {3 * 4096}
    gone = [b"0.a", b"1.b", b"0.c", b"1.c"]
    state.fold(root, dict.fromkeys(gone, LEFT), columns({}), gone, Instant(1e9, 1.0))
    assert {pattern: size_bytes for pattern, size_bytes in used(1.0).items() if size_bytes != 3 * 4096} == {
        "*.a": 2 * 4096,
        "*.b": 4096,
    }
    changed = columns(dict.fromkeys([b"0.a", b"0.d"], FileInfo(2, 1e9, 1e9, 1)))
    different = state.take_in(root, changed, Instant(1e9, 2.0), 0.0, is_start=False)
    assert different == [b"0.d"], "the other is new, and has not settled"
    state.clear(root, Instant(1e9, 3.0))
    assert not used(3.0)
    assert state._usage is not None
    assert state._usage._sums_bytes == {}
