"""Processes of fexp that begin where all modules are loaded: most of the time of a command that looks once.

``python fork_server.py DESCRIPTOR`` reads commands from a socket and runs each in a process of its own.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import redirect_stdout
from functools import cache

_MESSAGE_BYTES_MAX = 1 << 20


class ForkServer:
    """Runs commands that end by themselves, one at a time."""

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
            message = json.dumps({"arguments": arguments, "environ": environ, "directory": os.getcwd()}).encode()
            socket.send_fds(self._socket, [message], [output.fileno(), error.fileno()])
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


@cache
def fork_server() -> ForkServer:
    """Return the one of this run."""
    return ForkServer()


def _serve(commands: socket.socket) -> None:
    import fexp.outputs.kinds
    import fexp.service.delivery  # noqa: F401
    from fexp.cli import run

    with tempfile.TemporaryDirectory() as empty, redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        assert run(["scan", empty]) == 0  # what is imported late is imported now
    assert threading.active_count() == 1
    while True:
        message, descriptors, _, _ = socket.recv_fds(commands, _MESSAGE_BYTES_MAX, 2)
        if not message:
            return
        process = os.fork()
        if process == 0:
            commands.close()
            _become(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        commands.send(b"%d" % process)
        _, status = os.waitpid(process, 0)
        commands.send(b"%d" % os.waitstatus_to_exitcode(status))


def _become(command: dict[str, object], descriptors: list[int]) -> None:
    from fexp.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptors[0], 1)
    os.dup2(descriptors[1], 2)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(command["environ"])  # type: ignore[call-overload]
    os.chdir(str(command["directory"]))
    sys.argv[1:] = command["arguments"]  # type: ignore[call-overload]
    main()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
