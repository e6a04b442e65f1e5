"""Numbers about the files of a group, one small class each.

``fexp watch`` and the one-shots use the same classes, so that they cannot differ. A new number is a class here and a
row in ``fexp.metrics``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from math import inf
from operator import countOf
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fexp.counting.extremes import Extremum
from fexp.counting.times import Times

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.counting.measures import Measures
    from fexp.counting.table import Table
    from fexp.model import Instant, KnownFiles

    Make = Callable[[], "Aggregate"]

FUTURE_SECONDS = 60.0
"""Clocks of other machines may be ahead by so much."""


class Aggregate(ABC):
    """Something about files. ``state`` is all that it has taken in, as plain values."""

    __slots__ = ()
    name: ClassVar[str]
    """Of the value in a snapshot, and in the HTTP API."""
    state: Any

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """Return what makes one as a folder's measures want it; None when they do not ask for it.

        None that it makes is asked for its value of a time before ``now``, unless the clock is set back.
        """
        del measures, now
        return cls

    @abstractmethod
    def add(self, files: KnownFiles) -> None:
        """Take in files."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another of its class has taken in."""


class Number(Aggregate):
    """A number about files."""

    __slots__ = ()

    @abstractmethod
    def value(self, now: Instant) -> float | None:
        """Return the number, or None while there is nothing to say."""

    def next_change_at(self, now: Instant) -> float:  # noqa: ARG002
        """Return when the value changes by time alone, on the steady clock; infinity for never."""
        return inf


class Followed(Aggregate):
    """What each file that goes is taken from again."""

    __slots__ = ()

    @abstractmethod
    def remove(self, files: KnownFiles) -> None:
        """Let files go."""

    def drop(self, table: Table) -> None:
        """Let all files of a table go."""
        self.remove(table.files())

    def starts_over(self, now: Instant) -> bool:
        """Forget all files if the clock was set back to where it cannot tell. Return whether they are to be added."""
        del now
        return False


class Sum(Number, Followed):
    """A number to which each file adds its part, and from which it takes it again when it goes."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: int = 0

    @abstractmethod
    def part(self, files: KnownFiles) -> int:
        """Return what files add. Vectorised: this is called for every event."""

    def part_of_table(self, table: Table) -> int:
        """Return the part of all files of a table."""
        return self.part(table.files())

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        self.state += self.part(files)

    def remove(self, files: KnownFiles) -> None:
        """See ``Followed.remove``."""
        self.state -= self.part(files)

    def drop(self, table: Table) -> None:
        """See ``Followed.drop``."""
        self.state -= self.part_of_table(table)

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        self.state += other.state

    def value(self, now: Instant) -> float:
        """See ``Number.value``."""
        del now
        return self.state


class Extreme(Number):
    """The smallest or the largest of a column; none while there is no file."""

    __slots__ = ("state",)
    extremum: ClassVar[Extremum]
    """What a table is asked for: a file that goes cannot be subtracted."""

    def __init__(self) -> None:
        self.state: float | None = None

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        if files.names:
            self._include(self.extremum.pick(getattr(files, self.extremum.column)))

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        if other.state is not None:
            self._include(other.state)

    def _include(self, found: float) -> None:
        self.state = found if self.state is None else self.extremum.pick((self.state, found))

    def value(self, now: Instant) -> float | None:
        """See ``Number.value``."""
        del now
        return self.state


class Files(Sum):
    """How many files there are."""

    __slots__ = ()
    name = "files"

    def part(self, files: KnownFiles) -> int:
        """See ``Sum.part``."""
        return len(files.names)


class SizeBytes(Sum):
    """How large they are together."""

    __slots__ = ()
    name = "size_bytes"

    def part(self, files: KnownFiles) -> int:
        """See ``Sum.part``."""
        return sum(files.sizes)

    def part_of_table(self, table: Table) -> int:
        """See ``Sum.part_of_table``."""
        return table.size_bytes


class OldestModification(Extreme):
    """The smallest modification time, as Unix time."""

    __slots__ = ()
    name = "oldest_modified_at"
    extremum = Extremum("modified_at", min)


class NewestModification(Extreme):
    """The largest modification time, as Unix time."""

    __slots__ = ()
    name = "newest_modified_at"
    extremum = Extremum("modified_at", max)


class LargestFile(Extreme):
    """The largest size in bytes."""

    __slots__ = ()
    name = "largest_bytes"
    extremum = Extremum("sizes", max)


class SmallestFile(Extreme):
    """The smallest size in bytes."""

    __slots__ = ()
    name = "smallest_bytes"
    extremum = Extremum("sizes", min)


class EmptyFiles(Sum):
    """How many have no bytes."""

    __slots__ = ()
    name = "empty_files"

    def part(self, files: KnownFiles) -> int:
        """See ``Sum.part``."""
        return countOf(files.sizes, 0)

    def part_of_table(self, table: Table) -> int:
        """See ``Sum.part_of_table``."""
        return 0 if table.extreme(SmallestFile.extremum) else super().part_of_table(table)


class FutureFiles(Number, Followed):
    """How many have a modification time that is more than a minute from now in the future.

    Only the times that were so the last time that somebody asked are kept: mostly none.
    """

    __slots__ = ("_known_after", "_later")
    name = "future_files"

    def __init__(self, known_after: float = -inf) -> None:
        self._known_after = known_after
        """All times after this one are kept."""
        self._later = Times()

    @classmethod
    def maker(cls, measures: Measures, now: Instant) -> Callable[[], Self] | None:
        """See ``Aggregate.maker``."""
        del measures
        return partial(cls, now.wall + FUTURE_SECONDS)

    @property
    def state(self) -> bytes:
        """Return the times that are kept."""
        return bytes(self._later)

    @state.setter
    def state(self, later: bytes) -> None:
        self._later = Times()
        self._later.add(memoryview(later).cast("d"))

    def _kept(self, files: KnownFiles) -> list[float]:
        return [modified_at for modified_at in files.modified_at if modified_at > self._known_after]

    def add(self, files: KnownFiles) -> None:
        """See ``Aggregate.add``."""
        if files.names and max(files.modified_at) > self._known_after:
            self._later.add(self._kept(files))

    def remove(self, files: KnownFiles) -> None:
        """See ``Followed.remove``."""
        if self._later:
            self._later.remove(self._kept(files))

    def drop(self, table: Table) -> None:
        """See ``Followed.drop``."""
        if self._later and table.extreme(NewestModification.extremum) > self._known_after:
            super().drop(table)

    def starts_over(self, now: Instant) -> bool:
        """See ``Followed.starts_over``."""
        if now.wall + FUTURE_SECONDS >= self._known_after:
            return False
        self._known_after, self._later = now.wall + FUTURE_SECONDS, Times()
        return True

    def merge(self, other: Self) -> None:
        """See ``Aggregate.merge``."""
        self._later.add(memoryview(other.state).cast("d"))

    def value(self, now: Instant) -> float:
        """See ``Number.value``."""
        self._known_after = max(self._known_after, now.wall + FUTURE_SECONDS)
        self._later.forget_until(self._known_after)
        return len(self._later)

    def next_change_at(self, now: Instant) -> float:
        """See ``Number.next_change_at``."""
        return self._later.first - FUTURE_SECONDS - now.wall + now.steady


class OldestArrival(Extreme):
    """When the file that has been waiting longest arrived, as Unix time; never in the future."""

    __slots__ = ()
    name = "oldest_arrived_at"
    extremum = Extremum("arrived_at", min)

    def value(self, now: Instant) -> float | None:
        """See ``Number.value``."""
        return None if self.state is None else min(self.state, now.steady) + (now.wall - now.steady)
