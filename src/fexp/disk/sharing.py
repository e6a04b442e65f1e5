"""When a look is worth more than one process, and how many."""

from __future__ import annotations

import os

SHARE_FROM = 64
"""So many directories waiting are worth the other cores."""


def other_cores() -> int:
    """Return how many cores there are for processes that help this one."""
    return len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else 0
