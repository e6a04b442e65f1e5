"""The Linux source: events of one inotify instance, read in whole batches. The rules of inotify: inotify(7)."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import Mask, WatchDescriptor, inotify_add_watch, inotify_rm_watch

from fexp.events.tap import HEADER, Tap
from fexp.model import (
    ARRIVED,
    CHANGED,
    DIRECTORY_ARRIVED,
    DIRECTORY_CHANGED,
    DIRECTORY_LEFT,
    LEFT,
    Backend,
)

if TYPE_CHECKING:
    from fexp.events import Deliver, Hints
    from fexp.events.directory import WatchedDirectory

_EVENTS = (
    In.IN_CREATE | In.IN_DELETE | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_MODIFY | In.IN_ATTRIB | In.IN_CLOSE_WRITE
    | In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_ONLYDIR
)  # fmt: skip
_OF_FILES = frozenset({ARRIVED, LEFT, CHANGED, LEFT + CHANGED})
_SELF_EVENTS = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED


class InotifySource:
    """One inotify instance for all folders, and a map from its watch descriptors to directories.

    Raise OSError (EMFILE) when the user has no inotify instance left.
    """

    backend = Backend.INOTIFY
    per_directory = True
    departures_are_facts = True

    def __init__(self, deliver: Deliver) -> None:
        self._tap = Tap(lambda events: deliver(self, events))
        self._watched: dict[int, tuple[WatchedDirectory, ...]] = {}
        """Several where folders overlap: an inode has one descriptor."""
        self._hints: dict[int, str] = {}
        """By event mask."""
        self._tap.start()

    @property
    def inotify_watches(self) -> int:
        """See ``Source.inotify_watches``."""
        return len(self._watched)

    def arm(self, directory: WatchedDirectory, path: bytes, *, recursive: bool) -> bool:  # noqa: ARG002  # one by one
        """See ``Source.arm``. A subdirectory that is a symlink is not followed; the folder itself may be one."""
        mask = _EVENTS if directory.parent is None else _EVENTS | In.IN_DONT_FOLLOW
        descriptor = inotify_add_watch(self._tap.descriptor, path, Mask(mask))
        if descriptor == -1:
            number = ctypes.get_errno()
            if directory.watch is not None:
                self.disarm(directory)
            raise OSError(number, os.strerror(number), path)
        if directory.watch == descriptor:
            return False
        if directory.watch is not None:
            self.disarm(directory)
        self._watched[descriptor] = (*self._watched.get(descriptor, ()), directory)
        directory.watch = descriptor
        return True

    def disarm(self, directory: WatchedDirectory) -> None:
        """See ``Source.disarm``."""
        descriptor, directory.watch = directory.watch, None
        if descriptor is None:
            return
        known = self._watched.pop(descriptor, ())
        others = tuple([other for other in known if other is not directory])
        if others:
            self._watched[descriptor] = others
        elif known:
            inotify_rm_watch(self._tap.descriptor, WatchDescriptor(descriptor))

    def watching(self, directory: WatchedDirectory) -> bool:
        """See ``Source.watching``."""
        return directory.watch is not None

    def read(self, delivered: object, hints: Hints) -> None:
        """See ``Source.read``."""
        assert isinstance(delivered, bytes)
        unpack, watched, hints_of, histories = HEADER.unpack_from, self._watched, self._hints, hints.histories
        latest, latest_histories = -1, []  # most events are about the same directory as the one before
        start, end = 0, len(delivered)
        while start < end:
            descriptor, mask, _cookie, length = unpack(delivered, start)
            start += 16 + length
            hint = hints_of.get(mask)
            if hint is None:
                hint = hints_of[mask] = _hints_of(mask)
            if hint in _OF_FILES:
                name = delivered[start - length : start].rstrip(b"\0")
                if descriptor != latest:
                    latest, latest_histories = descriptor, [histories[one] for one in watched.get(descriptor, ())]
                for history_of in latest_histories:
                    history_of[name] += hint
                continue
            latest = -1
            self._read_of_directory(descriptor, mask, delivered[start - length : start].rstrip(b"\0"), hints)
        self._tap.read_bytes += end

    def _read_of_directory(self, descriptor: int, mask: int, name: bytes, hints: Hints) -> None:
        if mask & In.IN_Q_OVERFLOW:
            hints.events_lost()
            return
        directories = self._watched.get(descriptor, ())
        if mask & In.IN_IGNORED and directories:
            del self._watched[descriptor]
            for directory in directories:
                directory.watch = None
        for directory in directories:
            if not name:
                hints.itself(directory, moved=bool(mask & _SELF_EVENTS))
            else:
                for hint in self._hints[mask]:
                    hints.subdirectory(directory, name, hint)

    def drained(self) -> bool:
        """See ``Source.drained``."""
        return self._tap.drained()

    def alive(self) -> bool:
        """See ``Source.alive``."""
        return self._tap.is_alive()

    def close(self) -> None:
        """See ``Source.close``."""
        self._tap.stop()
        self._tap.join()
        self._watched.clear()


def watches_limit() -> int | None:
    """Return how many watches the system grants a user; None where it does not say. See inotify(7)."""
    try:
        with open("/proc/sys/fs/inotify/max_user_watches", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _hints_of(mask: int) -> str:
    """Return the hints that an event gives; none for one that is not about a name.

    Of two names that were exchanged (RENAME_EXCHANGE) the second's departure is reported last, though a file is there:
    what was moved away is looked at again.
    """
    if mask & (In.IN_Q_OVERFLOW | _SELF_EVENTS):
        return ""
    arrived, left, changed = (
        (DIRECTORY_ARRIVED, DIRECTORY_LEFT, DIRECTORY_CHANGED) if mask & In.IN_ISDIR else (ARRIVED, LEFT, CHANGED)
    )
    if mask & (In.IN_CREATE | In.IN_MOVED_TO):
        return arrived
    if mask & In.IN_DELETE:
        return left
    if mask & In.IN_MOVED_FROM:
        return left + changed
    return changed
