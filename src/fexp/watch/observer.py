"""The generic source: watchdog's ``Observer``, whatever the system has behind it.

It owes hints only: what it tells late, twice or under an old name costs time, never truth.
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

from fexp.model import ARRIVED, CHANGED, DIRECTORY_CHANGED, ITSELF, OVERFLOW, Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.observers.api import BaseObserver, ObservedWatch

    from fexp.files.state import Directory
    from fexp.watch import Deliver, Hint, Histories

_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"


class _Handler(FileSystemEventHandler):
    """Hands events over as they are: a handler that raised would end watchdog's thread."""

    def __init__(self, source: ObserverSource, root: Directory, spelling: bytes, deliver: Deliver) -> None:
        self._source = source
        self._root = root
        self._prefix = spelling if spelling.endswith(b"/") else spelling + b"/"
        self._deliver = deliver

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type not in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):
            self._deliver(self._source, (self._root, self._prefix, event))


class _OverflowAlarm(logging.Handler):
    """watchdog tells of lost events by a log record and nothing else."""

    def __init__(self, source: ObserverSource, deliver: Deliver) -> None:
        super().__init__(logging.WARNING)
        self._source = source
        self._deliver = deliver

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._deliver(self._source, OVERFLOW)


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
        self._alarm = _OverflowAlarm(self, deliver)
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)  # it logs per event; what matters is a metric
        logger = logging.getLogger(_OVERFLOW_LOGGER)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(self._alarm)
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")  # kilobytes each mkdir -p
        self._begin()

    def arm(self, directory: Directory, path: bytes) -> bool:  # noqa: ARG002  # a root's own path is short enough
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
        watch = self._observer.schedule(handler, spelling, recursive=directory.folder.selection.recursive)
        ObserverSource._ids += 1
        directory.watch = ObserverSource._ids
        self._watches[directory.watch] = watch
        return True

    def disarm(self, directory: Directory) -> None:
        """See ``Source.disarm``."""
        number, directory.watch = directory.watch, None
        watch = self._watches.pop(number, None) if number is not None else None
        if watch is not None:
            try:
                self._observer.unschedule(watch)
            except (KeyError, OSError):
                pass  # watchdog has dropped it already, or stumbled over watches that are gone; either way it is off

    def watching(self, directory: Directory) -> bool:
        """See ``Source.watching``. A thread of watchdog's may have died over a directory that was renamed."""
        if directory.parent is not None:
            return True
        watch = self._watches.get(directory.watch) if directory.watch is not None else None
        return self.alive() and any(
            emitter.watch is watch and emitter.is_alive() for emitter in tuple(self._observer.emitters)
        )

    def hints(self, delivered: object, histories: Histories) -> Iterator[Hint]:
        """See ``Source.hints``."""
        if delivered is OVERFLOW:
            yield None, b"", OVERFLOW
            return
        for directory, name, letter in self._told(delivered):
            if letter.islower():
                histories[directory][name] += letter
            else:
                yield directory, name, letter

    def _told(self, delivered: object) -> Iterator[tuple[Directory, bytes, str]]:
        assert isinstance(delivered, tuple)
        root, prefix, event = delivered
        if event.event_type == EVENT_TYPE_MOVED:
            yield self._hint(root, prefix, event.src_path, CHANGED, event)
            yield self._hint(root, prefix, event.dest_path, ARRIVED, event)
        elif event.event_type == EVENT_TYPE_CREATED:
            yield self._hint(root, prefix, event.src_path, ARRIVED, event)
        elif event.event_type != EVENT_TYPE_MODIFIED or not event.is_directory:
            yield self._hint(root, prefix, event.src_path, CHANGED, event)

    @staticmethod
    def _hint(
        root: Directory, prefix: bytes, raw_path: bytes | str, letter: str, event: FileSystemEvent
    ) -> tuple[Directory, bytes, str]:
        """Find the deepest directory that is known on the way to the path, and the next name on it."""
        path = os.fsencode(raw_path)
        if not path.startswith(prefix):
            return root, b"", ITSELF
        directory, names = root, path[len(prefix) :].split(b"/")
        for depth, name in enumerate(names[:-1]):
            child = directory.children.get(name)
            if child is None:
                return directory, names[depth], DIRECTORY_CHANGED
            directory = child
        return directory, names[-1], DIRECTORY_CHANGED if event.is_directory else letter

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
