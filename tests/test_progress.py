"""What is said while a first look takes long."""

from __future__ import annotations

import io
import logging
import threading
from typing import TYPE_CHECKING

from fexp.model import FolderStatus
from fexp.service.progress import Progress, first_looks, shown_on_terminal
from tests.servers import poll

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STATUSES = [FolderStatus("/a", True, True, 7, None), FolderStatus("/b", False, False, 1234, None)]


def test_terminal_shows_a_moving_line_and_clears_it() -> None:
    stream = Terminal()
    progress = Progress(stream, began_at=100.0)
    progress.show(first_looks(STATUSES), 100.5)
    assert stream.getvalue() == ""
    progress.show(first_looks(STATUSES), 103.0)
    assert "1 of 2 folders, 1,241 files so far, 3 s" in stream.getvalue()
    first = stream.getvalue()
    progress.show(first_looks(STATUSES), 104.3)
    assert stream.getvalue()[len(first) :][:30] != first[:30]
    progress.end()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_it_is_a_log_line_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    progress = Progress(stream, began_at=0.0)
    with caplog.at_level(logging.INFO, "fexp"):
        for second in range(21):
            progress.show(first_looks(STATUSES), float(second))
        progress.end()
    assert stream.getvalue() == ""
    assert len(caplog.records) == 4
    assert "1,241 files so far, 5 s" in caplog.messages[0]


def test_what_takes_long_is_shown_on_a_terminal_until_it_is_done() -> None:
    stream = Terminal()
    with shown_on_terminal(stream, lambda: "folder 2 of 3: /slow"):
        poll(lambda: "] folder 2 of 3: /slow, 1 s" in stream.getvalue())
    shown = stream.getvalue()
    assert shown.endswith("\r\x1b[K")
    assert not any(thread.name == "fexp-progress" for thread in threading.enumerate())


def test_nothing_is_shown_of_what_is_quick_or_where_nobody_looks() -> None:
    for stream in (Terminal(), io.StringIO()):
        with shown_on_terminal(stream, lambda: "folder 1 of 1"):
            pass
        assert stream.getvalue() == ""


def test_a_user_without_threads_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with shown_on_terminal(Terminal(), lambda: "folder 1 of 1"):
        pass
