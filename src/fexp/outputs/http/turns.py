"""One at a time, in turns that nobody can take all of."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable


class BusyError(Exception):
    """Too many wait."""


class Turns:
    """A lock for costly work that strangers can ask for.

    The turns go round among those who ask, however often each of them does. Of what one asks for, the latest comes
    next: in a queue that someone floods, the last in line would wait for ever. Of too many, the oldest of whoever
    asks most is turned away. Belongs to one event loop.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._taken = False
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # whose turn is next is first

    @asynccontextmanager
    async def turn(self, who: Hashable) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises BusyError."""
        await self._wait(who)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, who: Hashable) -> None:
        if not self._taken:
            self._taken = True
            return
        if sum(map(len, self._waiting.values())) >= self._most_waiting:
            self._turn_one_away()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting.get(who, ()):
                self._take_out(who, turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # it was just given the turn
            raise

    def _turn_one_away(self) -> None:
        who, turns = max(self._waiting.items(), key=lambda item: len(item[1]))
        oldest = turns[0]
        self._take_out(who, oldest)
        if not oldest.done():  # else it has just been cancelled
            oldest.set_exception(BusyError())

    def _take_out(self, who: Hashable, turn: asyncio.Future[None]) -> None:
        self._waiting[who].remove(turn)
        if not self._waiting[who]:
            del self._waiting[who]

    def _pass_on(self) -> None:
        while self._waiting:
            who = next(iter(self._waiting))
            turns = self._waiting.pop(who)
            latest = turns.pop()
            if turns:
                self._waiting[who] = turns
            if not latest.done():  # else it has just been cancelled
                latest.set_result(None)
                return
        self._taken = False
