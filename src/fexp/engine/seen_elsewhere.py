"""Files that change without an event that names them: hard links under their other names, and targets of symlinks."""

from __future__ import annotations

from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING

from fexp.engine.looks import LOOK_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.watch.tree import WatchedDirectory

    Names = Mapping[WatchedDirectory, set[bytes]]

_SWEEP_FROM = 1024


class HardLinks:
    """Which names a file with several of them has in one folder. Files with one name cost nothing."""

    def __init__(self) -> None:
        self._names_of: dict[int, set[tuple[WatchedDirectory, bytes]]] = {}
        """By inode."""
        self._sweep_at = _SWEEP_FROM

    def record(self, directory: WatchedDirectory, shared: Iterable[tuple[bytes, int]]) -> Names:
        """Remember the files with several names that a look found. Return their other names."""
        others: defaultdict[WatchedDirectory, set[bytes]] = defaultdict(set)
        for name, inode in shared:
            names = self._names_of.setdefault(inode, set())
            names.add((directory, name))
            for other_directory, other in names:
                if other_directory.alive and (other_directory, other) != (directory, name):
                    others[other_directory].add(other)
        if len(self._names_of) > self._sweep_at:
            self._sweep()
        return others

    def _sweep(self) -> None:
        """Forget names that are gone. It costs no more than the looks that brought them."""
        for inode, names in list(self._names_of.items()):
            names.intersection_update([one for one in names if _has_inode(*one, inode)])
            if len(names) < 2:
                del self._names_of[inode]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._names_of))


def _has_inode(directory: WatchedDirectory, name: bytes, inode: int) -> bool:
    return directory.alive and any(table.inode_of(name) == inode for table in directory.tables.values())


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
