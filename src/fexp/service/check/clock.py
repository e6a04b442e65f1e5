"""The clock: ages and dwell times are no better than it."""

from __future__ import annotations

import ctypes
import os
import shlex
from typing import TYPE_CHECKING

from fexp.service.check.finding import Finding, ok, warning
from fexp.text import human_age, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup

_TIMEX_BYTES = 208
"""Of struct timex of adjtimex(2) on 64 bits; smaller elsewhere."""
_TIME_ERROR = 5


def check(setup: Setup) -> Iterator[Finding]:
    """Yield whether the clock is set, and what files say of it."""
    is_synchronized = synchronized()
    if is_synchronized is False:
        yield warning(
            "the kernel's clock is not synchronized",
            "Ages and the times of deliveries are off by as much as this clock is; receivers may refuse samples.",
            "timedatectl set-ntp true",
        )
    elif is_synchronized:
        yield ok("the clock is synchronized")
    future = [found for one in setup.walked for found in one.future_files]
    if future:
        ahead_seconds, raw = max(future)
        path = visible(os.fsdecode(raw))
        number = (
            "1 file modified in the future: "
            if len(future) == 1
            else f"{len(future):,} files modified in the future, such as "
        )
        yield warning(
            f"{number}{path} (in {human_age(ahead_seconds)})",
            "They hide that nothing new comes: the newest file looks new. fexp_future_files counts them.",
            f"touch {shlex.quote(path)}",
        )


def synchronized() -> bool | None:
    """Return whether something keeps the kernel's clock right; None where the kernel does not say."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
