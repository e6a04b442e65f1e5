"""The generic source: watchdog's ``Observer``, whatever the system has behind it.

It owes hints only: one that is late, doubled or under an old name costs time, never truth.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING, ClassVar

from watchdog.events import (
    EVENT_TYPE_CLOSED_NO_WRITE,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    EVENT_TYPE_OPENED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from fexp.limits import starting_threads
from fexp.model import ARRIVED, CHANGED, DIRECTORY_CHANGED, Backend

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

    from fexp.events import Deliver, Hints
    from fexp.events.directory import WatchedDirectory

_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
_EVENTS_LOST = object()


class _Handler(FileSystemEventHandler):
    """Hands events over as they are: a handler that raised would end watchdog's thread."""

    def __init__(self, source: ObserverSource, root: WatchedDirectory, spelling: bytes, deliver: Deliver) -> None:
        self._source = source
        self._root = root
        self._prefix = spelling if spelling.endswith(b"/") else spelling + b"/"
        self._deliver = deliver

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type not in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):
            self._deliver(self._source, (self._root, self._prefix, event))


class _OverflowAlarm(logging.Handler):
    """watchdog reports lost events by a log record and nothing else."""

    def __init__(self, source: ObserverSource, deliver: Deliver) -> None:
        super().__init__(logging.WARNING)
        self._source = source
        self._deliver = deliver

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._deliver(self._source, _EVENTS_LOST)


class ObserverSource:
    """One watchdog observer for all folders."""

    backend = Backend.OBSERVER
    per_directory = False
    departures_are_facts = False
    _ids: ClassVar[int] = 0

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._observer: BaseObserver
        self._watches: dict[int, ObservedWatch] = {}
        self._begin()
        self._alarm = _OverflowAlarm(self, deliver)
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)  # it logs per event; what matters is a metric
        logger = logging.getLogger(_OVERFLOW_LOGGER)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(self._alarm)
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")  # kilobytes each mkdir -p

    @property
    def inotify_watches(self) -> None:
        """See ``Source.inotify_watches``. watchdog does not say."""
        return

    def arm(self, directory: WatchedDirectory, path: bytes, *, recursive: bool) -> bool:  # noqa: ARG002  # a root's own is short
        """See ``Source.arm``. Arming a root again watches what has its path now."""
        if directory.parent is not None:
            return False
        self.disarm(directory)
        if not self.alive():
            self._end()  # all watches are gone with it; who asks whether it is watching is armed again
            self._watches.clear()
            self._begin()
        spelling = self._spelling(directory.path)
        handler = _Handler(self, directory, os.fsencode(spelling), self._deliver)
        with starting_threads():
            watch = self._observer.schedule(handler, spelling, recursive=recursive)
        ObserverSource._ids += 1
        directory.watch = ObserverSource._ids
        self._watches[directory.watch] = watch
        return True

    def disarm(self, directory: WatchedDirectory) -> None:
        """See ``Source.disarm``."""
        number, directory.watch = directory.watch, None
        watch = self._watches.pop(number, None) if number is not None else None
        if watch is not None:
            try:
                self._observer.unschedule(watch)
            except (KeyError, OSError):
                pass  # watchdog has dropped it already, or stumbled over watches that are gone; either way it is off

    def watching(self, directory: WatchedDirectory) -> bool:
        """See ``Source.watching``. A thread of watchdog's may have died over a directory that was renamed."""
        if directory.parent is not None:
            return True
        watch = self._watches.get(directory.watch) if directory.watch is not None else None
        return self.alive() and any(
            emitter.watch is watch and emitter.is_alive() for emitter in tuple(self._observer.emitters)
        )

    def read(self, delivered: object, hints: Hints) -> None:
        """See ``Source.read``."""
        if delivered is _EVENTS_LOST:
            hints.events_lost()
            return
        assert isinstance(delivered, tuple)
        root, prefix, event = delivered
        if event.event_type == EVENT_TYPE_MOVED:
            self._hint(root, prefix, event.src_path, CHANGED, event, hints)
            self._hint(root, prefix, event.dest_path, ARRIVED, event, hints)
        elif event.event_type == EVENT_TYPE_CREATED:
            self._hint(root, prefix, event.src_path, ARRIVED, event, hints)
        elif event.event_type != EVENT_TYPE_MODIFIED or not event.is_directory:
            self._hint(root, prefix, event.src_path, CHANGED, event, hints)

    @staticmethod
    def _hint(
        root: WatchedDirectory, prefix: bytes, raw_path: bytes | str, hint: str, event: FileSystemEvent, hints: Hints
    ) -> None:
        """Find the deepest directory that is known on the way to the path: the hint is about the next name on it."""
        path = os.fsencode(raw_path)
        if not path.startswith(prefix):
            hints.itself(root, moved=True)
            return
        directory, names = root, path[len(prefix) :].split(b"/")
        for name in names[:-1]:
            child = directory.children.get(name)
            if child is None:
                hints.subdirectory(directory, name, DIRECTORY_CHANGED)
                return
            directory = child
        if event.is_directory:
            hints.subdirectory(directory, names[-1], DIRECTORY_CHANGED)
        else:
            hints.histories[directory][names[-1]] += hint

    def drained(self) -> bool:
        """See ``Source.drained``. What waits in the kernel or in watchdog's move buffer is not known."""
        return self._observer.event_queue.empty()

    def alive(self) -> bool:
        """See ``Source.alive``. On Linux one thread reads for all watches; a renamed directory can end it."""
        reader = getattr(self._observer, "_inotify_fd", None)
        return self._observer.is_alive() and (reader is None or reader.is_alive())

    def close(self) -> None:
        """See ``Source.close``."""
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._alarm)
        self._end()

    def _begin(self) -> None:
        with starting_threads():
            self._observer = Observer()
            self._observer.start()

    def _end(self) -> None:
        try:
            self._observer.stop()
            self._observer.join()
        except KeyError:
            pass  # watchdog 7.1.0 stumbles over renamed directories while stopping

    def _spelling(self, path: bytes) -> str:
        """Write a folder's path as no other watch has it: watchdog keeps one watch a path, and follows no link."""
        spelling = os.fsdecode(os.path.realpath(path))
        taken = {watch.path for watch in self._watches.values()}
        while spelling in taken:
            spelling += "/."
        return spelling
