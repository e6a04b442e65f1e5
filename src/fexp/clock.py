"""The clocks of the engine. What it makes of events is told the time, and reads none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fexp.model import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], Instant]

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Boot time goes on while the machine sleeps: a file that waited through the night has waited."""


def now() -> Instant:
    """Read both clocks."""
    return Instant(time.time(), time.clock_gettime(_STEADY))
