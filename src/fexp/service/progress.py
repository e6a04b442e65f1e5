"""The progress of long looks: a line that moves on a terminal; a daemon's is else logged every few seconds."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from shutil import get_terminal_size
from threading import Event, Thread
from typing import TYPE_CHECKING, TextIO

from fexp import clock as clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fexp.model import FolderStatus

_log = logging.getLogger("fexp")

_QUIET_SECONDS = 1.0
"""A look that is done sooner needs no report."""
_LOG_SECONDS = 5.0
_TICK_SECONDS = 0.1
_WIDTH = 24
_CLEAR = "\r\x1b[K"


def is_dumb() -> bool:
    """Return whether the terminal, if there is one, can but print."""
    return os.environ.get("TERM") in {"dumb", "unknown"}


def elided(text: str, columns: int) -> str:
    """Return a text that fits, its middle left out if it must be."""
    from rich.cells import cell_len

    shown, kept = text, columns - 3
    while cell_len(shown) > columns:
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
        kept -= 1
    return shown


class Progress:
    """Reports what takes long until it is done. ``began_at`` and ``now`` are on the steady clock."""

    def __init__(self, stream: TextIO, began_at: float) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and not is_dumb()
        self._began_at = began_at
        self._logged_at = began_at
        self._shown = False

    def is_due(self, now: float) -> bool:
        """Return whether it is time to report."""
        is_quiet = not self._is_terminal and now - self._logged_at < _LOG_SECONDS
        return now - self._began_at >= _QUIET_SECONDS and not is_quiet

    def show(self, what: str, now: float) -> None:
        """Report, if it is time."""
        if not self.is_due(now):
            return
        passed_seconds = now - self._began_at
        if self._is_terminal:
            self._stream.write(_CLEAR + _moving_line(what, passed_seconds, _columns(self._stream) - 1))
            self._stream.flush()
            self._shown = True
        else:
            self._logged_at = now
            _log.info("%s, %.0f s", what, passed_seconds)

    def end(self) -> None:
        """Clear what is on the terminal."""
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False


def _moving_line(what: str, passed_seconds: float, columns: int) -> str:
    """Return a line that is no wider: of one that breaks, only the last part could be cleared."""
    time = f", {passed_seconds:.0f} s"
    # How much is left is not known before it is found: the bar moves, it does not fill.
    place = int(passed_seconds * _WIDTH / 2) % _WIDTH
    bar = "".join("=" if (cell - place) % _WIDTH < _WIDTH // 4 else " " for cell in range(_WIDTH))
    line = f"[{bar}] {what}{time}"
    return line if len(line) <= columns else elided(what, max(columns - len(time), 3)) + time


def _columns(stream: TextIO) -> int:
    with suppress(OSError):  # it has none
        if columns := os.get_terminal_size(stream.fileno()).columns:
            return columns
    return get_terminal_size().columns


def first_looks(statuses: Sequence[FolderStatus]) -> str:
    """Return how far the first looks are."""
    done = sum(status.looked for status in statuses)
    files = sum(status.files_seen for status in statuses)
    return f"first look: {done} of {len(statuses)} folders, {files:,} files so far"


@contextmanager
def shown_on_terminal(stream: TextIO, what: Callable[[], str]) -> Iterator[None]:
    """Show on a terminal what the block is doing, once it takes long."""
    if not stream.isatty() or is_dumb():
        yield
        return
    progress, done = Progress(stream, clocks.now().steady), Event()

    def tick() -> None:
        while not done.wait(_TICK_SECONDS):
            progress.show(what(), clocks.now().steady)

    ticker = Thread(target=tick, name="fexp-progress", daemon=True)
    with suppress(RuntimeError):  # the user may have no thread left
        ticker.start()
    try:
        yield
    finally:
        done.set()
        if ticker.is_alive():
            ticker.join()
        progress.end()
