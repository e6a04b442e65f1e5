"""The Linux source: a tap on watchdog's ``InotifyFD`` that takes the kernel's queue in whole batches.

watchdog's own reading (one object and several calls an event) loses events in a burst and holds moves back for half a
second. The tap only moves bytes; they are read where the state is. What it leans on in watchdog is pinned by
``tests/watch/test_watchdog_pins.py``. The rules of inotify itself: inotify(7).
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import struct
import termios
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import InotifyFD, Mask, WatchDescriptor, inotify_add_watch, inotify_rm_watch

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
    from collections.abc import Callable

    from fexp.watch import Deliver, Hints
    from fexp.watch.tree import WatchedDirectory

_READ_BYTES = 1 << 20
_BACKLOG_BYTES = 64 << 20
"""With so much unread, the tap stops reading: the kernel's queue fills and says by itself that events were lost."""
_GATHER_SECONDS, _GATHER_STORM_SECONDS = 0.001, 0.005
"""While the reader of the events is behind, the kernel gathers them: larger batches, and less fighting for the GIL."""
_STORM_BYTES = 8 << 10
"""With so much unread, larger batches count for more than a quick answer."""
_HEADER = struct.Struct("iIII")

_EVENTS = (
    In.IN_CREATE | In.IN_DELETE | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_MODIFY | In.IN_ATTRIB | In.IN_CLOSE_WRITE
    | In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_ONLYDIR | In.IN_EXCL_UNLINK
)  # fmt: skip
_OF_FILES = frozenset({ARRIVED, LEFT, CHANGED, LEFT + CHANGED})
_SELF_EVENTS = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED


class _Tap(InotifyFD):
    """watchdog's reader thread with its parsing left out."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        super().__init__()
        os.set_inheritable(self._inotify_fd, False)
        self._deliver = deliver
        self._delivered_bytes = 0
        self.read_bytes = 0
        """Counted by who reads what was delivered; each side has a number of its own, so no lock is needed."""
        self.holding = False
        """True from before events are read until after they are delivered."""

    def run(self) -> None:
        while self.should_keep_running():
            events = self._read_event_buffer(_READ_BYTES)
            if events:
                self._delivered_bytes += len(events)
                self._deliver(events)
            self.holding = False

    def _check_inotify_fd(self) -> bool:
        readable = super()._check_inotify_fd()
        self.holding = readable
        if readable and self._delivered_bytes > self.read_bytes:
            self._let_reader_catch_up()
        return readable

    def _let_reader_catch_up(self) -> None:
        behind_bytes = self._delivered_bytes - self.read_bytes
        self.stopped_event.wait(_GATHER_SECONDS if behind_bytes < _STORM_BYTES else _GATHER_STORM_SECONDS)
        while self._delivered_bytes - self.read_bytes > _BACKLOG_BYTES and self.should_keep_running():
            self.stopped_event.wait(_GATHER_STORM_SECONDS)

    @property
    def descriptor(self) -> int:
        return self._inotify_fd


class InotifySource:
    """One inotify instance for all folders, and a map from its watch descriptors to directories.

    Raise OSError (EMFILE) when the user has no inotify instance left.
    """

    backend = Backend.INOTIFY
    per_directory = True
    departures_are_facts = True

    def __init__(self, deliver: Deliver) -> None:
        self._tap = _Tap(lambda events: deliver(self, events))
        self._watched: dict[int, list[WatchedDirectory]] = {}
        """Several where folders overlap: an inode has one descriptor."""
        self._hints: dict[int, str] = {}
        """By event mask."""
        self._tap.start()

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
        self._watched.setdefault(descriptor, []).append(directory)
        directory.watch = descriptor
        return True

    def disarm(self, directory: WatchedDirectory) -> None:
        """See ``Source.disarm``."""
        descriptor, directory.watch = directory.watch, None
        if descriptor is None:
            return
        others = self._watched.get(descriptor, [])
        if directory in others:
            others.remove(directory)
        if not others and self._watched.pop(descriptor, None) is not None:
            inotify_rm_watch(self._tap.descriptor, WatchDescriptor(descriptor))

    def watching(self, directory: WatchedDirectory) -> bool:
        """See ``Source.watching``."""
        return directory.watch is not None

    def read(self, delivered: object, hints: Hints) -> None:
        """See ``Source.read``."""
        assert isinstance(delivered, bytes)
        unpack, watched, hints_of, histories = _HEADER.unpack_from, self._watched, self._hints, hints.histories
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
        directories = tuple(self._watched.get(descriptor, ()))
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
        waiting_bytes = array.array("i", [0])
        try:
            fcntl.ioctl(self._tap.descriptor, termios.FIONREAD, waiting_bytes)
        except OSError:
            return True
        return waiting_bytes[0] == 0 and not self._tap.holding

    def alive(self) -> bool:
        """See ``Source.alive``."""
        return self._tap.is_alive()

    def close(self) -> None:
        """See ``Source.close``."""
        self._tap.stop()
        self._tap.join()
        self._watched.clear()


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
