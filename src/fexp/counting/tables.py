"""The tables of one group in a whole folder: finding the group's extremes looks only at what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.extremes import BLOCK_BITS, Blocks, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fexp.counting.extremes import Column, Extremum
    from fexp.counting.table import Table


class Tables:
    """The tables that have files."""

    __slots__ = ("_index", "_tables", "_wanted")

    def __init__(self, wanted: Sequence[Extremum]) -> None:
        self._wanted = wanted
        self._tables: list[Table] = []
        self._index: _Index | None = None
        """None as long as there is no second table: most folders have one directory."""

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables)

    def changed(self, table: Table) -> None:
        """Take note that a table has other files now."""
        if not table:
            if table.position >= 0:
                self.discard(table)
            return
        if table.position < 0:
            table.position = len(self._tables)
            self._tables.append(table)
            if self._index is not None:
                self._index.append()
            elif table.position == 1:
                self._index = _Index(self._wanted, self._tables)
        if self._index is not None:
            self._index.changed.add(table)

    def discard(self, table: Table) -> None:
        """Forget a table; the last one takes its place."""
        position, table.position = table.position, -1
        last = self._tables.pop()
        if last is not table:
            self._tables[position] = last
            last.position = position
        if self._index is not None:
            self._index.discard(table, position)
        if len(self._tables) < 2:
            self._index = None

    def refresh(self, table: Table) -> None:
        """Find the extremes of one table now, so that whoever asks need not wait for it."""
        if self._index is not None:
            self._index.refresh(table)

    def extremes(self) -> Sequence[float | None]:
        """Return the extremes over all tables; None while there is no file."""
        if not self._tables or not self._wanted:
            return [None] * len(self._wanted)
        return self._tables[0].extremes(self._wanted) if self._index is None else self._index.extremes()

    def runs(self, extremum: Extremum) -> Sequence[float]:
        """Return the extreme of each run of tables. Call ``extremes`` first."""
        if self._index is not None:
            return self._index.blocks.known(extremum)
        return [table.extreme(extremum) for table in self._tables]

    def run(self, place: int) -> Sequence[Table]:
        """Return a run of tables."""
        return self._tables[span_of(place)]

    def run_extremes(self, place: int, extremum: Extremum) -> Sequence[float]:
        """Return the extreme of each table of a run."""
        return self.runs(extremum) if self._index is None else self._index.column(extremum)[span_of(place)]


class _Index:
    """The extremes of each table, in columns by the table's position."""

    __slots__ = ("_columns", "_wanted", "blocks", "changed")

    def __init__(self, wanted: Sequence[Extremum], tables: Sequence[Table]) -> None:
        self.changed = set(tables)
        """Tables whose extremes are to be found again when asked for."""
        self._wanted = wanted
        self._columns = [extremum.array() for extremum in wanted]
        self.blocks = Blocks(wanted)
        for _ in tables:
            self.append()

    def append(self) -> None:
        for column in self._columns:
            column.append(0)

    def discard(self, table: Table, position: int) -> None:
        self.changed.discard(table)
        for column in self._columns:
            number = column.pop()
            if position < len(column):
                column[position] = number  # type: ignore[assignment]  # of the column's own type
        end = len(self._columns[0]) if self._columns else 0
        self.blocks.changed.update((position >> BLOCK_BITS, end >> BLOCK_BITS))

    def refresh(self, table: Table) -> None:
        if table in self.changed:
            self.changed.remove(table)
            for column, extreme in zip(self._columns, table.extremes(self._wanted), strict=True):
                column[table.position] = extreme  # type: ignore[call-overload]  # of the column's own type
            self.blocks.changed.add(table.position >> BLOCK_BITS)

    def extremes(self) -> Sequence[float]:
        for table in tuple(self.changed):
            self.refresh(table)
        return self.blocks.find(self._columns)

    def column(self, extremum: Extremum) -> Column:
        return self._columns[self._wanted.index(extremum)]
