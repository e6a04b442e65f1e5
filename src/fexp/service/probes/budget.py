"""How fast all probes together may read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fexp.clock import Clock

_BURST_SECONDS = 0.25


class Budget:
    """So many bytes a second. ``end`` lets everybody read as fast as the disk is."""

    def __init__(self, bytes_per_second: float, clock: Clock) -> None:
        self.bytes_per_second = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until = 0.0
        """When what was read is paid for, on the steady clock."""
        self._ended = threading.Event()

    def spend(self, read_bytes: int) -> float:
        """Note what was read. Return how long to ``wait``."""
        with self._lock:
            now = self._clock().steady
            self._paid_until = max(self._paid_until, now - _BURST_SECONDS) + read_bytes / self.bytes_per_second
            return max(0.0, self._paid_until - now)

    def wait(self, seconds: float) -> None:
        """Wait, unless it has ended."""
        if seconds > 0:
            self._ended.wait(seconds)

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended.set()
