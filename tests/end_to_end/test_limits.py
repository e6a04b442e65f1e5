"""What few descriptors or threads do: fexp begins or says why not, and once it runs, it always stops cleanly."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.running import COMMAND, environment, watching
from tests.outputs.scripted import ScriptedServer, answer
from tests.servers import fetch, poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.running import Watching

USER = 200_000 + os.getpid()
"""Who has no other process."""
SOMEBODY = [
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",  # Python itself may be where only root looks
]  # fmt: skip
"""No limit holds root."""


@pytest.fixture
def gateway() -> Iterator[ScriptedServer]:
    with ScriptedServer(answer(202)) as server:
        yield server


@pytest.fixture
def arguments(tmp_path: Path, gateway: ScriptedServer) -> list[str]:
    """Return the arguments of a fexp that has all outputs; another user can write where they go."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    return [
        str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--listen", f"unix:{tmp_path}/out/socket",
        "--textfile", str(tmp_path / "out" / "x.prom"), "--gateway", gateway.url, "--remote-write", gateway.url,
        "--gateway-deadline", "1s", "--remote-write-deadline", "1s", "--min-interval", "0",
    ]  # fmt: skip


@cache
def _alone() -> list[str]:
    """Return what starts a process whose threads alone count for its user's limit, or skip the test."""
    launcher = SOMEBODY if os.geteuid() == 0 else ["unshare", "--user"]
    probe = subprocess.run([*launcher, "prlimit", "--nproc=1", "sh", "-c", ": | :"], capture_output=True, check=False)
    if probe.returncode == 0 or b"fork" not in probe.stderr.lower():
        pytest.skip(f"NO LIMIT OF THREADS HERE ({probe.stderr.decode().strip()}): what fexp makes of it is not tested")
    return launcher


def _limit_threads(fexp: Watching, number: int) -> None:
    launcher = SOMEBODY if os.geteuid() == 0 else []
    subprocess.run([*launcher, "prlimit", f"--pid={fexp.process.pid}", f"--nproc={number}:"], check=True)


def _limit_descriptors(fexp: Watching, number: int) -> None:
    _, hard = resource.prlimit(fexp.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(fexp.process.pid, resource.RLIMIT_NOFILE, (number, hard))


def _descriptors(fexp: Watching) -> int:
    """Return how many it has while it is at rest."""
    for output in ("textfile", "gateway", "remote_write"):
        poll(lambda output=output: fexp.value("fexp_deliveries_total", output=output))
    return min(len(os.listdir(f"/proc/{fexp.process.pid}/fd")) for _ in range(200))


def _complaint(launcher: list[str], arguments: list[str]) -> str:
    """Run a fexp that cannot begin. Return what it says, which is one line."""
    command = [*launcher, *COMMAND, "watch", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment(), check=False)
    assert ended.returncode == 1, ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


def _files_in(textfile: Path) -> str | None:
    found = re.search(r"^fexp_files\{.*\} (\S+)$", textfile.read_text(), re.MULTILINE)
    return found[1] if found else None


@pytest.mark.parametrize("number", [5, 8, 11, 13, 20])
def test_a_start_without_descriptors_ends_with_one_line(arguments: list[str], number: int) -> None:
    line = _complaint(["prlimit", f"--nofile={number}"], arguments)
    assert re.fullmatch(r"fexp: Too many open files: \d+ more are needed and \d+ can be had; allow more .*", line)
    assert "ulimit -n" in line


@pytest.mark.parametrize("number", [1, 3, 8, 13, 17])
def test_a_start_without_threads_ends_with_one_line(tmp_path: Path, arguments: list[str], number: int) -> None:
    line = _complaint([*_alone(), "prlimit", f"--nproc={number}"], arguments)
    assert line.startswith("fexp: can't start new thread; allow more with ulimit -u")
    assert not os.listdir(tmp_path / "out")


def test_clients_leave_descriptors_for_all_else(tmp_path: Path, arguments: list[str]) -> None:
    textfile = tmp_path / "out" / "x.prom"
    with watching(*arguments, launcher=["prlimit", "--nofile=64"]) as fexp, ExitStack() as clients:
        for number in range(80):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", urlsplit(fexp.url).port or 0)))
            path = "/api/v1/events" if number % 2 else "/-/healthy"
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        (tmp_path / "data" / "b").touch()
        poll(lambda: textfile.exists() and _files_in(textfile) == "2.0")
        assert fexp.value("fexp_files") == 2
        assert fexp.value("fexp_delivery_failures_total", output="textfile") == 0
        assert fexp.stop() == 0
    assert not textfile.exists()
    assert not [line for line in fexp.lines if "level=info" not in line]


@pytest.mark.parametrize("number", [5, None], ids=["fewer than it has", "as many as it has"])
def test_without_descriptors_a_stop_is_clean(
    tmp_path: Path, arguments: list[str], gateway: ScriptedServer, number: int | None
) -> None:
    """Of what it has, some are kept for the stop: if these can be used again, the last deliveries are made."""
    with watching(*arguments) as fexp:
        at_rest = _descriptors(fexp)
        _limit_descriptors(fexp, number or at_rest)
        (tmp_path / "data" / "b").touch()
        poll(lambda: any("Too many open files" in line for line in fexp.lines))
        assert fexp.stop() == 0
    assert not os.listdir(tmp_path / "out")
    assert not [line for line in fexp.lines if "Traceback" in line]
    assert number or any(head.startswith("DELETE") for head in gateway.heads)


def test_http_answers_again_when_there_are_descriptors_again(arguments: list[str]) -> None:
    with watching(*arguments) as fexp, ExitStack() as clients:
        _limit_descriptors(fexp, 5)
        client = clients.enter_context(socket.create_connection(("127.0.0.1", urlsplit(fexp.url).port or 0)))
        client.settimeout(0.5)
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
        _limit_descriptors(fexp, 256)
        client.settimeout(10)
        assert client.recv(12) == b"HTTP/1.1 200"
        assert fetch(f"{fexp.url}/metrics").status == 200
        assert fexp.stop() == 0


def test_without_threads_all_goes_on_and_a_stop_is_clean(
    tmp_path: Path, arguments: list[str], gateway: ScriptedServer
) -> None:
    textfile = tmp_path / "out" / "x.prom"
    with watching(*arguments, launcher=_alone()) as fexp:
        _limit_threads(fexp, 1)
        fexp.process.send_signal(signal.SIGHUP)
        (tmp_path / "data" / "b").touch()
        poll(lambda: textfile.exists() and _files_in(textfile) == "2.0")
        poll(lambda: any("not reloaded" in line for line in fexp.lines))
        assert fexp.value("fexp_files") == 2
        assert fexp.value("fexp_delivery_failures_total", output="gateway") == 0
        assert fexp.stop() == 0
    assert not os.listdir(tmp_path / "out")
    assert [line for line in fexp.lines if "level=info" not in line] == [
        line for line in fexp.lines if "not reloaded" in line and "ulimit -u" in line
    ]
    assert any(head.startswith("DELETE") for head in gateway.heads)
