"""What is said while a first look takes long."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from fexp.model import FolderStatus
from fexp.service.progress import Progress

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STATUSES = [FolderStatus("/a", True, True, 7, None), FolderStatus("/b", False, False, 1234, None)]


def test_terminal_shows_a_moving_line_and_clears_it() -> None:
    stream = Terminal()
    progress = Progress(stream, began_at=100.0)
    progress.show(STATUSES, 100.5)
    assert stream.getvalue() == ""
    progress.show(STATUSES, 103.0)
    assert "1 of 2 folders, 1,241 files so far, 3 s" in stream.getvalue()
    first = stream.getvalue()
    progress.show(STATUSES, 104.3)
    assert stream.getvalue()[len(first) :][:30] != first[:30]
    progress.end()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_it_is_a_log_line_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    progress = Progress(stream, began_at=0.0)
    with caplog.at_level(logging.INFO, "fexp"):
        for second in range(21):
            progress.show(STATUSES, float(second))
        progress.end()
    assert stream.getvalue() == ""
    assert len(caplog.records) == 4
    assert "1,241 files so far, 5 s" in caplog.messages[0]
