"""Files that change without an event that names them: hard links under their other names, and targets of symlinks."""

from __future__ import annotations

from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING

from fexp.engine.looks import LOOK_SHARE
from fexp.model import CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.events.directory import WatchedDirectory
    from fexp.model import FileColumns

    Names = Mapping[WatchedDirectory, set[bytes]]

_SWEEP_FROM = 1024


class HardLinks:
    """Which names a file with several of them has, in all folders. Folders without such files pay next to nothing.

    An event names one of them, and the others are to be looked at too. Of a name that came, was written and went
    between two looks nobody can say which file it was: what it changed waits for the timed look.
    """

    def __init__(self) -> None:
        self._names_of: dict[int, set[tuple[WatchedDirectory, bytes]]] = {}
        """By inode. From its first name on, every file that is found with the inode is added."""
        self._searched: set[int] = set()
        """Inodes whose older names are known, too: those that the file had as the only one of it."""
        self._changed: set[int] = set()
        self.lately_changed: set[int] = set()
        """Inodes of files that changed, until somebody empties it."""
        self._size = 0
        self._sweep_at = _SWEEP_FROM

    @property
    def needs_search(self) -> bool:
        """Return whether names that changed files may have are not known."""
        return not self._changed <= self._searched

    def record(self, directory: WatchedDirectory, files: FileColumns, shared: Iterable[tuple[bytes, int]]) -> None:
        """Remember names that a look found; ``shared``: those of files that have several, each with its inode."""
        for name, inode in shared:
            self._add(inode, directory, name)
        if self._names_of and not self._names_of.keys().isdisjoint(files.inodes):
            for name, inode in zip(files.names, files.inodes, strict=True):
                if inode in self._names_of:
                    self._add(inode, directory, name)
        if self._size > self._sweep_at:
            self.sweep()

    def _add(self, inode: int, directory: WatchedDirectory, name: bytes) -> None:
        names = self._names_of.setdefault(inode, set())
        before = len(names)
        names.add((directory, name))
        self._size += len(names) - before

    def report(self, directory: WatchedDirectory, histories: Mapping[bytes, str]) -> None:
        """Take note of names that changed, before their look: what they were may be there under other names."""
        if self._names_of:
            for name, history in histories.items():
                if CHANGED in history and (inode := directory.inode_of(name)) in self._names_of:
                    self.changed([inode])

    def changed(self, inodes: Iterable[int]) -> None:
        """Have all names of files looked at."""
        for inode in inodes:
            if inode not in self._names_of:
                self._names_of[inode] = set()
                self._size += 1
            self._changed.add(inode)
            self.lately_changed.add(inode)

    def have_changed(self, inodes: Iterable[int]) -> bool:
        """Return whether one of these files has changed lately."""
        return bool(self.lately_changed) and not self.lately_changed.isdisjoint(inodes)

    def search(self, directories: Iterable[WatchedDirectory]) -> None:
        """Find the names that changed files have had for long. It passes all files, once for each run of changes."""
        wanted = self._changed - self._searched
        for directory in directories:
            for table in directory.tables:
                for name, inode in table.with_inodes(wanted):
                    self._add(inode, directory, name)
        self._searched |= wanted

    def take(self) -> Names:
        """Return the names to be looked at again."""
        if not self._changed:
            return {}
        names_of: defaultdict[WatchedDirectory, set[bytes]] = defaultdict(set)
        ready = self._changed & self._searched
        for inode in ready:
            for directory, name in self._names_of.get(inode, ()):
                if directory.alive:
                    names_of[directory].add(name)
        self._changed -= ready
        return names_of

    def sweep(self) -> None:
        """Forget names that are gone. It costs no more than the looks that brought them."""
        for inode, names in list(self._names_of.items()):
            names.intersection_update([one for one in names if one[0].alive and one[0].inode_of(one[1]) == inode])
            if len(names) < 2 and inode not in self._changed:
                del self._names_of[inode]
                self._searched.discard(inode)
        self._size = sum(map(len, self._names_of.values()))
        self._sweep_at = max(_SWEEP_FROM, 2 * self._size)


class FollowedLinks:
    """The symlinks that are counted by their targets. What happens to a target gives no event here."""

    def __init__(self) -> None:
        self._links: dict[WatchedDirectory, set[bytes]] = {}
        self._due_at = -inf

    def record(self, directory: WatchedDirectory, looked_at: Iterable[bytes] | None, links: Iterable[bytes]) -> None:
        """Remember which of the names that were ``looked_at`` are links; None: all of the directory."""
        known = set[bytes]() if looked_at is None else self._links.get(directory, set()).difference(looked_at)
        known.update(links)
        if known:
            self._links[directory] = known
        else:
            self._links.pop(directory, None)

    @property
    def due_at(self) -> float:
        """Return when links are to be looked at again, on the steady clock; infinity when there are none."""
        return self._due_at if self._links else inf

    def due(self, now: float) -> Names:
        """Return the links to look at again, if it is time."""
        if not self._links or now < self._due_at:
            return {}
        for directory in [directory for directory in self._links if not directory.alive]:
            del self._links[directory]
        return dict(self._links)

    def looked(self, began: float, now: float, interval_seconds: float) -> None:
        """Take note that they were looked at: for at most a share of the time."""
        self._due_at = now + max(interval_seconds, (now - began) * (LOOK_SHARE - 1))
