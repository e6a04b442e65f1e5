"""Answers ``/api/v1/events``: each client is a subscriber of the change feed, from its request to its end."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from fexp.outputs.http.messages import EVENTS, Answer, headers_of, send_answer, send_chunk, send_start
from fexp.text import unambiguous

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.model import Change
    from fexp.outputs.http.limits import Limits
    from fexp.outputs.http.messages import Receive, Request, Send
    from fexp.outputs.http.served import Served

_HEARTBEAT = b": still here\n\n"
_AT_ONCE = 256


def encode(change: Change) -> bytes:
    """Return a change as events, one for each pattern. JSON in ASCII keeps each on its line, whatever the name.

    A path that must not leave fexp is null.
    """
    return b"".join(
        _event(
            change.happening,
            folder=change.folder,
            pattern=pattern,
            path=unambiguous(change.path) or None,
            size_bytes=change.size_bytes,
            at=change.at,
        )
        for pattern in change.patterns
    )


def _event(name: str, **data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode("ascii")


class Following:
    """All clients that follow. Belongs to the loop."""

    def __init__(self, served: Served, limits: Limits) -> None:
        self._served = served
        self._limits = limits
        self._is_leaving = False
        self._wakes: set[asyncio.Event] = set()

    def leave(self) -> None:
        """End all streams."""
        self._is_leaving = True
        for wake in self._wakes:
            wake.set()

    async def answer(self, request: Request, own_headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Stream events until the client goes, falls behind, or the server stops."""
        if len(self._wakes) >= self._limits.event_clients or self._is_leaving:
            answer = Answer(b"too many follow the events\n", status=503, headers={"Retry-After": "30"})
            await send_answer(send, answer, request, own_headers)
            return
        wake, loop = asyncio.Event(), asyncio.get_running_loop()

        def notify() -> None:
            with suppress(RuntimeError):  # the loop has just been closed: nobody follows any more
                loop.call_soon_threadsafe(wake.set)

        gone = asyncio.create_task(_gone(receive, wake))
        self._wakes.add(wake)
        subscription = self._served.subscribe(self._limits.events_per_client, notify)
        try:
            await send_start(send, 200, headers_of(Answer(b"", EVENTS), own_headers))
            await send_chunk(send, b"retry: 3000\n" + _HEARTBEAT)
            while not gone.done():
                with suppress(TimeoutError):  # nothing happened: a heartbeat is due
                    await asyncio.wait_for(wake.wait(), self._limits.heartbeat_seconds)
                wake.clear()
                changes, lost = subscription.take()
                is_silent = True
                while some := list(islice(changes, _AT_ONCE)):
                    is_silent = False
                    await send_chunk(send, b"".join(map(encode, some)))
                if is_silent:
                    await send_chunk(send, _HEARTBEAT)
                if lost or self._is_leaving:
                    reason = "the server stops" if self._is_leaving else "too slow"
                    await send_chunk(send, _event("dropped", reason=reason, missed_events=lost))
                    break
            await send({"type": "http.response.body", "body": b""})
        finally:
            subscription.close()
            self._wakes.discard(wake)
            gone.cancel()


async def _gone(receive: Receive, wake: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wake.set()
