"""One client's connection: uvicorn's HTTP/1.1, with a deadline for each request."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import logging

    import uvicorn
    from uvicorn.server import ServerState


class Connection(H11Protocol):
    """One client, from the accepted socket to its end."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        client_socket: socket.socket,
        network: str,
        request_seconds: float,
        log: logging.Logger,
    ) -> None:
        super().__init__(config, state, {"connection": self})
        self.logger = log
        self.client_socket = client_socket
        self.network = network
        self.ended = asyncio.Event()
        """Set when it is over. Its task then closes what is still open."""
        self._request_seconds = request_seconds
        self._deadline: asyncio.TimerHandle | None = self.loop.call_later(request_seconds, self.cut)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is being made or sent."""
        if not self.has_asked or self.ended.is_set():
            return False
        return not self.cycle.response_complete or self.transport.get_write_buffer_size() > 0

    @property
    def has_asked(self) -> bool:
        """Whether a request has come on it."""
        return self.cycle is not None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_busy:
            self._stop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._request_seconds, self.cut)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        super().connection_lost(None)  # without a reason uvicorn stops its own clock too
        self._stop_deadline()
        self.ended.set()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; cut it where an answer is under way that the 400 would break."""
        if self.conn.our_state is h11.IDLE:
            super().send_400_response(msg)
        else:
            self.cut()

    def cut(self) -> None:
        """End it at once, also in the middle of a handshake."""
        self.ended.set()
        with suppress(OSError):  # the client was faster
            self.client_socket.shutdown(socket.SHUT_RDWR)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
