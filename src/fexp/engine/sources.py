"""Where events come from: opened at the start, and again for as long as the system has none left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.engine.context import log
from fexp.model import Backend, InotifySnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.events import Deliver, Source
    from fexp.events.paths import PathWatch


class Sources:
    """What reports events: of the files, and of the ways to the folders. Only the engine's thread calls it."""

    def __init__(self, backend: Backend | None, deliver: Deliver, deliver_ways: Callable[[bytes], None]) -> None:
        self.events: Source | None = None
        """None: there are no events, and the folders are polled."""
        self.ways: PathWatch | None = None
        """None: no event reports where paths lead."""
        self._backend = backend
        self._deliver = deliver
        self._deliver_ways = deliver_ways
        self._problem = ""
        if backend is not Backend.POLLING:
            self._open_first()
            self._open_ways()

    def log_problem(self) -> None:
        """Log why there were no events to begin with, if there were none."""
        if self._problem:
            wanted = self._backend or "file event"
            log.warning("no %s watcher (%s); all folders are polled until there is one", wanted, self._problem)

    def open_missing(self) -> bool:
        """Open what could not be opened before, for another process may have freed it. Return whether something was."""
        if self._backend is Backend.POLLING:
            return False
        has_new_events = self.events is None and self._open_again()
        has_new_ways = self.ways is None and self._open_ways()
        return has_new_events or has_new_ways

    def inotify(self) -> InotifySnapshot | None:
        """Return how many inotify watches there are; None without inotify. Any thread may ask."""
        watches = self.events.inotify_watches if self.events is not None else None
        if watches is None:
            return None
        from fexp.events.inotify import watches_limit

        ways = self.ways
        return InotifySnapshot(watches + (0 if ways is None else ways.inotify_watches), watches_limit())

    def drained(self) -> bool:
        """Return whether no event of a file is on its way."""
        return self.events is None or self.events.drained()

    def _open_first(self) -> None:
        try:
            self.events = self._open()
        except (OSError, ImportError) as error:
            self._problem = str(error)

    def _open_again(self) -> bool:
        try:
            self.events = self._open()
        except (OSError, ImportError):
            return False
        log.info("there is a %s watcher now; the folders are watched again", self.events.backend)
        return True

    def _open(self) -> Source:
        if self._backend is Backend.OBSERVER:
            from fexp.events.observer import ObserverSource

            return ObserverSource(self._deliver)
        from fexp.events.inotify import InotifySource

        return InotifySource(self._deliver)

    def _open_ways(self) -> bool:
        """Have events report where paths lead; without them, each path is checked at each pulse."""
        if self.events is None or self.events.backend is not Backend.INOTIFY:
            return False
        from fexp.events.paths import PathWatch

        try:
            self.ways = PathWatch(self._deliver_ways)
        except OSError:
            return False
        return True
