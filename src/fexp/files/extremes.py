"""The smallest and the largest of columns that change, at a price that does not depend on their length."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Pick = Callable[[Sequence[float]], float]

BLOCK_BITS = 8
BLOCK = 1 << BLOCK_BITS


class Extremum(NamedTuple):
    """One extreme that is asked for: which column of a table, and ``min`` or ``max``."""

    column: str
    pick: Pick


class Blocks:
    """Extremes of each run of 256 slots: finding a column's anew costs its changes, not its length."""

    __slots__ = ("_known", "_picks", "changed")

    def __init__(self, picks: Sequence[Pick]) -> None:
        self.changed: set[int] = set()
        """Blocks in which a slot changed since the last look."""
        self._picks = picks
        self._known: list[array[float] | array[int]] = []

    def find(self, columns: Sequence[array[float] | array[int]]) -> tuple[float, ...]:
        """Return the extreme of each column; they have one length, above 0."""
        if not self._known:
            self._known = [array(column.typecode) for column in columns]
        count = (len(columns[0]) + BLOCK - 1) >> BLOCK_BITS
        recorded = min(len(self._known[0]), count)
        changed = sorted(block for block in self.changed if block < recorded)
        for column, known, pick in zip(columns, self._known, self._picks, strict=True):
            del known[count:]
            for block in changed:
                known[block] = pick(column[block << BLOCK_BITS : (block + 1) << BLOCK_BITS])  # type: ignore[call-overload]
            known.extend(
                pick(column[first : first + BLOCK])  # type: ignore[misc]
                for first in range(recorded << BLOCK_BITS, len(column), BLOCK)
            )
        self.changed.clear()
        return tuple(pick(known) for known, pick in zip(self._known, self._picks, strict=True))
