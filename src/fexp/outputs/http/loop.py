"""The front door: accepts connections, bounds their number, and sleeps while nothing happens."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import uvicorn

from fexp.outputs.http.connections import Connection
from fexp.outputs.http.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from fexp.outputs.http.guard import Rules
    from fexp.outputs.http.limits import Limits

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_PLAIN = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nhttps is spoken here\n"
_TLS_HANDSHAKE = b"\x16"
"""The first byte of TLS: RFC 8446, section 5.1."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_SECONDS = 1.0
_WORDS_BYTES = 64 * 1024


class Server(uvicorn.Server):
    """uvicorn's server with an own front door, and without its ten ticks a second: an idle one sleeps."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        rules: Callable[[], Awaitable[Rules]],
        *,
        limits: Limits,
        name: str,
        log: logging.Logger,
        on_started: Callable[[], None],
        on_leaving: Callable[[], None],
    ) -> None:
        """``rules`` gives what holds for a new connection; ``on_leaving`` ends answers that never end."""
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                headers=[("Server", name)],
                date_header=False,
                timeout_keep_alive=limits.idle_seconds,
                h11_max_incomplete_event_size=limits.header_bytes,
            )
        )
        self.limits = limits
        self.protocol_logger = log.getChild("protocol")
        self.protocol_logger.setLevel(logging.ERROR)  # below it, any stranger could fill the log
        self._rules = rules
        self._log = log
        self._on_started = on_started
        self._on_leaving = on_leaving
        self._leaving = asyncio.Event()
        self._nobody = asyncio.Event()
        self._connections: dict[Connection, None] = {}

    def leave(self) -> None:
        """Begin the stop. Belongs to the loop."""
        self._leaving.set()

    def moved(self, connection: Connection) -> None:
        """Note that a connection has just been useful: others make room before it."""
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._connections.pop(connection, None)
        if not self._connections:
            self._nobody.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the doors."""
        self.server_state.default_headers = self.config.encoded_headers
        for door in sockets or ():
            self._open_door(door)
        self.started = True
        self._on_started()

    async def main_loop(self) -> None:
        """Sleep until the stop begins."""
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors, answer who has come in, and end what takes too long."""
        loop = asyncio.get_running_loop()
        for door in sockets or ():
            loop.remove_reader(door)
            for _ in range(self.limits.connections):
                if not self._accept(door):
                    break
            door.close()
        self._on_leaving()
        self._nobody.clear()
        for connection in list(self._connections):
            connection.finish()
        loop.call_later(self.limits.newcomer_seconds, self._drop_new)
        try:
            if self._connections:
                await asyncio.wait_for(self._nobody.wait(), self.limits.stop_seconds)
        except TimeoutError:
            for connection in list(self._connections):
                connection.drop()
        for task in self.server_state.tasks:
            task.cancel()

    def _drop_new(self) -> None:
        for connection in list(self._connections):
            if connection.is_new:
                connection.drop()

    def _open_door(self, door: socket.socket) -> None:
        if not self._leaving.is_set():
            asyncio.get_running_loop().add_reader(door, self._accept, door)

    def _accept(self, door: socket.socket) -> bool:
        """Take one connection, if there is one: a flood of them must not keep the loop from the answers."""
        try:
            client, address = door.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED and not self._make_room(None):
                loop = asyncio.get_running_loop()
                loop.remove_reader(door)
                loop.call_later(_PAUSE_SECONDS, self._open_door, door)
            return False  # else the client has gone again
        client.setblocking(False)
        network = network_of(address[0]) if isinstance(address, tuple) else ""
        if len(self._connections) >= self.limits.connections and not self._make_room(network):
            _turn_away(client, _FULL)
        else:
            self._welcome(client, network)
        return True

    def _make_room(self, newcomer: str | None) -> bool:
        """End a connection of the network that holds most, with the newcomer; without one, of any.

        One that fexp has refused; else the one that has waited longest; else one that its client has given up. If the
        newcomer's own network holds less, else such a one of any other network; else any of the one that holds most.
        """
        held: Counter[str | None] = Counter(one.network for one in self._connections)
        held[newcomer] += 1
        most = max(held.values())
        candidates = [one for one in self._connections if newcomer is None or held[one.network] == most]
        dispensable = _dispensable(candidates)
        if newcomer is not None and held[newcomer] < most:
            others = [one for one in self._connections if one.network != newcomer]
            dispensable = chain(dispensable, _dispensable(others), candidates)
        connection = next(dispensable, None)
        if connection is None:
            return False
        del self._connections[connection]
        connection.drop()
        return True

    def _welcome(self, client: socket.socket, network: str) -> None:
        connection = Connection(self, network)
        self._connections[connection] = None
        connection.greeting = asyncio.create_task(self._greet(connection, client))
        connection.greeting.add_done_callback(lambda greeting: self._greeted(connection, client, greeting))

    async def _greet(self, connection: Connection, client: socket.socket) -> None:
        """Hand the socket to the protocol, after the handshake where there is one."""
        if client.family != socket.AF_UNIX:
            # Without it an answer waits 40 ms. asyncio sets it only where the protocol number was spelt out.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        rules = await self._rules()
        connection.allowed_sans = rules.config.tls.client_allowed_sans if rules.config.tls else ()
        loop = asyncio.get_running_loop()
        if rules.context is None:
            await loop.connect_accepted_socket(lambda: connection, client)
            return
        async with asyncio.timeout(self.limits.handshake_seconds):
            first_byte = await _first_byte(client)
            if first_byte == _TLS_HANDSHAKE:
                await loop.connect_accepted_socket(
                    lambda: connection, client, ssl=rules.context, ssl_shutdown_timeout=1.0
                )
            elif first_byte:
                _turn_away(client, _PLAIN)

    def _greeted(self, connection: Connection, client: socket.socket, greeting: asyncio.Task[None]) -> None:
        connection.greeting = None
        error = None if greeting.cancelled() else greeting.exception()
        if error is not None and not isinstance(error, OSError):  # OSError: no handshake came about
            self._log.error("a connection could not be taken", exc_info=error)
        if not connection.is_connected:
            client.close()
            self.forget(connection)


def _dispensable(connections: Sequence[Connection]) -> Iterator[Connection]:
    """Give those that nobody will miss, the least missed first."""
    yield from (one for one in connections if one.is_turned_away)
    yield from (one for one in connections if one.is_waiting and not one.has_unread)
    yield from (one for one in connections if one.is_stalled)
    yield from (one for one in connections if one.is_half_closed)


async def _first_byte(client: socket.socket) -> bytes:
    """Wait for a client to speak; its words stay unread."""
    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(client, spoken.set)
    try:
        await spoken.wait()
    finally:
        loop.remove_reader(client)
    return client.recv(1, socket.MSG_PEEK)


def _turn_away(client: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        client.recv(_WORDS_BYTES)  # what is left unread would take the answer back
    with suppress(OSError):
        client.send(answer)
    client.close()
