"""Daemons in the process of the test, driven by a script."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.config.settings import DeliverySettings, Settings
from fexp.counting.selection import Folder, Selection
from fexp.service.daemon import Daemon
from fexp.service.outputs import build_outputs
from fexp.service.signals import Command, Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fexp.clock import Clock
    from fexp.config.output import OutputSettings

    Script = Iterator[set[Command] | None]

PATIENCE_SECONDS = 60.0


class Scripted(Signals):
    """Signals of a script in place of the system's, a tick for each yield; after its end it says stop."""

    def __init__(self) -> None:
        super().__init__()
        self.script: Script = iter(())
        self.waits: list[float] = []
        """How long the daemon would have waited each time."""

    def within(self, patience_seconds: float) -> set[Command]:
        self.waits.append(patience_seconds)
        return next(self.script, {Command.STOP}) or set()


def daemon_of(
    *folders: Folder,
    outputs: tuple[OutputSettings, ...] = (),
    clock: Clock = clocks.now,
    signals: Signals | None = None,
    keep_on_exit: bool = False,
) -> Daemon:
    settings = Settings(folders, outputs, delivery=DeliverySettings(keep_on_exit=keep_on_exit))
    return Daemon(settings, build_outputs(settings), clock=clock, signals=signals)


def ticks_until(is_done: Callable[[], bool]) -> Script:
    """Let the daemon tick until it is so."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_done():
        assert time.monotonic() < give_up_at
        yield None


def folder_of(path: Path, *, recursive: bool = False) -> Folder:
    path.mkdir(exist_ok=True)
    return Folder(os.fsencode(path), str(path), Selection(recursive=recursive))
