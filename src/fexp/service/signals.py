"""Signals as commands to the daemon."""

from __future__ import annotations

import os
import queue
import signal
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType


class Command(Enum):
    """What a signal asks for."""

    STOP = auto()
    RELOAD = auto()


_COMMANDS = {signal.SIGTERM: Command.STOP, signal.SIGINT: Command.STOP, signal.SIGHUP: Command.RELOAD}


class Signals:
    """Collects commands while it is entered. Only for the main thread."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> None:
        """Handle signals from now on."""
        self._terminals = [number for number in range(3) if os.isatty(number)]
        self._before = {number: signal.signal(number, self._put) for number in _COMMANDS}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave signals to whom they were left before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def within(self, patience_seconds: float) -> set[Command]:
        """Wait for the next command. Return all that are there: of two reloads one will do."""
        commands = set()
        try:
            commands.add(self._queue.get(timeout=patience_seconds))
            while True:
                commands.add(self._queue.get_nowait())
        except queue.Empty:
            return commands

    def _put(self, number: int, _frame: FrameType | None) -> None:
        command = _COMMANDS[signal.Signals(number)]
        if command is Command.RELOAD and self._terminals and not any(map(os.isatty, self._terminals)):
            command = Command.STOP  # its terminal was closed
        self._queue.put(command)  # a SimpleQueue may be put to at any moment
