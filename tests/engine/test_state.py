"""``FolderState`` against a plain model: what a fold counts, and the law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fexp.files.selection import Selection
from fexp.files.state import Directory, FolderState
from fexp.model import FileInfo, Happening, Instant
from tests.engine.columns import columns

if TYPE_CHECKING:
    from fexp.model import FlowSnapshot

NOW = Instant(1.7e9, 1000.0)
SELECTION = Selection(("*.txt", "a*", "*"), recursive=True)
NAMES = st.sampled_from([b"a.txt", b"b.txt", b"a.csv", b"b.csv", b".hidden.txt", b"\xff.txt"])
HISTORIES = st.text("alc", max_size=6)
INFOS = st.none() | st.builds(
    FileInfo,
    size_bytes=st.integers(0, 4) | st.integers(0, 2**62),
    modified_at=st.integers(0, 3).map(float),
    changed_at=st.just(0.0),
    inode=st.integers(1, 3),
)


def observe_all(state: FolderState) -> None:
    while state.owes_dwells:
        state.observe_some(2)


def flow_of(state: FolderState, index: int = 0) -> FlowSnapshot:
    observe_all(state)
    flow = state.patterns()[index].flow
    assert flow is not None
    return flow


def fold(state: FolderState, name: bytes, history: str, info: FileInfo | None, at: float = 0.0) -> bool:
    return fold_in(state, state.root, name, history, info, Instant(NOW.wall + at, NOW.steady + at))


def fold_in(
    state: FolderState, directory: Directory, name: bytes, history: str, info: FileInfo | None, now: Instant
) -> bool:
    """Fold one name as the engine does: what is there is folded only if it counts."""
    counts = info is not None and state.selection.patterns_of(name, directory.below)
    found = columns({name: info} if info is not None and counts else {})
    return state.fold(directory, {name: history}, found, [] if counts else [name], now)


def at_the_start(state: FolderState, directory: Directory, name: bytes, info: FileInfo, now: Instant) -> None:
    """Let a listing find one file that was there before fexp looked; a listing holds only what counts."""
    if state.selection.patterns_of(name, directory.below):
        state.take_in(directory, columns({name: info}), now, 0.0, is_start=True)


class StateMachine(RuleBasedStateMachine):
    """Folds, drops and clears over a tree of a few directories."""

    def __init__(self) -> None:
        super().__init__()
        self.state = FolderState(b"/f", SELECTION)
        self.files: dict[tuple[Directory, bytes], FileInfo] = {}
        self.start: list[tuple[int, int]] = [(0, 0)] * 3
        self.told: list[tuple[Happening, int]] = []
        self.state.tell = lambda happening, _directory, _name, index, _size: self.told.append((happening, index))
        self.steady = 1000.0

    def _now(self) -> Instant:
        self.steady += 1.0
        return Instant(1.7e9 + self.steady, self.steady)

    def _directories(self) -> list[Directory]:
        return sorted(self.state.root.subtree(), key=lambda directory: directory.path)

    def _one(self, data: st.DataObject) -> Directory:
        return data.draw(st.sampled_from(self._directories()))

    @rule(data=st.data(), name=NAMES, info=INFOS.filter(bool))
    def there_at_the_start(self, data: st.DataObject, name: bytes, info: FileInfo) -> None:
        directory = self._one(data)
        fresh = (directory, name) not in self.files
        at_the_start(self.state, directory, name, info, self._now())
        matching = SELECTION.patterns_of(name, directory.below)
        if matching:
            self.files[directory, name] = info
        for index in matching if fresh else ():
            files, size_bytes = self.start[index]
            self.start[index] = (files + 1, size_bytes + info.size_bytes)

    @rule(data=st.data(), name=NAMES, history=HISTORIES, info=INFOS)
    def fold(self, data: st.DataObject, name: bytes, history: str, info: FileInfo | None) -> None:
        directory, now = self._one(data), self._now()
        fold_in(self.state, directory, name, history, info, now)
        if info is None:
            self.files.pop((directory, name), None)
        elif SELECTION.patterns_of(name, directory.below):
            self.files[directory, name] = info
        before = self.state.patterns()
        assert not fold_in(self.state, directory, name, "", info, self._now())
        assert self.state.patterns() == before

    @rule(data=st.data(), told=st.dictionaries(NAMES, st.tuples(HISTORIES, INFOS), max_size=5))
    def fold_together(self, data: st.DataObject, told: dict[bytes, tuple[str, FileInfo | None]]) -> None:
        directory = self._one(data)
        found = {
            name: info
            for name, (_, info) in told.items()
            if info is not None and SELECTION.patterns_of(name, directory.below)
        }
        gone = [name for name in told if name not in found]
        histories = {name: history for name, (history, _) in told.items()}
        self.state.fold(directory, histories, columns(found), gone, self._now())
        for name in gone:
            self.files.pop((directory, name), None)
        self.files.update({(directory, name): info for name, info in found.items()})

    @rule(data=st.data(), name=st.sampled_from([b"d", b"e"]))
    def new_directory(self, data: st.DataObject, name: bytes) -> None:
        parent = self._one(data)
        if name not in parent.children and parent.below.count(b"/") < 3:
            parent.child(name)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        directory = self._one(data)
        if directory.parent is not None:
            gone = set(directory.subtree())
            changed = self.state.drop(directory, self._now())
            assert changed == any(key[0] in gone for key in self.files)
            self.files = {key: info for key, info in self.files.items() if key[0] not in gone}
            assert not any(part.alive for part in gone)

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        directory = self._one(data)
        self.state.clear(directory, self._now())
        self.files = {key: info for key, info in self.files.items() if key[0] is not directory}

    @invariant()
    def every_number_is_right(self) -> None:
        observe_all(self.state)
        for index, pattern in enumerate(self.state.patterns()):
            mine = [
                info
                for (directory, name), info in self.files.items()
                if index in SELECTION.patterns_of(name, directory.below)
            ]
            assert pattern.files == len(mine)
            assert pattern.size_bytes == sum(info.size_bytes for info in mine)
            assert pattern.oldest_modified_at == min((info.modified_at for info in mine), default=None)
            assert pattern.newest_modified_at == max((info.modified_at for info in mine), default=None)
            assert pattern.largest_bytes == max((info.size_bytes for info in mine), default=None)
            flow = pattern.flow
            assert flow is not None
            files, size_bytes = self.start[index]
            assert flow.arrivals - flow.departures == pattern.files - files
            assert flow.arrived_bytes - flow.departed_bytes == pattern.size_bytes - size_bytes
            assert sum(flow.dwell.counts) == flow.departures
            assert flow.dwell.sum_seconds >= 0
            assert self.told.count((Happening.ARRIVAL, index)) == flow.arrivals
            assert self.told.count((Happening.DEPARTURE, index)) == flow.departures
            assert self.told.count((Happening.MODIFICATION, index)) == flow.modifications


TestState = StateMachine.TestCase
TestState.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)


@given(here=st.booleans(), history=HISTORIES, stays=st.booleans())
@settings(deadline=None, derandomize=True, max_examples=300)
def test_a_history_is_counted_step_by_step(*, here: bool, history: str, stays: bool) -> None:
    state = FolderState(b"/f", Selection())
    info = FileInfo(10, 1.0, 0.0, 1)
    if here:
        at_the_start(state, state.root, b"f", info, NOW)
    fold(state, b"f", history, info if stays else None)
    arrivals = departures = 0
    there = here
    for step in history:
        if step == "a" and not there:
            there, arrivals = True, arrivals + 1
        elif step == "l" and there:
            there, departures = False, departures + 1
    arrivals += stays and not there
    departures += there and not stays
    flow = flow_of(state)
    assert (flow.arrivals, flow.departures) == (arrivals, departures)


def test_what_came_and_went_between_two_looks_counts_and_dwelt_for_no_time() -> None:
    state = FolderState(b"/f", Selection())
    assert fold(state, b"f", "al", None)
    flow = flow_of(state)
    assert (flow.arrivals, flow.departures, flow.dwell.counts[0], flow.dwell.sum_seconds) == (1, 1, 1, 0.0)


def test_a_replaced_file_is_a_modification() -> None:
    state = FolderState(b"/f", Selection())
    fold(state, b"f", "a", FileInfo(10, 1.0, 0.0, 1))
    fold(state, b"f", "a", FileInfo(4, 1.0, 0.0, 2))
    flow = flow_of(state)
    assert (flow.arrivals, flow.departures, flow.modifications) == (1, 0, 1)
    assert (flow.arrived_bytes, flow.departed_bytes) == (10, 6)


@pytest.mark.parametrize(
    ("stayed_seconds", "bucket"),
    [(0.0, 0), (1.0, 0), (1.5, 1), (604800.0, 9), (604800.5, 10), (1e12, 10), (-5.0, 0)],
)
@pytest.mark.parametrize("together", [1, 3])
def test_a_dwell_time_falls_into_its_bucket(stayed_seconds: float, bucket: int, together: int) -> None:
    state = FolderState(b"/f", Selection(recursive=True))
    directory = state.root.child(b"d")
    for number in range(together):
        fold_in(state, directory, b"%d" % number, "a", FileInfo(0, 1.0, 0.0, 1), NOW)
    state.drop(directory, Instant(0.0, NOW.steady + stayed_seconds))
    flow = flow_of(state)
    assert flow.dwell.counts[bucket] == together
    assert sum(flow.dwell.counts) == together
    assert flow.dwell.sum_seconds == together * max(0.0, stayed_seconds)


def test_a_file_that_counts_twice_is_told_once_for_each_pattern() -> None:
    told: list[tuple[object, ...]] = []
    state = FolderState(b"/f", SELECTION)
    state.tell = lambda *event: told.append(event)
    fold(state, b"a.txt", "a", FileInfo(3, 1.0, 0.0, 1))
    assert told == [(Happening.ARRIVAL, state.root, b"a.txt", index, 3) for index in range(3)]
