"""A clock that a test moves."""

from __future__ import annotations

import time

from fexp.model import Instant


class ManualClock:
    """A clock that stands still until it is moved. Give it as ``clock`` to ``look``, ``watch`` and ``FolderCollector``.

    What is due by the clock is done within a second after it was moved.
    """

    def __init__(self, at: float | None = None) -> None:
        """``at``: the time that it begins with, as Unix time; by default now."""
        self.wall = time.time() if at is None else at
        """Unix time. To set it is to set the clock of the machine: no duration changes."""
        self.steady = 1000.0
        """What durations are measured by."""

    def __call__(self) -> Instant:
        """Return the time."""
        return Instant(self.wall, self.steady)

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        if seconds < 0:
            raise ValueError(f"time passes forwards only, not by {seconds} s; to set the clock, set wall")
        self.wall += seconds
        self.steady += seconds
