"""Processes that are measured: started, asked, weighed, and ended by their own id."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
FEXP = str(Path(sys.executable).with_name("fexp"))
GIVE_UP_SECONDS = 120.0
_REQUEST = b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
_TEXT = b"Accept: text/plain\r\n"
AS_PROMETHEUS = (
    b"Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2\r\n"
    b"Accept-Encoding: gzip\r\n"
)
"""The header fields of a scrape."""


class BenchmarkError(Exception):
    """Something that is measured did not do what it was asked for."""


def pause(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a whole process to the nanosecond, its ended threads included.

    See clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | 2)


def kernel_seconds(pid: int) -> float:
    """Return the part of a process's CPU time that the kernel spent for it, in steps of a clock tick."""
    return _ticks(pid)[1]


def ended_children_cpu_seconds(pid: int) -> float:
    """Return the CPU time of the processes that it started and waited for, in steps of a clock tick."""
    return sum(_ticks(pid)[2:])


def _ticks(pid: int) -> list[float]:
    """Return the CPU seconds of a process: its own, the kernel's for it, and both of its children, see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]


def memory_bytes(pid: int, field: str = "Rss") -> int:
    """Return a sum of smaps_rollup: Rss, Private_Dirty and so on."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def private_bytes(pid: int) -> int:
    """Return what only this process holds."""
    return memory_bytes(pid, "Private_Clean") + memory_bytes(pid, "Private_Dirty")


@contextmanager
def running(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program and end it with the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=REPOSITORY)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Spent:
    """What one run of a program took."""

    wall_seconds: float
    cpu_seconds: float


def run(command: Sequence[str] | str) -> Spent:
    """Run a program to its end, a text by the shell. Raises BenchmarkError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        shell=isinstance(command, str),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    ended = time.perf_counter()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchmarkError(f"{command} ended with {process.returncode}")
    return Spent(ended - began, usage.ru_utime + usage.ru_stime)


class Client:
    """A plain keep-alive connection, so that what is measured is the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: bytes = b"/metrics", fields: bytes = _TEXT) -> tuple[int, bytes]:
        """Ask once; give the status and the body."""
        self._socket.sendall(_REQUEST % (path, fields))
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head, body = received[:end], received[end + 4 :]
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert found is not None
        parts, missing = [body], int(found[1]) - len(body)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        return int(head.split(b" ", 2)[1]), b"".join(parts)

    def _receive(self) -> bytes:
        part = self._socket.recv(1 << 17)
        if not part:
            raise BenchmarkError("fexp closed a connection")
        return part

    def number(self, family: str, pattern: str = "*") -> float:
        """Ask for one number; 0 when it is not shown."""
        return number(self.get()[1], family, pattern)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def number(body: bytes, family: str, pattern: str = "*") -> float:
    """Read one sample of a family: of a pattern where it has patterns."""
    found = re.search(
        rb"^%b\{[^}]*pattern=\"%b\"[^}]*\} (\S+)$" % (family.encode(), re.escape(pattern.encode())),
        body,
        re.MULTILINE,
    ) or re.search(rb"^%b\{[^}]*\} (\S+)$" % family.encode(), body, re.MULTILINE)
    return float(found[1]) if found else 0.0


class Fexp:
    """A running ``fexp watch`` that is asked over one connection."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, client: Client) -> None:
        self.pid = process.pid
        self.port = port
        self.client = client
        self.ready_seconds = 0.0
        self._process = process

    def cpu_seconds(self) -> float:
        """Return its CPU time until now."""
        return cpu_seconds(self.pid)

    def wait_ready(self) -> None:
        """Poll until /-/ready says so."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while self.client.get(b"/-/ready")[0] != 200:
            if time.monotonic() > until:
                raise BenchmarkError("fexp does not get ready")
            pause(0.01)

    def wait_for(self, seconds: float = GIVE_UP_SECONDS, *, every: float = 0.0, **numbers: float) -> float:
        """Poll until /metrics shows these numbers; give the monotonic time of the first answer that does.

        Raises BenchmarkError, with what was shown instead, when they do not come.
        """
        until = time.monotonic() + seconds
        while True:
            body = self.client.get()[1]
            now = time.monotonic()
            shown = {family: number(body, f"fexp_{family}") for family in numbers}
            if shown == numbers:
                return now
            if now > until:
                raise BenchmarkError(f"WRONG NUMBERS after {seconds:g} s: shown {shown}, truth {numbers}")
            if every:
                pause(every)


@contextmanager
def fexp_watch(*arguments: str, ready: bool = True) -> Iterator[Fexp]:
    """Run ``fexp watch`` on a free loopback port, and wait until it is ready."""
    began = time.monotonic()
    with ExitStack() as stack:
        process = stack.enter_context(
            running([FEXP, "watch", "--listen", "127.0.0.1:0", *arguments], stderr=subprocess.PIPE)
        )
        assert process.stderr is not None
        port = _port(process.stderr)
        threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
        client = Client(port)
        stack.callback(client.close)
        fexp = Fexp(process, port, client)
        if ready:
            fexp.wait_ready()
            fexp.ready_seconds = time.monotonic() - began
        yield fexp


def _port(lines: IO[bytes]) -> int:
    said = []
    for line in lines:
        found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return int(found[1])
        said.append(line.decode(errors="replace"))
    raise BenchmarkError(f"fexp watch does not listen: {''.join(said)}")


def _drain(lines: IO[bytes]) -> None:
    with suppress(ValueError, OSError):
        for _ in lines:
            pass
