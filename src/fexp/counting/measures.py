"""What is measured of a folder's files when somebody asks for it."""

from __future__ import annotations

from typing import NamedTuple


class Measures(NamedTuple):
    """The numbers that a folder shows in addition to those that every folder has."""

    age_bounds_seconds: tuple[float, ...] = ()
    """Of the distribution of ages; none is shown without bounds."""
    size_bounds_bytes: tuple[float, ...] = ()
    """The same of sizes."""
    settle_seconds: float | None = None
    """A file has settled when it has not changed for so long. None: nobody asks."""
    stall_after_seconds: float | None = None
    """A partial upload has stalled when it has not changed for so long. None: nobody asks."""
    counts_settled: bool = False
    """A file counts only once it has settled."""
    disk_usage: bool = False
    """What the files take up on the disk is shown."""
    single_files_max: int = 0
    """So many files are shown one by one, the oldest."""

    dwell_bounds_seconds: tuple[float, ...] | None = None
    """Of the histogram of dwell times, which without bounds is not shown. None: those of the engine."""

    @property
    def is_detailed(self) -> bool:
        """Return whether something is shown that is more than what one look says of each file."""
        return self.follows_arrivals or self.disk_usage

    @property
    def follows_arrivals(self) -> bool:
        """Return whether it matters when files changed."""
        return self.settle_seconds is not None or self.stall_after_seconds is not None
