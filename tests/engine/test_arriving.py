"""Files that arrive, in a running engine with a clock to move."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.clock import now
from fexp.counting.measures import Measures
from fexp.counting.selection import PARTIALS, Selection
from fexp.model import Backend, Instant
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.model import FolderSnapshot

CSV = Selection(("*.csv",), partials=PARTIALS)
MEASURES = Measures(settle_seconds=60.0, stall_after_seconds=600.0)


class MovedClock:
    """The real time, moved."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> Instant:
        at = now()
        return Instant(at.wall + self.ahead_seconds, at.steady + self.ahead_seconds)


def shows(**wanted: float) -> object:
    return lambda folder: {name: folder.groups[0].values[name] for name in wanted} == wanted


def test_a_file_settles_by_time_alone_and_not_while_it_is_written(tmp_path: Path) -> None:
    clock, changes = MovedClock(), list[None]()
    with watching(tmp_path, CSV, MEASURES, clock=clock, changed=lambda: changes.append(None)) as live:
        (tmp_path / "a.csv").write_text("whole")
        os.utime(tmp_path / "a.csv", (1e9, 1e9))  # as rsync -a does
        with open(tmp_path / "b.csv", "w", encoding="ascii") as file:
            file.write("half")
            file.flush()
            live.until(shows(files=2, unsettled_files=2))  # type: ignore[arg-type]
            changes.clear()
            clock.ahead_seconds = 61.0
            live.until(shows(unsettled_files=1))  # type: ignore[arg-type]
            assert changes, "outputs must hear of it"
        live.until(shows(unsettled_files=0))  # type: ignore[arg-type]
        with open(tmp_path / "b.csv", "a", encoding="ascii") as file:
            file.write("more")
            file.flush()
            live.until(shows(unsettled_files=1))  # type: ignore[arg-type]
            clock.ahead_seconds = 700.0
            live.until(shows(unsettled_files=0))  # type: ignore[arg-type]  # a close that was lost leaks nothing


@pytest.mark.parametrize("backend", [Backend.INOTIFY, Backend.POLLING])
def test_an_upload_stalls_whatever_the_pattern(backend: Backend, tmp_path: Path) -> None:
    clock = MovedClock()
    (tmp_path / "sub").mkdir()
    deep = Selection(("*.csv",), recursive=True, partials=PARTIALS)
    with watching(tmp_path, deep, MEASURES, clock=clock, backend=backend, poll_interval_seconds=0.001) as live:
        part = tmp_path / "sub" / "orders.csv.part"
        part.write_text("half")
        (tmp_path / "sub" / "later.csv").touch()
        live.until(shows(files=1, stalled_files=0))  # type: ignore[arg-type]
        clock.ahead_seconds = 601.0
        live.until(shows(stalled_files=1))  # type: ignore[arg-type]
        part.write_text("more than half")
        live.until(shows(stalled_files=0))  # type: ignore[arg-type]
        clock.ahead_seconds = 1300.0
        live.until(shows(stalled_files=1))  # type: ignore[arg-type]
        part.rename(tmp_path / "sub" / "orders.csv")
        live.until(shows(files=2, stalled_files=0, unsettled_files=1))  # type: ignore[arg-type]


def test_growth_that_no_event_reports_keeps_a_file_unsettled(tmp_path: Path) -> None:
    """Nothing polls here: the look before a file settles finds that it has grown."""
    clock = MovedClock()
    grows = tmp_path / "a.csv"
    grows.write_text("1")
    with watching(tmp_path, CSV, MEASURES, clock=clock, backend=Backend.POLLING) as live:
        live.until(shows(unsettled_files=1))  # type: ignore[arg-type]
        grows.write_text("12")
        clock.ahead_seconds = 61.0
        live.until(shows(size_bytes=2, unsettled_files=1))  # type: ignore[arg-type]
        clock.ahead_seconds = 122.0
        live.until(shows(unsettled_files=0))  # type: ignore[arg-type]


def flow_of(folder: FolderSnapshot) -> tuple[int, int, int, int]:
    flow = folder.groups[0].flow
    assert flow is not None
    return folder.groups[0].files, flow.arrivals, flow.departures, flow.modifications


def test_only_settled_files_count(tmp_path: Path) -> None:
    clock = MovedClock()
    measures = MEASURES._replace(counts_settled=True)
    with watching(tmp_path, CSV, measures, clock=clock) as live:
        for name in ("a.csv", "gone.csv"):
            (tmp_path / name).write_text("1")
        live.until(shows(unsettled_files=2))  # type: ignore[arg-type]
        (tmp_path / "gone.csv").unlink()
        folder = live.until(shows(unsettled_files=1))  # type: ignore[arg-type]
        assert flow_of(folder) == (0, 0, 0, 0)
        clock.ahead_seconds = 61.0
        folder = live.until(shows(files=1, unsettled_files=0))  # type: ignore[arg-type]
        assert flow_of(folder) == (1, 1, 0, 0)
        arrived_at = folder.groups[0].values["oldest_arrived_at"]
        assert arrived_at == pytest.approx(clock().wall, abs=30), "it arrived when it had settled"
        (tmp_path / "a.csv").write_text("rewritten")
        folder = live.until(shows(size_bytes=9, unsettled_files=1))  # type: ignore[arg-type]
        assert flow_of(folder)[:3] == (1, 1, 0), "what has settled once stays"
        (tmp_path / "a.csv").unlink()
        folder = live.until(shows(files=0, unsettled_files=0))  # type: ignore[arg-type]
        assert flow_of(folder)[:3] == (0, 1, 1)
        flow = folder.groups[0].flow
        assert flow is not None
        assert flow.dwell.sum < 60, "from settling on"
