"""The smallest and the largest of columns that change, at a price that does not depend on their length."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Pick = Callable[[Sequence[float]], float]
    Column = array[float] | array[int]

BLOCK_BITS = 8
BLOCK = 1 << BLOCK_BITS


def span_of(block: int) -> slice:
    """Return the slots of a block."""
    return slice(block << BLOCK_BITS, (block + 1) << BLOCK_BITS)


class Extremum(NamedTuple):
    """One extreme that is asked for: which column of a table, and ``min`` or ``max``."""

    column: str
    pick: Pick

    def array(self) -> Column:
        """Return a column for such extremes."""
        return array("q" if self.column == "sizes" else "d")


class Blocks:
    """Extremes of each run of 256 slots: finding a column's anew costs its changes, not its length."""

    __slots__ = ("_known", "changed", "wanted")

    def __init__(self, wanted: Sequence[Extremum]) -> None:
        self.changed: set[int] = set()
        """Blocks in which a slot changed since the last look."""
        self.wanted = wanted
        self._known = [extremum.array() for extremum in wanted]

    def find(self, columns: Sequence[Column | memoryview]) -> tuple[float, ...]:
        """Return the extreme of each column; they have one length, above 0."""
        count = (len(columns[0]) + BLOCK - 1) >> BLOCK_BITS
        recorded = min(len(self._known[0]), count)
        changed = sorted(block for block in self.changed if block < recorded)
        for column, known, (_, pick) in zip(columns, self._known, self.wanted, strict=True):
            del known[count:]
            for block in changed:
                known[block] = pick(column[span_of(block)].tolist())  # type: ignore[call-overload]
            known.extend(
                pick(column[first : first + BLOCK].tolist())  # type: ignore[misc]
                for first in range(recorded << BLOCK_BITS, len(column), BLOCK)
            )
        self.changed.clear()
        return tuple(extremum.pick(known) for extremum, known in zip(self.wanted, self._known, strict=True))

    def known(self, extremum: Extremum) -> Column:
        """Return the extreme of each block. Nothing has changed since ``find``."""
        return self._known[self.wanted.index(extremum)]
