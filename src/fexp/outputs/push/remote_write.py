"""The remote write output: samples with their time, sent to whatever speaks Prometheus remote write 1.0.

Specification: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from __future__ import annotations

import struct
import time
from collections import deque
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

from fexp.config.labels import check_pairs, parse_pairs
from fexp.config.options import constant, option, repeatable
from fexp.config.values import parse_text
from fexp.errors import OutputError, SettingsError
from fexp.outputs.push.endpoint import Endpoint
from fexp.outputs.push.protobuf import (
    STALE,
    encode_labels,
    encode_request,
    encode_sample,
    encode_timestamp,
    labels_of,
    series_of,
)
from fexp.outputs.push.sender import RefusedError, Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from fexp.config.origin import Origin
    from fexp.config.output import OutputSettings
    from fexp.metrics import Scope
    from fexp.model import FolderSnapshot
    from fexp.outputs import Collects

    Block = list[bytes]
    """Encoded samples, up to their time."""

_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_BARELY_MS = 60_000
_REQUEST_BYTES = 4 * 1024 * 1024
"""Receivers bound a request (VictoriaMetrics to 32 MiB unpacked), and each has the deadline to itself."""
_LAST_VALUES_SECONDS = 4.0
"""How long a stop goes on with what waits; then the end of the series is sent without it."""
_OF_THE_CONTENT = frozenset({400, 409, 413, 422})
"""What a receiver answers to samples that it will not have; the others it may well take."""


class RemoteWriteSettings(Endpoint):
    """Where to write, what all series carry. Made only when it makes sense, or a SettingsError says why."""

    kind: ClassVar = "remote_write"
    prefix: ClassVar = "remote-write"
    panel: ClassVar = "Remote write"

    url: str = option(
        "remote-write", parse_text, "", "Write to Prometheus, VictoriaMetrics, Mimir, Thanos.", metavar="URL"
    )
    external_labels: tuple[tuple[str, str], ...] = repeatable(
        "-label", parse_pairs, "Add a label to all that is written.", metavar="NAME=VALUE"
    )
    max_snapshots: int = constant(100)
    """So many snapshots wait for a receiver that is away; then the oldest is dropped."""
    max_samples: int = constant(200_000)
    """So many samples wait, in all snapshots together; some 50 MiB."""

    def validate(self) -> None:
        super().validate()
        settable = {name: self.origin(name) for name in ("job", "instance")}
        if not self.job or not self.instance:
            needed = " and ".join(map(str, settable.values()))
            raise SettingsError(f"{self.origin('url')} needs {needed}, or hosts overwrite each other")
        if self.max_snapshots < 1:
            raise SettingsError(f"{self.origin('url')}: the queue must hold one snapshot at least")
        check_pairs(self.origin("external_labels"), self.common_labels, settable)

    @property
    def added_labels(self) -> frozenset[str]:
        """The labels that every series carries."""
        return frozenset(name for name, _ in self.common_labels)

    def check_labels(self, names: Collection[str]) -> None:
        """Raise a SettingsError for a common label that would replace one of these."""
        for name, _ in self.common_labels:
            if name in names:
                raise SettingsError(f"label {name}: on the series and on all of remote write; rename one of them")

    @property
    def common_labels(self) -> tuple[tuple[str, str], ...]:
        """The labels that every series carries."""
        return (("job", self.job), ("instance", self.instance), *self.external_labels)


class _Blocks:
    """The samples of one snapshot: a block for each folder, the same one while nothing changes in it."""

    def __init__(self, blocks: Mapping[int, tuple[FolderSnapshot | None, Block]]) -> None:
        self.by_folder = blocks
        """By the identity of the folder's snapshot, which lives as long as it is here."""
        self.samples = sum(len(block) for _, block in blocks.values())

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(block for _, block in self.by_folder.values())

    def series_without(self, others: _Blocks) -> Iterator[bytes]:
        """Yield the encoded labels of the samples in those blocks that others lack."""
        for key, (_, block) in self.by_folder.items():
            if others.by_folder.get(key, (None, None))[1] is not block:
                yield from map(labels_of, block)

    def lacking(self, series: set[bytes]) -> set[bytes]:
        """Return those of the series that have no sample here."""
        return series.difference(map(labels_of, self)) if series else series


_NOTHING = _Blocks({})


@dataclass(slots=True)
class _Waiting:
    """One snapshot that waits for the receiver. Its time never changes, however often it is sent."""

    at_ms: int
    blocks: _Blocks
    ended: set[bytes]
    is_last: bool
    """Whether it was taken at the stop."""
    samples_done: int = 0
    """So many have been delivered, or refused for good."""
    refused: RefusedError | None = None
    """Why samples of it were refused for good."""

    @property
    def samples_left(self) -> int:
        """How many are still to be sent."""
        return self.blocks.samples + len(self.ended) - self.samples_done

    def next_request(self) -> tuple[bytes, int]:
        """Return the next WriteRequest of what is still to be sent, and the number of its samples."""
        samples = chain(self.blocks, (encode_sample(labels, STALE) for labels in self.ended))
        return encode_request(islice(samples, self.samples_done, None), encode_timestamp(self.at_ms), _REQUEST_BYTES)


class RemoteWriteOutput:
    """Sends every snapshot in order, and a stale marker for each series that ended."""

    settings_type: ClassVar[type[OutputSettings]] = RemoteWriteSettings
    name = RemoteWriteSettings.kind
    files: ClassVar[Mapping[str, str]] = {}
    place: None = None

    def __init__(
        self,
        settings: RemoteWriteSettings,
        *,
        sender: Sender | None = None,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sender = sender or Sender(settings)
        self._wall_clock = wall_clock
        self._clock = clock
        self._common = dict(settings.common_labels)
        self._queue: deque[_Waiting] = deque()
        self._blocks = _NOTHING
        """What was read last."""
        self._owed: set[bytes] = set()
        self._latest_ms = 0
        self._values_until: float | None = None
        self.dropped_snapshots = 0
        """Snapshots that were never delivered as a whole: too old, or refused for good."""
        self.target = settings.target
        self._compress = _snappy(settings.origin("url"))

    @property
    def scopes(self) -> Collection[Scope]:
        """All families."""
        from fexp.metrics import EVERYWHERE

        return EVERYWHERE

    def check(self) -> None:
        """Raise a SettingsError for a named file that cannot be used."""
        self._settings.check()

    def prepare(self) -> None:
        """Have the modules and the thread to send with."""
        self._sender.prepare()

    def publish(self, source: Collects) -> None:
        """Send the numbers as they are now, after those that still wait."""
        is_last = self._values_until is not None  # what a stop interrupts is not the last
        self._enqueue(self._read(source), is_last=is_last)
        self._flush()

    def retract(self) -> None:
        """Mark all series as ended."""
        if self._blocks.samples or self._owed:
            self._enqueue(_NOTHING, is_last=self._values_until is not None)
        self._flush()

    def hurry(self) -> None:
        """Go on with what waits for a moment only."""
        self._values_until = self._clock() + _LAST_VALUES_SECONDS
        self._sender.hurry()

    def close(self) -> None:
        """End whatever is under way."""
        self._sender.close()

    def _read(self, source: Collects) -> _Blocks:
        """Return the numbers as they are now. Only folders in which something changed are read and encoded."""
        from fexp.metrics import FexpCollector

        parts = list(source.by_folder() if isinstance(source, FexpCollector) else [(None, source.collect())])
        kept = {id(folder) for folder, _ in parts if folder is not None}
        old = self._blocks.by_folder
        # The same sample is the same object in all snapshots: they are most of what waiting snapshots take.
        known = {sample: sample for key, (_, block) in old.items() if key not in kept for sample in block}
        blocks: dict[int, tuple[FolderSnapshot | None, Block]] = {}
        for folder, families in parts:
            key = id(folder)
            if folder is not None and key in old:
                blocks[key] = old[key]
                continue
            values = {encode_labels(labels): value for labels, value in series_of(families, self._common)}
            samples = [encode_sample(labels, struct.pack("<d", value)) for labels, value in values.items()]
            blocks[key] = (folder, [known.get(sample, sample) for sample in samples])
        return _Blocks(blocks)

    def _enqueue(self, blocks: _Blocks, *, is_last: bool) -> None:
        # Receivers refuse samples of one series with one time or out of order. A clock that was set far back
        # is believed all the same: samples from what is now the future would block what follows.
        now_ms = int(self._wall_clock() * 1000)
        barely_back = 0 <= self._latest_ms - now_ms < _BARELY_MS
        self._latest_ms = self._latest_ms + 1 if barely_back else now_ms
        ended = set(self._blocks.series_without(blocks)).difference(blocks.series_without(self._blocks))
        self._queue.append(_Waiting(self._latest_ms, blocks, ended | blocks.lacking(self._owed), is_last))
        self._blocks, self._owed = blocks, set()
        while self._too_many():
            oldest = 1 if self._queue[0].samples_done else 0  # what is half delivered is delivered
            if oldest >= len(self._queue) - 1:
                break
            self._drop(oldest)

    def _too_many(self) -> bool:
        samples = sum(waiting.samples_left for waiting in self._queue)
        return len(self._queue) > self._settings.max_snapshots or samples > self._settings.max_samples

    def _drop(self, position: int) -> None:
        """Give up a snapshot; what ended in it ends in the next one, be it there already or not."""
        dropped = self._queue[position]
        del self._queue[position]
        self.dropped_snapshots += 1
        if position < len(self._queue):
            following = self._queue[position]
            following.ended |= following.blocks.lacking(dropped.ended)
        else:
            self._owed = dropped.ended

    def _flush(self) -> None:
        """Send what waits, the oldest first. When it takes too long, the rest waits for the next time."""
        give_up_at = self._clock() + self._settings.deadline_seconds
        refused: RefusedError | None = None
        while self._queue:
            waiting = self._queue[0]
            if self._is_too_late_for(waiting):
                if len(self._queue) == 1:
                    raise OutputError(f"{self.target}: too slow, fexp stops before all is sent")
                self._drop(0)
                continue
            if not (waiting.samples_done or waiting.is_last) and self._clock() >= give_up_at:
                raise OutputError(f"{self.target}: too slow, {len(self._queue)} snapshots still wait")
            try:
                refused = self._send_next(waiting) or refused
            except OutputError as error:
                if self._queue[-1].is_last and not waiting.is_last:
                    self._drop(0)  # the last one is to be tried, whatever becomes of those before
                elif refused is None:
                    raise
                else:
                    raise OutputError(
                        f"{error}; before it, {refused}", retry_after_seconds=error.retry_after_seconds
                    ) from error
        if refused is not None:
            raise refused

    def _is_too_late_for(self, waiting: _Waiting) -> bool:
        return self._values_until is not None and not waiting.is_last and self._clock() >= self._values_until

    def _send_next(self, waiting: _Waiting) -> RefusedError | None:
        """Send the next part of the oldest snapshot, and after its last part forget it. Return why it was refused."""
        request, samples = waiting.next_request()
        if samples:
            try:
                self._sender.send("POST", body=self._compress(request), headers=_HEADERS)
            except RefusedError as error:
                if not (error.final and 400 <= error.status < 500):
                    raise
                # Protocol: what was refused with a 4xx must not be sent again. It would block what follows.
                waiting.refused = error
                if error.status not in _OF_THE_CONTENT:
                    samples = waiting.samples_left
            waiting.samples_done += samples
        if waiting.samples_left:
            return None
        if waiting.refused is None:
            self._queue.popleft()
        else:
            self._drop(0)
        return waiting.refused


def _snappy(origin: Origin) -> Callable[[bytes], bytes]:
    try:
        from cramjam import snappy
    except ImportError:
        raise SettingsError(f"{origin} needs one more package: pip install cramjam") from None
    # The block format: receivers refuse the framed one.
    return lambda content: bytes(snappy.compress_raw(content))
