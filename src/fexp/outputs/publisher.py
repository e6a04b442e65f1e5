"""When an output is driven, and the thread that drives it. A slow or dead output delays nobody but itself."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING

from fexp.errors import OutputError
from fexp.limits import starting_threads
from fexp.model import DeliverySnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.config.settings import DeliverySettings
    from fexp.outputs import Collects, Output

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
_MAX_PATIENCE_SECONDS = 600.0
"""An absurd Retry-After must not silence fexp for good."""
_CUT_OFF_SECONDS = 1.0
_MAX_REASONS = 20
"""How many reasons of one streak of failures are logged."""


def next_publish_at(
    *,
    now: float,
    attempted_at: float | None,
    succeeded_at: float | None,
    changed: bool,
    failures_in_a_row: int,
    delivery: DeliverySettings,
    retry_after_seconds: float | None = None,
    max_backoff_seconds: float = MAX_BACKOFF_SECONDS,
) -> float:
    """Return when to publish next, on the clock of ``now``; never before it.

    ``attempted_at``: when the latest attempt ended. ``succeeded_at``: when the latest successful one began.
    """
    if attempted_at is None:
        return now
    earliest_at = attempted_at + delivery.min_interval_seconds
    if failures_in_a_row:
        doublings = min(failures_in_a_row - 1, 16)
        backoff_seconds = min(_FIRST_BACKOFF_SECONDS * 2.0**doublings, max_backoff_seconds)
        patience_seconds = min(retry_after_seconds or 0.0, _MAX_PATIENCE_SECONDS)
        return max(now, earliest_at, attempted_at + max(backoff_seconds, patience_seconds))
    if changed or succeeded_at is None:
        return max(now, earliest_at)
    return max(now, earliest_at, succeeded_at + delivery.heartbeat_seconds)


class Publisher:
    """Drives one output from a thread of its own, from ``start`` to ``stop``."""

    def __init__(
        self,
        output: Output,
        source: Collects,
        delivery: DeliverySettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = output.name
        self._output = output
        self._source = source
        self._delivery = delivery
        self._clock = clock
        self._wall_clock = wall_clock
        self._thread = threading.Thread(target=self._run, name=f"fexp-{output.name}", daemon=True)
        self._wake = threading.Condition()  # guards what both threads write
        self._started = False
        self._changed = False
        self._stopping = False
        self._retracting = False
        self._ending = False
        self._attempted_at: float | None = None
        self._succeeded_at: float | None = None
        self._retry_after_seconds: float | None = None
        self._failures_in_a_row = 0
        self._logged_reasons: set[str] = set()
        self._state = DeliverySnapshot(output.name, 0, 0, None, None)

    def prepare(self) -> None:
        """Take what the deliveries need, and have a thread wait for ``start``. Raise OSError if that cannot be had."""
        self._output.prepare()
        with starting_threads():
            self._thread.start()

    def start(self) -> None:
        """Publish at once, and from then on when it is time."""
        if self._thread.ident is None:
            self.prepare()
        with self._wake:
            self._started = True
            self._wake.notify_all()

    def deliver_as(self, delivery: DeliverySettings) -> None:
        """Deliver as often as these settings say from now on."""
        with self._wake:
            self._delivery = delivery
            self._wake.notify_all()

    def go_on_from(self, before: DeliverySnapshot | None) -> None:
        """Count on from how the deliveries of another went, whose place this one takes. Before ``start``."""
        if before is not None:
            self._state = before._replace(is_failing=False)

    def wait_for_attempt(self, timeout_seconds: float) -> None:
        """Wait until it has tried to deliver once, but no longer than this."""
        with self._wake:
            self._wake.wait_for(lambda: self._attempted_at is not None, max(0.0, timeout_seconds))

    def announce(self) -> None:
        """Note that the numbers changed. Cheap, from any thread, never waits for the output."""
        if self._changed:
            return  # whoever clears it reads the numbers afterwards
        with self._wake:
            self._changed = True
            self._wake.notify_all()

    def stop(self, *, retract: bool) -> None:
        """Have what was delivered taken back, or the last state delivered once more; ``join`` waits for it.

        Needs neither a thread nor a descriptor that is not there already.
        """
        with self._wake:
            self._stopping = True
            self._retracting = retract
            self._output.hurry()  # before the thread can begin with its last attempt
            self._wake.notify_all()

    def join(self, timeout_seconds: float = 15.0) -> bool:
        """Wait until it has stopped and its output is closed.

        Return after ``timeout_seconds`` and a moment at the latest; False when the thread was left behind.
        """
        if self._thread.ident is None:
            self._output.close()
            return True
        self._thread.join(max(0.0, timeout_seconds))
        if self._thread.is_alive():
            logger.warning("%s: %s did not finish in time; giving up", self._output.name, self._output.target)
            self._output.close()
            self._thread.join(_CUT_OFF_SECONDS)
        return not self._thread.is_alive()

    def has_died(self) -> bool:
        """Return whether the thread has ended though nobody stopped it: a bug."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stopping

    def snapshot(self) -> DeliverySnapshot:
        """Return how the deliveries go."""
        return self._state._replace(dropped=self._output.dropped_snapshots)

    def _run(self) -> None:
        while self._wait_until(self._due_at):
            self._attempt(self._publish)
        if self._started:
            self._finish()
        self._output.close()

    def _finish(self) -> None:
        """Make the last attempt."""
        self._ending = True
        self._logged_reasons.clear()  # nobody tries again: whatever fails now is logged
        self._attempt(self._output.retract if self._retracting else self._publish)

    def _publish(self) -> None:
        began_at = self._clock()
        self._changed = False  # before the numbers are read: later changes count for the next
        self._output.publish(self._source)
        self._delivered(began_at)

    def _due_at(self, now: float) -> float:
        return next_publish_at(
            now=now,
            attempted_at=self._attempted_at,
            succeeded_at=self._succeeded_at,
            changed=self._changed,
            failures_in_a_row=self._failures_in_a_row,
            delivery=self._delivery,
            retry_after_seconds=self._retry_after_seconds,
        )

    def _wait_until(self, due_at: Callable[[float], float]) -> bool:
        """Wait until the time that is due by what is known then. Return False when it is time to stop."""
        with self._wake:
            while not self._stopping:
                if not self._started:
                    self._wake.wait()
                    continue
                now = self._clock()
                wait_seconds = due_at(now) - now
                if wait_seconds <= 0:
                    return True
                self._wake.wait(min(wait_seconds, threading.TIMEOUT_MAX))
            return False

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OutputError as error:
            self._failed(error.retry_after_seconds)
            if self._is_news(str(error)):
                logger.warning("%s: %s", self._output.name, error)
        except Exception as error:
            self._failed(None)
            if self._is_news(repr(error)):
                logger.exception("%s: unexpected error with %s", self._output.name, self._output.target)

    def _is_news(self, reason: str) -> bool:
        """Return whether this reason was not logged since the latest success. Of numbers, only a status counts."""
        if self._stopping and not self._ending:
            return False  # the last attempt logs it
        kind = re.sub(r" \(\d+ tries\)|(?<!answered )\b\d+", "", reason)
        if kind in self._logged_reasons or len(self._logged_reasons) >= _MAX_REASONS:
            return False
        self._logged_reasons.add(kind)
        return True

    def _failed(self, retry_after_seconds: float | None) -> None:
        with self._wake:
            before = self._state
            self._attempted_at = self._clock()
            self._retry_after_seconds = retry_after_seconds
            self._failures_in_a_row += 1
            self._state = before._replace(failures=before.failures + 1, is_failing=True)
            self._wake.notify()

    def _delivered(self, began_at: float) -> None:
        with self._wake:
            before = self._state
            failures = self._failures_in_a_row
            self._attempted_at = self._clock()
            self._succeeded_at = began_at
            self._retry_after_seconds = None
            self._failures_in_a_row = 0
            self._logged_reasons.clear()
            self._state = before._replace(
                is_failing=False,
                deliveries=before.deliveries + 1,
                last_delivery_at=self._wall_clock(),
                duration_seconds=self._attempted_at - began_at,
            )
            self._wake.notify()
        if failures:
            works = "works again" if before.deliveries else "works"
            logger.info("%s: %s %s, failures: %d", self._output.name, self._output.target, works, failures)
