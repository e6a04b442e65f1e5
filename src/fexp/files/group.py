"""The numbers of one group over a whole folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.files.aggregates import Extreme, Sum
from fexp.files.flow import Flow
from fexp.files.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.files.aggregates import Aggregate
    from fexp.files.table import Table
    from fexp.model import Instant, KnownFiles


class Group:
    """The numbers of one group."""

    __slots__ = ("_aggregates", "_extremes", "_sums", "files", "flow", "tables")

    def __init__(self, aggregates: Sequence[type[Aggregate]], dwell_bounds_seconds: tuple[float, ...]) -> None:
        self._aggregates = [aggregate() for aggregate in aggregates]
        self._sums = [aggregate for aggregate in self._aggregates if isinstance(aggregate, Sum)]
        self._extremes = [aggregate for aggregate in self._aggregates if isinstance(aggregate, Extreme)]
        self.tables = Tables([extreme.extremum for extreme in self._extremes])
        self.flow = Flow(dwell_bounds_seconds)
        self.files = 0

    def add(self, table: Table, files: KnownFiles) -> None:
        """Take in files that a table has now."""
        self.files += len(files.names)
        for aggregate in self._sums:
            aggregate.add(files)
        self.tables.changed(table)

    def remove(self, table: Table, files: KnownFiles) -> None:
        """Let go of files that a table has no more."""
        self.files -= len(files.names)
        for aggregate in self._sums:
            aggregate.remove(files)
        self.tables.changed(table)

    def change(self, table: Table, before: KnownFiles, after: KnownFiles) -> None:
        """Take over what a table has instead now."""
        for aggregate in self._sums:
            aggregate.remove(before)
            aggregate.add(after)
        self.tables.changed(table)

    def drop(self, table: Table) -> None:
        """Let go of a table with all its files."""
        self.files -= len(table)
        for aggregate in self._sums:
            aggregate.drop(table)
        self.tables.discard(table)

    def values(self, now: Instant) -> dict[str, float | None]:
        """Return the value of each aggregate, by name."""
        for aggregate, found in zip(self._extremes, self.tables.extremes(), strict=True):
            aggregate.state = found
        return {aggregate.name: aggregate.value(now) for aggregate in self._aggregates}

    def next_change_at(self, now: Instant) -> float:
        """Return when a value changes by time alone, on the steady clock."""
        return min(aggregate.next_change_at(now) for aggregate in self._aggregates)
