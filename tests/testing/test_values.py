"""Values, waiting for them, and the clock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

import fexp
from fexp.testing import ManualClock, sample_value, wait_for, wait_for_value
from tests.outputs.samples import Gauge

if TYPE_CHECKING:
    from pathlib import Path


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(Gauge("waiting", {(("queue", "a"), ("host", "x")): 1.0, (("queue", "b"), ("host", "x")): 2.0}))
    return made


def test_a_value_is_found_by_some_of_its_labels() -> None:
    made = registry()
    for source in (made, generate_latest(made), generate_openmetrics(made).decode(), lambda: generate_latest(made)):  # type: ignore[no-untyped-call]
        assert sample_value(source, "waiting", {"queue": "b"}) == 2
        assert sample_value(source, "waiting", {"queue": "c"}) is None
        assert sample_value(source, "wait") is None
        with pytest.raises(AssertionError, match=r"2 samples are waiting\{\}; give more labels:\n  waiting\{"):
            sample_value(source, "waiting")


def test_what_is_no_exposition_is_told() -> None:
    with pytest.raises(AssertionError, match="this is no exposition: line 1"):
        sample_value("<html>\n", "waiting")
    with pytest.raises(AssertionError, match="this is no exposition"):
        sample_value("<html>\n# EOF\n", "waiting")


def test_waiting_ends_with_the_condition(tmp_path: Path) -> None:
    with fexp.FolderCollector(tmp_path) as collector:
        timer = threading.Timer(0.05, (tmp_path / "a").touch)
        timer.start()
        wait_for_value(collector, "fexp_files", 1, {"pattern": "*"})
        timer.join()
        (tmp_path / "a").unlink()
        wait_for_value(collector, "fexp_oldest_file_timestamp_seconds", None)


def test_waiting_gives_up_with_what_there_was_instead() -> None:
    with pytest.raises(AssertionError) as complaint:
        wait_for_value(registry(), "waiting", 3, {"queue": "a"}, timeout_seconds=0.01)
    assert str(complaint.value).splitlines() == [
        'waiting{queue="a"} is 1.0 and not 3 after 0.01 s; the samples of this name are:',
        '  waiting{queue="a",host="x"} 1',
        '  waiting{queue="b",host="x"} 2',
    ]
    with pytest.raises(AssertionError, match="there is no sample of this name"):
        wait_for_value(registry(), "nothing", 3, timeout_seconds=0)
    with pytest.raises(AssertionError, match="still not so after 0 s: it is late; the latest answer was 0"):
        wait_for(lambda: 0, timeout_seconds=0, message="it is late")


def test_a_condition_is_asked_once_more_when_the_time_is_over() -> None:
    answers = iter([0, 7])
    assert wait_for(lambda: next(answers), timeout_seconds=0.01, every_seconds=60) == 7


def test_a_clock_is_moved(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    clock = ManualClock((tmp_path / "a").stat().st_mtime)
    buckets = {"age_buckets": "1h", "clock": clock}
    assert fexp.look(tmp_path, **buckets)[0].distributions["file_age_seconds"].counts == (1, 0)  # type: ignore[arg-type]
    clock.advance(7200)
    assert fexp.look(tmp_path, **buckets)[0].distributions["file_age_seconds"].counts == (0, 1)  # type: ignore[arg-type]
    clock.wall -= 7200
    assert fexp.look(tmp_path, clock=clock)[0].future_files == 0
    clock.wall -= 61
    assert fexp.look(tmp_path, clock=clock)[0].future_files == 1
    with pytest.raises(ValueError, match="forwards only"):
        clock.advance(-1)


def test_a_collector_goes_by_the_clock(tmp_path: Path) -> None:
    clock = ManualClock()
    with fexp.FolderCollector(tmp_path, clock=clock) as collector:
        (tmp_path / "a").touch()
        wait_for_value(collector, "fexp_arrivals_total", 1)
        clock.advance(3600)
        (tmp_path / "a").unlink()
        wait_for_value(collector, "fexp_departures_total", 1)
        assert sample_value(collector, "fexp_dwell_seconds_sum") == pytest.approx(3600)
