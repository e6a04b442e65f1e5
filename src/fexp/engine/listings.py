"""The directories of one folder that are to be listed: by the engine's thread, or in an urgent look by other processes.

What another process finds counts only if nothing of that directory was looked at since it was asked: that may be newer.
Then the directory is listed once more, by the thread: between that listing and its fold nothing can happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fexp.disk.sharing import SHARE_FROM

if TYPE_CHECKING:
    from fexp.counting.selection import Selection
    from fexp.engine.context import Context
    from fexp.engine.looks import Look
    from fexp.events.directory import WatchedDirectory


@dataclass(eq=False, slots=True)
class WantedListing:
    """A directory to be listed. ``deep``: and all below. ``absent_since``: what is new was not there then (steady)."""

    directory: WatchedDirectory
    deep: bool
    look: Look | None
    absent_since: float
    asked_at: float = 0.0
    """When another process was asked, on the steady clock."""
    is_overtaken: bool = False
    """Something of the directory was looked at since."""

    @property
    def may_be_shared(self) -> bool:
        """Return whether another process may list it. The folder itself shows how the look fares."""
        look = self.look
        return look is not None and look.is_urgent and not look.cancelled and self.directory.parent is not None


class Listings:
    """Those that wait, those that another process was asked for, and those that it has answered."""

    def __init__(self, selection: Selection, context: Context) -> None:
        self._selection = selection
        self._context = context
        self._waiting: list[WantedListing] = []
        self._asked: dict[WatchedDirectory, WantedListing] = {}
        """Until they are folded."""
        self._answered: list[tuple[WantedListing, bytearray | None]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._asked)

    @property
    def can_go_on(self) -> bool:
        """Return whether there is more to do than to wait for other processes."""
        self._collect()
        return bool(self._waiting or self._answered)

    def want(self, wanted: WantedListing) -> None:
        """Have a directory listed soon."""
        self._waiting.append(wanted)

    def next(self) -> tuple[WantedListing, bytearray | None] | None:
        """Return the next listing to be folded and what another process answered, or None: it is to be made now.

        Return None when there is nothing to do but to wait.
        """
        self._ask()
        if self._answered:
            wanted, answer = self._answered.pop(0)
            del self._asked[wanted.directory]
            return wanted, None if wanted.is_overtaken else answer
        if self._waiting:
            wanted = self._waiting.pop()
            self.overtake(wanted.directory)
            return wanted, None
        return None

    def overtake(self, directory: WatchedDirectory) -> None:
        """Take note that something of a directory is looked at now."""
        wanted = self._asked.get(directory)
        if wanted is not None:
            wanted.is_overtaken = True

    def overtake_all(self) -> None:
        """Take note that all that is under way may be wrong."""
        for wanted in self._asked.values():
            wanted.is_overtaken = True

    def clear(self) -> None:
        """Want nothing any more."""
        self._waiting.clear()
        self._asked.clear()
        self._answered.clear()

    def _collect(self) -> None:
        if self._asked:
            self._context.listers.collect(self._context.clock().steady)

    def _ask(self) -> None:
        """Have other processes list what waits, if that is worth it."""
        self._collect()
        listers = self._context.listers
        while self._waiting:
            wanted = self._waiting[-1]
            if not wanted.may_be_shared or wanted.directory in self._asked:
                return
            if not listers.is_open:
                if len(self._waiting) < SHARE_FROM:
                    return
                listers.open()
            directory, now = wanted.directory, self._context.clock().steady
            answered = partial(self._take, wanted)
            if not listers.ask(directory.path, directory.below, self._selection, answered, now):
                return
            wanted.asked_at = now
            self._asked[directory] = self._waiting.pop()

    def _take(self, wanted: WantedListing, answer: bytearray | None) -> None:
        if wanted.directory in self._asked:  # the folder may have ended
            self._answered.append((wanted, answer))
