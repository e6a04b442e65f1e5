"""Files from the future: time alone takes them out of the count."""

from __future__ import annotations

from fexp.counting.aggregates import FutureFiles
from fexp.counting.grouping import ByPattern
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.counting.state import Directory, FolderState
from fexp.metrics import makers
from fexp.model import FileInfo, Instant
from tests.counting.columns import columns

NOW = Instant(1.7e9, 1000.0)


def at(seconds: float, *, set_by: float = 0.0) -> Instant:
    return Instant(NOW.wall + seconds + set_by, NOW.steady + seconds)


def future_files(state: FolderState, now: Instant) -> float | None:
    return state.groups(now)[0].values["future_files"]


def state_with(*seconds_ahead: float) -> tuple[FolderState, Directory]:
    state, root = FolderState(ByPattern(Selection()), makers(Measures(), NOW), ()), Directory(b"")
    files = {b"%d" % number: FileInfo(1, NOW.wall + ahead, 0.0, 1) for number, ahead in enumerate(seconds_ahead)}
    state.fold(root, dict.fromkeys(files, "a"), columns(files), [], NOW)
    return state, root


def test_it_says_when_it_changes() -> None:
    state, _ = state_with(0, 60, 61, 90)
    for seconds, count, changes_at in ((0, 2, 1), (0.5, 2, 1), (1, 1, 30), (29, 1, 30), (30, 0, float("inf"))):
        assert future_files(state, at(seconds)) == count
        assert state.next_change_at(at(seconds)) == NOW.steady + changes_at


def test_a_clock_that_is_set_back_makes_files_that_are_known_future_ones() -> None:
    state, root = state_with(0, 90)
    assert future_files(state, at(100)) == 0
    assert future_files(state, at(101, set_by=-3600)) == 2
    state.fold(root, {b"0": "l"}, columns({}), [b"0"], at(102, set_by=-3600))
    assert future_files(state, at(102, set_by=-3600)) == 1
    assert future_files(state, at(103, set_by=3600)) == 0


def test_times_of_the_past_are_not_kept() -> None:
    """What every folder has must cost next to nothing."""
    state, _ = state_with(*range(-5000, 0))
    (kept,) = [one for one in state._groups.of(0)._followed if isinstance(one, FutureFiles)]
    assert kept.state == b""
