"""Drives an output that keeps snapshots for its other side: they are taken whatever becomes of the deliveries."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from fexp.limits import starting_threads
from fexp.outputs import QueueingOutput
from fexp.outputs.publisher import Publisher, next_publish_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.config.settings import DeliverySettings
    from fexp.outputs import Collects, Output

logger = logging.getLogger(__name__)

_MAX_BACKOFF_SECONDS = 10.0
"""What waits shall not wait for long once the other side is back."""


def publisher_for(
    output: Output,
    source: Collects,
    delivery: DeliverySettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> Publisher:
    """Return what drives the output."""
    if isinstance(output, QueueingOutput):
        return QueueingPublisher(output, source, delivery, clock=clock, wall_clock=wall_clock)
    return Publisher(output, source, delivery, clock=clock, wall_clock=wall_clock)


class QueueingPublisher(Publisher):
    """Takes snapshots on time from one thread, and sends them from another."""

    def __init__(
        self,
        output: QueueingOutput,
        source: Collects,
        delivery: DeliverySettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(output, source, delivery, clock=clock, wall_clock=wall_clock)
        self._queue = output
        self._taker = threading.Thread(target=self._take_on_time, name=f"fexp-{output.name}-snapshots", daemon=True)
        self._taking_at: float | None = None
        self._taken_at: float | None = None
        self._is_overflowing = False

    def prepare(self) -> None:
        """See ``Publisher.prepare``. A second thread takes the snapshots."""
        super().prepare()
        with starting_threads():
            self._taker.start()

    def has_died(self) -> bool:
        """Return whether one of the threads has ended though nobody stopped it: a bug."""
        has_ended = self._taker.ident is not None and not self._taker.is_alive()
        return super().has_died() or (has_ended and not self._stopping)

    def _take_on_time(self) -> None:
        while self._wait_until(self._snapshot_due_at):
            self._attempt(self._take)

    def _snapshot_due_at(self, now: float) -> float:
        return next_publish_at(
            now=now,
            attempted_at=self._taken_at,
            succeeded_at=self._taking_at,
            changed=self._changed,
            failures_in_a_row=0,
            delivery=self._delivery,
        )

    def _take(self) -> None:
        self._taking_at = self._clock()
        self._changed = False  # before the numbers are read: later changes count for the next
        try:
            fallen_out = self._queue.take(self._source)
        finally:
            self._taken_at = self._clock()
        if fallen_out and not self._is_overflowing:
            self._is_overflowing = True
            target = self._queue.target
            logger.warning("%s: %s is behind for too long; the oldest snapshots are dropped", self.name, target)
        with self._wake:
            self._wake.notify_all()

    def _due_at(self, now: float) -> float:
        if not self._queue.is_waiting:
            return math.inf
        if not self._failures_in_a_row:
            return now
        return next_publish_at(
            now=now,
            attempted_at=self._attempted_at,
            succeeded_at=self._succeeded_at,
            changed=True,
            failures_in_a_row=self._failures_in_a_row,
            delivery=self._delivery,
            retry_after_seconds=self._retry_after_seconds,
            max_backoff_seconds=_MAX_BACKOFF_SECONDS,
        )

    def _publish(self) -> None:
        if self._ending:
            super()._publish()
            return
        began_at = self._clock()
        self._queue.flush()
        self._delivered(began_at)
        self._is_overflowing = self._is_overflowing and self._queue.is_waiting

    def _finish(self) -> None:
        self._taker.join()  # what it takes comes before the last
        super()._finish()
