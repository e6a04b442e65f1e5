"""A tap on watchdog's ``InotifyFD`` that takes the kernel's queue in whole batches.

watchdog's own reading (one object and several calls an event) loses events in a burst and holds moves back for half a
second. The tap only moves bytes; they are read where the state is. What it leans on in watchdog is pinned by
``tests/events/test_watchdog_pins.py``.
"""

from __future__ import annotations

import array
import fcntl
import os
import struct
import termios
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyFD

from fexp.limits import starting_threads

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = struct.Struct("iIII")
"""Of an event: watch descriptor, mask, cookie, and the length of the name that follows."""
_READ_BYTES = 1 << 20
_BACKLOG_BYTES = 64 << 20
"""With so much unread, the tap stops reading: the kernel's queue fills and says by itself that events were lost."""
_GATHER_SECONDS, _GATHER_STORM_SECONDS = 0.001, 0.005
"""While the reader of the events is behind, the kernel gathers them: larger batches, and less fighting for the GIL."""
_STORM_BYTES = 8 << 10
"""With so much unread, larger batches count for more than a quick answer."""


class Tap(InotifyFD):
    """watchdog's reader thread with its parsing left out.

    Raise OSError (EMFILE) when the user has no inotify instance left, and from ``start`` (EAGAIN) when no thread.
    """

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        try:
            super().__init__()
        except OSError:
            if hasattr(self, "_inotify_fd"):  # its pipe found no descriptor left
                os.close(self._inotify_fd)
            raise
        os.set_inheritable(self._inotify_fd, False)
        self._deliver = deliver
        self._delivered_bytes = 0
        self.read_bytes = 0
        """Counted by who reads what was delivered; each side has a number of its own, so no lock is needed."""
        self.holding = False
        """True from before events are read until after they are delivered."""

    def start(self) -> None:
        try:
            with starting_threads():
                super().start()
        except OSError:
            self._is_reading = False
            self.close()
            raise

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

    def drained(self) -> bool:
        """Return whether the kernel holds nothing back and all that was read is delivered."""
        waiting_bytes = array.array("i", [0])
        try:
            fcntl.ioctl(self._inotify_fd, termios.FIONREAD, waiting_bytes)
        except OSError:
            return True
        return waiting_bytes[0] == 0 and not self.holding
