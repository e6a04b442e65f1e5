"""Clients that are slow, silent, too many or malformed. A scrape beside them is answered."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from contextlib import ExitStack

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
    port_of,
    read_to_end,
    running,
    send_raw,
    watch_for_end,
)
from tests.servers import poll

GET = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
BRISK = Limits(request_seconds=0.2, idle_seconds=1, send_seconds=0.3)


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


def test_a_slow_loris_is_cut_although_it_goes_on_sending() -> None:
    with running(limits=BRISK) as server, connect(server) as client:
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


def test_a_slow_loris_on_the_second_request_is_cut() -> None:
    with running(limits=BRISK) as server, connect(server) as client:
        client.sendall(GET)
        read_answer(client)
        client.sendall(b"GET / HTT")
        assert read_to_end(client) == b""


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
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 200}") for number in range(3000))
    with running(MemoryServed(folders=folders), limits=BRISK) as server, connect(server) as client:
        gone = watch_for_end(server)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gone.wait(PATIENCE_SECONDS)


@pytest.mark.slow
def test_a_client_that_leaves_in_the_middle_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 200}") for number in range(3000))
    with running(MemoryServed(folders=folders)) as server:
        with connect(server) as client:
            ended = watch_for_end(server)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)  # and closing with the rest unread is a reset
        assert ended.wait(PATIENCE_SECONDS)
    assert caplog.text == ""


def test_a_reader_that_takes_its_time_gets_everything() -> None:
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 200}") for number in range(1000))
    with running(MemoryServed(folders=folders), limits=BRISK) as server:
        whole = len(ask(server, "/metrics?name[]=fexp_dwell_seconds").body)
        with connect(server) as client:
            client.sendall(b"GET /metrics?name[]=fexp_dwell_seconds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            body = read_to_end(client).partition(b"\r\n\r\n")[2]
    assert len(body) == whole > 1_000_000


def test_200_idle_clients_and_a_scrape_is_answered_in_milliseconds() -> None:
    """Mistake 21a."""
    with running() as server, ExitStack() as idle:
        for _ in range(200):
            idle.enter_context(connect(server))
        ask(server, "/metrics")
        took = []
        for _ in range(10):
            started_at = time.perf_counter()
            assert ask(server, "/metrics").status == 200
            took.append(time.perf_counter() - started_at)
    assert sorted(took)[5] < 0.1


def test_when_all_places_are_taken_the_longest_waiting_makes_room() -> None:
    """Mistake 21d."""
    with (
        running(limits=Limits(connections=3)) as server,
        connect(server) as first,
        connect(server) as second,
        connect(server) as third,
    ):
        for client in (second, third):
            client.sendall(GET)
            read_answer(client)
        assert ask(server, "/-/healthy").status == 200
        assert read_to_end(first) == b""
        second.sendall(GET)
        read_answer(second)


def test_a_client_that_does_not_read_makes_room() -> None:
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 200}") for number in range(3000))
    with (
        running(MemoryServed(folders=folders), limits=Limits(connections=1)) as server,
        connect(server) as lazy,
    ):
        lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        lazy.recv(1)
        while ask(server, "/-/healthy").status != 200:  # 503 until what the kernel takes is full
            pass
        assert len(read_to_end(lazy)) < 10_000_000


def test_when_all_are_busy_the_newcomer_is_told() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(connections=1)) as server, connect(server) as busy:
        busy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert served.asked.wait(PATIENCE_SECONDS)
        with connect(server) as newcomer:
            assert read_to_end(newcomer).startswith(b"HTTP/1.1 503 ")
        assert served.hold is not None
        served.hold.set()
        assert b"fexp_files{" in read_to_end(busy)


def test_when_all_are_busy_for_one_network_another_gets_in() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(connections=3)) as server, ExitStack() as clients:
        busy = [clients.enter_context(connect(server)) for _ in range(3)]
        for client in busy:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert served.asked.wait(PATIENCE_SECONDS)
        there = ("127.0.0.2", 0)
        with socket.create_connection(("127.0.0.1", port_of(server)), PATIENCE_SECONDS, source_address=there) as other:
            other.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read_to_end(other).startswith(b"HTTP/1.1 200 ")
        assert served.hold is not None
        served.hold.set()


def test_without_descriptors_waiting_clients_make_room() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running() as server, ExitStack() as clients:
        idle = [clients.enter_context(connect(server)) for _ in range(20)]
        assert server._server is not None
        while len(server._server._connections) < len(idle):
            threading.Event().wait(0.01)
        scrape = clients.enter_context(socket.socket())
        scrape.settimeout(PATIENCE_SECONDS)
        lowest = os.dup(0)
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))  # not one more
            scrape.connect(("127.0.0.1", port_of(server)))
            scrape.sendall(GET)
            began_at = time.monotonic()
            assert b" 200 OK" in read_answer(scrape)
            assert read_to_end(idle[0]) == b""
            assert time.monotonic() - began_at < 5  # of the 10 after which idle ones go anyway
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding", "X"])
@pytest.mark.parametrize("noise", ['\\"' * 100_000, "a;" + "\t" * 200_000 + '"', '"' * 200_000, "y" * 200_000])
def test_a_large_header_is_refused_at_once(name: str, noise: str) -> None:
    """Also when it comes in one piece; and nobody else waits meanwhile."""
    with running() as server:
        began_at = time.monotonic()
        answer = send_raw(server, f"GET /metrics HTTP/1.1\r\nHost: x\r\n{name}: {noise}\r\n\r\n".encode())
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
        assert ask(server, "/metrics").status == 200
        assert time.monotonic() - began_at < 2  # it was minutes


@pytest.mark.parametrize("target", [b"http://[/", b"http://[::1", b"https://]/x"])
def test_a_target_that_is_no_url_is_a_bad_request_and_nothing_in_the_log(
    target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as server:
        answer = send_raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert caplog.records == []


@pytest.mark.parametrize("path", [b"/metrics", b"/", b"/-/healthy"])
def test_who_closes_one_way_is_answered(path: bytes) -> None:
    """As nc -N and some health checkers do."""
    with running() as server, connect(server) as client:
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client).startswith(b"HTTP/1.1 200 OK")


def test_who_closes_one_way_makes_room() -> None:
    """It may have gone for good: it must not keep a place until its answer is made."""
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(connections=2)) as server:
        for _ in range(2):
            client = connect(server)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert served.asked.wait(PATIENCE_SECONDS)
            client.close()
        host = server._server
        assert host is not None
        poll(lambda: all(one.is_half_closed for one in host._connections))
        assert ask(server, "/-/healthy").status == 200
        assert served.hold is not None
        served.hold.set()


def test_a_huge_header_is_refused() -> None:
    with running() as server:
        answer = send_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n folded: y\r\nBad Name: z\r\n\r\n",
        b"GET  /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /-/healthy HTTP/9.9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_a_bad_request_is_told_and_closed(request_bytes: bytes) -> None:
    served = MemoryServed()
    with running(served) as server:
        answer = send_raw(server, request_bytes)
        assert ask(server, "/-/healthy").status == 200
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert served.reloads == 0


def test_an_unknown_transfer_coding_is_refused() -> None:
    with running() as server:
        head = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        answer = send_raw(server, head + b"0\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))


def test_what_follows_a_body_is_not_taken_for_a_request() -> None:
    inner = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner)
    served = MemoryServed()
    with running(served) as server:
        answer = send_raw(server, head + inner)
    assert answer.count(b"HTTP/1.1 ") == 1
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
        b"PRI / HTTP/1.1",
    ],
)
def test_odd_methods_and_upgrades_are_answered(line: bytes) -> None:
    with running() as server:
        answer = send_raw(server, line + b"\r\nHost: x\r\nConnection: close, upgrade\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 200 "))


def test_small_packets_are_sent_at_once() -> None:
    """Without TCP_NODELAY each scrape on a kept connection waits 40 ms for an acknowledgement."""
    with running() as server, connect(server) as client:
        client.sendall(GET)
        read_answer(client)
        assert server._server is not None
        (connection,) = server._server._connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_absolute_form_and_http_1_0_are_understood() -> None:
    with running() as server:
        absolute = send_raw(server, b"GET http://x/-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        old = send_raw(server, b"GET /-/healthy HTTP/1.0\r\n\r\n")
    assert b" 200 OK" in absolute
    assert b" 200 OK" in old


def test_noise_is_answered_or_cut_and_never_crashes(caplog: pytest.LogCaptureFixture) -> None:
    pieces = st.sampled_from(
        [
            b"GET ",
            b"POST ",
            b"/",
            b"/metrics",
            b"?name[]=",
            b" HTTP/1.1",
            b"\r\n",
            b"\n",
            b"Host: x\r\n",
            b"\0",
            b"\xff",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"%",
            b"0\r\n\r\n",
            b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        ]
    )
    with running(limits=Limits(request_seconds=0.1, idle_seconds=1)) as server:

        @settings(max_examples=80, deadline=None)
        @given(st.lists(st.one_of(pieces, st.binary(max_size=8)), max_size=12))
        def check(parts: list[bytes]) -> None:
            with connect(server) as client:
                client.sendall(b"".join(parts))
                client.shutdown(socket.SHUT_WR)
                read_to_end(client)

        check()
        assert ask(server, "/-/healthy").status == 200
    assert [record.getMessage() for record in caplog.records] == []
