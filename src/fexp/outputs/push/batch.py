"""What goes to a receiver in one go: snapshots that follow one another, in requests of a bounded size."""

from __future__ import annotations

from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from fexp.outputs.push.protobuf import bytes_of_times, encode_series, encode_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_REQUEST_BYTES = 4 * 1024 * 1024
"""Receivers bound a request (VictoriaMetrics to 32 MiB unpacked), and each has the deadline to itself."""
_REQUEST_SAMPLES = 40_000
"""A receiver with a rate limit refuses for ever what is larger than its burst (Cortex: 50,000)."""


class Span(NamedTuple):
    """Samples that are the same in snapshots of a batch that follow one another: from ``first`` to before ``end``."""

    samples: Sequence[bytes]
    """Encoded, up to their time."""
    first: int
    end: int

    @property
    def times(self) -> int:
        """In how many snapshots they are."""
        return self.end - self.first


class Part(NamedTuple):
    """What one request carries."""

    spans: Sequence[Span]

    @property
    def first(self) -> int:
        """The first snapshot that it has samples of."""
        return min(span.first for span in self.spans)

    @property
    def end(self) -> int:
        """The first snapshot after it."""
        return max(span.end for span in self.spans)

    def halves(self) -> tuple[Part, Part]:
        """Return the earlier and the later snapshots of several."""
        middle = (self.first + self.end) // 2
        earlier = [span._replace(end=min(span.end, middle)) for span in self.spans if span.first < middle]
        later = [span._replace(first=max(span.first, middle)) for span in self.spans if span.end > middle]
        return Part(earlier), Part(later)


class Fate:
    """What became of one snapshot of a batch."""

    def __init__(self) -> None:
        self.is_refused = False
        """Samples of it were refused for good."""
        self.may_be_there = False
        """Samples of it were sent together with later ones, and no answer came: when they are sent again, a receiver
        that has them refuses them as out of order."""


class Batch:
    """Sends its snapshots part by part. A sample is never sent before an earlier one of its series."""

    def __init__(self, times_ms: Iterable[int], fates: Sequence[Fate], spans: Iterable[Span], *, is_last: bool) -> None:
        self.fates = fates
        self.is_last = is_last
        """Whether it is what fexp says at its end."""
        self.is_begun = False
        """The receiver has answered to a part of it for good."""
        self._timestamps = [encode_timestamp(at_ms) for at_ms in times_ms]
        self._parts = _parts(spans)
        self._next: list[Part] = []
        """The parts that come before the rest, the last of them first."""

    def request(self) -> bytes | None:
        """Return the WriteRequest that is next; None when there are no more. The same until its fate is noted."""
        if not self._next:
            self._next.extend(part for part in [next(self._parts, None)] if part)
        if not self._next:
            return None
        series = []
        for (first, end), spans in groupby(self._next[-1].spans, itemgetter(1, 2)):
            samples = list(chain.from_iterable(span.samples for span in spans))
            series.append(encode_series(samples, self._timestamps[first:end]))
        return b"".join(series)

    def taken(self) -> None:
        """Note that the receiver has what was next."""
        self._next.pop()
        self.is_begun = True

    def unanswered(self) -> None:
        """Note that nobody knows whether the receiver has what was next."""
        part = self._next[-1]
        for fate in self.fates[part.first : part.end]:
            # One time alone can be sent again without complaint.
            fate.may_be_there = fate.may_be_there or part.end - part.first > 1

    def refused(self) -> bool:
        """Note that the receiver will not have what was next: of several snapshots it may want some.

        Return whether samples are lost by that.
        """
        part = self._next.pop()
        if part.end - part.first > 1:
            self._next += reversed(part.halves())
            return False
        self.is_begun = True
        fate = self.fates[part.first]
        fate.is_refused = fate.is_refused or not fate.may_be_there
        return fate.is_refused

    def refused_whole(self) -> None:
        """Note that the receiver will have nothing of it, nor what comes after the part that was next."""
        for fate in self.fates:
            fate.is_refused = True


def _parts(spans: Iterable[Span]) -> Iterator[Part]:
    """Yield the spans in parts of a request's size."""
    part: list[Span] = []
    room_bytes, room_samples = _REQUEST_BYTES, _REQUEST_SAMPLES
    for span in spans:
        rest: Span | None = span
        while rest is not None:
            count, size = _fitting(rest, room_bytes, room_samples)
            is_whole = count == len(rest.samples)
            part.append(rest if is_whole else rest._replace(samples=rest.samples[:count]))
            rest = None if is_whole else rest._replace(samples=rest.samples[count:])
            room_bytes -= size
            room_samples -= count * span.times
            if room_bytes <= 0 or room_samples <= 0:
                yield Part(part)
                part, room_bytes, room_samples = [], _REQUEST_BYTES, _REQUEST_SAMPLES
    if part:
        yield Part(part)


def _fitting(span: Span, room_bytes: int, room_samples: int) -> tuple[int, int]:
    """Return how many samples fill the room, and how long their series are: as many as are there, one at least."""
    samples, times, times_bytes = span.samples, span.times, bytes_of_times(span.times)
    size = sum(map(len, samples)) + times_bytes * len(samples)
    if size < room_bytes and times * len(samples) < room_samples:
        return len(samples), size
    size = 0
    for count, sample in enumerate(samples, 1):
        size += len(sample) + times_bytes
        if size >= room_bytes or times * count >= room_samples:
            return count, size
    return len(samples), size
