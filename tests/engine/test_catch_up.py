"""Whoever reads the numbers may wait for what happened before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engine.live import PATIENCE_SECONDS, watching

if TYPE_CHECKING:
    from pathlib import Path


def test_what_happened_before_is_folded(tmp_path: Path) -> None:
    with watching(tmp_path) as live:
        for number in range(1, 101):
            (tmp_path / str(number)).touch()
            assert live.engine.catch_up(PATIENCE_SECONDS)
            assert live.engine.snapshot().folders[0].groups[0].files == number


def test_it_waits_for_no_longer_than_it_may(tmp_path: Path) -> None:
    with watching(tmp_path) as live:
        live.quiet()
        with live.held():
            (tmp_path / "a").touch()
            assert not live.engine.catch_up(0.01)


def test_it_does_not_wait_when_nothing_happened(tmp_path: Path) -> None:
    with watching(tmp_path) as live:
        live.quiet()
        with live.held():  # nobody could answer
            assert live.engine.catch_up(0.0)
