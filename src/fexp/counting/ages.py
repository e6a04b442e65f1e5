"""Modification times in sorted runs: many are added and removed at the price of sorting them a few thousand at a time.

What is removed is kept in runs of its own, and cancelled against what was added some thousand at a time, too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import chain
from math import inf
from typing import TYPE_CHECKING

from fexp.counting.times import PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RUN = 4096
_RUN_MAX = 1 << 15
"""More is not sorted at a time: that takes some milliseconds."""
_CANCEL = 2 * _RUN
"""So many of what was added are compared for each run of what was removed."""
_BLOCK = 1024


def sum_microseconds(times: Iterable[float]) -> int:
    """Return the sum of times."""
    return sum([int(time * PER_SECOND) for time in times])


class _Run:
    """Times in order."""

    __slots__ = ("_sums", "times")

    def __init__(self, times: Iterable[float]) -> None:
        self.times = array("d", times)
        self._sums: list[int] | None = None
        """Of each block, once somebody asks."""

    def sum_from(self, first: int) -> int:
        """Return the sum of the times from one on."""
        if len(self.times) - first <= _BLOCK:
            return sum_microseconds(self.times[first:])
        if self._sums is None:
            self._sums = [sum_microseconds(self.times[at : at + _BLOCK]) for at in range(0, len(self.times), _BLOCK)]
        block = -(-first // _BLOCK)
        return sum_microseconds(self.times[first : block * _BLOCK]) + sum(self._sums[block:])


class _Runs:
    """A bag of times. So few runs are there that asking them all costs next to nothing."""

    __slots__ = ("_waiting", "count", "runs", "sum_microseconds")

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self.count = 0
        self.sum_microseconds = 0
        """Of what is in runs."""
        self._waiting: list[float] = []

    def add(self, times: Iterable[float], count: int) -> None:
        self.count += count
        self._waiting.extend(times)
        if len(self._waiting) >= _RUN:
            self.sort()

    def sort(self) -> None:
        """Sort what has waited for it. Runs of a size become one, so that there are few."""
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _RUN_MAX):
            times = sorted(waiting[first : first + _RUN_MAX])
            self.sum_microseconds += sum_microseconds(times)
            self.runs.append(_Run(times))
            while len(self.runs) > 1 and self._may_merge(self.runs[-2], self.runs[-1]):
                later = self.runs.pop()
                self.runs[-1] = _Run(sorted(chain(self.runs[-1].times, later.times)))

    @staticmethod
    def _may_merge(one: _Run, later: _Run) -> bool:
        return len(one.times) <= 2 * len(later.times) and len(one.times) + len(later.times) <= _RUN_MAX

    def before(self, moment: float) -> int:
        return sum([bisect_left(run.times, moment) for run in self.runs])

    def sum_from(self, moment: float) -> int:
        return sum([run.sum_from(bisect_left(run.times, moment)) for run in self.runs])

    def after(self, low: float, number: int) -> float:
        """Return a moment up to which there are so many after ``low``, or up to twice as many; infinity if not."""
        step = max(1, number // len(self.runs))
        samples: list[float] = []
        for run in self.runs:
            first = bisect_right(run.times, low) + step - 1
            samples += run.times[first : first + number : step]
        ends = -(-number // step)
        return sorted(samples)[ends - 1] if len(samples) >= ends else inf

    def cut(self, low: float, high: float) -> list[float]:
        """Take out the times from ``low`` to ``high``, both included."""
        taken: list[float] = []
        for run in self.runs:
            first, end = bisect_left(run.times, low), bisect_right(run.times, high)
            if end > first:
                taken += run.times[first:end]
                run.times = run.times[:first] + run.times[end:]
                run._sums = None
        self.runs = [run for run in self.runs if run.times]
        return taken


class Ages:
    """Modification times of files that come and go."""

    __slots__ = ("_added", "_cancelled_until", "_removed", "_removed_lately")

    def __init__(self) -> None:
        self._added = _Runs()
        self._removed = _Runs()
        self._removed_lately = 0
        """Since something was cancelled."""
        self._cancelled_until = -inf

    def __len__(self) -> int:
        return self._added.count - self._removed.count

    def times(self) -> array[float]:
        """Return all of them, in order."""
        self._sort()
        gone = Counter(chain.from_iterable(run.times for run in self._removed.runs))
        return array("d", _without(sorted(chain.from_iterable(run.times for run in self._added.runs)), gone))

    def add(self, times: Sequence[float]) -> None:
        """Add times."""
        self._added.add(times, len(times))

    def remove(self, times: Sequence[float]) -> None:
        """Remove times, all of which are there."""
        self._removed.add(times, len(times))
        self._removed_lately += len(times)
        if not self:
            self._added, self._removed, self._removed_lately = _Runs(), _Runs(), 0
        while self._removed_lately > _RUN:
            self._removed_lately -= _RUN
            if 2 * self._removed.count > self._added.count:
                self._sort()
                self._cancel_some()

    def before(self, moments: Iterable[float]) -> list[int]:
        """Return how many are before each of some moments."""
        self._sort()
        return [self._added.before(moment) - self._removed.before(moment) for moment in moments]

    def sum_before(self, moment: float) -> int:
        """Return the sum of those before a moment, in microseconds."""
        self._sort()
        added, removed = self._added, self._removed
        whole = added.sum_microseconds - removed.sum_microseconds
        return whole - added.sum_from(moment) + removed.sum_from(moment)

    def _sort(self) -> None:
        self._added.sort()
        self._removed.sort()

    def _cancel_some(self) -> None:
        """Cancel what was removed against what was added, from where the latest call ended, and round again."""
        added, removed, low = self._added, self._removed, self._cancelled_until
        high = added.after(low, _CANCEL)
        gone = removed.cut(low, high)
        if gone:
            left = _without(sorted(added.cut(low, high)), Counter(gone))
            added.runs = [*(_Run(left[at : at + _RUN_MAX]) for at in range(0, len(left), _RUN_MAX)), *added.runs]
            added.count -= len(gone)
            removed.count -= len(gone)
            gone_microseconds = sum_microseconds(gone)
            added.sum_microseconds -= gone_microseconds
            removed.sum_microseconds -= gone_microseconds
        self._cancelled_until = -inf if high == inf else high


def _without(times: Iterable[float], gone: Counter[float]) -> list[float]:
    """Return times without those that are gone."""
    left = []
    for time in times:
        if gone.get(time):
            gone[time] -= 1
        else:
            left.append(time)
    return left
