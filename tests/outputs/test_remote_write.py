"""Remote write 1.0: the bytes by an independent decoder, the behaviour by the real receivers."""

from __future__ import annotations

import math
import struct
import sys
import tracemalloc
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.config.labels import parse_pairs
from fexp.errors import OutputError, SettingsError
from fexp.outputs.push import batch
from fexp.outputs.push.protobuf import STALE, encode_labels, encode_sample, encode_series, encode_timestamp, series_of
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from fexp.outputs.push.sender import Sender
from tests.outputs.decoding import decode
from tests.outputs.samples import Gauge, Numbers, TurnedClock, snapshot_of
from tests.outputs.scripted import ScriptedServer, answer
from tests.servers import Server, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.outputs.scripted import Connection

WRITE = "/api/v1/write"


texts = st.text(st.characters(codec="utf-8"))
labels = st.lists(st.tuples(texts, texts)).map(tuple)
times_ms = st.integers(1_600_000_000_000, 2_000_000_000_000) | st.integers(-(2**63), 2**63 - 1)


@pytest.mark.slow
@given(st.lists(st.tuples(labels, st.floats())), st.lists(times_ms, min_size=1, max_size=4))
def test_an_independent_decoder_reads_what_was_written(samples: list[tuple[Any, float]], times: list[int]) -> None:
    """Mistake 19c."""
    packed = [(one, struct.pack("<d", value)) for one, value in samples]
    encoded = [encode_sample(encode_labels(one), value) for one, value in packed]
    request = encode_series(encoded, [encode_timestamp(at_ms) for at_ms in times])
    assert decode(request) == [(one, at_ms, value) for one, value in packed for at_ms in times]


@given(st.dictionaries(st.sampled_from(["folder", "pattern", "B", "a", "_x"]), texts))
def test_labels_are_sorted_unique_and_not_empty(own: dict[str, str]) -> None:
    """Mistake 20a: a label name twice is answered with 500, and tried for ever."""
    common = {"job": "fexp", "instance": "h", "zone": "x"}
    ((series, value),) = series_of(Gauge("fexp_files", {tuple(own.items()): 5}).collect(), common)
    names = [name for name, _ in series]
    assert names == sorted(set(names))
    assert all(text for _, text in series)
    assert dict(series) == {k: v for k, v in own.items() if v} | common | {"__name__": "fexp_files"}
    assert value == 5.0


def settings_for(url: str, **settings: Any) -> RemoteWriteSettings:
    made = {"deadline_seconds": 5.0, "instance": "host-1", **settings}
    labels = parse_pairs("--remote-write-label", made.pop("external_labels", ()))
    return RemoteWriteSettings(url, external_labels=labels, **made)


class Rig:
    """A remote write output with a clock of its own, into a scripted server."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.clock = TurnedClock(1_700_000_000.5)
        made = settings_for(url, **settings)
        sender = Sender(made, clock=self.clock, wall_clock=self.clock, wait=self.clock.wait, jitter=lambda: 0.5)
        self.output = RemoteWriteOutput(made, sender=sender, clock=self.clock, wall_clock=self.clock)
        self.common = made.common_labels
        self.numbers = Gauge("x", {})

    def publish(self, *names: str, at: float | None = None) -> None:
        if at is not None:
            self.clock.now = at
        self.numbers.series = {(("folder", name),): 1.0 for name in names}
        self.output.publish(self.numbers)

    def end(self, *names: str, keep: bool) -> None:
        """Do what a stop does."""
        if keep:
            self.publish(*names or "a")
        else:
            self.output.retract()

    def pile_up(self, *steps: tuple[float, str]) -> None:
        """Take snapshots, at these times of folders with these names, while nothing is sent."""
        for self.clock.now, names in steps:
            self.numbers.series = {(("folder", name),): 1.0 for name in names}
            self.output.take(self.numbers)


def unpacked(body: bytes) -> bytes:
    return bytes(cramjam.snappy.decompress_raw(body))


def snapshots_in(body: bytes) -> list[tuple[int, dict[str, bool]]]:
    """Shorten a request to its times, in order, and to whether each folder is alive then."""
    found: dict[int, dict[str, bool]] = {}
    for names, at_ms, value in decode(unpacked(body)):
        found.setdefault(at_ms, {})[dict(names)["folder"]] = value != STALE
    return sorted(found.items())


def told(body: bytes) -> tuple[int, dict[str, bool]]:
    """Shorten a request of one time."""
    (snapshot,) = snapshots_in(body)
    return snapshot


def times_in(body: bytes) -> list[int]:
    """Return the times in a request."""
    return [at_ms for at_ms, _ in snapshots_in(body)]


def test_the_request_is_what_the_protocol_says() -> None:
    """Mistakes 19b, 19c: block snappy, version 1."""
    with ScriptedServer(answer(204)) as server:
        rig = Rig(server.url + WRITE, external_labels=["zone=a b"])
        rig.publish("in")
        (head,) = server.heads
        (body,) = server.bodies
    assert head.startswith(f"POST {WRITE} HTTP/1.1")
    for header in (
        "content-encoding: snappy",
        "content-type: application/x-protobuf",
        "x-prometheus-remote-write-version: 0.1.0",
        "user-agent: fexp/",
    ):
        assert header in head.lower()
    expected = (("__name__", "x"), ("folder", "in"), ("instance", "host-1"), ("job", "fexp"), ("zone", "a b"))
    assert decode(bytes(cramjam.snappy.decompress_raw(body))) == [(expected, 1_700_000_000_500, struct.pack("<d", 1.0))]


def test_what_ended_is_marked_stale_once_and_all_of_it_at_the_end() -> None:
    """Mistake 20c: no stale marker."""
    with ScriptedServer(answer(204)) as server:
        rig = Rig(server.url)
        rig.publish("a", "b", at=1.0)
        rig.publish("b", at=2.0)
        rig.publish("b", at=3.0)
        rig.clock.now = 4.0
        rig.output.retract()
        rig.output.retract()
        assert [told(body) for body in server.bodies] == [
            (1000, {"a": True, "b": True}),
            (2000, {"b": True, "a": False}),
            (3000, {"b": True}),
            (4000, {"b": False}),
        ]


def test_a_sample_keeps_its_time_however_often_it_is_sent() -> None:
    """Mistake 20b: a new timestamp on retry."""
    with ScriptedServer(answer(500), answer(429), answer(503), answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=60.0)
        rig.publish("a")
        assert len(set(server.bodies)) == 1
        assert server.attempts == 4


def test_two_samples_never_have_the_same_time() -> None:
    with ScriptedServer(answer(204)) as server:
        rig = Rig(server.url)
        for at in (905.0, 905.0, 905.0, 906.0, 903.0, 3.0):
            rig.publish("a", at=at)
        assert [told(body)[0] for body in server.bodies] == [
            905_000,
            905_001,
            905_002,
            906_000,
            906_001,
            3000,
        ]


def test_what_was_missed_is_delivered_in_order_when_the_receiver_is_back() -> None:
    with ScriptedServer(*[answer(503)] * 3, answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        for at in (1.0, 2.0, 3.0):
            with pytest.raises(OutputError):
                rig.publish("a", at=at)
        rig.publish("a", at=600.0)
        assert [times_in(body) for body in server.bodies[3:]] == [[1000], [2000, 3000], [600_000]]
        assert rig.output.dropped_snapshots == 0


def test_the_queue_is_bounded_and_what_ended_in_a_dropped_snapshot_still_ends() -> None:
    with ScriptedServer(*[answer(503, Retry_After="60")] * 4, answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=10, queue_seconds=1.5)
        for at, names in ((1.0, "ab"), (2.0, "b"), (3.0, "c"), (4.0, "d")):
            with pytest.raises(OutputError):
                rig.publish(*names, at=at)
        rig.publish("b", at=5.0)
        assert rig.output.dropped_snapshots == 3
        assert [told(body) for body in server.bodies[4:]] == [
            (4000, {"d": True, "a": False, "b": False, "c": False}),
            (5000, {"b": True, "d": False}),
        ]


@pytest.mark.slow
@pytest.mark.slow
def test_the_memory_of_the_queue_is_bounded() -> None:
    output = RemoteWriteOutput(settings_for(f"http://127.0.0.1:{free_port()}", queue_samples=1500))
    output.close()  # nothing is sent
    folders = [f"/srv/a-name-of-usual-length/{number}" for number in range(300)]
    numbers = Gauge("x", {(("folder", folder), ("pattern", "*")): 1.0 for folder in folders})
    tracemalloc.start()
    for _ in range(15):
        with pytest.raises(OutputError):
            output.publish(numbers)
    used_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert output.dropped_snapshots == 10
    assert used_bytes < 900_000


def test_what_was_refused_is_not_sent_again_and_does_not_block_the_rest() -> None:
    """Mistake 20d: one bad sample sinking the batch."""
    with ScriptedServer(answer(503), answer(400, b"out of order"), answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        with pytest.raises(OutputError, match="503"):
            rig.publish("a", at=1.0)
        with pytest.raises(OutputError, match="answered 400: out of order"):
            rig.publish("b", at=2.0)
        assert [told(body)[0] for body in server.bodies] == [1000, 1000, 2000]
        assert rig.output.dropped_snapshots == 1
        assert told(server.bodies[2])[1] == {"b": True, "a": False}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_a_receiver_in_trouble_did_not_take_waits_for_it(status: int) -> None:
    """Mistake 20e: 429 is a 4xx, but says later and not never."""
    with ScriptedServer(answer(status), answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        with pytest.raises(OutputError, match=f"answered {status}"):
            rig.publish("a", at=1.0)
        assert rig.output.dropped_snapshots == 0
        rig.publish("a", at=2.0)
        assert [told(body)[0] for body in server.bodies] == [1000, 1000, 2000]
    assert rig.output.dropped_snapshots == 0


def test_what_has_piled_up_is_a_delivery_for_each_deadline_that_passes() -> None:
    """A drain of minutes is no failure, and shows that it goes on."""
    away = True

    def slow(connection: Connection) -> None:
        if not away:
            rig.clock.now += 2.5
        answer(503 if away else 204)(connection)

    with ScriptedServer(slow) as server:
        rig = Rig(server.url, deadline_seconds=5.0)
        for at in (1.0, 2.0, 3.0, 4.0):
            with pytest.raises(OutputError, match="503"):
                rig.publish("a", at=at)
        away, refused = False, server.attempts
        rig.publish("a", at=100.0)
        assert [times_in(body) for body in server.bodies[refused:]] == [[1000], [2000, 3000]]
        assert len(rig.output._backlog) == 2
        rig.publish("a", at=200.0)
        assert [times_in(body) for body in server.bodies[refused + 2 :]] == [[4000, 100_000, 200_000]]
        assert not rig.output.is_waiting
    assert rig.output.dropped_snapshots == 0


@pytest.mark.parametrize("keep", [False, True])
def test_a_stop_tries_the_last_one_whatever_becomes_of_those_before(keep: bool) -> None:
    """A single 429 with a long Retry-After kept the series of a stopped fexp alive."""
    steps = answer(503), answer(429, Retry_After="30"), answer(204)
    with ScriptedServer(*steps) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        with pytest.raises(OutputError, match="503"):
            rig.publish("a", at=1.0)
        rig.output.hurry()
        rig.clock.now = 2.0
        with pytest.raises(OutputError, match=r"answered 429: no reason given; snapshots lost: 1$"):
            rig.end(keep=keep)
        assert [told(body) for body in server.bodies[1:]] == [(1000, {"a": True}), (2000, {"a": keep})]
    assert rig.output.dropped_snapshots == 1


def test_a_stop_says_in_one_line_what_it_leaves_behind() -> None:
    with ScriptedServer(answer(503)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        rig.pile_up((1.0, "a"), (2.0, "a"), (3.0, "ab"))
        rig.output.hurry()
        rig.clock.now = 4.0
        with pytest.raises(OutputError) as caught:
            rig.end(keep=False)
        assert [times_in(body) for body in server.bodies] == [[1000], [4000]]
    (line,) = str(caught.value).splitlines()
    assert line == f"{server.url}: answered 503: no reason given; snapshots lost: 3"


def test_a_stop_leaves_what_waits_no_more_time_than_it_has_for_it() -> None:
    """A receiver that hangs would take the time of the last snapshot too."""
    given: list[float] = []

    class Noting(Sender):
        def send(self, *arguments: Any, within_seconds: float = math.inf, **more: Any) -> Any:
            given.append(within_seconds)

    made = settings_for("http://h")
    clock = TurnedClock(10.0)
    output = RemoteWriteOutput(made, sender=Noting(made), clock=clock, wall_clock=clock)
    output._at_once = 100
    output.take(Gauge("x", {(): 1.0}))
    output.hurry()
    clock.now += 1.0
    output.retract()
    assert given == [3.0, math.inf]


def test_several_snapshots_go_in_one_request_and_what_ended_ends_once_at_its_own_time() -> None:
    """Each series in order of time, the labels once; first one snapshot, then twice as many each time."""
    with ScriptedServer(answer(204)) as server:
        rig = Rig(server.url)
        rig.pile_up((1.0, "a"), (2.0, "ab"), (3.0, "ab"), (4.0, "b"), (5.0, "b"), (6.0, "abc"), (7.0, "ab"))
        rig.output.flush()
        assert [snapshots_in(body) for body in server.bodies] == [
            [(1000, {"a": True})],
            [(2000, {"a": True, "b": True}), (3000, {"a": True, "b": True})],
            [
                (4000, {"a": False, "b": True}),
                (5000, {"b": True}),
                (6000, {"a": True, "b": True, "c": True}),
                (7000, {"a": True, "b": True, "c": False}),
            ],
        ]
        series = [dict(names)["folder"] + str(at_ms // 1000) for names, at_ms, _ in decode(unpacked(server.bodies[2]))]
        assert {name: [one[1] for one in series if one[0] == name] for name in "abc"} == {
            "a": ["4", "6", "7"],
            "b": ["4", "5", "6", "7"],
            "c": ["6", "7"],
        }


def refuses_old(limit_ms: int) -> Callable[[Connection], None]:
    """Take a request whole or not at all, as Prometheus does."""

    def step(connection: Connection) -> None:
        connection.read_request()
        body = connection.request.partition(b"\r\n\r\n")[2]
        is_old = min(times_in(body)) < limit_ms
        status, reason = (400, b"out of bounds") if is_old else (204, b"")
        connection.stream.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(reason), reason))

    return step


def test_of_a_batch_that_is_refused_only_what_is_wrong_is_lost() -> None:
    """Mistake 20d: Prometheus refuses the whole request for one sample that is too old."""
    with ScriptedServer(refuses_old(5000)) as server:
        rig = Rig(server.url)
        rig.output._at_once = 100
        rig.pile_up(*[(float(at), "ab" if at == 3 else "b") for at in range(1, 9)])
        with pytest.raises(OutputError, match=r"answered 400: out of bounds$"):
            rig.output.flush()
        assert not rig.output.is_waiting
        assert rig.output.dropped_snapshots == 4
        sent = [times_in(body) for body in server.bodies]
        assert sent == [
            [at * 1000 for at in times]
            for times in ([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2], [1], [2], [3, 4], [3], [4], [5, 6, 7, 8])
        ]
        rig.publish("b", at=9.0)
        assert snapshots_in(server.bodies[-1]) == [(9000, {"a": False, "b": True})]


@pytest.mark.parametrize("deadline_seconds", [0.1, 60.0], ids=["later", "at once"])
@pytest.mark.parametrize("lost", [b"", b"HTTP/1.1 504 x\r\n\r\n"], ids=["closed", "by a proxy"])
def test_an_answer_that_is_lost_is_no_lost_sample(lost: bytes, deadline_seconds: float) -> None:
    """A receiver that has several times of a series refuses them as out of order when they are sent again."""
    taken: list[int] = []

    def forgetful(connection: Connection) -> None:
        connection.read_request()
        times = times_in(connection.request.partition(b"\r\n\r\n")[2])
        is_new = times[-1] not in taken
        if taken and times[0] < taken[-1]:
            connection.stream.sendall(b"HTTP/1.1 400 x\r\nContent-Length: 12\r\n\r\nout of order")
            return
        taken.extend(at for at in times if at not in taken)
        connection.stream.sendall(lost if len(times) == 4 and is_new else b"HTTP/1.1 204 x\r\n\r\n")

    with ScriptedServer(forgetful) as server:
        rig = Rig(server.url, deadline_seconds=deadline_seconds)
        rig.pile_up(*[(float(at), "a") for at in range(1, 9)])
        with suppress(OutputError):
            rig.output.flush()
        rig.output.flush()
        assert taken == [at * 1000 for at in range(1, 9)]
    assert rig.output.dropped_snapshots == 0
    assert not rig.output.is_waiting


def test_a_receiver_that_failed_is_asked_with_one_snapshot_first() -> None:
    """It may have gone away for long, and one may be sent again without complaint."""
    with ScriptedServer(answer(503), answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        rig.output._at_once = 100
        rig.pile_up(*[(float(at), "a") for at in range(1, 5)])
        with pytest.raises(OutputError, match="503"):
            rig.output.flush()
        rig.output.flush()
        assert [len(times_in(body)) for body in server.bodies] == [4, 1, 2, 1]


def test_a_refusal_is_told_also_when_the_next_request_fails() -> None:
    with ScriptedServer(answer(503), answer(400, b"out of order"), answer(503)) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        with pytest.raises(OutputError, match="503"):
            rig.publish("a", at=1.0)
        with pytest.raises(OutputError, match=r"answered 503: .*; before it, .*answered 400: out of order"):
            rig.publish("a", at=2.0)


def test_a_redirect_keeps_what_waits() -> None:
    """It is somebody's mistake, and no verdict on the samples."""
    with ScriptedServer(answer(301, Location="http://elsewhere.example/"), answer(204)) as server:
        rig = Rig(server.url)
        with pytest.raises(OutputError, match="answered 301"):
            rig.publish("a", at=1.0)
        rig.publish("a", at=2.0)
        assert [told(body)[0] for body in server.bodies[1:]] == [1000, 2000]
    assert rig.output.dropped_snapshots == 0


def test_what_is_owed_ends_at_the_stop() -> None:
    with ScriptedServer(answer(204), answer(400), answer(204)) as server:
        rig = Rig(server.url)
        rig.publish("a", at=1.0)
        with pytest.raises(OutputError, match="400"):
            rig.publish(at=2.0)
        rig.clock.now = 3.0
        rig.output.retract()
        assert told(server.bodies[2]) == (3000, {"a": False})


def test_what_ended_in_the_only_snapshot_that_was_refused_ends_later() -> None:
    with ScriptedServer(answer(204), answer(400), answer(204)) as server:
        rig = Rig(server.url)
        rig.publish("a", at=1.0)
        with pytest.raises(OutputError):
            rig.publish(at=2.0)
        rig.publish("b", at=3.0)
        assert told(server.bodies[2]) == (3000, {"b": True, "a": False})


MANY = [f"f{number:05}" for number in range(12_000)]


@pytest.fixture
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a request hold 5,000 of these samples."""
    monkeypatch.setattr(batch, "_REQUEST_SAMPLES", 5000)


@pytest.mark.slow
@pytest.mark.usefixtures("small_requests")
def test_a_large_snapshot_goes_in_parts_of_one_time_and_goes_on_where_it_was_cut() -> None:
    """A receiver bounds what it takes at once (VictoriaMetrics: 32 MiB)."""
    steps = answer(204), answer(503), answer(204), answer(400, b"out of order"), answer(204)
    with ScriptedServer(*steps) as server:
        rig = Rig(server.url, deadline_seconds=0.1)
        with pytest.raises(OutputError, match="503"):
            rig.publish(*MANY, at=1.0)
        with pytest.raises(OutputError, match="answered 400: out of order"):
            rig.publish(at=2.0)
        requests = [told(body) for body in server.bodies]
    assert [(at_ms, len(series)) for at_ms, series in requests] == [
        (1000, 5000), (1000, 5000), (1000, 5000), (1000, 2000), (2000, 5000), (2000, 5000), (2000, 2000),
    ]  # fmt: skip
    assert requests[1] == requests[2]
    assert {name for _, series in requests[:4] for name in series} == set(MANY)
    assert not any(alive for _, series in requests[4:] for alive in series.values())
    assert rig.output.dropped_snapshots == 1


@pytest.mark.usefixtures("small_requests")
def test_a_snapshot_that_takes_longer_than_the_deadline_arrives_all_the_same() -> None:
    """Each request has its deadline; a large fleet's numbers would else begin anew for ever."""

    def slow(connection: Connection) -> None:
        rig.clock.now += 4.0
        answer(204)(connection)

    with ScriptedServer(slow) as server:
        rig = Rig(server.url, deadline_seconds=5.0)
        rig.publish(*MANY, at=1.0)
        assert {name for body in server.bodies for name in told(body)[1]} == set(MANY)
    assert rig.output.dropped_snapshots == 0


@pytest.mark.slow
@pytest.mark.usefixtures("small_requests")
def test_what_is_half_delivered_is_never_dropped() -> None:
    """The receiver would keep half of the old numbers beside half of the new ones."""
    with ScriptedServer(answer(204), *[answer(503)] * 4, answer(204)) as server:
        rig = Rig(server.url, deadline_seconds=0.1, queue_samples=12_001)
        for at, names in ((1.0, MANY), (2.0, MANY[:1]), (3.0, MANY[1:2]), (4.0, MANY[2:3])):
            with pytest.raises(OutputError, match="503"):
                rig.publish(*names, at=at)
        assert [waiting.at_ms for waiting in rig.output._backlog._queue] == [1000, 4000]
        assert rig.output.dropped_snapshots == 2
        rig.output.flush()
        alive: dict[str, bool] = {}
        for body in (server.bodies[0], *server.bodies[5:]):
            alive |= told(body)[1]
        assert {name for name, is_alive in alive.items() if is_alive} == {MANY[2]}
        assert set(alive) == set(MANY)


@pytest.mark.usefixtures("small_requests")
def test_a_stop_gives_up_what_waits_rather_than_the_end_of_the_series() -> None:
    """They would be taken for alive for minutes, with numbers that nobody keeps."""
    away = True

    def slow(connection: Connection) -> None:
        rig.clock.now += 0.0 if away else 3.0
        answer(503 if away else 204)(connection)

    with ScriptedServer(slow) as server:
        rig = Rig(server.url, deadline_seconds=5.0)
        for at in (1.0, 100.0, 200.0, 300.0):
            with pytest.raises(OutputError, match="503"):
                rig.publish("a", "b", at=at)
        away, refused = False, server.attempts
        rig.clock.now = 400.0
        rig.output.hurry()
        with pytest.raises(OutputError, match=r"too slow, fexp stops before all is sent; snapshots lost: 1$"):
            rig.end(keep=False)
        assert [snapshots_in(body) for body in server.bodies[refused:]] == [
            [(1000, {"a": True, "b": True})],
            [(100_000, {"a": True, "b": True}), (200_000, {"a": True, "b": True})],
            [(400_000, {"a": False, "b": False})],
        ]
        assert rig.output.dropped_snapshots == 1


@pytest.mark.slow
@pytest.mark.usefixtures("small_requests")
@pytest.mark.parametrize("keep", [False, True])
def test_a_stop_in_the_midst_of_a_large_snapshot_leaves_time_for_the_last_one(keep: bool) -> None:
    def stop(connection: Connection) -> None:
        if server.attempts == 1:
            rig.output.hurry()
        rig.clock.now += 5.0
        answer(204)(connection)

    with ScriptedServer(stop) as server:
        rig = Rig(server.url, deadline_seconds=7.0)
        with pytest.raises(OutputError, match="too slow, fexp stops before all is sent"):
            rig.publish(*MANY, at=1.0)
        assert server.attempts == 1
        rig.clock.now = 20.0
        with pytest.raises(OutputError, match=r"too slow, .*; snapshots lost: 1$"):
            rig.end(*MANY, keep=keep)
        last = [told(body) for body in server.bodies[1:]]
        assert [at_ms for at_ms, _ in last] == [20_000] * 3
        assert {name: is_alive for _, series in last for name, is_alive in series.items()} == dict.fromkeys(MANY, keep)


@pytest.mark.usefixtures("small_requests")
def test_a_receiver_that_knows_us_not_is_not_asked_for_each_part() -> None:
    with ScriptedServer(answer(401)) as server:
        rig = Rig(server.url)
        with pytest.raises(OutputError, match="answered 401"):
            rig.publish(*MANY)
        assert server.attempts == 1
    assert rig.output.dropped_snapshots == 1


@pytest.mark.usefixtures("small_requests")
def test_a_real_victoria_metrics_stores_more_than_one_request_of_series(victoria_metrics: Server) -> None:
    output = RemoteWriteOutput(settings_for(victoria_metrics.url + WRITE, job="many"))
    output.publish(Gauge("fexp_files", {(("folder", name),): 1.0 for name in MANY}))
    victoria_metrics.get("/internal/force_flush")
    poll(lambda: [one["value"][1] for one in victoria_metrics.query('count(fexp_files{job="many"})')] == ["12000"])


def test_a_real_prometheus_stores_it_and_lets_it_end(prometheus: Server) -> None:
    output = RemoteWriteOutput(settings_for(prometheus.url + WRITE, external_labels=["zone=z1"]))
    output.check()
    numbers = Numbers(snapshot_of(a=4, b=5))
    output.publish(numbers)
    query = 'fexp_files{job="fexp",instance="host-1",zone="z1"}'
    found = {one["metric"]["folder"]: one["value"][1] for one in poll(lambda: prometheus.query(query))}
    assert found == {"/in/a": "4", "/in/b": "5"}
    assert prometheus.query("histogram_quantile(0.5, fexp_dwell_seconds_bucket)")
    numbers.snapshot = snapshot_of(b=6)
    output.publish(numbers)
    poll(lambda: [one["value"][1] for one in prometheus.query(query)] == ["6"])
    output.retract()
    poll(lambda: prometheus.query(query) == [])
    output.close()


def test_a_real_victoria_metrics_stores_it_and_lets_it_end(victoria_metrics: Server) -> None:
    output = RemoteWriteOutput(settings_for(victoria_metrics.url + WRITE, job="rw"))
    output.publish(Numbers(snapshot_of(a=4)))
    victoria_metrics.get("/internal/force_flush")
    assert poll(lambda: victoria_metrics.query('fexp_files{job="rw"}'))[0]["value"][1] == "4"
    output.retract()
    victoria_metrics.get("/internal/force_flush")
    poll(lambda: victoria_metrics.query('fexp_files{job="rw"}') == [])


def test_the_stale_marker_has_exactly_the_right_bits() -> None:
    assert bytes.fromhex("020000000000f07f") == STALE
    (value,) = struct.unpack("<d", STALE)
    assert math.isnan(value)


def test_prometheus_says_why_it_refuses(prometheus: Server) -> None:
    wrong = settings_for(prometheus.url + WRITE, job="refused")
    output = RemoteWriteOutput(wrong, wall_clock=time)
    output.publish(Numbers())
    late = RemoteWriteOutput(wrong, wall_clock=lambda: time() - 60)
    with pytest.raises(OutputError, match="answered 400: out of order sample"):
        late.publish(Numbers())


def times_at(server: Server, job: str, days: int = 1) -> list[float]:
    """Return the times of the samples of a job's only series."""
    (one,) = server.query(f'{{job="{job}"}}[{days}d]')
    return [at for at, _ in one["values"]]


def test_of_what_waited_for_too_long_a_real_prometheus_takes_the_rest(prometheus: Server) -> None:
    """It refuses the whole request for a sample that is an hour older than its newest; so nothing waits that long."""
    began_at, clock = time() - 4200.0, TurnedClock(0.0)
    settings = settings_for(prometheus.url + WRITE, job="late")
    assert settings.queue_seconds < 3600
    numbers = Gauge("x", {(): 1.0})
    RemoteWriteOutput(settings_for(prometheus.url + WRITE, job="in-time")).publish(numbers)
    output = RemoteWriteOutput(settings.replace(queue_seconds=1e9), clock=clock, wall_clock=lambda: began_at + clock())
    output._at_once = 100
    for minute in range(71):
        clock.now = 60.0 * minute
        output.take(numbers)
    with pytest.raises(OutputError, match="answered 400: out of bounds"):
        output.flush()
    assert not output.is_waiting
    assert output.dropped_snapshots in {10, 11}
    assert len(times_at(prometheus, "late")) == 71 - output.dropped_snapshots


def test_a_real_prometheus_that_has_what_it_did_not_answer_to_keeps_it(prometheus: Server) -> None:
    class Losing(Sender):
        """Loses the answer to the first request of several times."""

        lost = 0

        def send(self, *arguments: Any, body: bytes = b"", **more: Any) -> Any:
            answered = super().send(*arguments, body=body, **more)
            if len(times_in(body)) > 1 and not self.lost:
                self.lost += 1
                raise OutputError("no whole answer in time")
            return answered

    settings, clock = settings_for(prometheus.url + WRITE, job="unanswered"), TurnedClock(time() - 60.0)
    output = RemoteWriteOutput(settings, sender=Losing(settings), wall_clock=clock)
    output._at_once = 100
    for _ in range(9):
        clock.now += 1.0
        output.take(Gauge("x", {(("folder", "a"),): 1.0}))
    with pytest.raises(OutputError, match="no whole answer"):
        output.flush()
    output.flush()
    assert output.dropped_snapshots == 0
    assert len(times_at(prometheus, "unanswered")) == 9


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"job": ""}, "needs job and instance"),
        ({"external_labels": ["x"]}, "--remote-write-label x: write NAME=VALUE"),
        ({"external_labels": ["__x=1"]}, "not a label name"),
        ({"external_labels": ["a.b=1"]}, "not a label name"),
        ({"external_labels": ["job=1"]}, "there already"),
        ({"external_labels": ["a=1", "a=2"]}, "there already"),
        ({"external_labels": ["a=\udcff"]}, "not UTF-8"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_for("http://127.0.0.1:9090/api/v1/write", **settings)
    assert complaint in str(caught.value)


def test_a_label_of_the_series_may_not_be_an_external_one() -> None:
    with pytest.raises(SettingsError, match="label folder: on the series"):
        settings_for("http://h", external_labels=["folder=x"]).check_labels({"folder"})


def test_without_the_extra_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(SettingsError, match=r"pip install cramjam$"):
        RemoteWriteOutput(settings_for("http://h"))


def test_a_surrogate_is_an_error_of_the_output() -> None:
    """Mistake 11d."""
    output = RemoteWriteOutput(settings_for(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(OutputError, match="not valid text"):
        output.publish(Gauge("x", {(("folder", "\udcff"),): 1.0}))
