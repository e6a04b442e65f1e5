"""What came and went: the event families of one group."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import repeat
from math import inf
from operator import add
from typing import TYPE_CHECKING

from fexp.model import Example, FlowSnapshot, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.model import Instant, KnownFiles


class Flow:
    """Counts arrivals, departures and modifications, and how long departed files had stayed."""

    __slots__ = (
        "_bounds_seconds", "arrival_example", "arrivals", "arrived_bytes", "departed_bytes", "departures",
        "dwell_counts", "dwell_examples", "dwell_sum_seconds", "last_arrival_at", "last_departure_at", "modifications",
    )  # fmt: skip

    def __init__(self, dwell_bounds_seconds: tuple[float, ...]) -> None:
        self._bounds_seconds = dwell_bounds_seconds
        self.arrivals = 0
        self.departures = 0
        self.modifications = 0
        self.arrived_bytes = 0
        self.departed_bytes = 0
        self.last_arrival_at: float | None = None
        self.last_departure_at: float | None = None
        self.dwell_counts = [0] * (len(dwell_bounds_seconds) + 1)
        self.dwell_sum_seconds = 0.0
        self.arrival_example: Example | None = None
        self.dwell_examples: list[Example | None] = [None] * len(self.dwell_counts)

    def arrive(self, files: int, size_bytes: int, path: bytes, now: Instant) -> None:
        """Count arrivals. ``path``: of one of the files."""
        self.arrival_example = Example(path, 1.0, now.wall)
        self.arrivals += files
        self.arrived_bytes += size_bytes
        self.last_arrival_at = now.wall

    def depart(self, files: int, size_bytes: int, now: Instant) -> None:
        """Count departures. Their dwell times are observed apart."""
        self.departures += files
        self.departed_bytes += size_bytes
        self.last_departure_at = now.wall

    def modify(self, before: KnownFiles, after: KnownFiles) -> None:
        """Count modifications. What grew came in, what shrank went out."""
        self.modifications += len(after.names)
        for old, new in zip(before.sizes, after.sizes, strict=True):
            if new > old:
                self.arrived_bytes += new - old
            else:
                self.departed_bytes += old - new

    def observe_dwells(self, names: Sequence[bytes], below: bytes, arrived_at: Sequence[float], now: Instant) -> None:
        """Count dwell times into buckets all at once, by sorting the arrivals. In each the longest is the example."""
        if not self._bounds_seconds:
            return
        ordered = sorted(arrived_at)
        past = bisect_right(ordered, now.steady)
        ordered[past:] = repeat(now.steady, len(ordered) - past)
        self.dwell_sum_seconds += now.steady * len(ordered) - sum(ordered)
        above = len(ordered)
        for bucket, bound in enumerate((*self._bounds_seconds, inf)):
            if not above:
                return
            longer = bisect_left(ordered, now.steady - bound)
            if longer < above:
                self.dwell_counts[bucket] += above - longer
                place = list(arrived_at).index(ordered[longer] if longer < past else max(arrived_at))
                self.dwell_examples[bucket] = Example(below + names[place], now.steady - ordered[longer], now.wall)
            above = longer

    def merge(self, other: Flow) -> None:
        """Take in what another has counted."""
        self.arrivals += other.arrivals
        self.departures += other.departures
        self.modifications += other.modifications
        self.arrived_bytes += other.arrived_bytes
        self.departed_bytes += other.departed_bytes
        self.last_arrival_at = _latest(self.last_arrival_at, other.last_arrival_at)
        self.last_departure_at = _latest(self.last_departure_at, other.last_departure_at)
        self.dwell_counts = list(map(add, self.dwell_counts, other.dwell_counts))
        self.dwell_sum_seconds += other.dwell_sum_seconds
        self.arrival_example = _latest_example(self.arrival_example, other.arrival_example)
        self.dwell_examples = list(map(_latest_example, self.dwell_examples, other.dwell_examples))

    def snapshot(self) -> FlowSnapshot:
        """Return the numbers as they are now."""
        return FlowSnapshot(
            arrivals=self.arrivals,
            departures=self.departures,
            modifications=self.modifications,
            arrived_bytes=self.arrived_bytes,
            departed_bytes=self.departed_bytes,
            last_arrival_at=self.last_arrival_at,
            last_departure_at=self.last_departure_at,
            dwell=Histogram(self._bounds_seconds, tuple(self.dwell_counts), self.dwell_sum_seconds),
            arrival_example=self.arrival_example,
            dwell_examples=tuple(self.dwell_examples),
        )


def _latest(*times: float | None) -> float | None:
    return max((at for at in times if at is not None), default=None)


def _latest_example(*examples: Example | None) -> Example | None:
    return max((one for one in examples if one is not None), key=lambda one: one.at, default=None)
