"""Lost events for real: a tap that does not read while a storm passes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.events.inotify import InotifySource
from fexp.model import Reason
from tests.engine.live import PATIENCE_SECONDS, Live, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

RECURSIVE = Selection(("*.txt", "*"), recursive=True)


@contextlib.contextmanager
def deaf_tap(live: Live, nudge: Path) -> Iterator[None]:
    """Let the tap hang in its delivery, so that the kernel's queue fills."""
    source = live.engine._source
    assert isinstance(source, InotifySource)
    deliver = source._tap._deliver
    hangs, go_on = threading.Event(), threading.Event()

    def hang(events: bytes) -> None:
        hangs.set()
        go_on.wait(PATIENCE_SECONDS)
        deliver(events)

    source._tap._deliver = hang
    nudge.touch()
    assert hangs.wait(PATIENCE_SECONDS)
    try:
        yield
    finally:
        source._tap._deliver = deliver
        go_on.set()


def queue_length() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.fixture
def storm_root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("a", "b", "doomed", "moved"):
        (root / name / "deep").mkdir(parents=True)
        (root / name / "deep" / "old.txt").write_text("old")
    return root


def test_lost_events_are_counted_and_made_up_for(storm_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with watching(storm_root, RECURSIVE) as live:
        with deaf_tap(live, storm_root / "nudge.txt"):
            for number in range(queue_length() + 100):
                os.close(os.open(storm_root / ("a", "b")[number % 2] / f"{number}.txt", os.O_CREAT | os.O_WRONLY))
            # none of this is told any more
            (storm_root / "doomed" / "deep" / "old.txt").unlink()
            (storm_root / "moved").rename(storm_root / "elsewhere")
            (storm_root / "moved" / "deep").mkdir(parents=True)
            (storm_root / "moved" / "deep" / "new.txt").write_text("newer")
            (storm_root / "fresh" / "deep").mkdir(parents=True)
            (storm_root / "fresh" / "deep" / "new.txt").write_text("new")
        snapshot = live.quiet()
        pattern = snapshot.groups[0]
        assert pattern.files == 1 + queue_length() + 100 + 2 + 1 + 1 + 1
        assert pattern.flow is not None
        assert pattern.flow.arrivals - pattern.flow.departures == pattern.files - 4
        assert snapshot.overflows >= 1
        assert snapshot.scans[Reason.OVERFLOW] >= 1
        assert snapshot.up
        # the watches are all where they belong
        for place in ("elsewhere", "moved", "fresh", "doomed"):
            (storm_root / place / "deep" / "later.txt").touch()
        assert live.pattern().files == pattern.files + 4
    assert len(caplog.records) <= 3


def test_overflow_after_overflow_ends_exact(storm_root: Path) -> None:
    with watching(storm_root, RECURSIVE) as live:
        for _ in range(3):
            with deaf_tap(live, storm_root / "nudge.txt"):
                for number in range(queue_length() // 2 + 200):
                    path = storm_root / "a" / f"{number}.txt"
                    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                    os.unlink(path)
                (storm_root / "a" / "left.txt").touch()
            assert live.pattern().files == 4 + 1 + 1
        assert live.quiet().overflows == 3
