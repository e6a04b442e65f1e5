"""What is said while a first look takes long."""

from __future__ import annotations

import io
import logging
import sys
import threading
from typing import TYPE_CHECKING

from rich.cells import cell_len

from fexp.cli import run
from fexp.disk.survey import Survey
from fexp.model import FolderStatus
from fexp.service.progress import Progress, first_looks, shown_on_terminal
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_line_that_moves_never_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (20, 40, 60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        progress = Progress(stream, began_at=0.0)
        for name in ("/in", "/data/" + "\u65e5\u672c\u8a9e/" * 30):
            progress.show(f"folder 2 of 3: {name}", 7.0)
        shown = stream.getvalue().split("\r\x1b[K")[1:]
        assert all(cell_len(line) < columns and line.endswith(", 7 s") for line in shown)
        assert shown[0].endswith("folder 2 of 3: /in, 7 s") or columns == 20
        assert shown[0].startswith("[") is (columns >= 60)


def test_on_a_dumb_terminal_nothing_moves(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with shown_on_terminal(stream, lambda: "folder 1 of 1"):
        assert not any(thread.name == "fexp-progress" for thread in threading.enumerate())
    with caplog.at_level(logging.INFO, "fexp"):
        Progress(stream, began_at=0.0).show("first look", 7.0)
    assert (stream.getvalue(), caplog.messages) == ("", ["first look, 7 s"])


def test_a_one_shot_for_cron_says_on_a_terminal_what_it_is_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(Survey, "run", lambda _: poll(lambda: f"folder 1 of 1: {tmp_path}, 1 s" in stream.getvalue()))
    monkeypatch.setenv("COLUMNS", "300")
    assert run(["write", str(tmp_path), "--textfile", str(tmp_path / "x.prom"), "--ext", "csv"]) == 0
    assert stream.getvalue().endswith("\r\x1b[K")
    assert (tmp_path / "x.prom").exists()


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
