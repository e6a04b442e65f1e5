"""When a folder is looked at as a whole. Times are on the steady clock; nothing here waits or looks."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from fexp.model import Reason

if TYPE_CHECKING:
    from fexp.model import Instant

LOOK_SHARE = 20
"""Timed looks take at most a twentieth of the time."""
_URGENT = frozenset({Reason.START, Reason.REAPPEARED, Reason.OVERFLOW})


@dataclass(eq=False)
class Look:
    """A whole look at a folder, under way."""

    reason: Reason
    began: Instant
    listings_left: int = 0
    files_seen: int = 0
    cancelled: bool = False

    @property
    def is_urgent(self) -> bool:
        """Return whether the numbers are wrong or missing until it is done. Other looks are frugal."""
        return self.reason in _URGENT


class LookSchedule:
    """Which look is wanted, which is under way, and when the next may begin."""

    def __init__(self) -> None:
        self.under_way: Look | None = None
        self.wanted: Reason | None = None
        """Of a whole look that is due as soon as it may begin."""
        self.duration_seconds: float | None = None
        """Of the latest look; None before its end."""
        self._ended_at = self._may_begin_at = -inf

    @property
    def due_at(self) -> float:
        """Return when the look that is wanted may begin; infinity when none is, or one is under way."""
        return inf if self.wanted is None or self.under_way is not None else self._may_begin_at

    @property
    def is_resting(self) -> bool:
        """Return whether a look was done, none is under way and none is wanted."""
        return self.under_way is None and self.wanted is None and self.duration_seconds is not None

    @property
    def rest_seconds(self) -> float:
        """Return how long timed looks rest after the latest, so that they take no more than their share."""
        return (LOOK_SHARE - 1) * (self.duration_seconds or 0.0)

    def want(self, reason: Reason) -> None:
        """Ask for a look. One that is under way may have passed what changed: the next begins after it."""
        if self.wanted is None:
            self.wanted = reason

    def begin(self, reason: Reason, now: Instant) -> Look:
        """Begin a look."""
        self.wanted = None
        self.under_way = Look(reason, now)
        return self.under_way

    def end(self, look: Look, now: Instant) -> None:
        """End the look that is under way. The next that is wanted begins no sooner than this one took."""
        self.under_way = None
        self.duration_seconds = now.steady - look.began.steady
        self._ended_at = now.steady
        self._may_begin_at = now.steady + self.duration_seconds

    def cancel(self) -> None:
        """Give up the look that is under way and the one that is wanted."""
        self.wanted = None
        if self.under_way is not None:
            self.under_way.cancelled = True
            self.under_way = None

    def due_again_at(self, interval_seconds: float) -> float:
        """Return when the next timed look is due; infinity unless it is resting."""
        if not self.is_resting:
            return inf
        return self._ended_at + max(interval_seconds, self.rest_seconds)
