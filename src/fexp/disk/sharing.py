"""What looks have in common that several processes share."""

from __future__ import annotations

import os

SHARE_FROM = 64
"""So many directories waiting are worth the other cores."""
_LOOK_DESCRIPTORS = 2
"""So many are open at once while a directory deep down is opened."""


def other_cores() -> int:
    """Return how many cores there are for processes that help this one."""
    return len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else 0


def pipe() -> tuple[int, int]:
    """Return a pipe. Raise OSError when it would leave too few descriptors to look with."""
    pipe = os.pipe()
    spare: list[int] = []
    try:
        while len(spare) < _LOOK_DESCRIPTORS:
            spare.append(os.dup(pipe[0]))
    except OSError:
        spare.extend(pipe)
        raise
    finally:
        for descriptor in spare:
            os.close(descriptor)
    return pipe
