"""The generic source: what it owes, and how it gets over the ends of watchdog's threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from watchdog.observers.inotify import InotifyObserver

from fexp.counting.selection import Selection
from fexp.events.observer import ObserverSource
from fexp.model import Backend
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_died_is_replaced(tmp_path: Path) -> None:
    recursive = Selection(recursive=True)
    with watching(tmp_path, recursive, backend=Backend.OBSERVER, poll_interval_seconds=0.02) as live:
        source = live.engine._source
        assert isinstance(source, ObserverSource)
        first = source._observer
        assert isinstance(first, InotifyObserver)

        def stumble(_event: object) -> None:
            raise KeyError("as watchdog 7.1.0 does over renamed directories")

        first._inotify_fd.handle_event = stumble  # type: ignore[assignment,method-assign]
        (tmp_path / "unheard").touch()
        first._inotify_fd.join(10)
        assert not source.alive()
        live.until(lambda folder: folder.up and folder.groups[0].files == 1)
        assert source.alive()
        assert not first.is_alive()
        assert not live.engine.unready()
        (tmp_path / "heard").touch()
        live.until(lambda folder: folder.groups[0].files == 2)
        assert live.quiet().backend is Backend.OBSERVER


def test_a_directory_out_of_an_unseen_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "a").touch()
    (tmp_path / "root").mkdir()
    with watching(tmp_path / "root", Selection(recursive=True), backend=Backend.OBSERVER) as live:
        (tmp_path / "out").rename(tmp_path / "root" / "in")
        live.until(lambda folder: folder.groups[0].files == 1)
        os.rename(tmp_path / "root" / "in", tmp_path / "root" / "renamed")
        (tmp_path / "root" / "renamed" / "deep" / "b").touch()
        live.until(lambda folder: folder.groups[0].files == 2)
