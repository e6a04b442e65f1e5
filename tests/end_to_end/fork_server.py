"""Processes of fexp that begin where all modules are loaded: loading takes most of the time of a start.

``python fork_server.py DESCRIPTOR`` reads commands from a socket and runs each in a process of its own.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import redirect_stdout, suppress
from functools import cache

import fexp
from fexp import cli

_MESSAGE_BYTES_MAX = 1 << 20


class ForkedProcess:
    """A process of the fork server, as ``subprocess.Popen`` shows one."""

    def __init__(self, statuses: int, errors: int) -> None:
        self._statuses = os.fdopen(statuses, "rb", buffering=0)
        self.stderr = os.fdopen(errors, encoding="utf-8", errors="surrogateescape")
        self.pid = int(self._statuses.readline())
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for its end and return its exit status."""
        if self._status is None:
            if not select.select([self._statuses], [], [], timeout_seconds)[0]:
                raise subprocess.TimeoutExpired(f"fexp, process {self.pid}", timeout_seconds or 0)
            self._status = int(self._statuses.readline())
            self._statuses.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Runs one command after the other to its end, and starts others that go on."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()

    def run(
        self, arguments: list[str], environ: dict[str, str], timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``fexp`` with these arguments."""
        text = {"mode": "w+", "encoding": "utf-8", "errors": "surrogateescape"}
        with tempfile.TemporaryFile(**text) as output, tempfile.TemporaryFile(**text) as error:  # type: ignore[call-overload]
            self._ask(arguments, environ, os.getcwd(), output.fileno(), error.fileno())
            self._socket.settimeout(timeout_seconds)
            process = int(self._socket.recv(_MESSAGE_BYTES_MAX))
            try:
                status = int(self._socket.recv(_MESSAGE_BYTES_MAX))
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                self._socket.recv(_MESSAGE_BYTES_MAX)
                raise subprocess.TimeoutExpired(arguments, timeout_seconds) from None
            output.seek(0)
            error.seek(0)
            return subprocess.CompletedProcess(arguments, status, output.read(), error.read())

    def start(self, arguments: list[str], environ: dict[str, str], directory: str) -> ForkedProcess:
        """Start ``fexp`` with these arguments; what it prints to standard output is lost."""
        (errors, its_errors), (statuses, its_statuses) = os.pipe(), os.pipe()
        try:
            self._ask(arguments, environ, directory, its_statuses, its_errors, goes_on=True)
        finally:
            os.close(its_errors)
            os.close(its_statuses)
        return ForkedProcess(statuses, errors)

    def _ask(
        self, arguments: list[str], environ: dict[str, str], directory: str, *descriptors: int, goes_on: bool = False
    ) -> None:
        command = {"arguments": arguments, "environ": environ, "directory": directory, "goes_on": goes_on}
        socket.send_fds(self._socket, [json.dumps(command).encode()], descriptors)


@cache
def fork_server() -> ForkServer:
    """Return the one of this run."""
    return ForkServer()


def _serve(commands: socket.socket) -> None:
    for module in pkgutil.walk_packages(fexp.__path__, "fexp."):
        if module.name not in {"fexp.__main__", "fexp.pytest_plugin"}:
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as empty, redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        assert cli.run(["scan", empty]) == 0  # what is imported late is imported now
    assert threading.active_count() == 1
    while True:
        message, descriptors, _, _ = socket.recv_fds(commands, _MESSAGE_BYTES_MAX, 2)
        if not message:
            return
        command = json.loads(message)
        process = os.fork()
        if process == 0:
            commands.close()
            _keep(command, *descriptors) if command["goes_on"] else _become(command, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if not command["goes_on"]:
            commands.send(b"%d" % process)
        _, status = os.waitpid(process, 0)
        if not command["goes_on"]:
            commands.send(b"%d" % os.waitstatus_to_exitcode(status))


def _keep(command: dict[str, object], statuses: int, errors: int) -> None:
    """Run a process that goes on, and tell its number and, in the end, its status. The server need not wait."""
    if os.fork():
        os._exit(0)
    process = os.fork()
    if process == 0:
        _become(command, os.open(os.devnull, os.O_WRONLY), errors)
    os.close(errors)
    os.write(statuses, b"%d\n" % process)
    _, status = os.waitpid(process, 0)
    os.write(statuses, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(command: dict[str, object], output: int, errors: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, 64)
    # As Python opens them: those of the server took their files for ones that can be sought in.
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(command["environ"])  # type: ignore[call-overload]
    os.chdir(str(command["directory"]))
    sys.argv[1:] = command["arguments"]  # type: ignore[call-overload]
    cli.main()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
