"""Which files have settled or stalled: by when fexp saw them change, and nothing that is gone is remembered."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.detailed import DetailedState
from fexp.counting.group_by import GroupBy
from fexp.counting.grouping import ByPattern, grouping_of
from fexp.counting.measures import Measures
from fexp.counting.selection import PARTIALS, Folder, Selection
from fexp.counting.settling import Settling, is_being_written
from fexp.counting.state import Directory
from fexp.metrics import makers
from fexp.model import ARRIVED, CHANGED, CLOSED, LEFT, WRITTEN, FileInfo, Instant
from tests.counting.columns import columns

BOTH = Measures(settle_seconds=60.0, stall_after_seconds=600.0)
WRITE, CLOSE = WRITTEN + CHANGED, CLOSED + CHANGED


def state_of(measures: Measures = BOTH, *patterns: str) -> DetailedState:
    selection = Selection(patterns or ("*.csv",), partials=PARTIALS)
    folder = Folder(b"/f", "/f", selection, measures=measures)
    return DetailedState(folder, ByPattern(selection), makers(measures), (1e9,))


def settling_of(state: DetailedState) -> Settling:
    assert state._settling is not None
    return state._settling


def at(seconds: float) -> Instant:
    return Instant(1.7e9 + seconds, 1000.0 + seconds)


def test_a_group_without_a_file_that_counts_shows_its_uploads() -> None:
    selection = Selection(partials=PARTIALS)
    group_by = GroupBy(regex="^(?P<partner>.)_", label_names=("partner",), groups_max=2)
    folder = Folder(b"/f", "/f", selection, measures=BOTH._replace(counts_settled=True), group_by=group_by)
    state, root = DetailedState(folder, grouping_of(folder), makers(folder.measures), (1e9,)), Directory(b"")

    def shown(seconds: float) -> dict[str, tuple[float | None, ...]]:
        names = ("files", "unsettled_files", "stalled_files")
        groups = state.groups(at(seconds))
        return {group.labels["partner"]: tuple(group.values[name] for name in names) for group in groups}

    for name in (b"A_1", b"B_1", b"B_2", b"C_1.part"):
        state.fold(root, {name: ARRIVED}, columns({name: FileInfo(1, 0.0, 0.0, 1)}), [], at(0.0))
    assert shown(1.0) == {"A": (0, 1, 0), "B": (0, 2, 0), "other": (0, 1, 0)}
    settled = columns(dict.fromkeys([b"A_1", b"C_1.part"], FileInfo(1, 0.0, 0.0, 1)))
    state.take_in(root, settled, at(700.0), 0.0, is_start=False)
    assert shown(700.0) == {"A": (1, 0, 0), "C": (1, 0, 1), "other": (0, 2, 0)}, "those with files come first"
    state.clear(root, at(701.0))
    assert set(shown(701.0).values()) == {(0, 0, 0)}
    assert not settling_of(state).keys
    assert (settling_of(state)._unsettled, settling_of(state)._stalled) == ({}, {})


@pytest.mark.parametrize(
    ("name", "selection", "finished"),
    [
        (b"orders.csv.part", Selection(("*.csv",), partials=PARTIALS), b"orders.csv"),
        (b"orders.csv", Selection(("*.csv",), partials=PARTIALS), None),
        (b".part", Selection(partials=PARTIALS, hidden=True), b".part"),
        (b".orders.csv.part", Selection(partials=PARTIALS), None),
        (b".orders.csv.part", Selection(partials=PARTIALS, hidden=True), b".orders.csv"),
        (b".in.orders.csv", Selection(partials=(".in.*",)), b"orders.csv"),
        (b"orders.csv.part", Selection(excludes=("*.part",), partials=PARTIALS), b"orders.csv"),
        (b"junk.csv.part", Selection(excludes=("junk*",), partials=PARTIALS), None),
        (b"orders.csv.part", Selection(excludes=("sub/*",), partials=PARTIALS), None),
        (b"A.CSV.PART", Selection(partials=PARTIALS, ignore_case=True), b"A.CSV"),
        (b"A.CSV.PART", Selection(partials=PARTIALS), None),
        (b"up-7-orders", Selection(partials=("up-?-*",)), b"up-7-orders"),
        (b"orders.csv.part", Selection(), None),
    ],
)
def test_the_name_that_an_upload_will_have(name: bytes, selection: Selection, finished: bytes | None) -> None:
    assert selection.finished_name(name, b"sub/") == finished


@pytest.mark.parametrize(
    ("history", "is_written"),
    [
        ("", None),
        (CHANGED, None),
        (ARRIVED, False),
        (ARRIVED + WRITE, True),
        (WRITE + CLOSE, False),
        (WRITE + CLOSE + WRITE, True),
        (WRITE + LEFT + CHANGED + ARRIVED, False),
        (LEFT + ARRIVED + WRITE, True),
    ],
)
def test_a_write_that_is_not_closed(history: str, is_written: bool | None) -> None:
    assert is_being_written(history) is is_written


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(["a.csv", "b.csv", "c.part", "d.csv.part", "e.xml"])),
        st.tuples(st.just("close"), st.sampled_from(["a.csv", "b.csv"])),
        st.tuples(st.just("gone"), st.sampled_from(["a.csv", "b.csv", "c.part", "d.csv.part"])),
        st.tuples(st.just("clear"), st.just("")),
        st.tuples(st.just("later"), st.sampled_from([1, 30, 60, 300, 600, 5000])),
    ),
    max_size=30,
)


@pytest.mark.parametrize("counts_settled", [False, True])
@pytest.mark.parametrize("reports_writes", [False, True])
@given(steps=STEPS)
@settings(max_examples=60)
def test_as_an_oracle_has_it(reports_writes: bool, counts_settled: bool, steps: list[tuple[str, str | int]]) -> None:
    state, root = state_of(BOTH._replace(counts_settled=counts_settled)), Directory(b"")
    now, files = 0.0, dict[str, FileInfo]()
    changed_at, written_at = dict[str, float](), defaultdict[str, float](lambda: float("-inf"))
    counted = set[str]()
    for what, value in steps:
        name = str(value)
        if what == "write" and name != "e.xml":
            history = (WRITE if reports_writes else CHANGED) if name in files else ARRIVED
            files[name] = FileInfo(len(files), now, now, len(changed_at))
            changed_at[name] = now
            if WRITTEN in history and name.endswith("csv"):
                written_at[name] = now
            state.fold(root, {name.encode(): history}, columns({name.encode(): files[name]}), [], at(now))
        elif what == "close" and name in files:
            written_at.pop(name, None)
            state.fold(root, {name.encode(): CLOSE}, columns({name.encode(): files[name]}), [], at(now))
        elif what == "gone" and name in files:
            del files[name]
            written_at.pop(name, None)
            state.fold(root, {name.encode(): LEFT}, columns({}), [name.encode()], at(now))
        elif what == "clear":
            files.clear()
            written_at.clear()
            state.clear(root, at(now))
        elif isinstance(value, int):
            now += value
            while due := settling_of(state).due(at(now).steady, 1):
                ((_, names),) = due.items()
                found = {one: files[one.decode()] for one in names}
                state.fold(root, dict.fromkeys(names, ""), columns(found), [], at(now))
            assert settling_of(state).due_at > at(now).steady
        unsettled = {
            name for name in files if name.endswith(".csv") and now < max(changed_at[name] + 60, written_at[name] + 600)
        }
        counted = {name for name in files if name.endswith(".csv") and (name in counted or name not in unsettled)}
        (group,) = state.groups(at(now))
        assert group.values["unsettled_files"] == len(unsettled)
        assert group.values["stalled_files"] == sum(
            name.endswith(".part") and now >= changed_at[name] + 600 for name in files
        )
        assert group.flow is not None
        assert group.flow.arrivals - group.flow.departures == group.files
        if counts_settled:
            assert group.files == len(counted)
    state.clear(root, at(now))
    assert not settling_of(state)._places
    assert not settling_of(state)._followed


def test_what_was_there_at_the_start_changed_at_its_change_time() -> None:
    state, root = state_of(BOTH._replace(counts_settled=True)), Directory(b"")
    files = {b"old.csv": FileInfo(1, 0.0, at(-60).wall, 1), b"new.csv": FileInfo(1, 0.0, at(-59).wall, 2)}
    state.take_in(root, columns(files), at(0), float("-inf"), is_start=True)
    (group,) = state.groups(at(0))
    assert (group.files, group.values["unsettled_files"]) == (1, 1)
    ((_, names),) = settling_of(state).due(at(1).steady, 9).items()
    assert names == [b"new.csv"]
    assert state.fold(root, {b"new.csv": ""}, columns({b"new.csv": files[b"new.csv"]}), [], at(1))
    (group,) = state.groups(at(1))
    assert group.flow is not None
    assert (group.files, group.values["unsettled_files"], group.flow.arrivals) == (2, 0, 1)


def test_a_listing_that_finds_a_file_settled_has_found_nothing_different() -> None:
    state, root = state_of(BOTH._replace(counts_settled=True)), Directory(b"")
    files = columns({b"a.csv": FileInfo(1, 0.0, 0.0, 1)})
    for seconds, files_counted in ((0, 0), (59, 0), (60, 1)):
        different = state.take_in(root, files, at(seconds), at(seconds).steady, is_start=False)
        assert (different, state.files) == ([], files_counted)
    assert state.missing(root, []) == [b"a.csv"]


def test_an_upload_counts_where_the_finished_file_will() -> None:
    state, root = state_of(BOTH, "*.csv", "*.xml"), Directory(b"")
    names = (b"a.csv.part", b"b.xml.part", b"upload.tmp")
    state.take_in(root, columns(dict.fromkeys(names, FileInfo(1, 0.0, 0.0, 1))), at(0), 0.0, is_start=True)
    assert [group.values["stalled_files"] for group in state.groups(at(0))] == [2, 2]
    assert [group.files for group in state.groups(at(0))] == [0, 0]


def test_uploads_that_come_and_go_leave_nothing_in_the_queue() -> None:
    state, root = state_of(), Directory(b"")
    for number in range(5000):
        name = b"%d.part" % number
        state.fold(root, {name: ARRIVED}, columns({name: FileInfo(1, 0.0, 0.0, number)}), [], at(0))
        state.fold(root, {name: LEFT}, columns({}), [name], at(0))
    assert len(settling_of(state)._queue) < 1100
