"""Which directories may have been seen on the wrong side of a mount: no event reports one."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from fexp.engine.looks import LOOK_SHARE

if TYPE_CHECKING:
    from fexp.events.directory import WatchedDirectory

_LISTED_FILE_SECONDS = 6e-6


class MountDoubts:
    """What came and went in the mount table between two checks may have misled only the looks since the first."""

    def __init__(self) -> None:
        self._recent: set[WatchedDirectory] = set()
        """Directories that were armed, listed or had files looked at since the mounts were last checked."""
        self._doubtful: set[WatchedDirectory] = set()
        self._may_settle_at = -inf

    @property
    def are_left(self) -> bool:
        """Return whether directories are still to be looked at again."""
        return bool(self._doubtful)

    def saw(self, directory: WatchedDirectory) -> None:
        """Take note that a directory was armed, listed or had files looked at."""
        self._recent.add(directory)

    def check(self, *, mounts_changed: bool) -> None:
        """Begin anew after a check of the mounts."""
        if mounts_changed:
            self._doubtful |= self._recent
        self._recent.clear()

    def clear(self) -> None:
        """Doubt nothing: everything is looked at anew."""
        self._doubtful.clear()

    def settle(self, now: float) -> list[WatchedDirectory]:
        """Return the directories to look at again, when there are any and it is time.

        On hosts where mounts come and go all the time, looking there again takes no more than its share of the time.
        """
        if not self._doubtful or now < self._may_settle_at:
            return []
        doubtful = [directory for directory in self._doubtful if directory.alive]
        self._doubtful.clear()
        files = sum(len(table) for directory in doubtful for table in directory.tables)
        self._may_settle_at = now + files * _LISTED_FILE_SECONDS * (LOOK_SHARE - 1)
        return doubtful
