"""One at a time, the latest comer first."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class BusyError(Exception):
    """Too many wait; this one waited longest."""


class Turns:
    """A lock for costly work that strangers can ask for.

    In a queue that someone floods, the last in line would wait for ever; here who comes next is next. Of too many,
    the one that waited longest is turned away. Belongs to one event loop.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait for a turn. Raises BusyError."""
        if not self._taken:
            self._taken = True
            return
        if len(self._waiting) >= self._most_waiting and (oldest := self._waiting.popleft()) and not oldest.done():
            oldest.set_exception(BusyError())
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # it was just given the turn
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the turn to who came last."""
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            latest = self._waiting.pop()
            if not latest.done():  # else it has just been cancelled
                latest.set_result(None)
                return
        self._taken = False
