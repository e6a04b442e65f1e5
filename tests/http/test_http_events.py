"""The event stream: what is told, to whom, and how it ends."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fexp.model import Change, Happening
from fexp.outputs.http import HttpServer, Limits
from fexp.outputs.http.follow import encode
from fexp.text import unambiguous
from tests.http.serving import MemoryServed, ask, connect, running
from tests.servers import poll

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import BinaryIO

REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def following(server: HttpServer) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """Yield a client that has been let in: what is published from now on reaches it."""
    with connect(server) as client, client.makefile("rb") as stream:
        client.sendall(REQUEST)
        read_until(stream, b": still here\n")
        yield client, stream


def read_until(stream: BinaryIO, wanted: bytes) -> list[bytes]:
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line.startswith(wanted):
            return lines
    raise AssertionError(f"the stream ended without {wanted!r}: {lines}")


def test_events_reach_a_client_as_they_happen() -> None:
    served = MemoryServed()
    with running(served) as server, following(server) as (_, stream):
        assert served.followers
        served.publish("new\nname.txt")
        read_until(stream, b"event: arrival\n")
        data = stream.readline()
    assert json.loads(data.removeprefix(b"data: ")) == {
        "folder": "/data/in",
        "pattern": "*.txt",
        "path": "new\\x0aname.txt",
        "size_bytes": 10,
        "at": 1_700_000_000.0,
    }


def test_headers_are_those_of_an_event_stream() -> None:
    served = MemoryServed()
    with running(served) as server:
        head = ask(server, "/api/v1/events", "HEAD")
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-store"
        assert ask(server, "/api/v1/events", "POST").status == 405
        assert not served.followers


@given(st.binary())
def test_a_name_cannot_forge_an_event(name: bytes) -> None:
    change = Change(Happening.ARRIVAL, "/data/in", ("*.txt", "*"), name, 10, 1.0, 1, 1_700_000_000.0)
    first, second, rest = encode(change).split(b"\n\n")
    assert not rest
    for event, pattern in ((first, "*.txt"), (second, "*")):
        assert event.count(b"\n") == 1
        assert event.startswith(b"event: arrival\ndata: {")
        data = json.loads(event.split(b"data: ")[1])
        assert (data["path"], data["pattern"]) == (unambiguous(name) or None, pattern)


def test_silence_is_filled_with_heartbeats() -> None:
    with running(limits=Limits(heartbeat_seconds=0.05)) as server, following(server) as (_, stream):
        for _heartbeat in range(3):
            read_until(stream, b": still here\n")


def test_a_client_that_hangs_up_frees_its_place_at_once() -> None:
    """A heartbeat, which would notice it too, comes after a minute."""
    served = MemoryServed()
    with running(served, limits=Limits(event_clients=1, heartbeat_seconds=60)) as server:
        with following(server):
            assert served.followers
        poll(lambda: not served.followers)
        with following(server):
            assert served.followers


def test_a_slow_client_is_told_and_dropped_and_others_go_on() -> None:
    limits = Limits(events_per_client=10, heartbeat_seconds=5)
    release, served = threading.Event(), MemoryServed()
    with running(served, limits=limits) as server, following(server) as (_, slow):
        assert server._loop is not None
        server._loop.call_soon_threadsafe(release.wait, 20)  # nothing is sent meanwhile
        served.publish(*map(str, range(11)))
        served.publish("one too many")
        release.set()
        read_until(slow, b"event: dropped\n")
        assert json.loads(slow.readline().removeprefix(b"data: ")) == {
            "reason": "too slow",
            "missed_events": 12,
        }
        with following(server) as (_, quick):
            served.publish("a.txt")
            read_until(quick, b"event: arrival\n")


def test_a_burst_is_no_reason_to_drop_who_keeps_up() -> None:
    served = MemoryServed()
    with running(served, limits=Limits(events_per_client=10)) as server, following(server) as (_, stream):
        served.publish(*map(str, range(5000)))
        for number in range(5000):
            read_until(stream, b"event: arrival\n")
            assert json.loads(stream.readline().removeprefix(b"data: "))["path"] == str(number)


def test_a_client_that_never_reads_is_cut_and_publishing_never_waits() -> None:
    limits = Limits(events_per_client=100_000, send_seconds=0.2, heartbeat_seconds=0.05)
    served = MemoryServed()
    with running(served, limits=limits) as server, connect(server) as client:
        client.sendall(REQUEST)
        client.recv(1)
        for _ in range(50):
            served.publish(*["x" * 1000] * 1000)
        poll(lambda: not served.followers, seconds=20)


def test_only_so_many_may_follow() -> None:
    with running(limits=Limits(event_clients=1)) as server, following(server):
        reply = ask(server, "/api/v1/events")
    assert reply.status == 503
    assert "retry-after" in reply.headers


def test_a_stop_is_told() -> None:
    served = MemoryServed()
    with running(served) as server, following(server) as (_, stream):
        server.stop()
        read_until(stream, b"event: dropped\n")
        assert b"the server stops" in stream.readline()
        assert not served.followers
