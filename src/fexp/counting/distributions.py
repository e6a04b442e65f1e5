"""How the ages and the sizes of the files that are there are distributed, exactly."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from functools import partial
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Self

from fexp.counting.aggregates import Followed
from fexp.counting.times import PER_SECOND, Times
from fexp.model import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.counting.measures import Measures
    from fexp.model import Instant, KnownFiles


class Distribution(Followed):
    """A histogram of the files that are there. Files go out of it as they came in."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds

    @abstractmethod
    def histogram(self, now: Instant) -> Histogram:
        """Return the histogram."""

    @property
    def moves(self) -> bool:
        """Return whether it differs from one moment to the next while no file changes."""
        return False


class SizeDistribution(Distribution):
    """How many files are up to how large, in bytes."""

    __slots__ = ("state",)
    name = "file_size_bytes"

    def __init__(self, bounds_bytes: tuple[float, ...]) -> None:
        super().__init__(bounds_bytes)
        self.state = [0] * (len(bounds_bytes) + 2)
        """The count of each bucket, then the sum."""

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """See ``Aggregate.maker``."""
        del now
        return partial(cls, measures.size_bounds_bytes) if measures.size_bounds_bytes else None

    def _count(self, files: KnownFiles, by: int) -> None:
        counts, bounds = self.state, self._bounds
        for size in files.sizes:
            counts[bisect_left(bounds, size)] += by
        counts[-1] += by * sum(files.sizes)

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        self._count(files, 1)

    def remove(self, files: KnownFiles) -> None:
        """See ``Followed.remove``."""
        self._count(files, -1)

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        self.state = list(map(add, self.state, other.state))

    def histogram(self, now: Instant) -> Histogram:
        """See ``Distribution.histogram``."""
        del now
        *counts, sum_bytes = self.state
        return Histogram(self._bounds, tuple(counts), sum_bytes)


class AgeDistribution(Distribution):
    """How many files were modified up to how long ago, in seconds. To one from the future that is 0."""

    __slots__ = ("_modified_at",)
    name = "file_age_seconds"

    def __init__(self, bounds_seconds: tuple[float, ...]) -> None:
        super().__init__(bounds_seconds)
        self._modified_at = Times()

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """See ``Aggregate.maker``."""
        del now
        return partial(cls, measures.age_bounds_seconds) if measures.age_bounds_seconds else None

    @property
    def state(self) -> bytes:
        """Return the modification times."""
        return bytes(self._modified_at)

    @state.setter
    def state(self, times: bytes) -> None:
        self._modified_at = Times()
        self._modified_at.add(memoryview(times).cast("d"))

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        self._modified_at.add(files.modified_at)

    def remove(self, files: KnownFiles) -> None:
        """See ``Followed.remove``."""
        self._modified_at.remove(files.modified_at)

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        self._modified_at.add(memoryview(other.state).cast("d"))

    def histogram(self, now: Instant) -> Histogram:
        """See ``Distribution.histogram``."""
        past, *older = self._modified_at.before([now.wall, *[now.wall - bound for bound in self._bounds]])
        counts = tuple(more - less for more, less in pairwise((len(self._modified_at), *older, 0)))
        sum_microseconds = past * int(now.wall * PER_SECOND) - self._modified_at.sum_before(now.wall)
        return Histogram(self._bounds, counts, sum_microseconds / PER_SECOND)

    @property
    def moves(self) -> bool:
        """See ``Distribution.moves``."""
        return bool(self._modified_at)
