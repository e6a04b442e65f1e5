"""``FolderState`` against a plain model: what a fold counts, and the law."""

from __future__ import annotations

import random
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fexp.config.settings import EngineSettings
from fexp.counting.aggregates import Sum
from fexp.counting.grouping import ByPattern
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.counting.state import Directory, FolderState
from fexp.metrics import AGGREGATES, makers
from fexp.model import FileInfo, Happening, Instant
from tests.counting.columns import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fexp.model import FlowSnapshot, GroupSnapshot, Histogram, KnownFiles

NOW = Instant(1.7e9, 1000.0)
SELECTION = Selection(("*.txt", "a*", "*"), recursive=True)
NAMES = st.sampled_from([b"a.txt", b"b.txt", b"a.csv", b"b.csv", b".hidden.txt", b"\xff.txt"])
BOUNDS_SECONDS = EngineSettings().dwell_bounds_seconds
MEASURES = Measures((1.7e9 + 1500.0, 1.7e9 + 2000.5), (0.0, 3.0))
"""Files of this model are about as old as the clock says."""
HISTORIES = st.text("alc", max_size=6)
INFOS = st.none() | st.builds(
    FileInfo,
    size_bytes=st.integers(0, 4) | st.integers(0, 2**62),
    modified_at=st.integers(0, 3).map(float) | st.integers(1050, 1100).map(lambda seconds: 1.7e9 + seconds),
    changed_at=st.just(0.0),
    inode=st.integers(1, 3),
)


class OneFolder:
    """A state with the selection that the engine would ask before it folds."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.state = FolderState(ByPattern(selection), makers(MEASURES), BOUNDS_SECONDS)
        self.root = Directory(b"")

    def fold(self, directory: Directory, told: Mapping[bytes, tuple[str, FileInfo | None]], now: Instant = NOW) -> bool:
        """Fold some names as the engine does: what is there is folded only if it counts."""
        found = {
            name: info
            for name, (_, info) in told.items()
            if info is not None and self.selection.patterns_of(name, directory.below)
        }
        gone = [name for name in told if name not in found]
        histories = {name: history for name, (history, _) in told.items()}
        return self.state.fold(directory, histories, columns(found), gone, now)

    def fold_one(self, name: bytes, history: str, info: FileInfo | None) -> bool:
        return self.fold(self.root, {name: (history, info)})

    def at_the_start(self, directory: Directory, name: bytes, info: FileInfo, now: Instant = NOW) -> None:
        """Let a listing find one file that was there before fexp looked; a listing holds only what counts."""
        if self.selection.patterns_of(name, directory.below):
            self.state.take_in(directory, columns({name: info}), now, float("-inf"), is_start=True)

    def groups(self, now: Instant = NOW) -> list[GroupSnapshot]:
        while self.state.owes_dwells:
            self.state.observe_some(2)
        return list(self.state.groups(now))

    def flow(self) -> FlowSnapshot:
        flow = self.groups()[0].flow
        assert flow is not None
        return flow


def _is_right(histogram: Histogram, numbers: Sequence[float]) -> None:
    up_to = [sum(number <= bound for number in numbers) for bound in histogram.bounds]
    assert list(accumulate(histogram.counts)) == [*up_to, len(numbers)]
    assert histogram.sum == sum(numbers)


class StateMachine(RuleBasedStateMachine):
    """Folds and clears over a few directories."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = OneFolder(SELECTION)
        self.folder.state.changes = []
        self.directories = [self.folder.root, Directory(b"d/"), Directory(b"d/e/")]
        self.files: dict[tuple[Directory, bytes], FileInfo] = {}
        self.arrived_at: dict[tuple[Directory, bytes], float] = {}
        """On the steady clock."""
        self.start: list[tuple[int, int]] = [(0, 0)] * 3
        self.steady = 1000.0
        self.ahead = 1.7e9
        """How far the wall clock is ahead of it."""

    def _now(self) -> Instant:
        self.steady += 1.0
        return Instant(self.ahead + self.steady, self.steady)

    @rule(seconds=st.integers(-50, 50))
    def set_the_clock(self, seconds: int) -> None:
        self.ahead += seconds

    def _one(self, data: st.DataObject) -> Directory:
        return data.draw(st.sampled_from(self.directories))

    def _is_there(self, directory: Directory, name: bytes, info: FileInfo, *, arrived_at: float) -> None:
        self.files[directory, name] = info
        self.arrived_at.setdefault((directory, name), arrived_at)

    def _is_gone(self, directory: Directory, name: bytes) -> None:
        self.files.pop((directory, name), None)
        self.arrived_at.pop((directory, name), None)

    @rule(data=st.data(), name=NAMES, info=INFOS.filter(bool))
    def there_at_the_start(self, data: st.DataObject, name: bytes, info: FileInfo) -> None:
        directory, now = self._one(data), self._now()
        fresh = (directory, name) not in self.files
        self.folder.at_the_start(directory, name, info, now)
        matching = SELECTION.patterns_of(name, directory.below)
        if matching:
            self._is_there(directory, name, info, arrived_at=info.changed_at + now.steady - now.wall)
        for index in matching if fresh else ():
            files, size_bytes = self.start[index]
            self.start[index] = (files + 1, size_bytes + info.size_bytes)

    @rule(data=st.data(), told=st.dictionaries(NAMES, st.tuples(HISTORIES, INFOS), max_size=5))
    def fold(self, data: st.DataObject, told: dict[bytes, tuple[str, FileInfo | None]]) -> None:
        directory, now = self._one(data), self._now()
        self.folder.fold(directory, told, now)
        for name, (history, info) in told.items():
            counts = info is not None and SELECTION.patterns_of(name, directory.below)
            if not counts or "l" in history:
                self._is_gone(directory, name)
            if counts and info is not None:
                self._is_there(directory, name, info, arrived_at=now.steady)
        before = self.folder.groups(now)
        again = {name: ("", info) for name, (_, info) in told.items()}
        assert not self.folder.fold(directory, again, Instant(now.wall + 1, now.steady + 1))
        assert self.folder.groups(now) == before

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        directory = self._one(data)
        changed = self.folder.state.clear(directory, self._now())
        names = [name for place, name in self.files if place is directory]
        assert changed == bool(names)
        for name in names:
            self._is_gone(directory, name)

    @rule(data=st.data())
    def refresh(self, data: st.DataObject) -> None:
        self.folder.state.refresh(self._one(data))

    @invariant()
    def every_number_is_right(self) -> None:
        now = Instant(self.ahead + self.steady, self.steady)
        for index, group in enumerate(self.folder.groups(now)):
            keys = [key for key in self.files if index in SELECTION.patterns_of(key[1], key[0].below)]
            mine = [self.files[key] for key in keys]
            assert group.labels == {"pattern": SELECTION.labels[index]}
            truth = {
                "files": len(mine),
                "size_bytes": sum(info.size_bytes for info in mine),
                "empty_files": sum(info.size_bytes == 0 for info in mine),
                "future_files": sum(info.modified_at > now.wall + 60 for info in mine),
                "oldest_modified_at": min((info.modified_at for info in mine), default=None),
                "newest_modified_at": max((info.modified_at for info in mine), default=None),
                "largest_bytes": max((info.size_bytes for info in mine), default=None),
                "smallest_bytes": min((info.size_bytes for info in mine), default=None),
                "oldest_arrived_at": min((self.arrived_at[key] + self.ahead for key in keys), default=None),
            }
            assert group.values == {aggregate.name: truth[aggregate.name] for aggregate in AGGREGATES}
            ages = [max(0.0, now.wall - info.modified_at) for info in mine]
            _is_right(group.distributions["file_age_seconds"], ages)
            _is_right(group.distributions["file_size_bytes"], [info.size_bytes for info in mine])
            self._flow_is_right(index, group)

    def _flow_is_right(self, index: int, group: GroupSnapshot) -> None:
        flow = group.flow
        assert flow is not None
        files, size_bytes = self.start[index]
        assert flow.arrivals - flow.departures == group.files - files
        assert flow.arrived_bytes - flow.departed_bytes == group.size_bytes - size_bytes
        assert sum(flow.dwell.counts) == flow.departures
        assert flow.dwell.sum >= 0
        counted = Counter[Happening]()
        for changed in self.folder.state.changes or ():
            if changed.key == index:
                counted[changed.happening] += len(changed.files.names)
        assert counted == Counter(
            {
                Happening.PRESENT: files,
                Happening.ARRIVAL: flow.arrivals,
                Happening.DEPARTURE: flow.departures,
                Happening.MODIFICATION: flow.modifications,
            }
        )


TestState = StateMachine.TestCase
TestState.settings = settings(max_examples=40, stateful_step_count=40)


class Chance:
    """Draws as hypothesis does, and mixes the rules more than it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def draw(self, strategy: st.SearchStrategy[Directory]) -> Directory:
        return self.random.choice(strategy.elements)  # type: ignore[attr-defined,no-any-return]

    def name(self) -> bytes:
        return self.random.choice([b"a.txt", b"b.txt", b"a.csv", b"b.csv", b".hidden.txt", b"\xff.txt"])

    def info(self) -> FileInfo:
        size_bytes = self.random.choice([0, 1, 2, self.random.randrange(1 << 50)])
        return FileInfo(size_bytes, float(self.random.randrange(4)), 0.0, self.random.randrange(1, 4))

    def told(self) -> dict[bytes, tuple[str, FileInfo | None]]:
        return {
            self.name(): ("".join(self.random.choices("alc", k=self.random.randrange(6))), self.info_or_none())
            for _ in range(self.random.randrange(1, 5))
        }

    def info_or_none(self) -> FileInfo | None:
        return self.info() if self.random.random() < 0.7 else None


@pytest.mark.parametrize("seed", range(20))
def test_every_number_is_right_through_a_mixed_life(seed: int) -> None:
    machine, chance = StateMachine(), Chance(seed)
    steps = {
        lambda: machine.there_at_the_start(data=chance, name=chance.name(), info=chance.info()): 3,
        lambda: machine.fold(data=chance, told=chance.told()): 6,
        lambda: machine.clear(data=chance): 1,
        lambda: machine.refresh(data=chance): 1,
    }
    for step in chance.random.choices(list(steps), list(steps.values()), k=150):
        step()  # type: ignore[no-untyped-call]
        machine.every_number_is_right()


@given(here=st.booleans(), history=HISTORIES, stays=st.booleans())
@settings(max_examples=300)
def test_a_history_is_counted_step_by_step(*, here: bool, history: str, stays: bool) -> None:
    folder = OneFolder(Selection())
    info = FileInfo(10, 1.0, 0.0, 1)
    if here:
        folder.at_the_start(folder.root, b"f", info)
    folder.fold_one(b"f", history, info if stays else None)
    arrivals = departures = 0
    there = here
    for step in history:
        if step == "a" and not there:
            there, arrivals = True, arrivals + 1
        elif step == "l" and there:
            there, departures = False, departures + 1
    arrivals += stays and not there
    departures += there and not stays
    flow = folder.flow()
    assert (flow.arrivals, flow.departures) == (arrivals, departures)


def test_what_came_and_went_between_two_looks_counts_and_dwelt_for_no_time() -> None:
    folder = OneFolder(Selection())
    assert folder.fold_one(b"f", "al", None)
    flow = folder.flow()
    assert (flow.arrivals, flow.departures, flow.dwell.counts[0], flow.dwell.sum) == (1, 1, 1, 0.0)


def test_a_replaced_file_is_a_modification() -> None:
    folder = OneFolder(Selection())
    folder.fold_one(b"f", "a", FileInfo(10, 1.0, 0.0, 1))
    folder.fold_one(b"f", "a", FileInfo(4, 1.0, 0.0, 2))
    flow = folder.flow()
    assert (flow.arrivals, flow.departures, flow.modifications) == (1, 0, 1)
    assert (flow.arrived_bytes, flow.departed_bytes) == (10, 6)


@pytest.mark.parametrize(
    ("stayed_seconds", "bucket"),
    [(0.0, 0), (1.0, 0), (1.5, 1), (604800.0, 9), (604800.5, 10), (1e12, 10), (-5.0, 0)],
)
@pytest.mark.parametrize("together", [1, 3])
def test_a_dwell_time_falls_into_its_bucket(stayed_seconds: float, bucket: int, together: int) -> None:
    folder = OneFolder(Selection(recursive=True))
    directory = Directory(b"d/")
    for number in range(together):
        folder.fold(directory, {b"%d" % number: ("a", FileInfo(0, 1.0, 0.0, 1))})
    folder.state.clear(directory, Instant(0.0, NOW.steady + stayed_seconds))
    flow = folder.flow()
    assert flow.dwell.counts[bucket] == together
    assert sum(flow.dwell.counts) == together
    assert flow.dwell.sum == together * max(0.0, stayed_seconds)


def test_dwell_times_of_many_small_directories_are_observed_together() -> None:
    folder = OneFolder(Selection(recursive=True))
    for number in range(100):
        directory = Directory(b"%d/" % number)
        folder.fold(directory, {b"f": ("a", FileInfo(0, 1.0, 0.0, 1))})
        folder.state.clear(directory, NOW)
    folder.state.observe_some(60)
    assert sum(folder.state.groups(NOW)[0].flow.dwell.counts) == 60  # type: ignore[union-attr]
    folder.state.observe_some(60)
    assert not folder.state.owes_dwells


def test_extremes_over_many_directories_cost_no_look_at_each() -> None:
    """The extremes stay right while tables come, change places and go."""
    chance = random.Random(7)
    folder = OneFolder(Selection(recursive=True))
    sizes: dict[Directory, int] = {}
    for step in range(4000):
        if len(sizes) < 700 or chance.random() < 0.4:
            directory = Directory(b"%d/" % step)
            sizes[directory] = chance.randrange(1 << 50)
            folder.fold(directory, {b"f": ("a", FileInfo(sizes[directory], float(step), 0.0, 1))})
        else:
            directory = chance.choice(list(sizes))
            if chance.random() < 0.5:
                sizes[directory] = chance.randrange(1 << 50)
                folder.fold(directory, {b"f": ("c", FileInfo(sizes[directory], 0.5, 0.0, 1))})
            else:
                del sizes[directory]
                folder.state.clear(directory, NOW)
        if step % 37 == 0:
            values = folder.state.groups(NOW)[0].values
            assert values["largest_bytes"] == max(sizes.values())
            assert values["smallest_bytes"] == min(sizes.values())


class YoungFiles(Sum):
    """A number that time alone changes: how many arrived less than 10 s ago, as if all came together."""

    __slots__ = ()
    name = "young_files"

    def part(self, files: KnownFiles) -> int:
        return len(files.names)

    def value(self, now: Instant) -> float:
        return self.state if now.steady < NOW.steady + 10 else 0

    def next_change_at(self, now: Instant) -> float:
        return NOW.steady + 10 if now.steady < NOW.steady + 10 else float("inf")


def test_a_number_that_time_changes_says_when() -> None:
    state = FolderState(ByPattern(Selection()), (*AGGREGATES, YoungFiles), BOUNDS_SECONDS)
    state.fold(Directory(b""), {b"f": "a"}, columns({b"f": FileInfo(3, 1.0, 0.0, 1)}), [], NOW)
    later = Instant(NOW.wall + 10, NOW.steady + 10)
    assert (state.groups(NOW)[0].values["young_files"], state.next_change_at(NOW)) == (1, NOW.steady + 10)
    assert (state.groups(later)[0].values["young_files"], state.next_change_at(later)) == (0, float("inf"))
