"""Snapshots that wait for a receiver. One that is like the one before it takes next to no memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from fexp.outputs.push.batch import Batch, Fate, Span
from fexp.outputs.push.protobuf import STALE, encode_sample, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fexp.outputs.push.reading import Change, Run

MAX_BATCH_SNAPSHOTS = 100
"""So many times of a series make its labels a small part of a request."""
_BATCH_SAMPLES = 10_000_000
"""Some seconds of a receiver's time: what is done is done, whatever comes next."""
_SNAPSHOT_BYTES = 1000
"""What a snapshot takes in which nothing changed."""
_ENDED_BYTES = 100
"""What the end of a series takes beside its labels."""


class Limits(NamedTuple):
    """What waits at most; the newest snapshot always does."""

    age_seconds: float
    samples: int
    """In all snapshots together, changed or not: so many are to be sent."""
    memory_bytes: int
    """Beside one snapshot's samples."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One snapshot. Its time never changes, however often it is sent."""

    number: int
    at_ms: int
    taken_at: float
    """On the steady clock."""
    begun: list[Run]
    """What differs from the snapshot before."""
    ended: set[bytes]
    """The encoded labels of the series that end with it."""
    values: int
    is_last: bool
    """Whether it was taken at the stop."""
    fate: Fate = field(default_factory=Fate)

    @property
    def samples(self) -> int:
        return self.values + len(self.ended)

    @property
    def memory_bytes(self) -> int:
        ended_bytes = sum(len(labels) + _ENDED_BYTES for labels in self.ended)
        return _SNAPSHOT_BYTES + ended_bytes + sum(run.memory_bytes for run in self.begun)


class Backlog:
    """A bounded queue of snapshots. The oldest fall out, except those of the batch that is under way."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._carried: list[Run] = []
        """What began before the oldest and is not over."""
        self._owed: set[bytes] = set()
        """What ended in snapshots that were dropped, and ends in the next one."""
        self._batch: Batch | None = None
        self._samples = 0
        self._memory_bytes = 0
        self.next_number = 0
        """That of the next snapshot."""
        self.dropped = 0
        """Snapshots that were never delivered as a whole: too many or too old, or refused for good."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def owes(self) -> bool:
        """Whether series are still to be ended."""
        return bool(self._owed)

    @property
    def values(self) -> int:
        """How many snapshots with numbers wait."""
        return sum(bool(one.values) for one in self._queue)

    def add(self, change: Change, *, at_ms: int, now: float, is_last: bool = False) -> int:
        """Add a snapshot. Return how many of the oldest fell out."""
        ended = set(change.ended) | _without(self._owed, change.begun)
        one = _Waiting(self.next_number, at_ms, now, list(change.begun), ended, change.samples, is_last)
        self.next_number += 1
        self._owed = set()
        self._queue.append(one)
        self._weigh(one, 1)
        dropped = self.dropped
        while self._has_too_much(now):
            self._drop(self._held)
        return self.dropped - dropped

    def batch(self, most_snapshots: int) -> Batch | None:
        """Return the batch under way, or begin one of the oldest snapshots. None when there are none."""
        if self._batch is None and self._queue:
            waiting = list(self._first(most_snapshots))
            spans = _spans(self._carried, waiting)
            times_ms, fates = [one.at_ms for one in waiting], [one.fate for one in waiting]
            self._batch = Batch(times_ms, fates, spans, is_last=waiting[0].is_last)
        return self._batch

    def release(self) -> None:
        """Put the batch back, unless the receiver has some of it: half of a snapshot must not be dropped."""
        if self._batch is not None and not self._batch.is_begun:
            self._batch = None

    def finish(self) -> None:
        """Forget the batch under way. What ended in what was refused ends in the next snapshot."""
        late: set[bytes] = set()
        for _ in range(self._held):
            one = self._queue.popleft()
            self._weigh(one, -1)
            self._carried += one.begun
            late = _without(late, one.begun)
            if one.fate.is_refused:
                late |= one.ended
                self.dropped += 1
        self._batch = None
        self._forget_what_is_over()
        self._owe(late, 0)

    def give_up_for_the_last(self) -> bool:
        """Drop all but the snapshot that was taken at the stop, if there is one. Return whether there is."""
        if not (self._queue and self._queue[-1].is_last):
            return False
        self._batch = None
        while len(self._queue) > 1:
            self._drop(0)
        return True

    @property
    def _held(self) -> int:
        return len(self._batch.fates) if self._batch else 0

    def _first(self, most_snapshots: int) -> Iterator[_Waiting]:
        samples = 0
        for place, one in enumerate(islice(self._queue, most_snapshots)):
            samples += one.samples
            if place and (samples > _BATCH_SAMPLES or one.is_last):
                break
            yield one

    def _has_too_much(self, now: float) -> bool:
        if len(self._queue) <= self._held + 1:
            return False
        # What the oldest brought along is there anyway, in what comes after it and in what is read.
        return (
            self._samples > self._limits.samples
            or self._memory_bytes - self._queue[0].memory_bytes > self._limits.memory_bytes
            or self._queue[self._held].taken_at < now - self._limits.age_seconds
        )

    def _drop(self, place: int) -> None:
        """Give up a snapshot; what ended in it ends in the next one, be it there already or not."""
        one = self._queue[place]
        del self._queue[place]
        self._weigh(one, -1)
        self.dropped += 1
        if place:
            following = self._queue[place]
            self._weigh(following, -1)
            following.begun[:0] = [run for run in one.begun if run.end > following.number]
            self._weigh(following, 1)
        else:
            self._carried += one.begun
            self._forget_what_is_over()
        self._owe(one.ended, place)

    def _owe(self, ended: set[bytes], place: int) -> None:
        """Have these series end in the snapshot at that place, unless it has them again."""
        if place == len(self._queue):
            self._owed = ended
        elif ended:
            following = self._queue[place]
            self._weigh(following, -1)
            following.ended |= _without(ended, following.begun)
            self._weigh(following, 1)

    def _forget_what_is_over(self) -> None:
        number = self._queue[0].number if self._queue else self.next_number
        self._carried = [run for run in self._carried if run.end > number]

    def _weigh(self, one: _Waiting, sign: int) -> None:
        self._samples += sign * one.samples
        self._memory_bytes += sign * one.memory_bytes


def _without(ended: set[bytes], begun: Iterable[Run]) -> set[bytes]:
    """Return those of the series that do not begin."""
    return ended.difference(*(map(labels_of, run.samples) for run in begun)) if ended else ended


def _spans(carried: Iterable[Run], waiting: Sequence[_Waiting]) -> list[Span]:
    """Return what the snapshots have, each series in order of time."""
    numbers = [one.number for one in waiting]

    def span(run: Run) -> Span:
        return Span(run.samples, bisect_left(numbers, run.first), bisect_left(numbers, run.end))

    spans = [span(run) for run in carried]
    for place, one in enumerate(waiting):
        spans.append(Span([encode_sample(labels, STALE) for labels in one.ended], place, place + 1))
        spans += [span(run) for run in one.begun]
    return [one for one in spans if one.samples and one.times]
