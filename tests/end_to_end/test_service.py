"""``fexp watch`` as a service: what it tells systemd, and how it obeys signals."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Folder, Selection
from fexp.engine import Engine, EngineSettings
from tests.end_to_end.running import COMMAND, environment, watching
from tests.servers import fetch, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Manager:
    """The receiving end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.lines: list[str] = []

    def heard(self, start: str) -> list[str]:
        """Return what was told so far that begins so."""
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return [line for line in self.lines if line.startswith(start)]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Yield a manager to notify."""
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


@pytest.mark.slow
def test_ready_after_the_first_look_and_alive_by_the_engine(tmp_path: Path, manager: Manager) -> None:
    """Mistakes 23b, 23c: READY before the first look, a watchdog fed by a thread that proves nothing."""
    data = tmp_path / "data"
    data.mkdir()
    for number in range(7):
        (data / f"{number}.txt").touch()
    with watching(
        str(data), "--listen", "127.0.0.1:0", NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="400000"
    ) as fexp:
        poll(lambda: manager.heard("READY=1"))
        first_status = manager.heard("STATUS=7 files in 1 of 1 folders")
        assert first_status
        assert manager.lines.index(first_status[0]) <= manager.lines.index("READY=1") + 1
        poll(lambda: len(manager.heard("WATCHDOG=1")) >= 3)
        fexp.process.send_signal(signal.SIGHUP)
        poll(lambda: manager.heard("RELOADING=1") and len(manager.heard("READY=1")) == 2)
        poll(lambda: fexp.value("fexp_scans_total", reason="reload") == 1)
        assert fexp.stop() == 0
        assert manager.heard("STOPPING=1")


def test_a_stuck_engine_is_not_called_alive(tmp_path: Path) -> None:
    """Mistake 23c: while the loop that counts is stuck, nothing feeds the watchdog, though all other threads run."""
    engine = Engine([Folder(os.fsencode(tmp_path), str(tmp_path), Selection())], EngineSettings())
    engine.start()
    try:
        assert engine.flush(10)
        assert engine.has_progressed()
        stuck, release = threading.Event(), threading.Event()

        def hang() -> None:
            stuck.set()
            release.wait(30)

        engine._queue.put((None, hang))
        assert stuck.wait(10)
        engine.has_progressed()
        assert not engine.has_progressed()
        release.set()
        poll(engine.has_progressed)
    finally:
        engine.stop()


def test_a_socket_from_systemd(tmp_path: Path) -> None:
    """--listen systemd without a socket from systemd is one clear line, not a guess."""
    with watching(str(tmp_path), "--listen", "systemd", ready=False) as fexp:
        assert fexp.process.wait(20) == 2
        poll(lambda: fexp.lines)
    assert len(fexp.lines) == 1
    assert "systemd passed no socket" in fexp.lines[0]


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="NO systemd-socket-activate HERE")
def test_sockets_that_systemd_opened(tmp_path: Path) -> None:
    """With systemd's own tool: the first client, who came before fexp ran, is answered; so is each later one."""
    (tmp_path / "a.txt").touch()
    port = free_port()
    launcher = ("systemd-socket-activate", "-l", f"127.0.0.1:{port}")
    with watching(str(tmp_path), "--listen", "systemd", launcher=launcher, ready=False) as fexp:
        poll(lambda: any("Listening on" in line for line in fexp.lines))
        assert fetch(f"http://127.0.0.1:{port}/-/healthy").status == 200
        fexp.wait_until_ready()
        text = fetch(f"http://127.0.0.1:{port}/metrics").text
        assert f'fexp_files{{folder="{tmp_path}",pattern="*"}} 1.0' in text
        assert fexp.stop() == 0


@pytest.mark.slow
def test_a_long_first_look_asks_systemd_for_more_time(manager: Manager, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "file").touch()
    for directory in range(40):
        (data / str(directory)).mkdir(parents=True)
        for number in range(1000):
            os.link(tmp_path / "file", f"{data}/{directory}/{number}")
    with watching(str(data), "-r", "--listen", "127.0.0.1:0", NOTIFY_SOCKET=str(manager.path), ready=False) as fexp:
        poll(lambda: manager.heard("READY=1"))
        before = manager.lines[: manager.lines.index("READY=1")]
        assert "EXTEND_TIMEOUT_USEC=30000000" in before
        assert any(line.startswith("STATUS=first look at") for line in before)
        assert fexp.value("fexp_files") == 40_000
        extended = len(manager.heard("EXTEND_TIMEOUT_USEC"))
        assert fexp.stop() == 0
        assert len(manager.heard("EXTEND_TIMEOUT_USEC")) == extended


def test_stop_in_the_middle_of_the_first_look(tmp_path: Path) -> None:
    """SIGTERM at any moment ends it cleanly, with status 0 and nothing left behind."""
    for number in range(30):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
    textfile = tmp_path / "out" / "x.prom"
    textfile.parent.mkdir()
    for _ in range(3):
        with watching(
            str(tmp_path / "data"), "-r", "--textfile", str(textfile), "--listen", "127.0.0.1:0", ready=False
        ) as fexp:
            poll(lambda fexp=fexp: any("listening" in line for line in fexp.lines), every_seconds=0.002)
            assert fexp.stop() == 0
        assert list(textfile.parent.iterdir()) == []


def test_a_stop_that_comes_in_a_destructor_is_not_lost() -> None:
    """Python drops an exception that is raised there, and an import is full of them. A reload comes too early."""
    program = """
import os, signal, weakref
from fexp.cli import _stop_cleanly_on_signals
class Thing: pass
_stop_cleanly_on_signals()
os.kill(os.getpid(), signal.SIGHUP)
thing = Thing()
end = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del thing
os._exit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reload_that_finds_a_bad_config_keeps_the_old_one_and_says_so(tmp_path: Path, manager: Manager) -> None:
    """By HTTP with a 400 and the reason, by SIGHUP with a log line; and a metric to alert on."""
    data, config = tmp_path / "data", tmp_path / "web.yml"
    data.mkdir()
    config.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    with watching(
        str(data), "--listen", "127.0.0.1:0", "--web-config", str(config), NOTIFY_SOCKET=str(manager.path)
    ) as fexp:
        assert fexp.value("fexp_config_last_reload_successful") == 1
        good_at = fexp.value("fexp_config_last_reload_success_timestamp_seconds")
        config.write_text("http_server_config: {heathers: {}}\n")
        answer = fetch(f"{fexp.url}/-/reload", method="POST")
        assert answer.status == 400
        assert "heathers" in answer.text
        assert fexp.value("fexp_config_last_reload_successful") == 0
        assert fexp.value("fexp_config_last_reload_success_timestamp_seconds") == good_at
        assert fexp.value("fexp_scans_total", reason="reload") == 0
        assert fexp.get("/-/healthy").headers["X-Frame-Options"] == "deny"
        fexp.process.send_signal(signal.SIGHUP)
        poll(lambda: any("not reloaded" in line and "heathers" in line for line in fexp.lines))
        poll(lambda: len(manager.heard("READY=1")) == 3)
        config.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
        assert fetch(f"{fexp.url}/-/reload", method="POST").status == 200
        assert fexp.value("fexp_config_last_reload_successful") == 1
        assert fexp.get("/-/healthy").headers["X-Frame-Options"] == "sameorigin"
        poll(lambda: fexp.value("fexp_scans_total", reason="reload") == 1)


def test_a_terminal_that_is_closed_ends_what_it_started(tmp_path: Path) -> None:
    """Else fexp would go on unseen and hold the port. By hand, SIGHUP on a terminal that is there is a reload."""
    textfile = tmp_path / "out" / "x.prom"
    textfile.parent.mkdir()
    (tmp_path / "data").mkdir()
    process, terminal = pty.fork()
    if process == 0:
        command = [*COMMAND, "watch", str(tmp_path / "data"), "--textfile", str(textfile)]
        os.execve(command[0], command, environment())
    said = b""
    while b"ready:" not in said:
        said += os.read(terminal, 4096)
    poll(textfile.exists)
    os.kill(process, signal.SIGHUP)
    assert textfile.exists()
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert not textfile.exists()
