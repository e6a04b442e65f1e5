"""The progress of a long first look: a line that moves on a terminal, a log line every few seconds elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.model import FolderStatus

_log = logging.getLogger("fexp")

_QUIET_SECONDS = 1.0
"""A look that is done sooner needs no report."""
_LOG_SECONDS = 5.0
_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """Reports first looks until all are done. ``began_at`` and ``now`` are on the steady clock."""

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

    def show(self, statuses: Sequence[FolderStatus], now: float) -> None:
        """Report, if it is time."""
        if not self.is_due(now):
            return
        passed_seconds = now - self._began_at
        done = sum(status.looked for status in statuses)
        files = sum(status.files_seen for status in statuses)
        text = f"first look: {done} of {len(statuses)} folders, {files:,} files so far, {passed_seconds:.0f} s"
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
