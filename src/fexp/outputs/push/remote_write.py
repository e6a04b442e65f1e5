"""The remote write output: samples with their time, sent to whatever speaks Prometheus remote write 1.0.

Specification: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, ClassVar

from fexp.config.labels import check_pairs, parse_pairs
from fexp.config.options import constant, option, repeatable
from fexp.config.values import parse_text
from fexp.errors import OutputError, SettingsError
from fexp.outputs.push.backlog import MAX_BATCH_SNAPSHOTS, Backlog, Limits
from fexp.outputs.push.endpoint import Endpoint
from fexp.outputs.push.reading import Reader
from fexp.outputs.push.sender import RefusedError, Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from fexp.config.origin import Origin
    from fexp.config.output import OutputSettings
    from fexp.metrics import Scope
    from fexp.outputs import Collects
    from fexp.outputs.push.batch import Batch

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_BARELY_MS = 60_000
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
        "-label", parse_pairs, "Add a label to all that is written.", metavar="NAME=VALUE", key="labels"
    )
    queue_seconds: float = constant(55 * 60.0)
    """So long a snapshot waits for a receiver: Prometheus refuses what is an hour older than its newest sample."""
    queue_samples: int = constant(50_000_000)
    """So many samples wait, in all snapshots together: some minutes of a receiver's time."""
    queue_bytes: int = constant(64 * 1024 * 1024)
    """So much memory is taken by how the snapshots differ."""

    def validate(self) -> None:
        super().validate()
        settable = {name: self.origin(name) for name in ("job", "instance")}
        if not self.job or not self.instance:
            needed = " and ".join(map(str, settable.values()))
            raise SettingsError(f"{self.origin('url')} needs {needed}, or hosts overwrite each other")
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


class RemoteWriteOutput:
    """Sends every snapshot in order, and a stale marker for each series that ended.

    One thread may take snapshots while another sends.
    """

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
        self._lock = threading.Lock()  # guards the next three
        self._reader = Reader(dict(settings.common_labels))
        self._backlog = Backlog(Limits(settings.queue_seconds, settings.queue_samples, settings.queue_bytes))
        self._latest_ms = 0
        self._at_once = 1
        """How many snapshots go in one batch: a receiver that is back is asked with one, then with twice as many."""
        self._values_until: float | None = None
        self.target = settings.target
        self._compress = _snappy(settings.origin("url"))

    @property
    def scopes(self) -> Collection[Scope]:
        """All families."""
        from fexp.metrics import EVERYWHERE

        return EVERYWHERE

    @property
    def dropped_snapshots(self) -> int:
        """How many were never delivered as a whole: fallen out of the queue, or refused for good."""
        return self._backlog.dropped

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to send."""
        return len(self._backlog) > 0

    def check(self) -> None:
        """Raise a SettingsError for a named file that cannot be used."""
        self._settings.check()

    def prepare(self) -> None:
        """Have the modules and the thread to send with."""
        self._sender.prepare()

    def take(self, source: Collects) -> int:
        """Keep the numbers as they are now for the receiver. Return how many snapshots fell out of the queue."""
        return self._add(source, is_last=False)

    def flush(self) -> None:
        """Send what waits, the oldest first. After the deadline's time the rest is left to the next call."""
        enough_at = self._clock() + self._settings.deadline_seconds
        dropped = self._backlog.dropped
        refused: OutputError | None = None
        failed: OutputError | None = None
        while (batch := self._next_batch()) is not None:
            try:
                refused = self._send(batch) or refused
            except OutputError as error:
                if not self._give_up_for_the_last(batch):
                    raise self._explained(error, refused, dropped) from error
                failed = error
            if self._values_until is None and self._clock() >= enough_at:
                break
        problem = failed or refused
        if problem is not None:
            raise self._explained(problem, None, dropped) from problem

    def publish(self, source: Collects) -> None:
        """Send the numbers as they are now, after those that still wait."""
        self._add(source, is_last=self._values_until is not None)  # what a stop interrupts is not the last
        self.flush()

    def retract(self) -> None:
        """Mark all series as ended."""
        self._add(None, is_last=self._values_until is not None)
        self.flush()

    def hurry(self) -> None:
        """Go on with what waits for a moment only."""
        self._values_until = self._clock() + _LAST_VALUES_SECONDS
        self._sender.hurry()

    def close(self) -> None:
        """End whatever is under way."""
        self._sender.close()

    def _add(self, source: Collects | None, *, is_last: bool) -> int:
        """Have a snapshot wait: the numbers of the source as they are now, or the end of all series."""
        with self._lock:
            number = self._backlog.next_number
            change = self._reader.end(number) if source is None else self._reader.read(source, number)
            if source is None and not (change.ended or self._backlog.owes):
                return 0
            # Receivers refuse samples of one series with one time or out of order. A clock that was set far back
            # is believed all the same: samples from what is now the future would block what follows.
            now_ms = int(self._wall_clock() * 1000)
            barely_back = 0 <= self._latest_ms - now_ms < _BARELY_MS
            self._latest_ms = self._latest_ms + 1 if barely_back else now_ms
            return self._backlog.add(change, at_ms=self._latest_ms, now=self._clock(), is_last=is_last)

    def _next_batch(self) -> Batch | None:
        with self._lock:
            return self._backlog.batch(self._at_once)

    def _send(self, batch: Batch) -> RefusedError | None:
        """Send a batch, or what is left of it. Return why samples of it are lost, if they are."""
        refusal: RefusedError | None = None
        at_once, self._at_once = self._at_once, 1
        while (request := batch.request()) is not None:
            refusal = self._send_part(batch, request) or refusal
        with self._lock:
            self._backlog.finish()
        if refusal is None:
            self._at_once = min(2 * at_once, MAX_BATCH_SNAPSHOTS)
        return refusal

    def _send_part(self, batch: Batch, request: bytes) -> RefusedError | None:
        seconds = self._seconds_for(batch)
        try:
            self._sender.send("POST", body=self._compress(request), headers=HEADERS, within_seconds=seconds)
        except RefusedError as error:
            if error.status >= 500 or error.tries > 1:
                batch.unanswered()
            if not (error.final and 400 <= error.status < 500):
                raise
            # Protocol: what was refused with a 4xx must not be sent again. It would block what follows.
            if error.status in _OF_THE_CONTENT:
                return error if batch.refused() else None
            batch.refused_whole()
            with self._lock:
                self._backlog.finish()
            raise
        except OutputError:
            batch.unanswered()
            raise
        batch.taken()
        return None

    def _seconds_for(self, batch: Batch) -> float:
        """Return how long the next request may take. Raise OutputError when a stop leaves no time for it."""
        seconds = math.inf
        if self._values_until is not None and not batch.is_last:
            seconds = self._values_until - self._clock()
            if seconds <= 0:
                raise OutputError(f"{self.target}: too slow, fexp stops before all is sent")
        return seconds

    def _give_up_for_the_last(self, batch: Batch) -> bool:
        """At a stop, drop what could not be sent, as the last snapshot is to be tried whatever becomes of the others.

        Return whether that is so. Else all wait for the next time.
        """
        with self._lock:
            self._backlog.release()
            return not batch.is_last and self._backlog.give_up_for_the_last()

    def _explained(self, error: OutputError, earlier: OutputError | None, dropped: int) -> OutputError:
        """Return the error, with what else there is to say: a refusal before it, or what a stop leaves undelivered."""
        lost = self._backlog.dropped - dropped + self._backlog.values if self._values_until is not None else 0
        text = f"{error}; before it, {earlier}" if earlier else str(error)
        text += f"; snapshots lost: {lost}" if lost else ""
        return OutputError(text, retry_after_seconds=error.retry_after_seconds, final=error.final)


def _snappy(origin: Origin) -> Callable[[bytes], bytes]:
    try:
        from cramjam import snappy
    except ImportError:
        raise SettingsError(f"{origin} needs one more package: pip install cramjam") from None
    # The block format: receivers refuse the framed one.
    return lambda content: bytes(snappy.compress_raw(content))
