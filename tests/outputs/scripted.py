"""A server on a raw socket that answers as a test's script says, well-formed or not."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    Step = Callable[["Connection"], None]


class Connection:
    """One accepted connection, as a step of the script sees it."""

    def __init__(self, stream: socket.socket, stopping: threading.Event, requests: list[bytes]) -> None:
        self.stream = stream
        self.stopping = stopping
        self.request = b""
        self._requests = requests

    def read_request(self) -> None:
        """Read a header and the body that it announces, and note them before anything is answered."""
        self._read()
        self._requests.append(self.request)

    def _read(self) -> None:
        while b"\r\n\r\n" not in self.request:
            if not (chunk := self.stream.recv(65536)):
                return
            self.request += chunk
        head, _, body = self.request.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")),
            0,
        )
        while len(body) < length:
            if not (chunk := self.stream.recv(65536)):
                return
            body += chunk
            self.request += chunk


def answer(status: int, body: bytes = b"", **headers: str) -> Step:
    """Answer properly; ``_`` in a header's name stands for ``-``."""

    def step(connection: Connection) -> None:
        connection.read_request()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.stream.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    return step


def raw(content: bytes) -> Step:
    """Answer with these bytes and close."""

    def step(connection: Connection) -> None:
        connection.read_request()
        connection.stream.sendall(content)

    return step


def hang(connection: Connection) -> None:
    """Read the request and never answer."""
    connection.read_request()
    connection.stopping.wait(60)


def deaf(connection: Connection) -> None:
    """Read nothing and answer nothing."""
    connection.stopping.wait(60)


def drip(start: bytes, drop: bytes = b"x", every_seconds: float = 0.02) -> Step:
    """Answer with a start, then with one more drop again and again."""

    def step(connection: Connection) -> None:
        connection.read_request()
        connection.stream.sendall(start)
        while not connection.stopping.wait(every_seconds):
            connection.stream.sendall(drop)

    return step


def close_at_once(connection: Connection) -> None:
    """Accept and close."""


class ScriptedServer:
    """Answers the first connection by the first step, and so on; the last stays. Knows what was asked."""

    def __init__(self, *script: Step, tls: ssl.SSLContext | None = None) -> None:
        self._script: Sequence[Step] = script
        self._tls = tls
        self.requests: list[bytes] = []
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in [self._thread, *self._threads]:
            thread.join(10)
        self._listener.close()

    @property
    def attempts(self) -> int:
        """How many connections came."""
        return len(self._threads)

    @property
    def heads(self) -> list[str]:
        """The request lines and headers that came."""
        return [request.partition(b"\r\n\r\n")[0].decode("latin-1") for request in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies that came."""
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                stream, _ = self._listener.accept()
            except TimeoutError:
                continue
            step = self._script[min(len(self._threads), len(self._script) - 1)]
            thread = threading.Thread(target=self._serve, args=(stream, step))
            self._threads.append(thread)
            thread.start()

    def _serve(self, stream: socket.socket, step: Step) -> None:
        stream.settimeout(10)
        connection = Connection(stream, self._stopping, self.requests)
        try:
            if self._tls is not None:
                connection.stream = stream = self._tls.wrap_socket(stream, server_side=True)
            step(connection)
        except OSError:
            pass  # the client went away, as it should
        finally:
            stream.close()
