"""One client's connection: uvicorn's HTTP with a clock for everything a client may do slowly.

A connection without a request under way is *waiting*; waiting is what the clocks bound and what makes room.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fexp.outputs.http.messages import FOLLOWS, HALF_CLOSED, TURNED_AWAY
from fexp.outputs.http.tls import may_enter

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.outputs.http.loop import Server

_WRITE_BUFFER_BYTES = 64 * 1024


class Connection(H11Protocol):
    """One client, from the accepted socket to its end."""

    def __init__(self, server: Server, network: str) -> None:
        super().__init__(server.config, server.server_state, {})
        self.network = network
        self.logger = server.protocol_logger
        self.allowed_sans: tuple[str, ...] = ()
        self.greeting: asyncio.Task[None] | None = None
        self._host = server
        self.is_connected = False  # and the handshake, if any, done
        self._is_last = False
        self.is_half_closed = False
        """The client has nothing more to say; whether it still listens, nobody knows."""
        self._request_timer = _Timer(server.limits.request_seconds, self.drop)
        self._send_timer = _Timer(server.limits.send_seconds, self._drop_unread)

    @property
    def is_waiting(self) -> bool:
        """Tell whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def has_unread(self) -> bool:
        """Tell whether something still waits to be sent."""
        return self.is_connected and self.transport.get_write_buffer_size() > 0

    @property
    def is_stalled(self) -> bool:
        """Tell whether the client leaves what was sent unread."""
        return self._send_timer.is_running and self.has_unread

    @property
    def is_turned_away(self) -> bool:
        """Tell whether the answer is a refusal that is held back."""
        return self.cycle is not None and TURNED_AWAY in self.cycle.scope["state"]

    @property
    def is_new(self) -> bool:
        """Tell whether no request has come yet."""
        return self.cycle is None

    def drop(self) -> None:
        """End it at once, whatever state it is in."""
        if self.is_connected:
            if self.cycle is not None:
                self.cycle.disconnected = True  # TLS tells it later, and an answer may come before
            self.transport.abort()
        elif self.greeting is not None:
            self.greeting.cancel()

    def finish(self) -> None:
        """End it after the answer under way; who has just come is answered once."""
        self._is_last = True
        if not self.is_waiting:
            self.cycle.keep_alive = False
        elif not self.is_new:
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.is_connected = True
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and not may_enter(tls.getpeercert(), self.allowed_sans):
            transport.abort()
            return
        self._request_timer.start()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._request_timer.stop()
        self._send_timer.stop()
        self._host.forget(self)

    def data_received(self, data: bytes) -> None:
        if not self.has_unread:
            self._send_timer.stop()  # it was about an answer that has been read
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.is_waiting:
            self._request_timer.start()
        else:
            self._request_timer.stop()
            self.cycle.keep_alive &= not self._is_last

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own signature
        """Keep the way back open for who only says that nothing more will come (``nc -N``), until it is answered.

        Not for who follows events: its going is only noticed so. TLS has no half-closed connections.
        """
        if self.is_waiting or self.transport.get_extra_info("ssl_object") or FOLLOWS in self.cycle.scope["state"]:
            return False
        self.cycle.keep_alive = False
        self.cycle.scope["state"][HALF_CLOSED] = self.is_half_closed = True
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._send_timer.stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._host.moved(self)
        if self.has_unread:
            self._send_timer.start()

    def timeout_keep_alive_handler(self) -> None:
        if self.has_unread:
            self.drop()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # an answer under way must not follow this one
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
            self._send_timer.start()
        else:
            self.drop()

    def _drop_unread(self) -> None:
        if self.has_unread or self.transport.is_closing():
            self.drop()


class _Timer:
    """Calls the action once, so many seconds after the first start since the last stop."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._seconds, self._fire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._action()
