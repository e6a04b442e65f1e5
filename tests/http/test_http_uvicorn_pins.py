"""What fexp leans on in uvicorn beside its documented settings. A release that changes it fails here first."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import socket
import weakref
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from fexp.outputs.http.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

GET = b"GET /a%20b?c HTTP/1.1\r\nHost: x\r\nX: 1\r\nX: 2\r\n\r\n"
_OVERRIDDEN = {"__init__", "data_received", "connection_lost", "send_400_response"}


def test_what_is_overridden_is_there_and_nothing_is_shadowed_by_accident() -> None:
    own = {name for name in vars(Connection) if callable(getattr(Connection, name))}
    theirs = {name for name in dir(H11Protocol) if name in vars(H11Protocol) or name in vars(asyncio.Protocol)}
    assert own & theirs == _OVERRIDDEN
    config, state = uvicorn.Config(lambda: None), ServerState()
    instance = H11Protocol(config, state, {}, asyncio.new_event_loop())
    instance.loop.close()
    assert not {"client_socket", "network", "ended", "is_busy", "has_asked", "cut"} & {*dir(instance)}
    assert [*inspect.signature(H11Protocol.__init__).parameters][:4] == ["self", "config", "server_state", "app_state"]


class Rig:
    """One connection of a pair of sockets, and an app that answers when it is let."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.scope: MutableMapping[str, Any] = {}
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        config = uvicorn.Config(self._app, ws="none", log_config=None, timeout_keep_alive=75, interface="asgi3")
        self.state = ServerState()
        self.client, server_end = socket.socketpair()
        self.connection = Connection(config, self.state, server_end, "", 60.0, logging.getLogger("fexp.test.pins"))
        self._server_end = server_end
        self._loop = loop

    async def start(self) -> None:
        self._server_end.setblocking(False)
        self.client.setblocking(False)
        await self._loop.connect_accepted_socket(lambda: self.connection, self._server_end)

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.scope = scope
        self.asked.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def ask(self) -> None:
        await self._loop.sock_sendall(self.client, GET)
        await self.asked.wait()

    async def answer(self) -> bytes:
        self.may_answer.set()
        return await self._loop.sock_recv(self.client, 4096)


def test_the_life_of_a_connection_is_seen() -> None:
    async def scenario() -> None:
        rig = Rig(asyncio.get_running_loop())
        connection = rig.connection
        assert connection not in rig.state.connections
        await rig.start()
        assert connection in rig.state.connections
        assert str(connection.conn.our_state) == str(h11.IDLE)
        busy = [connection.is_busy]
        await rig.ask()
        busy.append(connection.is_busy)
        assert rig.scope["state"]["connection"] is connection
        assert rig.scope["path"] == "/a b"
        assert rig.scope["query_string"] == b"c"
        assert [value for name, value in rig.scope["headers"] if name == b"x"] == [b"1", b"2"]
        connection.shutdown()  # an answer under way is sent, and then it is over
        assert b"\r\n\r\nok" in await rig.answer()
        await connection.ended.wait()
        assert [*busy, connection.is_busy] == [False, True, False]
        assert connection not in rig.state.connections
        rig.client.close()

    asyncio.run(scenario())


def test_a_connection_that_was_reset_leaves_no_clock_behind() -> None:
    """uvicorn's own goes on for the 75 seconds that a connection may be idle, and keeps the connection in memory."""

    async def scenario() -> None:
        rig = Rig(asyncio.get_running_loop())
        await rig.start()
        await rig.ask()
        await rig.answer()
        connection = rig.connection
        connection.transport.abort()
        connection.connection_lost(ConnectionResetError())
        await connection.ended.wait()
        gone = weakref.ref(connection)
        rig.client.close()
        del connection, rig
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None

    asyncio.run(scenario())
