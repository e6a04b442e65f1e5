"""One bounded look at all folders: how many directories and files, and what cannot be read."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from fexp.disk import scan
from fexp.limits import starting_threads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fexp.counting.selection import Folder

_ALL_SECONDS = 20.0
_HANGS_SECONDS = 3.0
"""A folder in which nothing comes forth for so long hangs."""
_FUTURE_SECONDS = 60.0
"""As ``fexp_future_files`` has it."""


class Outcome(Enum):
    """How far the look at a folder came."""

    WAITING = auto()
    CUT = auto()
    """There was no more time."""
    HANGS = auto()
    DONE = auto()


@dataclass
class Walked:
    """What a folder holds, as far as it was looked at."""

    folder: Folder
    directories: int = 0
    files: int = 0
    future_files: list[tuple[float, bytes]] = field(default_factory=list)
    """How many seconds from now each was modified, and its path."""
    unreadable: dict[bytes, OSError] = field(default_factory=dict)
    """Directories below the folder."""
    problem: OSError | None = None
    """Why the folder itself cannot be read."""
    outcome: Outcome = Outcome.WAITING


class _Walker(Thread):
    """Looks at one folder after the other until it is done or abandoned."""

    def __init__(self, waiting: deque[Walked], now: float) -> None:
        super().__init__(name="fexp-check", daemon=True)
        self.steps = 0
        self.ended = Event()
        self.is_abandoned = False
        self.current: Walked | None = None
        self._waiting = waiting
        self._now = now

    def run(self) -> None:
        while self._waiting and not self.is_abandoned:
            self.current = self._waiting.popleft()
            self._look(self.current)
        self.ended.set()

    def _look(self, walked: Walked) -> None:
        path = walked.folder.path
        prefix = path if path.endswith(b"/") else path + b"/"
        try:
            scan.try_to_open(path)
            below = deque(self._list(walked, path, b""))
        except OSError as error:
            walked.problem, below = error, deque()
        while below and not self.is_abandoned:
            name = below.popleft()
            try:
                below.extend(self._list(walked, prefix + name, name))
            except OSError as error:
                if scan.fault_of(error) is not None:
                    walked.unreadable[prefix + name] = error
        if not self.is_abandoned:
            walked.outcome = Outcome.DONE

    def _list(self, walked: Walked, path: bytes, below: bytes) -> list[bytes]:
        listing = scan.list_directory(path, below, walked.folder.selection, self._progressed)
        walked.directories += 1
        walked.files += len(listing.files.names)
        walked.future_files += [
            (modified_at - self._now, os.path.join(walked.folder.path, below + name))
            for name, modified_at in zip(listing.files.names, listing.files.modified_at, strict=True)
            if modified_at > self._now + _FUTURE_SECONDS
        ]
        return [below + name + b"/" for name in listing.subdirectories]

    def _progressed(self) -> None:
        self.steps += 1


def walk(
    folders: Iterable[Folder], now: float, *, all_seconds: float = _ALL_SECONDS, hangs_seconds: float = _HANGS_SECONDS
) -> list[Walked]:
    """Look at all folders, in this time. One that hangs is left behind with its thread; the others are looked at."""
    results = [Walked(folder) for folder in folders]
    waiting = deque(results)
    until = monotonic() + all_seconds
    while waiting and monotonic() < until:
        walker = _Walker(waiting, now)
        with starting_threads():
            walker.start()
        before = None
        while not walker.ended.wait(min(hangs_seconds, max(0.0, until - monotonic()))):
            is_over = monotonic() >= until
            if is_over or (before is not None and before == (walker.current, walker.steps)):
                walker.is_abandoned = True
                if walker.current is not None:
                    walker.current.outcome = Outcome.CUT if is_over else Outcome.HANGS
                break
            before = walker.current, walker.steps
    return results
