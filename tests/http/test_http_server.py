"""The life of a server: open, start, stop."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from fexp.outputs.http import HttpServer, Limits, parse_listen
from tests.http.serving import (
    PATIENCE_SECONDS,
    MemoryServed,
    ask,
    connect,
    port_of,
    read_to_end,
    running,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def make_server(*listens: str, served: MemoryServed | None = None, limits: Limits | None = None) -> HttpServer:
    return HttpServer([parse_listen(text) for text in listens], served or MemoryServed(), limits=limits)


def test_several_addresses_at_once(tmp_path: Path) -> None:
    server = make_server("127.0.0.1:0", "127.0.0.1:0", f"unix:{tmp_path}/s")
    server.open()
    server.start()
    try:
        assert len(server.addresses) == 3
        ports = [int(address.rpartition(":")[2]) for address in server.addresses[:2]]
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
                client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert b" 200 OK" in read_to_end(client)
    finally:
        server.stop()


def test_a_client_that_comes_before_the_start_is_answered_after_it() -> None:
    server = make_server("127.0.0.1:0")
    server.open()
    with connect(server) as early:
        early.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.start()
        assert b" 200 OK" in read_to_end(early)
    server.stop()


def test_the_first_client_has_no_file_opened() -> None:
    """There may be no descriptor to read a module with."""
    with running() as server:
        assert server._acceptor is not None
        assert server._acceptor._config.loaded


def test_stop_is_harmless_at_any_time() -> None:
    make_server("127.0.0.1:0").stop()
    opened = make_server("127.0.0.1:0")
    opened.open()
    opened.stop()
    opened.stop()
    with running() as server:
        server.stop()


def test_the_port_is_free_after_a_stop() -> None:
    with running() as server:
        port = port_of(server)
    again = make_server(f"127.0.0.1:{port}")
    again.open()
    again.stop()


def test_a_stop_lets_an_answer_under_way_end_and_cuts_the_idle() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served) as server, connect(server) as busy, connect(server) as idle:
        busy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert served.asked.wait(PATIENCE_SECONDS)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert read_to_end(idle) == b""
        assert served.hold is not None
        served.hold.set()
        assert b"fexp_files{" in read_to_end(busy)
        stopping.join(PATIENCE_SECONDS)
        assert not stopping.is_alive()


def test_a_stop_answers_what_was_asked_before_it() -> None:
    """The request is here, but the server has not read it yet."""
    release = threading.Event()
    with running() as server, connect(server) as client:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in client.recv(4096)
        assert server._loop is not None
        server._loop.call_soon_threadsafe(release.wait, PATIENCE_SECONDS)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        release.set()
        assert b"fexp_files{" in read_to_end(client)
        stopping.join(PATIENCE_SECONDS)


def test_a_stop_does_not_wait_for_ever() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(stop_seconds=0.1)) as server, connect(server) as busy:
        busy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert served.asked.wait(PATIENCE_SECONDS)
        started_at = time.monotonic()
        server.stop()
        assert time.monotonic() - started_at < Limits().stop_seconds
        assert read_to_end(busy) == b""
        assert served.hold is not None
        served.hold.set()


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served, limits=Limits(answer_seconds=0.1)) as server:
        assert ask(server, "/metrics").status == 503
        assert ask(server, "/-/healthy").status == 200
        assert served.hold is not None
        served.hold.set()


def test_a_bug_in_what_is_served_is_a_500_and_nothing_of_it_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(MemoryServed):
        def metadata(self) -> dict[str, object]:
            raise RuntimeError("inner workings")

    with running(Broken()) as server:
        reply = ask(server, "/api/v1/metadata")
        assert ask(server, "/metrics").status == 200
    assert (reply.status, reply.body) == (500, b"Internal Server Error\n")
    assert "inner workings" in caplog.text


def test_clients_leave_nothing_behind() -> None:
    with running() as server:
        ask(server, "/-/healthy")
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(50):
            ask(server, "/metrics")
            with connect(server):
                pass
        assert ask(server, "/-/healthy").status == 200
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after - before < 10


def test_who_connected_just_before_the_stop_is_answered() -> None:
    """A scrape that is on its way when a service restarts behind its socket is not refused."""
    with running() as server, connect(server) as client:
        stopper = threading.Thread(target=server.stop)
        with connect(server) as idle:
            idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(1)
            stopper.start()
            while idle.recv(1 << 16):
                pass  # one that has been answered ends at once: the stop is under way
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        stopper.join(10)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
