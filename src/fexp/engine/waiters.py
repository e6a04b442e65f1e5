"""Threads that wait until what has happened is folded."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.engine.agenda import Agenda


class Waiters:
    """Those that wait for the events, and those that wait for all looks too.

    ``ask`` has something done in the engine's thread, which alone calls all but ``wait``.
    """

    def __init__(self, ask: Callable[[Callable[[], object]], None]) -> None:
        self._ask = ask
        self._for_events: list[threading.Event] = []
        self._for_looks: list[threading.Event] = []

    def wait(self, timeout_seconds: float, *, for_looks: bool) -> bool:
        """Wait. Return False when it did not come to that in time."""
        done = threading.Event()
        self._ask(partial((self._for_looks if for_looks else self._for_events).append, done))
        return done.wait(timeout_seconds)

    @property
    def wait_for_looks(self) -> bool:
        """Return whether somebody waits for all looks."""
        return bool(self._for_looks)

    def __bool__(self) -> bool:
        return bool(self._for_looks or self._for_events)

    def settle(self, agenda: Agenda) -> None:
        """Count the drift and wake those who wait. No event is on its way, nor waits to be folded."""
        _wake(self._for_events)
        if agenda.unsettled or agenda.is_busy:
            return
        for folder in agenda.suspicious:
            folder.count_drift()
        agenda.suspicious.clear()
        _wake(self._for_looks)


def _wake(waiting: list[threading.Event]) -> None:
    for done in waiting:
        done.set()
    waiting.clear()
