"""Clients that are slow, silent, too many or malformed. A scrape beside them is answered."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.outputs.http import Limits
from tests.http.serving import (
    PATIENCE_SECONDS,
    MemoryServed,
    ask,
    connect,
    make_folder,
    read_to_end,
    running,
    send_raw,
)

if TYPE_CHECKING:
    from fexp.outputs.http import HttpServer

GET = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BRISK = Limits(request_seconds=0.2, idle_seconds=1, send_seconds=0.3)
LONG_PATHS = tuple(make_folder(f"/data/{number:05}/{'x' * 4000}") for number in range(200))


def read_answer(client: socket.socket) -> bytes:
    """Read the one small answer that is due."""
    data = b""
    while b"healthy.\n" not in data:
        part = client.recv(4096)
        assert part, data
        data += part
    return data


def test_a_client_that_sends_nothing_is_cut() -> None:
    with running(limits=BRISK) as server, connect(server) as client:
        assert read_to_end(client) == b""


@pytest.mark.parametrize("first", [b"", GET], ids=["first request", "second request"])
def test_a_slow_loris_is_cut_although_it_goes_on_sending(first: bytes) -> None:
    with running(limits=BRISK) as server, connect(server) as client:
        if first:
            client.sendall(first)
            read_answer(client)
        client.sendall(b"GET / HTTP/1.1\r\n")
        client.settimeout(0.02)
        started_at = time.monotonic()
        while time.monotonic() - started_at < PATIENCE_SECONDS:
            try:
                client.sendall(b"X: y\r\n")
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            pytest.fail("it was never cut")


def test_the_deadline_of_a_request_does_not_bound_its_answer() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=BRISK) as server, connect(server) as client, connect(server) as silent:
        client.sendall(SCRAPE)
        assert served.asked.wait(PATIENCE_SECONDS)
        assert read_to_end(silent) == b""  # its deadline came later
        assert served.hold is not None
        served.hold.set()
        assert b"fexp_files{" in read_to_end(client)


def test_a_body_that_never_ends_is_not_waited_for() -> None:
    with running(limits=BRISK) as server:
        answer = send_raw(server, b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
    assert b" 200 OK\r\n" in answer
    assert b"connection: close" in answer.lower()


def test_an_idle_connection_is_kept_and_then_closed() -> None:
    with running(limits=BRISK) as server, connect(server) as client:
        for _ in range(3):
            client.sendall(GET)
            assert b" 200 OK" in read_answer(client)
        assert read_to_end(client) == b""


@pytest.mark.slow
def test_a_client_that_never_reads_is_cut() -> None:
    with running(MemoryServed(folders=LONG_PATHS), limits=BRISK) as server, connect(server) as client:
        client.sendall(SCRAPE)
        wait_for_connections(server, 1)
        wait_for_connections(server, 0)


def wait_for_connections(server: HttpServer, count: int) -> None:
    """Wait until the server holds so many."""
    for _ in range(int(PATIENCE_SECONDS * 100)):
        if server.connections == count:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{server.connections} connections instead of {count}")


@pytest.mark.slow
def test_a_client_that_leaves_in_the_middle_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with running(MemoryServed(folders=LONG_PATHS)) as server:
        with connect(server) as client:
            client.sendall(SCRAPE)
            client.recv(1000)  # and closing with the rest unread is a reset
        wait_for_connections(server, 0)
    assert caplog.text == ""


def test_a_reader_that_takes_its_time_gets_everything() -> None:
    with running(MemoryServed(folders=LONG_PATHS), limits=BRISK) as server:
        whole = len(ask(server, "/metrics?name[]=fexp_dwell_seconds").body)
        with connect(server) as client:
            client.sendall(b"GET /metrics?name[]=fexp_dwell_seconds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            body = read_to_end(client).partition(b"\r\n\r\n")[2]
    assert len(body) == whole > 1_000_000


def test_200_idle_clients_cost_a_scrape_nothing() -> None:
    """Mistake 21a."""
    with running() as server, ExitStack() as idle:
        for _ in range(200):
            idle.enter_context(connect(server))
        ask(server, "/metrics")
        took = []
        for _ in range(10):
            started_at = time.process_time()
            assert ask(server, "/metrics").status == 200
            took.append(time.process_time() - started_at)
    assert sorted(took)[5] < 0.1


def test_when_all_places_are_taken_who_never_asked_makes_room_first() -> None:
    """Mistake 21d."""
    with (
        running(limits=Limits(connections=3)) as server,
        connect(server) as useful,
        connect(server) as silent,
        connect(server) as younger,
    ):
        useful.sendall(GET)
        read_answer(useful)
        assert ask(server, "/-/healthy").status == 200
        assert read_to_end(silent) == b""
        useful.sendall(GET)
        read_answer(useful)
        assert server.connections <= 3
        younger.sendall(GET)
        read_answer(younger)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "asking"])
def test_who_floods_from_one_address_keeps_no_other_out(busy: bool) -> None:
    """The flood makes room for others; others keep their place, whatever they do in it."""
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(connections=8)) as server, ExitStack() as clients:
        other = clients.enter_context(connect(server, "127.0.0.2"))
        other.sendall(GET)
        read_answer(other)
        for _ in range(20):
            client = clients.enter_context(connect(server))
            if busy:
                client.sendall(SCRAPE)
        with connect(server, "127.0.0.3") as newcomer:
            newcomer.sendall(GET)
            assert b" 200 OK" in read_answer(newcomer)
        other.sendall(GET)
        assert b" 200 OK" in read_answer(other)
        assert server.connections <= 8
        assert served.hold is not None
        served.hold.set()


def test_answers_under_way_make_no_room_for_more_of_the_same_network() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(connections=1)) as server, connect(server) as busy:
        busy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert served.asked.wait(PATIENCE_SECONDS)
        with connect(server) as newcomer:
            assert read_to_end(newcomer) == b""
        assert served.hold is not None
        served.hold.set()
        assert b"fexp_files{" in read_to_end(busy)


@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding", "X"])
@pytest.mark.parametrize("noise", ['\\"' * 100_000, "a;" + "\t" * 200_000 + '"', "," * 200_000])
def test_a_large_header_is_refused_at_once(name: str, noise: str) -> None:
    """Also when it comes in one piece; and nobody else waits meanwhile."""
    with running() as server:
        began_at = time.process_time()
        answer = send_raw(server, f"GET /metrics HTTP/1.1\r\nHost: x\r\n{name}: {noise}\r\n\r\n".encode())
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
        assert ask(server, "/metrics").status == 200
        assert time.process_time() - began_at < 2  # it was minutes


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n folded: y\r\nBad Name: z\r\n\r\n",
        b"GET  /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /-/healthy HTTP/9.9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"X: " + b"y" * 100_000,
    ],
)
def test_a_bad_request_is_refused_and_nothing_of_it_is_in_the_log(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    served = MemoryServed()
    with running(served) as server:
        answer = send_raw(server, request_bytes)
        assert ask(server, "/-/healthy").status == 200
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert served.reloads == 0
    assert caplog.records == []


def test_noise_behind_a_request_under_way_is_cut_and_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn would answer it with a second answer in the middle of the first."""
    served = MemoryServed(hold=threading.Event())
    with running(served) as server, connect(server) as client:
        client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert read_to_end(client).count(b"HTTP/1.1 ") <= 1
        assert served.hold is not None
        served.hold.set()
    assert caplog.records == []


@pytest.mark.parametrize("extra", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_what_follows_a_body_is_not_taken_for_a_request(extra: bytes) -> None:
    """Two lengths, too, are how requests are smuggled past proxies: RFC 9112, section 6.1."""
    inner = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (extra, len(inner))
    served = MemoryServed()
    with running(served) as server:
        answer = send_raw(server, head + (b"0\r\n\r\n" if extra else b"") + inner)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert served.reloads == 0


def test_pipelined_requests_are_answered_in_order() -> None:
    last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with running() as server:
        answer = send_raw(server, GET * 3 + last)
    assert answer.count(b" 200 OK") == 3
    assert answer.rindex(b" 404 ") > answer.rindex(b" 200 OK")


@pytest.mark.parametrize(
    "line",
    [
        b"CONNECT x:1 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /-/healthy?x HTTP/1.1\r\nUpgrade: h2c",
        b"GET http://[/ HTTP/1.1",
        b"GET /-/healthy HTTP/1.0",
    ],
)
def test_odd_requests_are_answered(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with running() as server:
        answer = send_raw(server, line + b"\r\nHost: x\r\nConnection: close, upgrade\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 200 "))
    assert caplog.records == []


def test_noise_is_answered_or_cut_and_never_crashes(caplog: pytest.LogCaptureFixture) -> None:
    pieces = st.sampled_from(
        b"GET |POST |/|/metrics|?name[]=| HTTP/1.1|\r\n|\n|Host: x\r\n|\0|\xff|Content-Length: 3\r\n|%|0\r\n\r\n|"
        b"Transfer-Encoding: chunked\r\n|Connection: close\r\n|Upgrade: websocket\r\nConnection: upgrade\r\n".split(
            b"|"
        )
    )
    with running(limits=Limits(request_seconds=0.1, idle_seconds=1)) as server:

        @settings(max_examples=80)
        @given(st.lists(st.one_of(pieces, st.binary(max_size=8)), max_size=12))
        def check(parts: list[bytes]) -> None:
            with connect(server) as client:
                client.sendall(b"".join(parts))
                client.shutdown(socket.SHUT_WR)
                read_to_end(client)

        check()
        assert ask(server, "/-/healthy").status == 200
    assert [record.getMessage() for record in caplog.records] == []
