"""A day's churn in seconds: memory, descriptors, watches and threads come back to where they were."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.events.inotify import InotifySource
from fexp.model import Backend
from tests.chaos.driver import folder_watches
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

from tests.engine.live import Live

RECURSIVE = Selection(("*.txt", "*"), recursive=True)


def _churn(root: Path, live: Live, rounds: int, files: int) -> None:
    for number in range(rounds):
        directory = root / f"day{number}" / "deep"
        directory.mkdir(parents=True)
        for file in range(files):
            path = f"{directory}/{number}-{file}.txt"  # pathlib interns names, and the memory would be counted
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        live.quiet()
        if number % 2:
            shutil.rmtree(root / f"day{number}")
        else:
            (root / f"day{number}").rename(root.parent / f"out{number}")
            shutil.rmtree(root.parent / f"out{number}")
    assert live.pattern().files == 0


def test_churn_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with watching(root, RECURSIVE) as live:
        source = live.engine._source
        assert isinstance(source, InotifySource)
        _churn(root, live, rounds=4, files=500)
        gc.collect()
        tracemalloc.start()
        try:
            before_bytes = tracemalloc.get_traced_memory()[0]
            before_descriptors = len(os.listdir("/proc/self/fd"))
            _churn(root, live, rounds=10, files=500)
            live.pulsed()
            gc.collect()
            grown_bytes = tracemalloc.get_traced_memory()[0] - before_bytes
        finally:
            tracemalloc.stop()
        assert grown_bytes < 100_000
        assert len(os.listdir("/proc/self/fd")) == before_descriptors
        assert len(source._watched) == 1
        (watch,) = folder_watches(live.engine)
        assert len(list(watch.tree.root.subtree())) == 1
        assert not watch.tree.is_busy
        assert not watch.tree.suspects
        assert not watch.tree.arming.polled


@pytest.mark.parametrize("backend", list(Backend))
def test_a_stopped_engine_leaves_no_thread_and_no_descriptor(tmp_path: Path, backend: Backend) -> None:
    (tmp_path / "sub").mkdir()
    with watching(tmp_path, RECURSIVE, backend=backend):
        pass  # what is loaded once stays
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with watching(tmp_path, RECURSIVE, backend=backend) as live:
            (tmp_path / "sub" / "a.txt").touch()
            live.quiet()
            (tmp_path / "sub" / "a.txt").unlink()
    assert set(threading.enumerate()) == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_numbers_stay_readable_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with watching(tmp_path, RECURSIVE) as live:
        engine = live.engine
    assert engine.snapshot().folders[0].groups[0].files == 1
    assert engine.unready()
    engine.stop()
