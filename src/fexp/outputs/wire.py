"""One HTTP exchange that ends in time, whatever the other side does."""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fexp.errors import OutputError
from fexp.outputs.endpoint import shown_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader

    from fexp.outputs.endpoint import Endpoint

_CHUNK_BYTES = 64 * 1024
_TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The other side went away; the rest of TLS's errors are somebody's mistake."""
_CLOSED = "the connection was closed before the whole answer was there"


class Request(NamedTuple):
    """What is sent."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    answer_limit_bytes: int = 64 * 1024


class Answer(NamedTuple):
    """What came back. ``cut``: the body was longer than the limit and only its beginning is here."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class Wire:
    """Makes exchanges with one endpoint, each on a connection of its own.

    A push is rare: a kept connection would mostly be one that the other side has closed in the meantime.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tls: tuple[object, ssl.SSLContext] | None = None
        self._exchange: _Exchange | None = None

    def exchange(self, request: Request, seconds: float) -> Answer:
        """Send the request and read the answer within this time. Raises OutputError with the bare reason.

        The work is done in a thread that is left behind when the time is up, its connection shut: looking up
        a name cannot be interrupted, and a time-out of a socket starts anew with each byte that drips in.
        """
        self._exchange = exchange = _Exchange(self._manager(request.url), request, seconds)
        exchange.start()
        try:
            outcome = exchange.outcome.get(timeout=seconds)
        except queue.Empty:
            exchange.abandon()
            raise OutputError("no whole answer in time") from None
        if isinstance(outcome, Answer):
            return outcome
        raise _explained(outcome) from outcome

    def cut(self) -> None:
        """Make the exchange that is under way fail now."""
        if self._exchange is not None:
            self._exchange.abandon()

    def _manager(self, url: str) -> urllib3.PoolManager:
        context = self._tls_context() if url.startswith("https:") else None
        proxy_url = proxy_for(url, self._endpoint.loopback)
        if proxy_url is None:
            manager = urllib3.PoolManager(num_pools=1, ssl_context=context)
        else:
            parts = urllib3.util.parse_url(proxy_url)
            headers = urllib3.make_headers(proxy_basic_auth=parts.auth) if parts.auth else None
            try:
                manager = urllib3.ProxyManager(
                    parts._replace(auth=None).url, num_pools=1, ssl_context=context, proxy_headers=headers
                )
            except urllib3.exceptions.HTTPError as error:
                raise OutputError(
                    f"the proxy {shown_url(proxy_url)} from the environment is none that fexp can use;"
                    " give an http:// or https:// one, or set no_proxy",
                    final=True,
                ) from error
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager

    def _tls_context(self) -> ssl.SSLContext:
        stamp = self._endpoint.tls_files_stamp()
        if self._tls is None or self._tls[0] != stamp:
            self._tls = (stamp, self._endpoint.tls_context())
        return self._tls[1]


def proxy_for(url: str, loopback: bool) -> str | None:
    """Find the proxy that the environment asks for. As in Go's programs, none for this machine itself."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    proxy_url = proxies.get(parts.scheme) or proxies.get("all")
    if loopback or not proxy_url or proxy_bypass(parts.netloc):
        return None
    return proxy_url if "://" in proxy_url else f"http://{proxy_url}"


class _Exchange(threading.Thread):
    """The thread of one exchange; knows the socket, so that others can shut it."""

    def __init__(self, manager: urllib3.PoolManager, request: Request, seconds: float) -> None:
        super().__init__(name="fexp-exchange", daemon=True)
        self.outcome: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        self._manager = manager
        self._request = request
        self._seconds = seconds
        self._lock = threading.Lock()  # guards the two below
        self._abandoned = False
        self._socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self.outcome.put(self._make())
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits, which judges it
            self.outcome.put(error)
        finally:
            self._manager.clear()

    def connected(self, connected_socket: socket.socket) -> None:
        """Take note of the socket of this exchange."""
        with self._lock:
            self._socket = connected_socket
            if self._abandoned:
                _shut(connected_socket)

    def abandon(self) -> None:
        """Shut the socket now, or as soon as there is one."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
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
        # Not the TLS socket's own method: that one is not made to be called from another thread.
        socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
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
            self.fp = stream
        if lines.latest not in {b"\r\n", b"\n"}:
            raise http.client.IncompleteRead(lines.latest)


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

    def connect(self) -> None:
        super().connect()
        _tell(self.sock)


class _SecureConnection(HTTPSConnection):
    response_class = _WholeHeader

    def connect(self) -> None:
        super().connect()
        _tell(self.sock)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _tell(connected_socket: socket.socket | None) -> None:
    exchange = threading.current_thread()
    if isinstance(exchange, _Exchange) and connected_socket is not None:
        exchange.connected(connected_socket)


def _explained(error: Exception) -> OutputError:
    """Name the reason beneath the library's layers. A bad certificate is not made better by trying again."""
    causes: list[BaseException] = [error]
    for cause in causes:
        inner = (cause.__cause__, *cause.args, getattr(cause, "original_error", None))
        causes += [one for one in inner if isinstance(one, BaseException) and one not in causes]
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return OutputError(f"the certificate is not valid: {cause.verify_message}", final=True)
        if isinstance(cause, _TLS_ENDED):
            return OutputError(_CLOSED)
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "handshake failed").replace("_", " ").lower()
            return OutputError(f"TLS: {reason}", final=True)
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            return OutputError("no whole answer in time")
        if isinstance(cause, OSError) and cause.strerror:
            return OutputError(cause.strerror)
    if isinstance(error, OutputError):
        return error
    if any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in causes):
        return OutputError(_CLOSED)
    return OutputError(f"{type(causes[-1]).__name__}: {causes[-1]}")
