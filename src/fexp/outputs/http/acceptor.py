"""Accepts connections, bounds their number, and ends them when the server stops.

uvicorn gives the protocol of a connection. Its ``Server`` is not used: it wakes ten times a second, which costs several
times what all else of an idle fexp does; its limit shuts everybody out once one address holds so many connections,
and does not count those that never finish their TLS handshake.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections import Counter
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.server import ServerState

from fexp import __version__
from fexp.outputs.http.connection import Connection
from fexp.outputs.http.fairness import client_network

if TYPE_CHECKING:
    import logging
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from fexp.outputs.http.limits import Limits

_PAUSE_SECONDS = 1.0
_TLS_GOODBYE_SECONDS = 1.0


class Acceptor:
    """The connections of one server. Belongs to one event loop."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        tls_context: Callable[[], ssl.SSLContext | None],
        limits: Limits,
        log: logging.Logger,
    ) -> None:
        """``tls_context`` returns what holds for a new connection."""
        self._tls_context = tls_context
        self._limits = limits
        self._log = log.getChild("protocol")
        self._log.setLevel("ERROR")  # below it, any stranger could fill the log
        self._config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            interface="asgi3",
            timeout_keep_alive=limits.idle_seconds,
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        self._config.load()  # imports: at the first connection there may be no descriptor to read a module with
        self._state = ServerState()
        self._state.default_headers = [(b"server", f"fexp/{__version__}".encode())]
        self._listeners: list[socket.socket] = []
        self._descriptors_of_others = 0
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections from now on."""
        self._listeners = list(listeners)
        lowest_free = os.dup(self._listeners[0].fileno())
        os.close(lowest_free)
        self._descriptors_of_others = lowest_free + self._limits.spare_descriptors
        for listener in self._listeners:
            self._listen(listener)

    async def stop(self) -> None:
        """Accept no more, answer who has come in, and cut what takes too long."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            for _ in range(self._limits.connections):
                if not self._accept(listener):
                    break
        self._listeners = []
        self._state.default_headers.append((b"connection", b"close"))  # of the answers to come
        for _ in range(2):
            await asyncio.sleep(0)  # reads what has been asked already
        tasks = list(self._connections.values())
        for connection in self._connections:
            if connection.is_busy:
                connection.shutdown()
            elif connection.has_asked:
                connection.cut()
        await self._wait_for_newcomers()
        if tasks:
            await asyncio.wait(tasks, timeout=self._limits.stop_seconds)
        for connection in self._connections:
            connection.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_newcomers(self) -> None:
        """Give who has connected a moment to ask; then cut those that have not."""
        newcomers = [task for connection, task in self._connections.items() if not connection.has_asked]
        if newcomers:
            await asyncio.wait(newcomers, timeout=self._limits.newcomer_seconds)
        for connection in self._connections:
            if not connection.has_asked:
                connection.cut()

    def _listen(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection only: a flood must not keep the loop from the answers. Return whether there was one."""
        try:
            client, address = listener.accept()
        except BlockingIOError:
            return False  # the client has gone again
        except OSError:  # no descriptor or no memory is left, and the client goes on waiting
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(_PAUSE_SECONDS, self._listen, listener)
            return False
        network = client_network(address[0]) if isinstance(address, tuple) else ""
        if len(self._connections) >= self._connections_max() and not self._make_room(network):
            client.close()
            return True
        connection = Connection(self._config, self._state, client, network, self._limits.request_seconds, self._log)
        self._connections[connection] = asyncio.create_task(self._attend(connection))
        return True

    def _connections_max(self) -> int:
        """Return how many there may be: what is left of the descriptors, but one at least."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(1, min(self._limits.connections, descriptors - self._descriptors_of_others))

    def _make_room(self, newcomer: str) -> bool:
        """Cut a connection of the network that has most of them, counting the newcomer. Return whether one was cut.

        First one on which nothing was asked, then one between requests, each the oldest. A busy one is cut only for
        the newcomer of a network that has fewer.
        """
        sizes = Counter(connection.network for connection in self._connections)
        sizes[newcomer] += 1
        largest = max(sizes.values())
        candidates = [connection for connection in self._connections if sizes[connection.network] == largest]
        victim = min(candidates, key=lambda one: (one.is_busy, one.has_asked), default=None)
        if victim is None or (victim.is_busy and sizes[newcomer] == largest):
            return False
        del self._connections[victim]
        victim.cut()
        return True

    async def _attend(self, connection: Connection) -> None:
        """Hand the socket to the protocol, after the handshake where there is one, and wait for its end."""
        context = self._tls_context()
        try:
            self._set_options(connection.client_socket)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                connection.client_socket,
                ssl=context,
                ssl_handshake_timeout=self._limits.request_seconds if context else None,
                ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS if context else None,
            )
            await connection.ended.wait()
        except OSError:
            pass  # it went away, or spoke no TLS
        finally:
            self._connections.pop(connection, None)
            if connection in self._state.connections:
                connection.transport.abort()
            else:
                connection.client_socket.close()

    def _set_options(self, client: socket.socket) -> None:
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            # Without the first an answer waits 40 ms; the second cuts a client that leaves its answer unread.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._limits.send_seconds * 1000))
