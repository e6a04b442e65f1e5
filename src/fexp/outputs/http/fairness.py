"""What clients share: a lock that goes round among their networks, and the rate of requests."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fexp.outputs.http.webconfig import RateLimit


def client_network(address: str) -> str:
    """Return the network of which one client can have every address: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    number = ipaddress.IPv6Address(address.partition("%")[0])
    return str(number.ipv4_mapped or ipaddress.IPv6Network((int(number), 64), strict=False))


class BusyError(Exception):
    """Too many wait for a lock."""


class FairLock:
    """A lock for costly work that strangers can ask for. Belongs to one event loop.

    It goes round among networks, however often each asks. Of one network's requests the latest comes next: in a queue
    that somebody floods, the last in line would wait for ever. Of too many, the oldest of the network with most fails.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._is_held = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # the network whose turn is next is first

    @asynccontextmanager
    async def hold(self, network: str) -> AsyncIterator[None]:
        """Wait for the lock and hold it. Raise BusyError if too many wait."""
        if self._is_held:
            await self._turn(network)
        self._is_held = True
        try:
            yield
        finally:
            self._pass_on()

    def _turn(self, network: str) -> asyncio.Future[None]:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(turn)
        if sum(map(len, self._waiting.values())) > self._max_waiting:
            max(self._waiting.values(), key=len).popleft().set_exception(BusyError())
        return turn

    def _pass_on(self) -> None:
        self._is_held = False
        while self._waiting and not self._is_held:
            network, turns = next(iter(self._waiting.items()))
            del self._waiting[network]
            latest = turns.pop() if turns else None
            if turns:
                self._waiting[network] = turns
            if latest is not None and not latest.done():  # else the server stops
                latest.set_result(None)
                self._is_held = True


class TokenBucket:
    """A token bucket; without a limit it is never empty."""

    def __init__(self, limit: RateLimit | None, now: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._now = now
        self._tokens = float(limit.burst) if limit else 0.0
        self._filled_at = now()

    def take(self) -> bool:
        """Take a token. Return whether there was one."""
        if self._limit is None:
            return True
        now = self._now()
        gained = (now - self._filled_at) / self._limit.interval_seconds
        self._tokens, self._filled_at = min(self._limit.burst, self._tokens + gained), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
