"""Which folders have something to do: a turn of the engine costs those that it touches, however many there are."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from fexp.engine.folder import FolderWatch


class Agenda:
    """Sorts folders by what they have to do. Only the engine's thread calls it."""

    def __init__(self) -> None:
        self.unsettled: set[FolderWatch] = set()
        """Folders with looks under way or wanted, or with dwell times to be observed."""
        self.owing: set[FolderWatch] = set()
        """Those with dwell times to be observed."""
        self.suspicious: set[FolderWatch] = set()
        """Folders in which a look found what no event has reported yet."""
        self._busy: dict[FolderWatch, None] = {}
        """Folders with directories to be listed, in the order of their turns."""
        self.awaits_others = False
        """Whether all of them wait for other processes, when their turns were last over."""
        self._touched: dict[FolderWatch, None] = {}
        self._due: list[tuple[float, int, FolderWatch]] = []
        """A heap: when folders have something to do without a hint. Entries may be out of date."""
        self._due_at: dict[FolderWatch, float] = {}
        """The latest entry of each."""

    @property
    def is_busy(self) -> bool:
        """Return whether directories are to be listed."""
        return bool(self._busy)

    @property
    def next_due_at(self) -> float:
        """Return when something is to be done without a hint, on the steady clock; infinity for never."""
        return self._due[0][0] if self._due else inf

    def touch(self, folders: Iterable[FolderWatch]) -> None:
        """Take note that folders may have something else to do now."""
        self._touched.update(dict.fromkeys(folders))

    def busy(self) -> Iterator[FolderWatch]:
        """Yield folders with directories to be listed, each in its turn, until all they do is wait."""
        self.awaits_others = False
        waiting = 0
        while waiting < len(self._busy):
            folder = next(iter(self._busy))
            del self._busy[folder]
            self._touched[folder] = None
            if folder.tree.listings.can_go_on:
                waiting = 0
                yield folder
            elif folder.tree.is_busy:
                waiting += 1
            if folder.tree.is_busy:
                self._busy[folder] = None
        self.awaits_others = bool(self._busy)

    def due(self, now: float) -> Iterator[FolderWatch]:
        """Yield the folders that have something to do now."""
        while self._due and self._due[0][0] <= now:
            at, _, folder = heappop(self._due)
            if self._due_at.get(folder) == at:
                del self._due_at[folder]
                self._touched[folder] = None
                yield folder

    def settle(self) -> Iterable[FolderWatch]:
        """Sort the folders that were touched. Return them."""
        touched, self._touched = self._touched, {}
        for folder in touched:
            tree = folder.tree
            is_busy, owes_dwells = tree.is_busy, tree.state.owes_dwells
            _put(folder, self.unsettled, wanted=is_busy or owes_dwells or folder.is_looking)
            _put(folder, self.owing, wanted=owes_dwells)
            _put(folder, self.suspicious, wanted=bool(tree.suspects))
            if is_busy:
                self._busy.setdefault(folder)
            due_at = folder.due_at
            if due_at < inf and due_at != self._due_at.get(folder):
                self._due_at[folder] = due_at
                heappush(self._due, (due_at, id(folder), folder))
        return touched

    def keep(self, folders: Collection[FolderWatch]) -> None:
        """Forget all other folders."""
        for some in (self.unsettled, self.owing, self.suspicious):
            some.intersection_update(folders)
        self._busy = {folder: None for folder in self._busy if folder in folders}
        self._touched = {folder: None for folder in self._touched if folder in folders}
        self._due_at = {folder: at for folder, at in self._due_at.items() if folder in folders}
        self._due = [(at, id(folder), folder) for folder, at in self._due_at.items()]
        heapify(self._due)


def _put(folder: FolderWatch, some: set[FolderWatch], *, wanted: bool) -> None:
    if wanted:
        some.add(folder)
    elif some:
        some.discard(folder)
