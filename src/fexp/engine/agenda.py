"""When folders have something to do without a hint. Whoever waits for nothing costs nothing."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fexp.engine.folder import FolderWatch


class Agenda:
    """Due times of folders, on the steady clock, the earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, FolderWatch]] = []
        """Entries may be out of date: a folder that is called too early has nothing to do."""
        self._latest: dict[FolderWatch, float] = {}

    @property
    def due_at(self) -> float:
        """Return when the first folder is due; infinity when none is."""
        return self._heap[0][0] if self._heap else inf

    def note(self, folder: FolderWatch) -> None:
        """Take note of when a folder is due now."""
        due_at = folder.due_at
        if due_at < inf and due_at != self._latest.get(folder):
            self._latest[folder] = due_at
            heappush(self._heap, (due_at, id(folder), folder))

    def take_due(self, now: float) -> Iterator[FolderWatch]:
        """Take the folders that are due."""
        while self._heap and self._heap[0][0] <= now:
            _, _, folder = heappop(self._heap)
            self._latest.pop(folder, None)
            yield folder

    def keep(self, folders: Collection[FolderWatch]) -> None:
        """Forget all other folders."""
        self._latest = {folder: self._latest[folder] for folder in folders if folder in self._latest}
        self._heap = [(due_at, id(folder), folder) for folder, due_at in self._latest.items()]
        heapify(self._heap)
