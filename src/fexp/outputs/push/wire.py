"""One HTTP exchange that ends in time, whatever the other side does."""

from __future__ import annotations

import http.client
import queue
import re
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fexp.errors import OutputError
from fexp.limits import starting_threads
from fexp.outputs.push.endpoint import shown_url
from fexp.outputs.push.proxy import proxy_for, through

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader

    from fexp.outputs.push.endpoint import Endpoint

_CHUNK_BYTES = 64 * 1024
_TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The other side went away; the rest of TLS's errors are somebody's mistake."""
_MISSING_EXTENSIONS = {
    85: ("the receiver's certificate", "authorityKeyIdentifier=keyid"),
    86: ("the CA's certificate", "subjectKeyIdentifier=hash"),
    89: ("the CA's certificate", "basicConstraints=critical,CA:TRUE"),
    92: ("the CA's certificate", "keyUsage=critical,keyCertSign,cRLSign"),
}
"""By OpenSSL's code of the error: the certificate to reissue, and what it needs as openssl.cnf writes it."""
CLOSED = "the connection was closed before the whole answer was there"


class Request(NamedTuple):
    """What is sent."""

    method: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    answer_limit_bytes: int


class Answer(NamedTuple):
    """What came back. ``cut``: the body was longer than the limit and only its beginning is here."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


class Wire:
    """Makes exchanges with one endpoint, each on a connection of its own.

    A push is rare: a kept connection would mostly be one that the other side has closed in the meantime.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tls: tuple[object, ssl.SSLContext] | None = None
        self._exchange: _Exchange | None = None
        self._worker: _Worker | None = None

    def prepare(self) -> _Worker:
        """Return the thread for the next exchange: a stop may come when none can be started. Raise OSError."""
        worker = self._worker
        if worker is None:
            worker = _Worker()
            with starting_threads():
                worker.start()
            self._worker = worker
        return worker

    def exchange(self, request: Request, seconds: float) -> Answer:
        """Send the request and read the answer within this time. Raise OutputError with the bare reason.

        The work is done in a thread that is left behind when the time is up, its connection shut: looking up
        a name cannot be interrupted, and a time-out of a socket starts anew with each byte that drips in.
        """
        manager = self._manager(request.url)
        try:
            worker = self.prepare()
        except OSError as error:
            raise OutputError(str(error.strerror)) from error
        self._exchange = exchange = _Exchange(manager, request, seconds)
        worker.exchanges.put(exchange)
        outcome = exchange.wait()
        if outcome is None:
            self._end_worker()
            raise OutputError("no whole answer in time")
        if isinstance(outcome, Answer):
            return outcome
        explained = _explained(outcome)
        if manager.proxy is None:
            raise explained from outcome
        via = f"through the proxy {shown_url(manager.proxy.url)}"
        raise OutputError(f"{via}: {explained}", final=explained.final) from outcome

    def hurry(self, seconds: float) -> None:
        """Have the exchange that is under way given up after this time at the latest."""
        if self._exchange is not None:
            self._exchange.hurry(seconds)

    def close(self) -> None:
        """End the exchange that is under way, and the thread."""
        self.hurry(0.0)
        self._end_worker()

    def __del__(self) -> None:
        """Leave no thread to wait for what never comes."""
        self._end_worker()

    def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.exchanges.put(None)

    def _manager(self, url: str) -> urllib3.PoolManager:
        context = self._tls_context() if url.startswith("https:") else None
        proxy_url = proxy_for(url, self._endpoint.loopback)
        if proxy_url is None:
            manager = urllib3.PoolManager(num_pools=1, ssl_context=context)
        else:
            manager = through(proxy_url, context)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager

    def _tls_context(self) -> ssl.SSLContext:
        stamp = self._endpoint.tls_files_stamp()
        if self._tls is None or self._tls[0] != stamp:
            self._tls = (stamp, self._endpoint.tls_context())
        return self._tls[1]


class _Worker(threading.Thread):
    """Makes exchanges, one after the other."""

    def __init__(self) -> None:
        super().__init__(name="fexp-exchange", daemon=True)
        self.exchanges: queue.SimpleQueue[_Exchange | None] = queue.SimpleQueue()
        """None: there are no more."""
        self.exchange: _Exchange | None = None

    def run(self) -> None:
        while exchange := self.exchanges.get():
            self.exchange = exchange
            exchange.run()
            self.exchange = exchange = None  # a body may be large


class _Exchange:
    """One exchange: one thread makes it, another waits for it. Knows the socket, so that it can be shut."""

    def __init__(self, manager: urllib3.PoolManager, request: Request, seconds: float) -> None:
        self._manager = manager
        self._request = request
        self._seconds = seconds
        self._changed = threading.Condition()  # guards what follows
        self._give_up_at = time.monotonic() + seconds
        self._outcome: Answer | Exception | None = None
        self._abandoned = False
        self._socket: socket.socket | None = None

    def wait(self) -> Answer | Exception | None:
        """Wait for what comes of it. None: it is given up, and its socket shut now or as soon as there is one."""
        with self._changed:
            while self._outcome is None and (seconds := self._give_up_at - time.monotonic()) > 0:
                self._changed.wait(seconds)
            self._abandoned = self._outcome is None
            if self._abandoned and self._socket is not None:
                _shut(self._socket)
            return self._outcome

    def hurry(self, seconds: float) -> None:
        """Have it given up after this time at the latest. From any thread."""
        with self._changed:
            self._give_up_at = min(self._give_up_at, time.monotonic() + seconds)
            self._changed.notify()

    def run(self) -> None:
        """Make it."""
        try:
            outcome: Answer | Exception = self._make()
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits, which judges it
            outcome = error
        self._manager.clear()
        with self._changed:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            self._outcome = outcome
            self._changed.notify()

    def connected(self, connected_socket: socket.socket) -> None:
        """Take note of the connection: of a descriptor of our own, as TLS will take the given one for itself."""
        with self._changed:
            self._socket = connected_socket.dup()
            if self._abandoned:
                _shut(self._socket)

    def _make(self) -> Answer:
        request = self._request
        response = self._manager.urlopen(
            request.method,
            request.url,
            body=request.body or None,
            headers=dict(request.headers),
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=self._seconds, read=self._seconds),
            preload_content=False,
            decode_content=False,
        )
        try:
            body = bytearray()
            while len(body) <= request.answer_limit_bytes and (chunk := response.read(_CHUNK_BYTES)):
                body += chunk
            limit = request.answer_limit_bytes
            return Answer(response.status, response.headers, bytes(body[:limit]), cut=len(body) > limit)
        finally:
            response.close()


def _shut(open_socket: socket.socket) -> None:
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed already


class _WholeHeader(http.client.HTTPResponse):
    """A response whose header is whole; the library would take a cut-off "HTTP/1.1 200" for a success."""

    def begin(self) -> None:
        stream = self.fp
        lines = _Lines(stream)
        self.fp = lines  # type: ignore[assignment] # as much of a stream as a header needs
        try:
            super().begin()
        finally:
            if cast("object", self.fp) is lines:  # else it has been closed
                self.fp = stream
        if lines.latest not in {b"\r\n", b"\n"}:
            raise http.client.IncompleteRead(lines.latest)

    def _read_status(self) -> tuple[str, int, str]:
        """Read the answer's status; those before it only inform (RFC 9110, 15.2). The library skips 100."""
        status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
        while 101 < status[1] < 200:
            while self.fp.readline(_CHUNK_BYTES) not in {b"\r\n", b"\n", b""}:
                pass
            status = super()._read_status()  # type: ignore[misc]
        return status


class _Lines:
    """Reads lines and remembers the latest."""

    def __init__(self, stream: BufferedReader) -> None:
        self.latest = b""
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        self.latest = self._stream.readline(limit)
        return self.latest

    def close(self) -> None:
        self._stream.close()


class _PlainConnection(HTTPConnection):
    response_class = _WholeHeader

    def _new_conn(self) -> socket.socket:
        return _announced(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    response_class = _WholeHeader

    def _new_conn(self) -> socket.socket:
        return _announced(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _announced(connected_socket: socket.socket) -> socket.socket:
    """Hand the socket to its exchange before a proxy's tunnel or TLS can take their time. Return the socket."""
    worker = threading.current_thread()
    assert isinstance(worker, _Worker)
    assert worker.exchange is not None
    worker.exchange.connected(connected_socket)
    return connected_socket


def _explained(error: Exception) -> OutputError:
    """Return the reason beneath the library's layers. A bad certificate is not made better by trying again."""
    causes: list[BaseException] = [error]
    for cause in causes:
        inner = (cause.__cause__, *cause.args, getattr(cause, "original_error", None))
        causes += [one for one in inner if isinstance(one, BaseException) and one not in causes]
    for cause in reversed(causes):
        explained = _tls_reason(cause) if isinstance(cause, ssl.SSLError) else _reason(cause)
        if explained is not None:
            return explained
    if any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in causes):
        return OutputError(CLOSED)
    return OutputError(f"{type(causes[-1]).__name__}: {causes[-1]}")


def _tls_reason(cause: ssl.SSLError) -> OutputError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return OutputError(f"the certificate is not valid: {_certificate_reason(cause)}", final=True)
    if isinstance(cause, _TLS_ENDED):
        return OutputError(CLOSED)
    reason = (cause.reason or "handshake failed").replace("_", " ").lower()
    return OutputError(f"TLS: {reason}", final=True)


def _certificate_reason(cause: ssl.SSLCertVerificationError) -> str:
    """Return the reason, with the way out where only a newer Python is as strict as RFC 5280."""
    if cause.verify_code not in _MISSING_EXTENSIONS:
        return cause.verify_message
    certificate, extension = _MISSING_EXTENSIONS[cause.verify_code]
    return (
        f"{cause.verify_message}, which Python asks for since 3.13; reissue {certificate} with {extension},"
        " or give the receiver's own certificate as the CA file"
    )


def _reason(cause: BaseException) -> OutputError | None:
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        return OutputError("no whole answer in time")
    if isinstance(cause, http.client.LineTooLong) or type(cause) is http.client.HTTPException:
        return OutputError("the header of its answer is too long to be one")
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected):
        return OutputError("what answers there does not speak HTTP")
    if refused := re.match(r"Tunnel connection failed: (\d+)", str(cause)):
        return OutputError(f"it answered {refused[1]}", final=refused[1].startswith("4") and refused[1] != "429")
    if isinstance(cause, OSError) and cause.strerror:
        return OutputError(cause.strerror)
    return None
