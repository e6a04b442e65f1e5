"""How the ages and the sizes of the files that are there are distributed, exactly."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_left
from functools import partial
from itertools import pairwise
from operator import add, sub
from typing import TYPE_CHECKING, Self

from fexp.counting.aggregates import Aggregate
from fexp.counting.times import PER_SECOND
from fexp.model import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.counting.ages import Ages
    from fexp.counting.measures import Measures
    from fexp.counting.table import Table
    from fexp.model import Instant, KnownFiles

LARGE_TABLE = 1 << 14
"""A directory with so many files has ages of its own, so that it leaves in one step."""


class Distribution(Aggregate):
    """A histogram of the files that are there. Files go out of it as they came in.

    A state says which table files are in, a survey just adds them.
    """

    __slots__ = ("_bounds",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds

    @abstractmethod
    def add_to(self, table: Table, files: KnownFiles) -> None:
        """Take in files that a table has now."""

    @abstractmethod
    def remove_from(self, table: Table, files: KnownFiles) -> None:
        """Let go of files that a table has no more."""

    @abstractmethod
    def drop(self, table: Table) -> None:
        """Let go of a table with all its files. Its price hardly depends on how many they are."""

    @abstractmethod
    def histogram(self, now: Instant) -> Histogram:
        """Return the histogram."""

    @property
    def moves(self) -> bool:
        """Return whether it differs from one moment to the next while no file changes."""
        return False


class SizeDistribution(Distribution):
    """How many files are up to how large, in bytes."""

    __slots__ = ("_of_table", "state")
    name = "file_size_bytes"

    def __init__(self, bounds_bytes: tuple[float, ...]) -> None:
        super().__init__(bounds_bytes)
        self.state = [0] * (len(bounds_bytes) + 2)
        """The count of each bucket, then the sum."""
        self._of_table: dict[Table, list[int]] = {}

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """See ``Aggregate.maker``."""
        del now
        return partial(cls, measures.size_bounds_bytes) if measures.size_bounds_bytes else None

    def _count(self, files: KnownFiles, by: int, *counts: list[int]) -> None:
        for bucket in map(partial(bisect_left, self._bounds), files.sizes):
            for one in counts:
                one[bucket] += by
        sum_bytes = by * sum(files.sizes)
        for one in counts:
            one[-1] += sum_bytes

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        self._count(files, 1, self.state)

    def add_to(self, table: Table, files: KnownFiles) -> None:
        """See ``Distribution.add_to``."""
        own = self._of_table.get(table)
        if own is None:
            own = self._of_table[table] = [0] * len(self.state)
        self._count(files, 1, self.state, own)

    def remove_from(self, table: Table, files: KnownFiles) -> None:
        """See ``Distribution.remove_from``."""
        self._count(files, -1, self.state, self._of_table[table])
        if not table:
            del self._of_table[table]

    def drop(self, table: Table) -> None:
        """See ``Distribution.drop``."""
        self.state = list(map(sub, self.state, self._of_table.pop(table)))

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

    __slots__ = ("_of_large", "_of_others")
    name = "file_age_seconds"

    def __init__(self, bounds_seconds: tuple[float, ...]) -> None:
        super().__init__(bounds_seconds)
        self._of_large: dict[Table, Ages] = {}
        self._of_others = _no_ages()

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """See ``Aggregate.maker``."""
        del now
        return partial(cls, measures.age_bounds_seconds) if measures.age_bounds_seconds else None

    @property
    def state(self) -> bytes:
        """Return the modification times. Only a survey is asked: it has no tables."""
        return bytes(self._of_others.times())

    @state.setter
    def state(self, times: bytes) -> None:
        self._of_others = _no_ages()
        self._of_others.add(array("d", times))

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        self._of_others.add(files.modified_at)

    def add_to(self, table: Table, files: KnownFiles) -> None:
        """See ``Distribution.add_to``."""
        self._of_large.get(table, self._of_others).add(files.modified_at)
        if len(table) >= LARGE_TABLE and table not in self._of_large:
            modified_at = _times_of(table)
            self._of_others.remove(modified_at)
            self._of_large[table] = _no_ages()
            self._of_large[table].add(modified_at)

    def remove_from(self, table: Table, files: KnownFiles) -> None:
        """See ``Distribution.remove_from``."""
        ages = self._of_large.get(table, self._of_others)
        ages.remove(files.modified_at)
        if ages is not self._of_others and not ages:
            del self._of_large[table]

    def drop(self, table: Table) -> None:
        """See ``Distribution.drop``."""
        if self._of_large.pop(table, None) is None:
            self._of_others.remove(_times_of(table))

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        self._of_others.add(array("d", other.state))

    def histogram(self, now: Instant) -> Histogram:
        """See ``Distribution.histogram``."""
        parts = [self._of_others, *self._of_large.values()]
        moments = [now.wall, *[now.wall - bound for bound in self._bounds]]
        past, *older = map(sum, zip(*[ages.before(moments) for ages in parts], strict=True))
        counts = tuple(more - less for more, less in pairwise((sum(map(len, parts)), *older, 0)))
        past_microseconds = sum([ages.sum_before(now.wall) for ages in parts])
        sum_microseconds = past * int(now.wall * PER_SECOND) - past_microseconds
        return Histogram(self._bounds, counts, sum_microseconds / PER_SECOND)

    @property
    def moves(self) -> bool:
        """See ``Distribution.moves``."""
        return bool(self._of_others or self._of_large)


def _no_ages() -> Ages:
    from fexp.counting.ages import Ages  # most have no such distribution

    return Ages()


def _times_of(table: Table) -> Sequence[float]:
    return list(table.files().modified_at)
