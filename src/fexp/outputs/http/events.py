"""Server-sent events: from the thread that sees them to the clients that follow along."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from fexp.model import FileEvent

HEARTBEAT = b": still here\n\n"


def encode(event: FileEvent) -> bytes:
    """Return one event of the stream. JSON in ASCII keeps it on one line, whatever the file is called."""
    data = {
        "folder": event.folder,
        "pattern": event.pattern,
        "path": event.path,
        "size_bytes": event.size_bytes,
        "at": event.at,
    }
    return f"event: {event.happening.value}\ndata: {json.dumps(data)}\n\n".encode("ascii")


def farewell(reason: str, missed: int) -> bytes:
    """Return the last event that a client gets when the server ends the stream."""
    data = {"reason": reason, "missed_events": missed}
    return f"event: dropped\ndata: {json.dumps(data)}\n\n".encode("ascii")


class Follower:
    """One client of the stream. ``take`` belongs to the event loop, ``put`` to whoever publishes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: asyncio.Event, most: int) -> None:
        self._loop = loop
        self._wake = wake
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[FileEvent] = []
        self._woken = False
        self.missed = 0
        """Events that it did not get. From the first on, the client is to be dropped."""

    def put(self, events: Sequence[FileEvent]) -> None:
        """Queue the events, or count them as missed when too many wait."""
        with self._lock:
            if self.missed or len(self._waiting) >= self._most:
                # None of those that wait is sent any more: after a gap they would mislead.
                self.missed += len(self._waiting) + len(events)
                self._waiting.clear()
            else:
                self._waiting.extend(events)
            if self._woken:
                return
            self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:
            pass  # the loop has just been closed: nobody follows any more

    def take(self) -> list[FileEvent]:
        """Return what waits, and empty the queue."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._woken = False
            self._wake.clear()
        return taken


class EventStream:
    """Hands events to all who follow. ``publish`` is thread-safe and never blocks."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called, in the event loop, when somebody joined or left."""
        self._lock = threading.Lock()
        self._followers: tuple[Follower, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether anybody listens; making events for nobody is wasted."""
        return bool(self._followers)

    def publish(self, events: Sequence[FileEvent]) -> None:
        """Queue the events for every client. One too far behind is dropped by its own task."""
        if events:
            for follower in self._followers:
                follower.put(events)

    def join(self, follower: Follower) -> None:
        """Let a client follow."""
        with self._lock:
            self._followers = (*self._followers, follower)
        self.changed()

    def leave(self, follower: Follower) -> None:
        """Forget a client."""
        with self._lock:
            self._followers = tuple(other for other in self._followers if other is not follower)
        self.changed()
