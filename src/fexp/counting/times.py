"""Times kept in order, so that those before a moment are counted and added up without a walk through them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from itertools import accumulate, chain
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BLOCK = 1024
"""Adding a time moves at most twice as many."""
PER_SECOND = 10**6
"""Times are added up as whole microseconds: what is taken from such a sum leaves no rounding behind."""


class Times:
    """Unix times in order, eight bytes each. What adding, removing and counting cost hardly depends on how many."""

    __slots__ = ("_blocks", "_lasts", "_sums")

    def __init__(self) -> None:
        self._blocks: list[array[float]] = []
        """None is empty."""
        self._lasts: list[float] = []
        """The largest of each block."""
        self._sums: list[int] = []
        """That of each block."""

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def __bytes__(self) -> bytes:
        """Return all of them as doubles."""
        return b"".join(map(bytes, self._blocks))

    def add(self, times: Sequence[float]) -> None:
        """Add times."""
        if len(times) > _BLOCK and 4 * len(times) > len(self):
            self._fill(sorted(chain(times, *self._blocks)))
            return
        for time in times:
            self._insert(time)

    def _fill(self, ordered: Sequence[float]) -> None:
        self._blocks = [array("d", ordered[first : first + _BLOCK]) for first in range(0, len(ordered), _BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]
        self._sums = [_sum(block) for block in self._blocks]

    def _insert(self, time: float) -> None:
        if not self._blocks:
            self._fill([time])
            return
        at = min(bisect_left(self._lasts, time), len(self._lasts) - 1)
        block = self._blocks[at]
        insort(block, time)
        self._lasts[at] = block[-1]
        self._sums[at] += int(time * PER_SECOND)
        if len(block) > 2 * _BLOCK:
            halves = block[:_BLOCK], block[_BLOCK:]
            self._blocks[at : at + 1] = halves
            self._lasts[at : at + 1] = [half[-1] for half in halves]
            self._sums[at : at + 1] = map(_sum, halves)

    def remove(self, times: Sequence[float]) -> None:
        """Remove times, all of which are there."""
        if len(times) > _BLOCK and 4 * len(times) > len(self):
            self._remove_many(times)
            return
        for time in times:
            at = bisect_left(self._lasts, time)
            block = self._blocks[at]
            del block[bisect_left(block, time)]
            if block:
                self._lasts[at] = block[-1]
                self._sums[at] -= int(time * PER_SECOND)
            else:
                del self._blocks[at], self._lasts[at], self._sums[at]

    def _remove_many(self, times: Sequence[float]) -> None:
        if len(times) == len(self):
            self._fill([])
            return
        gone, left = Counter(times), []
        for time in chain(*self._blocks):
            if gone.get(time):
                gone[time] -= 1
            else:
                left.append(time)
        self._fill(left)

    def forget_until(self, moment: float) -> None:
        """Remove all that are not after a moment."""
        gone = bisect_right(self._lasts, moment)
        del self._blocks[:gone], self._lasts[:gone], self._sums[:gone]
        if self._blocks and self._blocks[0][0] <= moment:
            block = self._blocks[0]
            del block[: bisect_right(block, moment)]
            self._sums[0] = _sum(block)

    @property
    def first(self) -> float:
        """Return the earliest; infinity when there is none."""
        return self._blocks[0][0] if self._blocks else inf

    def before(self, moments: Iterable[float]) -> list[int]:
        """Return how many are before each of some moments."""
        counts = [0, *accumulate(map(len, self._blocks))]
        return [
            counts[at] + (bisect_left(self._blocks[at], moment) if at < len(self._blocks) else 0)
            for moment in moments
            for at in [bisect_left(self._lasts, moment)]
        ]

    def sum_before(self, moment: float) -> int:
        """Return the sum of those before a moment, in microseconds."""
        at = bisect_left(self._lasts, moment)
        part = self._blocks[at][: bisect_left(self._blocks[at], moment)] if at < len(self._blocks) else ()
        return sum(self._sums[:at]) + _sum(part)


def _sum(times: Iterable[float]) -> int:
    return sum([int(time * PER_SECOND) for time in times])
