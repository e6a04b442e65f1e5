"""The numbers of one group over a whole folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.aggregates import Extreme, Followed, Number
from fexp.counting.distributions import Distribution
from fexp.counting.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.counting.aggregates import Make
    from fexp.counting.flow import Flow
    from fexp.counting.table import Table
    from fexp.model import Histogram, Instant, KnownFiles


class Group:
    """The numbers of one group."""

    __slots__ = ("_distributions", "_extremes", "_followed", "_numbers", "files", "flow", "tables")

    def __init__(self, makers: Sequence[Make], flow: Flow) -> None:
        aggregates = [make() for make in makers]
        self._numbers = [aggregate for aggregate in aggregates if isinstance(aggregate, Number)]
        self._distributions = [aggregate for aggregate in aggregates if isinstance(aggregate, Distribution)]
        self._followed = [aggregate for aggregate in aggregates if isinstance(aggregate, Followed)]
        """Distributions apart: they know the tables."""
        self._extremes = [aggregate for aggregate in aggregates if isinstance(aggregate, Extreme)]
        self.tables = Tables([extreme.extremum for extreme in self._extremes])
        self.flow = flow
        self.files = 0

    def add(self, table: Table, files: KnownFiles) -> None:
        """Take in files that a table has now."""
        self.files += len(files.names)
        for aggregate in self._followed:
            aggregate.add(files)
        for distribution in self._distributions:
            distribution.add_to(table, files)
        self.tables.changed(table)

    def remove(self, table: Table, files: KnownFiles) -> None:
        """Let go of files that a table has no more."""
        self.files -= len(files.names)
        for aggregate in self._followed:
            aggregate.remove(files)
        for distribution in self._distributions:
            distribution.remove_from(table, files)
        self.tables.changed(table)

    def change(self, table: Table, before: KnownFiles, after: KnownFiles) -> None:
        """Take over what a table has instead now."""
        for aggregate in self._followed:
            aggregate.remove(before)
            aggregate.add(after)
        for distribution in self._distributions:
            distribution.remove_from(table, before)
            distribution.add_to(table, after)
        self.tables.changed(table)

    def drop(self, table: Table) -> None:
        """Let go of a table with all its files."""
        self.files -= len(table)
        for aggregate in self._followed:
            aggregate.drop(table)
        for distribution in self._distributions:
            distribution.drop(table)
        self.tables.discard(table)

    def values(self, now: Instant) -> dict[str, float | None]:
        """Return the value of each number, by name."""
        for aggregate, found in zip(self._extremes, self.tables.extremes(), strict=True):
            aggregate.state = found
        for followed in self._followed:
            if followed.starts_over(now):
                for table in self.tables:
                    followed.add(table.files())
        return {aggregate.name: aggregate.value(now) for aggregate in self._numbers}

    def distributions(self, now: Instant) -> dict[str, Histogram]:
        """Return each distribution, by name."""
        return {aggregate.name: aggregate.histogram(now) for aggregate in self._distributions}

    @property
    def moves(self) -> bool:
        """Return whether something differs from one moment to the next while no file changes."""
        return any(aggregate.moves for aggregate in self._distributions)

    def next_change_at(self, now: Instant) -> float:
        """Return when a value changes by time alone, on the steady clock."""
        return min(aggregate.next_change_at(now) for aggregate in self._numbers)
