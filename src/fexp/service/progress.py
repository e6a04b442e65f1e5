"""The progress of long looks: a line that moves on a terminal; a daemon's is else logged every few seconds."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
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


class Progress:
    """Reports what takes long until it is done. ``began_at`` and ``now`` are on the steady clock."""

    def __init__(self, stream: TextIO, began_at: float) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
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
        text = f"{what}, {passed_seconds:.0f} s"
        if self._is_terminal:
            # How much is left is not known before it is found: the bar moves, it does not fill.
            place = int(passed_seconds * _WIDTH / 2) % _WIDTH
            bar = "".join("=" if (cell - place) % _WIDTH < _WIDTH // 4 else " " for cell in range(_WIDTH))
            self._stream.write(f"{_CLEAR}[{bar}] {text}")
            self._stream.flush()
            self._shown = True
        else:
            self._logged_at = now
            _log.info("%s", text)

    def end(self) -> None:
        """Clear what is on the terminal."""
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False


def first_looks(statuses: Sequence[FolderStatus]) -> str:
    """Return how far the first looks are."""
    done = sum(status.looked for status in statuses)
    files = sum(status.files_seen for status in statuses)
    return f"first look: {done} of {len(statuses)} folders, {files:,} files so far"


@contextmanager
def shown_on_terminal(stream: TextIO, what: Callable[[], str]) -> Iterator[None]:
    """Show on a terminal what the block is doing, once it takes long."""
    if not stream.isatty():
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
