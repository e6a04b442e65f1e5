"""fexp.service.systemd against real sockets: what the manager receives, and what is taken over from it."""

import os
import re
import resource
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fexp.service.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The manager's socket and the NOTIFY_SOCKET that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@fexp-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        sock.settimeout(10)
        yield sock, name


@pytest.fixture
def received(manager: tuple[socket.socket, str]) -> socket.socket:
    return manager[0]


@pytest.fixture
def notifier(manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifier]:
    monkeypatch.setattr("fexp.service.systemd._SEND_TIMEOUT_SECONDS", 0.01)
    with closing(Notifier.from_environment({"NOTIFY_SOCKET": manager[1]})) as notifier:
        yield notifier


def test_ready(notifier: Notifier, received: socket.socket) -> None:
    notifier.ready()
    assert received.recv(4096) == b"READY=1"


def test_ready_with_a_status(notifier: Notifier, received: socket.socket) -> None:
    notifier.ready("2 folders, 17 files")
    assert received.recv(4096) == b"READY=1\nSTATUS=2 folders, 17 files"


def test_status(notifier: Notifier, received: socket.socket) -> None:
    notifier.status("17 Dateien, größte 3 MiB")
    assert received.recv(4096) == "STATUS=17 Dateien, größte 3 MiB".encode()


def test_a_status_forges_no_second_line(notifier: Notifier, received: socket.socket) -> None:
    notifier.status("a\nREADY=1\r\n\x00\x1b[31m\u2028b\tc\udcff  ")
    assert received.recv(4096) == b"STATUS=a READY=1 [31m b c"


def test_a_long_status_is_cut(notifier: Notifier, received: socket.socket) -> None:
    notifier.status("\N{GRINNING FACE}" * 10_000)
    message = received.recv(65536)
    assert len(message) < 4096
    assert message.decode().startswith("STATUS=\N{GRINNING FACE}")


def test_reloading_tells_the_monotonic_time(notifier: Notifier, received: socket.socket) -> None:
    before_usec = time.monotonic_ns() // 1000
    notifier.reloading()
    after_usec = time.monotonic_ns() // 1000
    match = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", received.recv(4096))
    assert match
    assert before_usec <= int(match[1]) <= after_usec


def test_stopping(notifier: Notifier, received: socket.socket) -> None:
    notifier.stopping()
    assert received.recv(4096) == b"STOPPING=1"


def test_watchdog(notifier: Notifier, received: socket.socket) -> None:
    notifier.watchdog()
    assert received.recv(4096) == b"WATCHDOG=1"


def test_extend_timeout(notifier: Notifier, received: socket.socket) -> None:
    notifier.extend_timeout(1.5)
    assert received.recv(4096) == b"EXTEND_TIMEOUT_USEC=1500000"


def say_everything(notifier: Notifier) -> None:
    notifier.ready("ready")
    notifier.status("status")
    notifier.reloading()
    notifier.stopping()
    notifier.watchdog()
    notifier.extend_timeout(1)
    notifier.close()


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier.from_environment({})
    assert notifier.watchdog_interval_seconds is None
    say_everything(notifier)


@pytest.mark.parametrize("name", ["", "relative/path", "vsock:2:1234", "@", "/" + "x" * 300, "/nowhere/notify"])
def test_a_socket_that_is_none_disturbs_nobody(name: str) -> None:
    say_everything(Notifier.from_environment({"NOTIFY_SOCKET": name}))


def test_a_manager_that_went_away_disturbs_nobody(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
    say_everything(Notifier.from_environment({"NOTIFY_SOCKET": path}))


def test_it_needs_no_descriptor_once_it_is_there(notifier: Notifier, received: socket.socket) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))  # what is open stays open
    try:
        notifier.watchdog()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert received.recv(4096) == b"WATCHDOG=1"


def test_a_manager_that_reads_nothing_delays_but_does_not_stop(notifier: Notifier, received: socket.socket) -> None:
    for _ in range(5000):  # fills the queue of net.unix.max_dgram_qlen messages, or the manager's buffer
        started_at = time.monotonic()
        notifier.watchdog()
        if time.monotonic() - started_at >= 0.01:
            break
    else:
        pytest.fail("the queue never filled")
    assert received.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "interval_seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "none"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "a minute"}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], interval_seconds: float | None) -> None:
    assert Notifier.from_environment(environ).watchdog_interval_seconds == interval_seconds
