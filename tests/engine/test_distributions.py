"""Distributions in a running engine: ages are those of the moment, and move without a change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.measures import Measures
from fexp.testing import ManualClock
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path


def test_ages_are_those_of_the_moment_and_that_alone_wakes_nobody(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    clock, changes = ManualClock(), list[None]()
    os.utime(tmp_path / "f", (clock.wall - 1000, clock.wall - 1000))
    measures = Measures(age_bounds_seconds=(1500.0, 3e9))
    with watching(tmp_path, None, measures, clock=clock, changed=lambda: changes.append(None)) as live:
        before = live.quiet()
        changes.clear()
        clock.advance(600)
        after = live.engine.snapshot().folders[0]
        counts = [one.groups[0].distributions["file_age_seconds"].counts for one in (before, after)]
        assert counts == [(1, 0, 0), (0, 1, 0)]
        sums = [one.groups[0].distributions["file_age_seconds"].sum for one in (before, after)]
        assert sums[1] - sums[0] == pytest.approx(600)
        assert not changes
        (tmp_path / "f").unlink()
        live.quiet()
        assert live.engine.snapshot().folders[0] is live.engine.snapshot().folders[0], "no file, no age"


def test_sizes_do_not_move(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"123")
    with watching(tmp_path, None, Measures(size_bounds_bytes=(3.0,))) as live:
        assert live.quiet().groups[0].distributions["file_size_bytes"] == ((3.0,), (1, 0), 3)
        assert live.engine.snapshot().folders[0] is live.engine.snapshot().folders[0]


@pytest.mark.parametrize("bounds", [(), (5.0, 60.0)])
def test_dwell_times_have_the_buckets_of_the_folder_before_those_of_all(
    bounds: tuple[float, ...], tmp_path: Path
) -> None:
    with watching(tmp_path, None, Measures(dwell_bounds_seconds=bounds)) as live:
        flow = live.quiet().groups[0].flow
        assert flow is not None
        assert flow.dwell.bounds == bounds != live.engine._context.settings.dwell_bounds_seconds
