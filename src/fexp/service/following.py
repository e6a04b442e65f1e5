"""Keeps the engine's folders as they are on the disk and in the calendar."""

from __future__ import annotations

import logging
import os
import threading
from math import inf
from queue import Empty, SimpleQueue
from time import thread_time
from typing import TYPE_CHECKING

from fexp.disk.mounts import Mounts
from fexp.limits import starting_threads
from fexp.model import Backend
from fexp.service.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.clock import Clock
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder
    from fexp.events.paths import PathWatch

_log = logging.getLogger("fexp")

_MINUTE_SECONDS = 60.0
"""How often dates are looked at: a midnight of any time zone is a whole minute."""
_REST = 20.0
"""Folders are looked for with at most this part of a processor's time."""
_TRIES = 3
"""What is new all the time is left to the next event."""
_JOIN_SECONDS = 3.0


class FollowedFolders:
    """Finds the folders again when something changes that they depend on, in a thread of its own.

    ``changed`` is given the folders when they are others than before. It must not raise.
    """

    def __init__(self, settings: Settings, changed: Callable[[Sequence[Folder]], None], clock: Clock) -> None:
        """Find them for the first time."""
        self._changed = changed
        self._clock = clock
        self._settings = settings
        self._places = Places(settings)
        self._lock = threading.Lock()
        """Held while folders are looked for: a reload may replace the settings."""
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._watch: PathWatch | None = None
        self._watched: set[bytes] = set()
        self._logged: set[str] = set()
        self._silent: set[bytes] = set()
        """Of what is watched, what lies on a file system that gives no events."""
        self._is_silent = False
        """Some of it may change without an event."""
        self._mounts: Mounts | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._rest_until = -inf
        now = clock()
        self._found_at = now.steady
        self._dates = self._places.dates(now.wall)
        self.folders = self._places.find(now.wall)
        self._log_problems()

    def start(self) -> None:
        """Follow from now on, if anything can change. Raise OSError when no thread can be had."""
        if self._thread is not None or not self._settings.templates:
            return
        self._thread = threading.Thread(target=self._run, name="fexp-folders", daemon=True)
        with starting_threads():
            self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopping = True
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        if self._watch is not None:
            self._watch.close()
        if self._mounts is not None:
            self._mounts.close()

    @property
    def inotify_watches(self) -> int:
        """How many inotify watches it has."""
        return self._watch.inotify_watches if self._watch is not None else 0

    def has_died(self) -> bool:
        """Return whether the thread has ended though nobody stopped it: a bug."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping

    def replace(self, settings: Settings) -> None:
        """Follow the folders of these settings instead."""
        with self._lock:
            self._settings = settings
            self._places = Places(settings, self._places)
            self._find(always=True)
        self.start()
        self._queue.put(None)

    def _run(self) -> None:
        with self._lock:
            self._find()  # what has changed before there were watches
        wanted = False
        while not self._stopping:
            wanted |= self._take(self._due_at(wanted) - self._clock().steady)
            with self._lock:
                now = self._clock()
                if self._stopping or now.steady < self._due_at(wanted):
                    continue
                wanted = wanted or not self._places.have_dates or now.steady >= self._safety_at
                if wanted or self._places.dates(now.wall) != self._dates:
                    self._find()
                wanted = False

    @property
    def _safety_at(self) -> float:
        engine = self._settings.engine
        return self._found_at + (engine.poll_interval_seconds if self._is_silent else engine.rescan_seconds)

    def _due_at(self, wanted: bool) -> float:
        """Return when to look at the latest, on the steady clock."""
        if wanted:
            return self._rest_until
        now = self._clock()
        minute_at = now.steady + _MINUTE_SECONDS - now.wall % _MINUTE_SECONDS
        if self._places.have_dates and self._places.dates(now.wall) != self._dates:
            minute_at = now.steady
        due_at = min(self._safety_at, minute_at) if self._places.have_dates else self._safety_at
        return max(due_at, self._rest_until)

    def _take(self, patience_seconds: float) -> bool:
        """Wait for events. Return whether they are of interest."""
        is_wanted = False
        try:
            events = self._queue.get(timeout=max(0.0, patience_seconds))
            while True:
                with self._lock:
                    if events is not None and self._watch is not None:
                        affected = self._watch.affected(events)
                        self._watched -= affected  # the way there is another now
                        is_wanted |= bool(affected)
                events = self._queue.get_nowait()
        except Empty:
            return is_wanted

    def _find(self, *, always: bool = False) -> None:
        """Find the folders; the lock is held."""
        began, worked_seconds = self._clock(), thread_time()
        try:
            self._dates = self._places.dates(began.wall)
            folders = self._places.find(began.wall)
            for _ in range(_TRIES):
                if not self._watch_ways():
                    break
                folders = self._places.find(began.wall)  # some of it came before there was a watch
            self._log_problems()
            if always or [one.key for one in folders] != [one.key for one in self.folders]:
                self.folders = folders
                self._changed(folders)
        except Exception:  # noqa: BLE001 - a fault that nobody foresaw must not end the following
            _log.exception("cannot look for folders")
        self._found_at = self._clock().steady
        took_seconds = self._found_at - began.steady
        self._rest_until = self._found_at + max(took_seconds, _REST * (thread_time() - worked_seconds))

    def _log_problems(self) -> None:
        """Log what is new."""
        lines = {*self._places.problems, *self._places.doubles}
        for line in sorted(lines - self._logged):
            _log.warning("%s", line)
        self._logged = lines

    def _watch_ways(self) -> bool:
        """Watch what the folders depend on. Return whether something is watched that was not."""
        ways = self._places.ways
        if self._settings.engine.backend is Backend.POLLING or not self._opened():
            self._is_silent = bool(ways)
            return False
        assert self._watch is not None
        self._watch.keep(ways)
        new = ways - self._watched
        whole = {way for way in new if self._watch.watch(way)}
        self._watched = (self._watched & ways) | whole
        self._is_silent = new != whole or self._lie_on_silent(ways, new)
        return bool(whole)

    def _lie_on_silent(self, ways: set[bytes], new: set[bytes]) -> bool:
        """Return whether a file system that gives no events holds some of these ways."""
        self._mounts = self._mounts or Mounts()
        if self._mounts.changed_points() is not None:
            new = ways
        silent_kind = self._mounts.silent_kind
        self._silent = (self._silent & ways - new) | {way for way in new if silent_kind(os.path.realpath(way))}
        return bool(self._silent)

    def _opened(self) -> bool:
        """Return whether events can be had."""
        if self._watch is None and self._places.ways:
            from fexp.events.paths import PathWatch

            try:
                self._watch = PathWatch(self._queue.put)
            except (OSError, ImportError):
                return False
        return self._watch is not None
