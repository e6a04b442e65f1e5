"""A folder's state between threads: one folds, others read. What changes goes into the change feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.grouping import ByPattern
from fexp.counting.state import Changed, FolderState
from fexp.engine.feed import ChangeBatch
from fexp.metrics import makers
from fexp.model import FileColumns, Happening

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.selection import Folder
    from fexp.counting.state import Directory
    from fexp.engine.context import Context
    from fexp.model import GroupSnapshot, Instant

_FOLD_AT_ONCE = 4096
"""Files of a listing folded under one hold of the lock: a scrape waits for at most so many."""
_OBSERVE_AT_ONCE = 1024


class SharedState:
    """The state of one folder. All but ``groups`` and ``files`` belongs to the engine's thread."""

    def __init__(self, folder: Folder, context: Context) -> None:
        self._folder = folder
        self._context = context
        self._grouping = ByPattern(folder.selection)
        made = makers(folder.measures, context.now())
        self._state = FolderState(self._grouping, made, context.settings.dwell_bounds_seconds)

    @property
    def files(self) -> int:
        """Return how many files are known."""
        return self._state.files

    @property
    def owes_dwells(self) -> bool:
        """Return whether dwell times of departed files are still to be observed."""
        return self._state.owes_dwells

    def fold(
        self, directory: Directory, histories: Mapping[bytes, str], found: FileColumns, gone: Sequence[bytes]
    ) -> bool:
        """Fold the histories of some names and what is there. Return whether anything changed."""
        now = self._context.clock()
        with self._context.lock:
            changed = self._state.fold(directory, histories, found, gone, now)
        self._publish(now)
        return changed

    def fold_listing(
        self, directory: Directory, files: FileColumns, absent_since: float, *, is_start: bool
    ) -> list[bytes]:
        """Fold all that a directory holds. Return the names that were not as known."""
        now = self._context.clock()
        vanished = list(directory.names().difference(files.names)) if directory.tables else []
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
        """Let all files of directories depart in one step. Return whether there were any."""
        now = self._context.clock()
        with self._context.lock:
            changed = [self._state.clear(directory, now) for directory in directories]
        self._publish(now)
        return any(changed)

    def observe_some_dwells(self) -> None:
        """Observe some of the dwell times that departed directories left behind."""
        with self._context.lock:
            self._state.observe_some(_OBSERVE_AT_ONCE)

    def groups(self, now: Instant) -> tuple[tuple[GroupSnapshot, ...], float]:
        """Return the numbers, and when they change by time alone (steady, or infinity). The lock must be held."""
        return self._state.groups(now), self._state.next_change_at(now)

    @property
    def moves(self) -> bool:
        """Return whether something differs from one moment to the next while no file changes."""
        return self._state.moves

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
        return ChangeBatch(self._folder.label, self._pattern_of, now.wall, changes)

    def _pattern_of(self, key: Hashable) -> str:
        return self._grouping.labels_of(key)["pattern"]
