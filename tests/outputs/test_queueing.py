"""Snapshots are taken on time whatever becomes of the deliveries, and nothing else about a publisher changes."""

from __future__ import annotations

import logging
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import cramjam
import pytest

from fexp.config.settings import DeliverySettings
from fexp.errors import OutputError
from fexp.outputs.publisher import Publisher
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from fexp.outputs.queueing import QueueingPublisher, publisher_for
from tests.outputs.decoding import decode
from tests.outputs.samples import Numbers, TurnedClock
from tests.outputs.scripted import ScriptedServer, answer, hang
from tests.outputs.test_publisher import Recorder, stopped
from tests.outputs.toy import ToyOutput, ToySettings
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.outputs import Collects
    from tests.outputs.scripted import Connection, Step

DELIVERY = DeliverySettings(heartbeat_seconds=60.0, min_interval_seconds=1.0)


class Queue(Recorder):
    """An output that keeps times, and sends them as a test says."""

    def __init__(self, clock: TurnedClock, act: Callable[[int], None] = lambda _: None, most: int = 1000) -> None:
        super().__init__()
        self._clock = clock
        self.act = act
        self._most = most
        self.waiting: list[float] = []
        self.sent: list[list[float]] = []
        self.flushes = 0
        self.take_fails = False

    @property
    def is_waiting(self) -> bool:
        return bool(self.waiting)

    def take(self, source: Collects) -> int:
        list(source.collect())
        if self.take_fails:
            raise OutputError("a label value is not valid text")
        self.waiting.append(self._clock.now)
        fell_out = max(0, len(self.waiting) - self._most)
        del self.waiting[:fell_out]
        self._note("take")
        return fell_out

    def flush(self) -> None:
        self.flushes += 1
        self.act(self.flushes)
        sent, self.waiting = self.waiting, []
        self.sent.append(sent)

    def publish(self, source: Collects) -> None:
        self.take(source)
        self.flush()


class Rig:
    """A publisher of such a queue, on a clock that a test turns."""

    def __init__(self, act: Callable[[int], None] = lambda _: None, most: int = 1000) -> None:
        self.clock = TurnedClock(0.0)
        self.output = Queue(self.clock, act, most)
        self.publisher = QueueingPublisher(self.output, Numbers(), DELIVERY, clock=self.clock, wall_clock=self.clock)
        self.takes = 1

    def start(self) -> None:
        self.publisher.start()
        self.output.wait_for_calls(1)

    def turn(self, by_seconds: float, *, takes: int = 1) -> None:
        """Let time pass, and wait for so many snapshots to be taken by that."""
        self.takes += takes
        self.clock.now += by_seconds
        with self.publisher._wake:
            self.publisher._wake.notify_all()
        self.output.wait_for_calls(self.takes)


def failing(call_from: int, call_to: int, **facts: float) -> Callable[[int], None]:
    def act(call: int) -> None:
        if call_from <= call <= call_to:
            raise OutputError("http://gateway.example: answered 503", **facts)  # type: ignore[arg-type]

    return act


def test_only_what_keeps_snapshots_is_driven_by_two_threads() -> None:
    output = RemoteWriteOutput(RemoteWriteSettings("http://h", instance="h"))
    assert type(publisher_for(output, Numbers(), DELIVERY)) is QueueingPublisher
    assert type(publisher_for(ToyOutput(ToySettings("red", 1.0, ())), Numbers(), DELIVERY)) is Publisher


def test_each_snapshot_is_sent_at_once_while_all_is_well() -> None:
    """On the heartbeat, and on a change once the interval has passed."""
    rig = Rig()
    rig.start()
    poll(lambda: rig.publisher.snapshot().deliveries == 1, every_seconds=0.001)
    rig.turn(60.0)
    poll(lambda: rig.publisher.snapshot().deliveries == 2, every_seconds=0.001)
    rig.turn(0.9, takes=0)
    rig.publisher.announce()
    rig.turn(0.1)
    poll(lambda: rig.publisher.snapshot().deliveries == 3, every_seconds=0.001)
    assert stopped(rig.publisher, retract=True)
    assert rig.output.sent == [[0.0], [60.0], [61.0]]
    assert rig.output.calls == ["take", "take", "take", "retract", "close"]


def test_snapshots_are_taken_while_a_delivery_hangs() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def act(call: int) -> None:
        if call == 1:
            inside.set()
            go_on.wait(30)

    rig = Rig(act)
    rig.start()
    assert inside.wait(30)
    rig.turn(60.0)
    for _ in range(3):
        rig.publisher.announce()
        rig.turn(1.0)
    go_on.set()
    poll(lambda: rig.publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert stopped(rig.publisher, retract=False)
    assert [at for sent in rig.output.sent for at in sent] == [0.0, 60.0, 61.0, 62.0, 63.0, 63.0]


def test_snapshots_are_taken_while_the_other_side_wants_to_be_left_alone() -> None:
    rig = Rig(failing(1, 1, retry_after_seconds=290.0))
    rig.start()
    poll(lambda: rig.publisher.snapshot().failures == 1, every_seconds=0.001)
    for _ in range(4):
        rig.turn(60.0)
    assert rig.output.flushes == 1
    rig.turn(50.0, takes=0)
    poll(lambda: rig.publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert rig.output.sent == [[0.0, 60.0, 120.0, 180.0, 240.0]]
    assert stopped(rig.publisher, retract=True)


def test_what_waits_is_tried_again_every_ten_seconds_at_least() -> None:
    """Live numbers wait behind it."""
    rig = Rig(failing(1, 20))
    rig.start()
    for count in range(1, 20):
        poll(lambda count=count: rig.publisher.snapshot().failures == count, every_seconds=0.001)
        at = rig.clock.now + min(2.0 ** (count - 1), 10.0)
        assert rig.publisher._due_at(rig.clock.now) == at
        rig.clock.now = at
        with rig.publisher._wake:
            rig.publisher._wake.notify_all()
    assert stopped(rig.publisher, retract=True)


def test_after_a_failure_that_leaves_nothing_behind_nothing_is_tried_until_there_is_something() -> None:
    """What was refused for good is gone: the next success must be one."""

    def act(call: int) -> None:
        if call == 1:
            rig.output.waiting.clear()
            raise OutputError("answered 400: out of order")

    rig = Rig(act)
    rig.start()
    poll(lambda: rig.publisher.snapshot().failures == 1, every_seconds=0.001)
    rig.turn(59.0, takes=0)
    assert rig.publisher.snapshot().is_failing
    rig.turn(1.0)
    poll(lambda: rig.publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert rig.output.flushes == 2
    assert stopped(rig.publisher, retract=True)


def test_that_the_oldest_fall_out_is_logged_once_each_time_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig(failing(1, 10**6), most=2)
    rig.start()
    for _ in range(5):
        rig.turn(60.0)
    behind = "gateway: http://gateway.example is behind for too long; the oldest snapshots are dropped"

    def logged() -> list[str]:
        return [record.message for record in caplog.records]

    assert logged().count(behind) == 1
    rig.output.act = lambda _: None
    rig.turn(60.0)
    poll(lambda: rig.publisher.snapshot().deliveries and not rig.publisher._is_overflowing, every_seconds=0.001)
    rig.output.act = failing(1, 10**6)
    for _ in range(3):
        rig.turn(60.0)
    assert stopped(rig.publisher, retract=True)
    assert logged().count(behind) == 2


def test_numbers_that_cannot_be_taken_are_a_failure_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.output.take_fails = True
    rig.publisher.start()
    poll(lambda: rig.publisher.snapshot().failures == 1, every_seconds=0.001)
    assert not rig.publisher.has_died()
    rig.output.take_fails = False
    rig.turn(60.0, takes=0)
    poll(lambda: rig.publisher.snapshot().deliveries == 1, every_seconds=0.001)
    assert stopped(rig.publisher, retract=True)
    assert [record.message for record in caplog.records] == ["gateway: a label value is not valid text"]


def test_a_taker_that_has_ended_is_a_dead_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.publisher, "_attempt", lambda _: None)
    monkeypatch.setattr(rig.publisher, "_snapshot_due_at", lambda _: 1 / 0)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    rig.publisher.start()
    poll(rig.publisher.has_died, every_seconds=0.001)
    assert rig.publisher._thread.is_alive()
    assert stopped(rig.publisher, retract=True)
    assert not rig.publisher.has_died()


def test_nothing_is_taken_after_the_last_one() -> None:
    """What is taken during the stop comes before it."""
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Numbers):
        def collect(self):  # type: ignore[no-untyped-def]
            if self.collections == 1:
                inside.set()
                go_on.wait(30)
            return super().collect()

    rig = Rig()
    rig.publisher._source = Slow()
    rig.start()
    rig.turn(60.0, takes=0)
    assert inside.wait(30)
    stopping = threading.Thread(target=stopped, args=[rig.publisher], kwargs={"retract": True})
    stopping.start()
    poll(lambda: rig.output.hurried, every_seconds=0.001)
    go_on.set()
    stopping.join(30)
    assert rig.output.calls == ["take", "take", "retract", "close"]


def close(connection: Connection) -> None:
    """Read nothing, answer nothing."""


TROUBLE: dict[str, list[Step]] = {
    "hanging": [hang],
    "503": [answer(503)] * 3,
    "429": [answer(429, Retry_After="1")] * 2,
    "closing": [close] * 3,
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_receiver_in_trouble_gets_a_whole_history_when_it_is_well_again(trouble: list[Step]) -> None:
    """In order, the same interval all along."""
    times: list[int] = []

    def take(connection: Connection) -> None:
        connection.read_request()
        request = connection.request.partition(b"\r\n\r\n")[2]
        samples = decode(bytes(cramjam.snappy.decompress_raw(request)))
        times.extend(sorted({at_ms for _, at_ms, _ in samples}))
        connection.stream.sendall(b"HTTP/1.1 204 x\r\n\r\n")

    delivery = DeliverySettings(heartbeat_seconds=0.05, min_interval_seconds=0.0)
    with ScriptedServer(take, take, *trouble, take) as server:
        settings = RemoteWriteSettings(server.url, instance="h", deadline_seconds=1.0)
        publisher = publisher_for(RemoteWriteOutput(settings), Numbers(), delivery)
        publisher.start()
        poll(lambda: publisher.snapshot().failures)
        before = publisher.snapshot().deliveries
        poll(lambda: publisher.snapshot().deliveries > before + 5)
        assert stopped(publisher, retract=False)
        assert publisher.snapshot().dropped == 0
    assert times == sorted(set(times))
    assert times[-1] - times[0] > 1200  # the trouble is tried again for a while, and then left alone for a second
    assert max(after - before for before, after in pairwise(times)) < 1000
