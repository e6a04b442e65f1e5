"""Ages in sorted runs against a sorted list, whatever is added, removed and cancelled when."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting import ages, distributions
from fexp.counting.ages import Ages
from fexp.counting.distributions import AgeDistribution, SizeDistribution
from fexp.counting.grouping import ByPattern
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.counting.state import Directory, FolderState
from fexp.metrics import makers
from fexp.model import FileInfo, Instant, KnownFiles
from tests.counting.columns import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = st.integers(0, 8).map(float) | st.floats(-2e9, 2e9)


@pytest.fixture(autouse=True, scope="module")
def small_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ages, "_RUN", 2)
        patch.setattr(ages, "_RUN_MAX", 8)
        patch.setattr(ages, "_CANCEL", 4)
        patch.setattr(ages, "_BLOCK", 3)
        patch.setattr(distributions, "LARGE_TABLE", 4)
        yield


@settings(max_examples=100)
@given(
    steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.lists(NUMBERS, max_size=12)), max_size=12),
    bounds=st.lists(NUMBERS, max_size=4),
)
def test_it_is_a_sorted_list(steps: list[tuple[bool, bool, list[float]]], bounds: list[float]) -> None:
    numbers, truth = Ages(), list[float]()
    for is_added, is_asked, some in steps:
        if is_added:
            numbers.add(some)
            truth += some
        else:
            gone = [truth.pop(int(number) % len(truth)) for number in some if truth]
            numbers.remove(gone)
        truth.sort()
        assert len(numbers) == len(truth)
        if is_asked:
            assert numbers.before(bounds) == [sum(number < bound for number in truth) for bound in bounds]
            for bound in bounds:
                assert numbers.sum_before(bound) == sum(int(number * 10**6) for number in truth if number < bound)
    assert list(numbers.times()) == truth


def test_what_is_removed_is_cancelled_and_runs_are_few() -> None:
    numbers, chosen, truth = Ages(), random.Random(1), list[float]()
    for _ in range(3000):
        some = [chosen.uniform(0, 100) for _ in range(3)]
        numbers.add(some)
        truth += some
        chosen.shuffle(truth)
        numbers.remove([truth.pop() for _ in range(min(len(truth), 3 if len(truth) > 60 else 0))])
    assert list(numbers.times()) == sorted(truth)
    assert numbers._removed.count < 3 * len(truth)
    assert len(numbers._added.runs) < len(truth)


@settings(max_examples=100)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "write", "remove", "clear"]), st.integers(0, 1), st.integers(0, 7), NUMBERS
        ),
        max_size=40,
    )
)
def test_directories_that_grow_and_leave(steps: list[tuple[str, int, int, float]]) -> None:
    measures, now = Measures((10.0, 1e9), (0.0, 3.0)), Instant(1.7e9, 1000.0)
    state = FolderState(ByPattern(Selection()), makers(measures), ())
    directories, there = [Directory(b""), Directory(b"sub/")], dict[tuple[int, bytes], FileInfo]()
    for what, where, number, modified_at in steps:
        name = b"%d" % number
        if what == "write":
            there[where, name] = FileInfo(number, modified_at, 0.0, 1)
            state.fold(directories[where], {name: ""}, columns({name: there[where, name]}), [], now)
        elif what == "remove":
            there.pop((where, name), None)
            state.fold(directories[where], {name: ""}, columns({}), [name], now)
        else:
            there = {at: info for at, info in there.items() if at[0] != where}
            state.clear(directories[where], now)
        infos = there.values()
        known = KnownFiles(
            [name for _, name in there], [info.size_bytes for info in infos], [info.modified_at for info in infos],
            [1] * len(infos), [0.0] * len(infos),
        )  # fmt: skip
        shown = state.groups(now)[0].distributions
        for made in (AgeDistribution(measures.age_bounds_seconds), SizeDistribution(measures.size_bounds_bytes)):
            made.add(known)
            assert shown[made.name] == made.histogram(now)
