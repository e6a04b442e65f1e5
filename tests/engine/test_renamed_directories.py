"""Directories that move while things happen in them, many events to a batch: each file is counted where it is."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from tests.chaos.world import exchange
from tests.engine.live import inotify_watches, watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.live import Live

RECURSIVE = Selection(recursive=True)
one_batch = pytest.mark.parametrize("one_batch", [True, False])


def counts(live: Live) -> tuple[int, int, int]:
    pattern = live.pattern()
    assert pattern.flow is not None
    return pattern.files, pattern.flow.arrivals, pattern.flow.departures


@one_batch
@pytest.mark.parametrize("appended", [True, False])
def test_a_directory_is_renamed_and_a_file_made_in_it_at_once(
    tmp_path: Path, *, one_batch: bool, appended: bool
) -> None:
    """What was renamed with it departed and arrived; what is made in it afterwards arrived once."""
    rounds = 40
    with watching(tmp_path, RECURSIVE) as live:
        for number in range(rounds):
            before, after = tmp_path / f"before{number}", tmp_path / f"after{number}"
            before.mkdir()
            (before / "f").touch()
            live.quiet()
            with live.held() if one_batch else nullcontext():
                if appended:
                    (before / "f").write_text("more")
                before.rename(after)
                (after / "g").touch()
            live.quiet()
        assert counts(live) == (2 * rounds, 3 * rounds, rounds)


@one_batch
def test_a_directory_is_renamed_replaced_and_written(tmp_path: Path, *, one_batch: bool) -> None:
    with watching(tmp_path, RECURSIVE) as live:
        (tmp_path / "d" / "deep").mkdir(parents=True)
        (tmp_path / "d" / "deep" / "f").touch()
        live.quiet()
        for number in range(20):
            with live.held() if one_batch else nullcontext():
                (tmp_path / "d" / "deep" / "f").write_text("x" * number)
                (tmp_path / "d").rename(tmp_path / f"d{number}")
                (tmp_path / "d" / "deep").mkdir(parents=True)
                (tmp_path / "d" / "deep" / "f").write_text("y" * 100)
                (tmp_path / f"d{number}" / "deep" / "f").write_text("x" * (number + 1))
            pattern = live.pattern()
            assert pattern.files == number + 2
            assert pattern.size_bytes == 100 + sum(range(1, number + 2))
        files, arrivals, departures = counts(live)
        assert arrivals - departures == files


@one_batch
def test_directories_that_are_moved_out_take_no_watch_along(tmp_path: Path, *, one_batch: bool) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    with watching(root, RECURSIVE) as live:
        before = inotify_watches()
        for number in range(20):
            (root / f"{number}" / "deep" / "deeper").mkdir(parents=True)
            (root / f"{number}" / "deep" / "f").touch()
        live.quiet()
        assert inotify_watches() == before + 60
        with live.held() if one_batch else nullcontext():
            for number in range(20):
                (root / f"{number}").rename(out / f"{number}")
                (out / f"{number}" / "deep" / "g").touch()
        assert counts(live) == (0, 20, 20)
        assert inotify_watches() == before
        for number in range(20):
            (out / f"{number}" / "deep").rename(root / f"{number}")
        assert counts(live) == (40, 60, 20)
        assert inotify_watches() == before + 40


@one_batch
def test_directories_that_are_exchanged_and_written(tmp_path: Path, *, one_batch: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / name).touch()
    with watching(tmp_path, RECURSIVE) as live:
        before = inotify_watches()
        for number in range(20):
            with live.held() if one_batch else nullcontext():
                (tmp_path / "a" / "deep" / f"{number}").write_text("12")
                exchange(os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "b"))
                (tmp_path / "a" / "deep" / f"more{number}").write_text("123")
            pattern = live.pattern()
            assert (pattern.files, pattern.size_bytes) == (4 + 2 * number, 5 * (number + 1))
        assert inotify_watches() == before


@one_batch
def test_a_directory_gets_another_and_both_are_replaced(tmp_path: Path, *, one_batch: bool) -> None:
    """What was reported of a directory that left is not looked for in the one that has its name now."""
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    with watching(root, RECURSIVE) as live:
        before = inotify_watches()
        for number in range(10):
            with live.held() if one_batch else nullcontext():
                (root / "d" / "x").mkdir()
                (root / "d").rename(tmp_path / f"{number}")
                (root / "d" / "x").mkdir(parents=True)
                (root / "d" / "x" / "f").touch()
            assert live.pattern().files == 1
            assert inotify_watches() == before + 1
            (root / "d" / "x" / "f").unlink()
            (root / "d" / "x").rmdir()
            assert live.pattern().files == 0
