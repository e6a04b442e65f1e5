"""The numbers of one group over a whole folder, and the tables that they are about."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from fexp.files.aggregates import Extreme, Sum
from fexp.files.extremes import BLOCK_BITS, Blocks
from fexp.files.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.files.aggregates import Aggregate
    from fexp.files.extremes import Extremum
    from fexp.files.table import Table
    from fexp.model import Instant, KnownFiles


class Tables:
    """The tables of a group that have files, with the extremes of each: finding the group's looks only at changes."""

    __slots__ = ("_blocks", "_changed", "_columns", "_tables", "_wanted")

    def __init__(self, wanted: Sequence[Extremum]) -> None:
        self._wanted = wanted
        self._tables: list[Table] = []
        self._changed: set[Table] = set()
        """Tables whose extremes are to be found again when asked for."""
        self._columns = [array("q" if extremum.column == "sizes" else "d") for extremum in wanted]
        self._blocks = Blocks([extremum.pick for extremum in wanted])

    def changed(self, table: Table) -> None:
        """Take note that a table has other files now."""
        if table:
            if table.position < 0:
                table.position = len(self._tables)
                self._tables.append(table)
                for column in self._columns:
                    column.append(0)
            self._changed.add(table)
        elif table.position >= 0:
            self.discard(table)

    def discard(self, table: Table) -> None:
        """Forget a table; the last one takes its place."""
        position, table.position = table.position, -1
        self._changed.discard(table)
        last = self._tables.pop()
        for column in self._columns:
            number = column.pop()
            if last is not table:
                column[position] = number
        if last is not table:
            self._tables[position] = last
            last.position = position
        self._blocks.changed.update((position >> BLOCK_BITS, len(self._tables) >> BLOCK_BITS))

    def refresh(self, table: Table) -> None:
        """Find the extremes of one table now, so that whoever asks need not wait for it."""
        if table in self._changed:
            self._changed.remove(table)
            for column, extreme in zip(self._columns, table.extremes(self._wanted), strict=True):
                column[table.position] = extreme  # type: ignore[call-overload]  # of the column's own type
            self._blocks.changed.add(table.position >> BLOCK_BITS)

    def extremes(self) -> Sequence[float | None]:
        """Return the extremes over all tables; None while there is no file."""
        if not self._tables or not self._wanted:
            return [None] * len(self._wanted)
        for table in tuple(self._changed):
            self.refresh(table)
        return self._blocks.find(self._columns)


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
