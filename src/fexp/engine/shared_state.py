"""A folder's state between threads: one folds, others read. What changes goes into the change feed."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from fexp.counting.grouping import grouping_of
from fexp.counting.listing import ARRIVING
from fexp.counting.state import Changed, FolderState
from fexp.engine.feed import ChangeBatch
from fexp.metrics import makers
from fexp.model import FileColumns, Happening

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.detailed import DetailedState
    from fexp.counting.listing import FirstFiles
    from fexp.counting.selection import Folder
    from fexp.counting.state import Directory, Wants
    from fexp.engine.context import Context
    from fexp.model import DiskUse, GroupSnapshot, Instant, SingleFile

_FOLD_AT_ONCE = 4096
"""Files of a listing folded under one hold of the lock: a scrape waits for at most so many."""
_OBSERVE_AT_ONCE = 1024
_LOOK_AGAIN_AT_ONCE = 1024


class SharedState:
    """The state of one folder. What other threads may call says so; the rest is the engine's."""

    def __init__(self, folder: Folder, context: Context) -> None:
        self._folder = folder
        self._context = context
        self._grouping = grouping_of(folder)
        made = makers(folder.measures, context.now())
        dwell_bounds_seconds = folder.measures.dwell_bounds_seconds
        if dwell_bounds_seconds is None:
            dwell_bounds_seconds = context.settings.dwell_bounds_seconds
        self._state: FolderState
        self._detailed: DetailedState | None = None
        if folder.measures.is_detailed:
            from fexp.counting.detailed import DetailedState

            self._state = self._detailed = DetailedState(folder, self._grouping, made, dwell_bounds_seconds)
        else:
            self._state = FolderState(self._grouping, made, dwell_bounds_seconds)
        if folder.measures.single_files_max:
            from fexp.counting.single_files import SingleFiles

            self._state.single_files = SingleFiles(folder.measures.single_files_max)

    @property
    def files(self) -> int:
        """Return how many files are known."""
        return self._state.files

    @property
    def owes_dwells(self) -> bool:
        """Return whether dwell times of departed files are still to be observed."""
        return self._state.owes_dwells

    def fold(
        self,
        directory: Directory,
        histories: Mapping[bytes, str],
        found: FileColumns,
        gone: Sequence[bytes],
        disk_use: Mapping[bytes, DiskUse] | None = None,
    ) -> bool:
        """Fold the histories of some names and what is there. Return whether anything changed."""
        now = self._context.clock()
        if self._detailed is not None and disk_use:
            self._detailed.disk_use = disk_use
        with self._context.lock:
            changed = self._state.fold(directory, histories, found, gone, now)
        self._publish(now)
        return changed

    def fold_listing(
        self,
        directory: Directory,
        files: FileColumns,
        absent_since: float,
        disk_use: Mapping[bytes, DiskUse] | None = None,
        *,
        is_start: bool,
    ) -> list[bytes]:
        """Fold all that a directory holds. Return the names that were not as known."""
        now = self._context.clock()
        if self._detailed is not None and disk_use:
            self._detailed.disk_use = disk_use
        vanished = self._state.missing(directory, files.names)
        different: list[bytes] = []
        for first in range(0, len(files.names), _FOLD_AT_ONCE):
            part = files.part(slice(first, first + _FOLD_AT_ONCE))
            with self._context.lock:
                different += self._state.take_in(directory, part, now, absent_since, is_start=is_start)
            self._context.progressed()
        for first in range(0, len(vanished), _FOLD_AT_ONCE):
            with self._context.lock:
                self._state.let_go(directory, vanished[first : first + _FOLD_AT_ONCE], now)
        different += vanished
        if different:
            with self._context.lock:
                self._state.refresh(directory)
        self._publish(now)
        return different

    def clear(self, directories: Iterable[Directory]) -> bool:
        """Let all files of directories depart in one step. Return whether there were any.

        With a distribution of ages it takes several: its price is per file, unless one directory has very many.
        """
        now, changed = self._context.clock(), False
        for portion in self._portions(directories):
            with self._context.lock:
                cleared = [self._state.clear(directory, now) for directory in portion]
            changed |= any(cleared)
        self._publish(now)
        return changed

    def _portions(self, directories: Iterable[Directory]) -> Iterator[Iterable[Directory]]:
        if not self._folder.measures.age_bounds_seconds:
            yield directories
            return
        portion: list[Directory] = []
        files = 0
        for directory in directories:
            portion.append(directory)
            files += sum(map(len, directory.tables))
            if files >= _FOLD_AT_ONCE:
                yield portion
                self._context.progressed()
                portion, files = [], 0
        yield portion

    def observe_some_dwells(self) -> None:
        """Observe some of the dwell times that departed directories left behind."""
        with self._context.lock:
            self._state.observe_some(_OBSERVE_AT_ONCE)

    def groups(self, now: Instant) -> tuple[tuple[GroupSnapshot, ...], float]:
        """Return the numbers, and when they change by time alone (steady, or infinity). The lock must be held."""
        return self._state.groups(now), self._state.next_change_at(now)

    @property
    def single_files(self) -> tuple[SingleFile, ...]:
        """Return the files that are shown one by one, after ``groups``. The lock must be held."""
        return self._state.single_snapshots

    @property
    def left_out(self) -> int | None:
        """Return how many groups and files a cap leaves out, after ``groups``; None when there is no cap."""
        return self._state.left_out

    # Which files ----------------------------------------------------------------------------------------------------

    def pick(self, first: FirstFiles, wants: Wants) -> None:
        """Pick files of the groups whose labels are wanted. For any thread, without the lock."""
        folder = self._folder.label
        if first.listed not in ARRIVING:
            with self._context.lock:
                self._state.pick(first, folder, wants)
        elif self._detailed is not None:
            with self._context.lock:
                directories = self._detailed.arriving_in
            for directory in directories:
                with self._context.lock:
                    arriving = self._detailed.arriving(directory, first.listed, wants)
                entries = arriving.entries(folder)
                first.merge(entries, len(entries))

    def labels_of_file(self, path: bytes) -> Sequence[Mapping[str, str]]:
        """Return the labels of each group of a file. The lock must be held."""
        directory, slash, name = path.rpartition(b"/")
        return self._state.labels_of_file(name, directory + slash)

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        """Return whether something differs from one moment to the next while no file changes."""
        return self._state.moves

    # Files that arrive ---------------------------------------------------------------------------------------------

    @property
    def arrivals_due_at(self) -> float:
        """Return when ``due_arrivals`` has some, on the steady clock; infinity for never."""
        return inf if self._detailed is None else self._detailed.due_at

    def due_arrivals(self, now: float) -> Mapping[Directory, list[bytes]]:
        """Return files to be looked at, for else time alone would settle or stall them."""
        return {} if self._detailed is None else self._detailed.due(now, _LOOK_AGAIN_AT_ONCE)

    @property
    def other_changes(self) -> int:
        """Return how often numbers changed that may change while no file is different."""
        return 0 if self._detailed is None else self._detailed.other_changes

    # The change feed -----------------------------------------------------------------------------------------------

    def record_changes(self, *, wanted: bool) -> None:
        """Record what happens to files from now on, or no more."""
        if wanted != (self._state.changes is not None):
            self._state.changes = [] if wanted else None

    def present(self, directories: Iterable[Directory]) -> Iterator[ChangeBatch]:
        """Yield the files that are there now."""
        now = self._context.clock()
        for directory in directories:
            changes = [
                Changed(Happening.PRESENT, table.key, directory.below, table.copy()) for table in directory.tables
            ]
            if changes:
                yield self._batch(now, changes)

    def _publish(self, now: Instant) -> None:
        if self._state.changes:
            changes, self._state.changes = self._state.changes, []
            self._context.feed.record(self._batch(now, changes))

    def _batch(self, now: Instant, changes: list[Changed]) -> ChangeBatch:
        return ChangeBatch(self._folder.label, self._pattern_of, now.wall, changes, self._folder.hides_names)

    def _pattern_of(self, key: Hashable) -> str:
        return self._grouping.labels_of(key)["pattern"]
