"""Answers ``/api/v1/events``: one task a client, from its request to its end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from fexp.outputs.http.events import HEARTBEAT, EventStream, Follower, encode, farewell
from fexp.outputs.http.messages import EVENTS, Answer, headers_of, send_answer, send_chunk, send_start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.outputs.http.limits import Limits
    from fexp.outputs.http.messages import Receive, Request, Send

_AT_ONCE = 256


class Following:
    """The clients of one event stream. Belongs to the loop."""

    def __init__(self, stream: EventStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._leaving = False
        self._wakes: dict[Follower, asyncio.Event] = {}

    def leave(self) -> None:
        """End all streams."""
        self._leaving = True
        for wake in self._wakes.values():
            wake.set()

    async def answer(self, request: Request, own_headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Stream events until the client goes, falls behind, or the server stops."""
        if len(self._wakes) >= self._limits.event_clients or self._leaving:
            answer = Answer(b"too many follow the events\n", status=503, headers={"Retry-After": "30"})
            await send_answer(send, answer, request, own_headers)
            return
        wake = asyncio.Event()
        follower = Follower(asyncio.get_running_loop(), wake, self._limits.events_per_client)
        gone = asyncio.create_task(_gone(receive, wake))
        self._wakes[follower] = wake
        self._stream.join(follower)
        try:
            await send_start(send, 200, headers_of(Answer(b"", EVENTS), own_headers))
            await send_chunk(send, b"retry: 3000\n" + HEARTBEAT)
            while not gone.done():
                with suppress(TimeoutError):  # nothing happened: a heartbeat is due
                    await asyncio.wait_for(wake.wait(), self._limits.heartbeat_seconds)
                events = follower.take()
                for first in range(0, len(events), _AT_ONCE):
                    await send_chunk(send, b"".join(map(encode, events[first : first + _AT_ONCE])))
                if not events:
                    await send_chunk(send, HEARTBEAT)
                if follower.missed or self._leaving:
                    reason = "the server stops" if self._leaving else "too slow"
                    await send_chunk(send, farewell(reason, follower.missed))
                    break
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._stream.leave(follower)
            del self._wakes[follower]
            gone.cancel()


async def _gone(receive: Receive, wake: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wake.set()
