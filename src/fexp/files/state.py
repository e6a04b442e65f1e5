"""The state of a folder: a tree of directories with their files, and the totals that a fold keeps up to date.

Pure: no I/O, no clock, no thread. One thread folds; ``FolderState.snapshot`` may be called by another only while that
one does not fold. The price of a fold depends on what changed, never on how many files there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING

from fexp.files.table import Extremes, Table
from fexp.model import ARRIVED, LEFT, DwellSnapshot, FlowSnapshot, Happening, PatternSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fexp.files.selection import Selection
    from fexp.model import FileColumns, FileInfo, Instant

    Tell = Callable[[Happening, "Directory", bytes, int, int], None]

DEFAULT_DWELL_BOUNDS_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0)


class Directory:
    """One directory of the tree. It knows its path, its files by pattern and its subdirectories."""

    __slots__ = ("alive", "below", "children", "folder", "name", "parent", "path", "seen_at", "tables", "watch")

    def __init__(self, folder: FolderState, parent: Directory | None, name: bytes, path: bytes) -> None:
        self.folder = folder
        self.parent = parent
        self.name = name
        self.path = path
        self.below: bytes = b"" if parent is None else parent.below + name + b"/"
        """Its path below the folder: empty, or ending in ``/``."""
        self.children: dict[bytes, Directory] = {}
        self.tables: dict[int, Table] = {}
        """Files by index of the pattern."""
        self.watch: int | None = None
        """What the source calls its watch on it; None when nothing tells of its changes."""
        self.alive = True
        """False once it was dropped from the tree."""
        self.seen_at: float | None = None
        """When its latest listing began, on the steady clock; None before the first."""

    def child(self, name: bytes) -> Directory:
        """Add a subdirectory that is not there yet."""
        separator = b"" if self.path.endswith(b"/") else b"/"
        found = Directory(self.folder, self, name, self.path + separator + name)
        self.children[name] = found
        return found

    def subtree(self) -> Iterator[Directory]:
        """Give this directory and all below it."""
        stack = [self]
        while stack:
            directory = stack.pop()
            yield directory
            stack.extend(directory.children.values())

    def names(self) -> set[bytes]:
        """Give the names of all its files that count."""
        known: set[bytes] = set()
        for table in self.tables.values():
            known |= table.names()
        return known


class Totals:
    """The numbers of one pattern over the whole folder."""

    __slots__ = (
        "arrivals", "arrived_bytes", "departed_bytes", "departures", "dwell_counts", "dwell_sum_seconds", "extremes",
        "files", "last_arrival_at", "last_departure_at", "modifications", "size_bytes", "tables",
    )  # fmt: skip

    def __init__(self, dwell_bounds_seconds: tuple[float, ...]) -> None:
        self.files = 0
        self.size_bytes = 0
        self.arrivals = 0
        self.departures = 0
        self.modifications = 0
        self.arrived_bytes = 0
        self.departed_bytes = 0
        self.last_arrival_at: float | None = None
        self.last_departure_at: float | None = None
        self.dwell_counts = [0] * (len(dwell_bounds_seconds) + 1)
        self.dwell_sum_seconds = 0.0
        self.extremes: Extremes | None = None
        """Over all tables; None when they are to be found again when asked for."""
        self.tables: set[Table] = set()
        """The tables with files in them."""


class FolderState:
    """All that fexp knows about the files of one folder.

    ``tell`` is called with (happening, directory, name, pattern index, size) for each arrival, departure and
    modification; None costs nothing.
    """

    def __init__(
        self,
        path: bytes,
        selection: Selection,
        dwell_bounds_seconds: tuple[float, ...] = DEFAULT_DWELL_BOUNDS_SECONDS,
    ) -> None:
        self.selection = selection
        self.root = Directory(self, None, b"", path)
        self.tell: Tell | None = None
        self._dwell_bounds_seconds = dwell_bounds_seconds
        self._totals = tuple(Totals(dwell_bounds_seconds) for _ in selection.patterns)
        self._gone: deque[tuple[Totals, Table, Instant]] = deque()
        """Tables of directories that departed whole, and when: their dwell times are still to be observed."""
        self._observed = 0
        """Files of the first of them whose dwell times are."""

    @property
    def files(self) -> int:
        """Files known, summed over the patterns."""
        return sum(totals.files for totals in self._totals)

    # What events and looks found -----------------------------------------------------------------------------------

    def fold(
        self, directory: Directory, histories: Mapping[bytes, str], found: FileColumns, gone: Sequence[bytes],
        now: Instant,
    ) -> bool:  # fmt: skip
        """Take in what events told of names and what a look then found there; say whether anything changed.

        ``histories``: what events told of each name, in order. ``found`` and ``gone`` are the truth after it: the files
        that are there and count, and the names where none is. Folding the same fact twice changes nothing. A file
        that came and went in the history alone was never seen; it is taken for a regular file and counts as an arrival
        and a departure of no bytes. What is new arrived now.
        """
        changed = False
        for name in found.names:
            if LEFT in histories[name]:
                changed |= self._replay(directory, name, histories[name], now)
        for name in gone:
            if ARRIVED in histories[name]:
                changed |= self._replay(directory, name, histories[name] + LEFT, now)
        if found.names:
            changed |= bool(self.take_in(directory, found, now, now.steady, is_start=False))
        return self.let_go(directory, gone, now) or changed

    def _replay(self, directory: Directory, name: bytes, history: str, now: Instant) -> bool:
        """Count the departures that events told of, and the arrivals that were undone by one."""
        changed = False
        for index in self.selection.patterns_of(name, directory.below):
            table = directory.tables.get(index)
            here = table is not None and name in table
            unseen = False
            for step in history:
                if step == ARRIVED and not here:
                    here = unseen = True
                elif step == LEFT and here:
                    if unseen:
                        self._pass_through(directory, name, index, now)
                    elif table is not None:
                        self._depart(directory, index, table, [name], now)
                    here, unseen, changed = False, False, True
        return changed

    def take_in(
        self, directory: Directory, files: FileColumns, now: Instant, absent_since: float, *, is_start: bool
    ) -> list[bytes]:
        """Take in files that a listing found. Give the names that were not as known.

        A new file arrived when its inode last changed, though not before ``absent_since`` (on the steady clock).
        ``is_start``: it was there before fexp looked, so it is no arrival.
        """
        different: list[bytes] = []
        for index, matching in self._by_pattern(directory, files):
            table = directory.tables.get(index)
            new = matching
            if table is not None:
                is_new, changed = table.sift(matching)
                for position in changed:
                    name = matching.names[position]
                    self._modify(directory, table, name, index, matching.info(position))
                    different.append(name)
                new = matching.where(is_new)
            if new.names:
                self._fill(directory, index, new, now, absent_since, is_start=is_start)
                different.extend(new.names)
        return different

    def _by_pattern(self, directory: Directory, files: FileColumns) -> Iterator[tuple[int, FileColumns]]:
        if len(self._totals) == 1:
            yield 0, files  # a listing holds only files that count
            return
        indexes = [self.selection.patterns_of(name, directory.below) for name in files.names]
        for index in range(len(self._totals)):
            yield index, files.where(index in own for own in indexes)

    def _fill(
        self, directory: Directory, index: int, files: FileColumns, now: Instant, absent_since: float, *, is_start: bool
    ) -> None:
        totals = self._totals[index]
        table = directory.tables.get(index)
        if table is None:
            table = self._new_table(directory, index)
        shift, latest = now.steady - now.wall, now.steady
        if absent_since >= latest:
            table.fill(files, [latest] * len(files.names))
        else:
            table.fill(files, [min(latest, max(absent_since, changed_at + shift)) for changed_at in files.changed_at])
        size_bytes = sum(files.sizes)
        if totals.extremes is not None or not totals.files:
            own = Extremes(min(files.modified_at), max(files.modified_at), max(files.sizes))
            totals.extremes = own.including(totals.extremes)
        totals.files += len(files.names)
        totals.size_bytes += size_bytes
        if not is_start:
            totals.arrivals += len(files.names)
            totals.arrived_bytes += size_bytes
            totals.last_arrival_at = now.wall
            if self.tell is not None:
                for name, size in zip(files.names, files.sizes, strict=True):
                    self.tell(Happening.ARRIVAL, directory, name, index, size)

    def let_go(self, directory: Directory, names: Iterable[bytes], now: Instant) -> bool:
        """Let files depart, those of them that are known; say whether any was."""
        changed = False
        for index, table in tuple(directory.tables.items()):
            changed |= self._depart(directory, index, table, names, now)
        return changed

    def drop(self, directory: Directory, now: Instant) -> bool:
        """Let a directory and all below it depart; it is no longer part of the tree."""
        if directory.parent is not None and directory.parent.children.get(directory.name) is directory:
            del directory.parent.children[directory.name]
        changed = False
        for part in directory.subtree():
            part.alive = False
            changed |= self.clear(part, now)
        return changed

    def clear(self, directory: Directory, now: Instant) -> bool:
        """Let all files of one directory depart, at a price that does not depend on their number.

        Their dwell times follow with ``observe_some``.
        """
        for index, table in directory.tables.items():
            totals = self._totals[index]
            totals.files -= len(table)
            totals.size_bytes -= table.size_bytes
            totals.departures += len(table)
            totals.departed_bytes += table.size_bytes
            totals.last_departure_at = now.wall
            self._gone.append((totals, table, now))
            totals.tables.discard(table)
            totals.extremes = None
            if self.tell is not None:
                for name, size_bytes, _ in table.files():
                    self.tell(Happening.DEPARTURE, directory, name, index, size_bytes)
        emptied = bool(directory.tables)
        directory.tables = {}
        return emptied

    @property
    def owes_dwells(self) -> bool:
        """Whether dwell times of files that departed are still to be observed."""
        return bool(self._gone)

    def observe_some(self, count: int) -> None:
        """Observe the dwell times of so many files whose directory departed."""
        totals, table, left_at = self._gone[0]
        first, self._observed = self._observed, self._observed + count
        self._observe_dwells(totals, table.arrived_at()[first : self._observed], left_at)
        if self._observed >= len(table):
            self._gone.popleft()
            self._observed = 0

    # What they are made of -----------------------------------------------------------------------------------------

    def _new_table(self, directory: Directory, index: int) -> Table:
        table = directory.tables[index] = Table()
        self._totals[index].tables.add(table)
        return table

    def _depart(self, directory: Directory, index: int, table: Table, names: Iterable[bytes], now: Instant) -> bool:
        removed = table.remove(names)
        if not removed.names:
            return False
        size_bytes = sum(removed.sizes)
        totals = self._totals[index]
        totals.files -= len(removed.names)
        totals.size_bytes -= size_bytes
        totals.departures += len(removed.names)
        totals.departed_bytes += size_bytes
        totals.last_departure_at = now.wall
        self._observe_dwells(totals, removed.arrived_at, now)
        known = totals.extremes
        if known is not None and (
            max(removed.modified_at) >= known.newest_at
            or min(removed.modified_at) <= known.oldest_at
            or max(removed.sizes) >= known.largest_bytes
        ):
            totals.extremes = None
        if not table:
            del directory.tables[index]
            totals.tables.discard(table)
        if self.tell is not None:
            for name, size in zip(removed.names, removed.sizes, strict=True):
                self.tell(Happening.DEPARTURE, directory, name, index, size)
        return True

    def _pass_through(self, directory: Directory, name: bytes, index: int, now: Instant) -> None:
        """Count a file that came and went unseen."""
        totals = self._totals[index]
        totals.arrivals += 1
        totals.departures += 1
        totals.last_arrival_at = totals.last_departure_at = now.wall
        totals.dwell_counts[0] += 1
        if self.tell is not None:
            self.tell(Happening.ARRIVAL, directory, name, index, 0)
            self.tell(Happening.DEPARTURE, directory, name, index, 0)

    def _modify(self, directory: Directory, table: Table, name: bytes, index: int, info: FileInfo) -> bool:
        grown_bytes = table.change(name, info)
        if grown_bytes is None:
            return False
        totals = self._totals[index]
        totals.modifications += 1
        totals.size_bytes += grown_bytes
        totals.arrived_bytes += max(0, grown_bytes)
        totals.departed_bytes += max(0, -grown_bytes)
        totals.extremes = None
        if self.tell is not None:
            self.tell(Happening.MODIFICATION, directory, name, index, info.size_bytes)
        return True

    def _observe_dwells(self, totals: Totals, arrived_at: Sequence[float], now: Instant) -> None:
        """Count many dwell times into buckets at once, by sorting the arrivals rather than the times one by one."""
        ordered = sorted(arrived_at)
        ordered[bisect_right(ordered, now.steady) :] = repeat(
            now.steady, len(ordered) - bisect_right(ordered, now.steady)
        )
        totals.dwell_sum_seconds += now.steady * len(ordered) - sum(ordered)
        above = len(ordered)
        for bucket, bound in enumerate(self._dwell_bounds_seconds):
            longer = bisect_left(ordered, now.steady - bound)
            totals.dwell_counts[bucket] += above - longer
            above = longer
        totals.dwell_counts[-1] += above

    # What readers see ----------------------------------------------------------------------------------------------

    @staticmethod
    def _extremes_of(totals: Totals) -> Extremes | None:
        if totals.extremes is None:
            for table in totals.tables:
                own = table.extremes()
                if own is not None:
                    totals.extremes = own.including(totals.extremes)
        return totals.extremes

    def patterns(self) -> tuple[PatternSnapshot, ...]:
        """Give the numbers of every pattern as they are now."""
        return tuple(self._pattern(index) for index in range(len(self._totals)))

    def _pattern(self, index: int) -> PatternSnapshot:
        totals = self._totals[index]
        extremes = self._extremes_of(totals)
        return PatternSnapshot(
            pattern=self.selection.labels[index],
            files=totals.files,
            size_bytes=totals.size_bytes,
            oldest_modified_at=extremes.oldest_at if extremes else None,
            newest_modified_at=extremes.newest_at if extremes else None,
            largest_bytes=extremes.largest_bytes if extremes else None,
            flow=FlowSnapshot(
                arrivals=totals.arrivals,
                departures=totals.departures,
                modifications=totals.modifications,
                arrived_bytes=totals.arrived_bytes,
                departed_bytes=totals.departed_bytes,
                last_arrival_at=totals.last_arrival_at,
                last_departure_at=totals.last_departure_at,
                dwell=DwellSnapshot(self._dwell_bounds_seconds, tuple(totals.dwell_counts), totals.dwell_sum_seconds),
            ),
        )
