"""How often requests are answered."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.outputs.http.webconfig import RateLimit


class Bucket:
    """A token bucket; without a limit it is never empty."""

    def __init__(self, limit: RateLimit | None, now: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._now = now
        self._tokens = float(limit.burst) if limit else 0.0
        self._filled_at = now()

    def take(self) -> bool:
        """Take a token if there is one."""
        if self._limit is None:
            return True
        now = self._now()
        gained = (now - self._filled_at) / self._limit.interval_seconds
        self._tokens, self._filled_at = min(self._limit.burst, self._tokens + gained), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
