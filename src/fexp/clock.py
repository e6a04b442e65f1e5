"""The clocks of the engine. The pure parts are given the time and read no clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fexp.model import Instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Clock = Callable[[], Instant]

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Boot time goes on while the machine sleeps: a file that waited through the night has waited."""
_SET_SECONDS = 1.0
"""A smaller difference comes from reading one clock after the other."""


def now() -> Instant:
    """Read both clocks."""
    return Instant(time.time(), time.clock_gettime(_STEADY))


class WallTime:
    """Turns steady times into Unix times so that the same time always gives the same number, until the clock is set."""

    def __init__(self) -> None:
        self._ahead_seconds: float | None = None
        """How far the wall clock is ahead of the steady one."""

    def was_set(self, now: Instant) -> bool:
        """Return whether the wall clock was set since the last call, and follow it."""
        ahead_seconds = now.wall - now.steady
        if self._ahead_seconds is not None and abs(ahead_seconds - self._ahead_seconds) < _SET_SECONDS:
            return False
        was_known, self._ahead_seconds = self._ahead_seconds is not None, ahead_seconds
        return was_known

    def settled(self, now: Instant) -> Instant:
        """Return the same moment, its two times as far apart as before."""
        if self._ahead_seconds is None:
            self._ahead_seconds = now.wall - now.steady
        return Instant(now.steady + self._ahead_seconds, now.steady)


def local_time(wall: float) -> datetime:
    """Return a Unix time as clocks on the wall here show it, without a zone."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(wall, UTC).astimezone().replace(tzinfo=None)
