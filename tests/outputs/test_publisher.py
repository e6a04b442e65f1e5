"""When an output is driven, and that its thread survives everything."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.config.output import OutputSettings
from fexp.config.settings import DeliverySettings
from fexp.errors import OutputError
from fexp.metrics import EVERYWHERE
from fexp.model import DeliverySnapshot
from fexp.outputs.publisher import Publisher, next_publish_at
from tests.outputs.samples import Numbers, TurnedClock
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.outputs import Collects

DELIVERY = DeliverySettings(heartbeat_seconds=60.0, min_interval_seconds=1.0)


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        pytest.param(100.0, {"attempted_at": None}, id="first at once"),
        pytest.param(100.0, {"changed": True}, id="change at once"),
        pytest.param(100.4, {"changed": True, "attempted_at": 99.4}, id="change waits for the interval (5)"),
        pytest.param(150.0, {}, id="heartbeat (4)"),
        pytest.param(100.0, {"succeeded_at": 30.0, "attempted_at": 30.0}, id="heartbeat overdue (4)"),
        pytest.param(150.0, {"attempted_at": 99.5, "succeeded_at": 90.0}, id="heartbeat from the beginning"),
        pytest.param(100.5, {"failures_in_a_row": 1, "attempted_at": 99.5}, id="first failure: 1 s"),
        pytest.param(101.5, {"failures_in_a_row": 2, "attempted_at": 99.5}, id="second failure: 2 s"),
        pytest.param(107.5, {"failures_in_a_row": 4, "attempted_at": 99.5}, id="fourth failure: 8 s"),
        pytest.param(159.5, {"failures_in_a_row": 7, "attempted_at": 99.5}, id="seventh failure: the cap"),
        pytest.param(159.5, {"failures_in_a_row": 10**6, "attempted_at": 99.5}, id="still the cap"),
        pytest.param(101.5, {"failures_in_a_row": 2, "attempted_at": 99.5, "changed": True}, id="changes wait too"),
        pytest.param(
            129.5,
            {"failures_in_a_row": 1, "attempted_at": 99.5, "retry_after_seconds": 30.0},
            id="told to wait",
        ),
        pytest.param(
            699.5,
            {"failures_in_a_row": 1, "attempted_at": 99.5, "retry_after_seconds": 1e9},
            id="told nonsense",
        ),
        pytest.param(
            101.5,
            {"failures_in_a_row": 2, "attempted_at": 99.5, "retry_after_seconds": 0.0},
            id="told not to wait",
        ),
    ],
)
def test_when_to_publish(expected: float, facts: dict[str, Any]) -> None:
    """Mistakes 4a, 4b, 5a: no heartbeat, publishing on every event."""
    usual: dict[str, Any] = {
        "attempted_at": 90.0,
        "succeeded_at": 90.0,
        "changed": False,
        "failures_in_a_row": 0,
    }
    assert next_publish_at(now=100.0, delivery=DELIVERY, **{**usual, **facts}) == expected


seconds = st.floats(0, 1e6)


@given(
    now=seconds,
    attempted_at=st.none() | seconds,
    succeeded_at=st.none() | seconds,
    changed=st.booleans(),
    failures=st.integers(0, 10**9),
    heartbeat=st.floats(0.01, 1e5),
    interval=st.floats(0, 1e5),
    retry_after=st.none() | st.floats(0, 1e12),
)
def test_the_bounds_of_when_to_publish(
    now: float,
    attempted_at: float | None,
    succeeded_at: float | None,
    changed: bool,
    failures: int,
    heartbeat: float,
    interval: float,
    retry_after: float | None,
) -> None:
    interval, heartbeat = sorted((interval, heartbeat))
    at = next_publish_at(
        now=now,
        attempted_at=attempted_at,
        succeeded_at=succeeded_at,
        changed=changed,
        failures_in_a_row=failures,
        delivery=DeliverySettings(heartbeat, interval),
        retry_after_seconds=retry_after,
    )
    assert at >= now
    if attempted_at is None:
        assert at == now
        return
    assert at >= attempted_at + interval
    latest = max(now, attempted_at + interval)
    if failures:
        assert at <= max(latest, attempted_at + 600)
        assert at >= attempted_at + 1
    elif not changed and succeeded_at is not None:
        assert at <= max(latest, succeeded_at + heartbeat)
    else:
        assert at == latest


class Recorder:
    """An output that does what a test says, and tells."""

    settings_type: ClassVar[type[OutputSettings]] = OutputSettings
    name = "gateway"
    target = "http://gateway.example"
    place = None
    scopes = EVERYWHERE
    files: ClassVar[dict[str, str]] = {}
    dropped_snapshots: int | None = None

    def __init__(self, act: Callable[[int], None] = lambda _: None) -> None:
        self._act = act
        self.calls: list[str] = []
        self.hurried = False
        self.called = threading.Condition()

    def _note(self, call: str) -> None:
        with self.called:
            self.calls.append(call)
            self.called.notify_all()

    def check(self) -> None:
        """Always fit."""

    def prepare(self) -> None: ...

    def publish(self, source: Collects) -> None:
        self._note("publish")
        list(source.collect())
        self._act(len(self.calls))

    def retract(self) -> None:
        self._note("retract")

    def hurry(self) -> None:
        self.hurried = True

    def close(self) -> None:
        self._note("close")

    def wait_for_calls(self, count: int) -> None:
        with self.called:
            assert self.called.wait_for(lambda: len(self.calls) >= count, 5)


def fails(error: Exception) -> Callable[[int], None]:
    def act(_: int) -> None:
        raise error

    return act


def stopped(publisher: Publisher, *, retract: bool, timeout_seconds: float = 15.0) -> bool:
    publisher.stop(retract=retract)
    return publisher.join(timeout_seconds)


def turn(publisher: Publisher, clock: TurnedClock, by_seconds: float) -> None:
    """Let time pass for a publisher that waits."""
    clock.now += by_seconds
    with publisher._wake:
        publisher._wake.notify()


def test_publishes_at_the_start_on_change_and_at_the_end() -> None:
    clock, output, numbers = TurnedClock(), Recorder(), Numbers()
    publisher = Publisher(output, numbers, DELIVERY, clock=clock)
    publisher.announce()
    assert output.calls == []
    publisher.start()
    output.wait_for_calls(1)
    poll(lambda: publisher.snapshot().deliveries == 1, every_seconds=0.001)
    publisher.announce()
    publisher.announce()
    assert output.calls == ["publish"]
    turn(publisher, clock, 1.0)
    output.wait_for_calls(2)
    poll(lambda: publisher.snapshot().deliveries == 2, every_seconds=0.001)
    turn(publisher, clock, 60.0)
    output.wait_for_calls(3)
    assert stopped(publisher, retract=False)
    assert output.calls == ["publish"] * 4 + ["close"]


class ReadClock(TurnedClock):
    """A clock that counts how often it is read."""

    reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return super().__call__()


def test_a_change_is_delivered_once() -> None:
    """Mistake 5b."""
    clock, output = ReadClock(), Recorder()
    publisher = Publisher(output, Numbers(), DELIVERY, clock=clock)
    publisher.start()
    poll(lambda: publisher.snapshot().deliveries == 1, every_seconds=0.001)
    publisher.announce()
    turn(publisher, clock, 1.0)
    poll(lambda: publisher.snapshot().deliveries == 2, every_seconds=0.001)
    clock.now += 59.0
    reads = clock.reads
    with publisher._wake:
        publisher._wake.notify()
    poll(lambda: clock.reads > reads, every_seconds=0.001)  # it knows the time now, and what it makes of it is decided
    assert stopped(publisher, retract=True)
    assert output.calls == ["publish", "publish", "retract", "close"]


def test_the_heartbeat_counts_from_the_beginning_of_a_slow_delivery() -> None:
    """Mistake 4c: numbers were true when they were read, not when the other side was done with them."""
    clock = TurnedClock()

    def act(_: int) -> None:
        clock.now += 10.0

    output = Recorder(act)
    publisher = Publisher(output, Numbers(), DELIVERY, clock=clock)
    publisher.start()
    poll(lambda: publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert publisher.snapshot().duration_seconds == 10.0
    turn(publisher, clock, 50.0)
    output.wait_for_calls(2)
    assert stopped(publisher, retract=False)


def test_retracts_at_the_end() -> None:
    """Mistake 18b."""
    output = Recorder()
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.start()
    output.wait_for_calls(1)
    assert stopped(publisher, retract=True)
    assert output.calls[-2:] == ["retract", "close"]


def test_taking_back_is_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    """What never was is taken back with success, which must not read as if the output worked."""
    caplog.set_level(logging.INFO)
    output = Recorder(fails(OutputError("its directory is not there")))
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.start()
    poll(lambda: publisher.snapshot().failures == 1, every_seconds=0.001)
    assert stopped(publisher, retract=True)
    assert output.calls == ["publish", "retract", "close"]
    assert publisher.snapshot() == DeliverySnapshot("gateway", 0, 1, None, None, is_failing=True)
    assert [record.message for record in caplog.records] == ["gateway: its directory is not there"]


def test_a_publisher_that_never_started_delivers_nothing() -> None:
    output = Recorder()
    assert stopped(Publisher(output, Numbers(), DELIVERY), retract=True)
    assert output.calls == ["close"]


def test_a_publisher_that_waits_for_its_start_delivers_nothing() -> None:
    output = Recorder()
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.prepare()
    publisher.announce()
    assert stopped(publisher, retract=True)
    assert output.calls == ["close"]


def test_after_the_preparation_neither_a_start_nor_a_stop_needs_a_thread(no_thread: Callable[[], None]) -> None:
    """A daemon may begin to deliver, or be stopped, when its user may start no thread any more."""
    output = Recorder()
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.prepare()
    no_thread()
    publisher.start()
    output.wait_for_calls(1)
    assert stopped(publisher, retract=True)
    assert output.calls == ["publish", "retract", "close"]


def test_a_publisher_without_a_thread_says_the_way_out(no_thread: Callable[[], None]) -> None:
    publisher = Publisher(Recorder(), Numbers(), DELIVERY)
    no_thread()
    with pytest.raises(OSError, match="can't start new thread; allow more with ulimit -u"):
        publisher.prepare()


def test_a_publisher_that_was_stopped_has_not_died() -> None:
    """It would be told as a bug in the midst of every stop."""
    publisher = Publisher(Recorder(), Numbers(), DELIVERY)
    publisher.start()
    assert stopped(publisher, retract=True)
    assert not publisher._thread.is_alive()
    assert not publisher.has_died()


def test_a_storm_of_changes_is_few_deliveries_and_the_last_change_is_among_them() -> None:
    """Mistake 5a."""
    output, numbers = Recorder(), Numbers()
    publisher = Publisher(output, numbers, DeliverySettings(min_interval_seconds=0.05))
    publisher.start()
    began_at = monotonic()
    for _ in range(100_000):
        publisher.announce()
    passed_seconds = monotonic() - began_at
    output.wait_for_calls(2)
    assert stopped(publisher, retract=False)
    assert len(output.calls) <= 5 + passed_seconds / 0.05


def test_what_changes_during_a_delivery_is_delivered_after_it() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def act(call: int) -> None:
        if call == 1:
            inside.set()
            go_on.wait(30)

    output = Recorder(act)
    publisher = Publisher(output, Numbers(), DeliverySettings(min_interval_seconds=0.0))
    publisher.start()
    inside.wait(30)
    publisher.announce()
    go_on.set()
    output.wait_for_calls(2)
    assert stopped(publisher, retract=False)


def test_a_failure_is_logged_once_and_so_is_the_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def act(call: int) -> None:
        if call <= 5:
            raise OutputError("http://gateway.example: Connection refused")

    clock, output = TurnedClock(), Recorder(act)
    publisher = Publisher(output, Numbers(), DELIVERY, clock=clock, wall_clock=lambda: 1.7e9)
    publisher.start()
    for count in range(1, 6):
        poll(lambda count=count: publisher.snapshot().failures == count, every_seconds=0.001)
        turn(publisher, clock, 61.0)
    poll(lambda: publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert publisher.snapshot().last_delivery_at == 1.7e9
    assert publisher.snapshot().duration_seconds == 0.0
    assert stopped(publisher, retract=False)  # what it logs comes after what it counts
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "gateway: http://gateway.example: Connection refused"),
        ("INFO", "gateway: http://gateway.example works, failures: 5"),
    ]


REASONS = [
    "http://gateway.example: Connection refused (2 tries)",
    "http://gateway.example: Connection refused (3 tries)",
    "http://gateway.example: answered 401: token expired at 1700000000",
    "http://gateway.example: answered 401: token expired at 1700000060",
    "http://gateway.example: answered 503: token expired at 1700000060",
    "http://gateway.example: Connection refused",
]


def test_another_reason_is_told_too_and_so_is_what_fails_at_the_stop(caplog: pytest.LogCaptureFixture) -> None:
    """Once each while it fails: numbers within a reason, other than the status, make no other reason."""

    class Refusing(Recorder):
        def retract(self) -> None:
            raise OutputError(REASONS[0])

    def act(call: int) -> None:
        raise OutputError(REASONS[call - 1])

    clock = TurnedClock()
    publisher = Publisher(Refusing(act), Numbers(), DELIVERY, clock=clock)
    publisher.start()
    for count in range(1, len(REASONS) + 1):
        poll(lambda count=count: publisher.snapshot().failures == count, every_seconds=0.001)
        if count < len(REASONS):
            turn(publisher, clock, 61.0)
    assert stopped(publisher, retract=True)
    told = [record.message for record in caplog.records]
    assert told == [f"gateway: {REASONS[number]}" for number in (0, 2, 4, 0)]


def test_the_thread_survives_what_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    clock, output = TurnedClock(), Recorder(fails(ZeroDivisionError("surprise")))
    publisher = Publisher(output, Numbers(), DELIVERY, clock=clock)
    publisher.start()
    for count in range(1, 4):
        poll(lambda count=count: publisher.snapshot().failures == count, every_seconds=0.001)
        turn(publisher, clock, 61.0)
    assert stopped(publisher, retract=True)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.message == "gateway: unexpected error with http://gateway.example"


def test_retry_after_is_handed_on() -> None:
    error = OutputError("busy", retry_after_seconds=300.0)
    clock, output = TurnedClock(), Recorder(fails(error))
    publisher = Publisher(output, Numbers(), DELIVERY, clock=clock)
    publisher.start()
    poll(lambda: publisher.snapshot().failures == 1, every_seconds=0.001)
    turn(publisher, clock, 299.0)
    publisher.announce()
    assert output.calls == ["publish"]
    turn(publisher, clock, 1.0)
    output.wait_for_calls(2)
    assert stopped(publisher, retract=True)


def test_what_a_stop_interrupts_is_not_told_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """The last attempt, which comes after it, tells how the output is."""

    class Retrying(Recorder):
        stopped = threading.Event()

        def hurry(self) -> None:
            super().hurry()
            self.stopped.set()

    output = Retrying()

    def act(_: int) -> None:
        assert output.stopped.wait(30)
        raise OutputError("refused (3 tries)")

    output._act = act
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.start()
    output.wait_for_calls(1)
    assert stopped(publisher, retract=True, timeout_seconds=60)
    assert output.calls == ["publish", "retract", "close"]
    assert caplog.records == []


def test_stopping_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    stuck = threading.Event()

    class Stuck(Recorder):
        def close(self) -> None:
            super().close()
            stuck.set()

    def act(_: int) -> None:
        stuck.wait(60)

    output = Stuck(act)
    publisher = Publisher(output, Numbers(), DELIVERY)
    publisher.start()
    output.wait_for_calls(1)
    began_at = monotonic()
    assert stopped(publisher, retract=True, timeout_seconds=0.1)
    assert monotonic() - began_at < 30
    assert "did not finish in time" in caplog.text
