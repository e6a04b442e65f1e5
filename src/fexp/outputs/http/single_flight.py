"""Work that is done once for all who wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one piece of work at a time; callers who ask for the same while it waits its turn share the result.

    No caller gets a result that was begun before it asked. One at a time, because threads that compute take the
    interpreter from the event loop: several at once finish no sooner and delay everybody.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the work that the key names."""
        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.create_task(self._run(key, work))
        return await asyncio.shield(task)

    async def _run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            del self._waiting[key]
            return await work()
