"""What is counted while nobody looks, and how long files stayed, whatever the clocks do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.model import Backend, Reason
from fexp.testing import ManualClock
from tests.chaos.world import exchange
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.model import FlowSnapshot, GroupSnapshot


def flow_of(pattern: GroupSnapshot) -> FlowSnapshot:
    assert pattern.flow is not None
    return pattern.flow


def test_what_comes_and_goes_between_two_looks_counts(tmp_path: Path) -> None:
    with watching(tmp_path) as live:
        with live.held():
            for number in range(300):
                path = tmp_path / f"f{number % 3}"
                path.write_text("some")
                path.unlink()
        flow = flow_of(live.pattern())
    assert (flow.arrivals, flow.departures) == (300, 300)
    assert sum(flow.dwell.counts) == 300


def test_a_file_that_is_replaced_between_two_looks_departs_and_arrives(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("12345")
    with watching(tmp_path) as live:
        with live.held():
            (tmp_path / "f").unlink()
            (tmp_path / "f").write_text("123")
        flow = flow_of(live.pattern())
    assert (flow.arrivals, flow.departures, flow.arrived_bytes, flow.departed_bytes) == (1, 1, 3, 5)


def test_a_rename_over_a_file_is_one_departure_and_a_modification(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("12345")
    (tmp_path / "new").write_text("123")
    with watching(tmp_path) as live:
        (tmp_path / "new").rename(tmp_path / "old")
        flow = flow_of(live.pattern())
    assert (flow.arrivals, flow.departures, flow.modifications) == (0, 1, 1)


def test_what_is_no_file_never_came(tmp_path: Path) -> None:
    """A link or a FIFO has the name of a file that counts, or takes it over."""
    taken = tmp_path / "taken"
    taken.write_text("12345")
    with watching(tmp_path) as live:
        (tmp_path / "link").symlink_to("nowhere")
        os.mkfifo(tmp_path / "fifo")
        assert flow_of(live.pattern()).arrivals == 0
        with live.held():
            taken.unlink()
            taken.symlink_to("nowhere")
        flow = flow_of(live.pattern())
        assert (flow.arrivals, flow.departures, flow.departed_bytes) == (0, 1, 5)
        with live.held():
            taken.unlink()
            taken.write_text("brief")
            taken.unlink()
            os.mkfifo(taken)
        flow = flow_of(live.pattern())
    assert (flow.arrivals, flow.departures) == (1, 2)


@pytest.mark.parametrize("together", [True, False])
def test_two_names_that_are_exchanged_are_both_still_there(tmp_path: Path, *, together: bool) -> None:
    """The kernel tells of the second name's departure last."""
    one, other = tmp_path / "a", tmp_path / ("b" if together else "sub/b")
    other.parent.mkdir(exist_ok=True)
    one.write_text("1")
    other.write_text("22")
    with watching(tmp_path, Selection(recursive=True)) as live:
        exchange(os.fsencode(one), os.fsencode(other))
        assert live.pattern().files == 2
        exchange(os.fsencode(one), os.fsencode(other))
        pattern = live.pattern()
    assert (pattern.files, pattern.size_bytes) == (2, 3)


def test_directories_that_are_exchanged_are_both_still_there(tmp_path: Path) -> None:
    for name, files in (("a", 1), ("b", 2)):
        (tmp_path / name / "deep").mkdir(parents=True)
        for number in range(files):
            (tmp_path / name / "deep" / f"{name}{number}").touch()
    with watching(tmp_path, Selection(recursive=True)) as live:
        for _ in range(20):
            exchange(os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "b"))
            assert live.pattern().files == 3
        (tmp_path / "a" / "deep" / "more").touch()
        (tmp_path / "b" / "deep" / "more").touch()
        assert live.pattern().files == 5


@pytest.mark.parametrize("jump_seconds", [0.0, -365 * 86400.0, 10 * 365 * 86400.0])
def test_a_dwell_time_does_not_follow_a_wall_clock_that_jumps(tmp_path: Path, jump_seconds: float) -> None:
    clock = ManualClock()
    with watching(tmp_path, clock=clock) as live:
        (tmp_path / "f").touch()
        live.quiet()
        clock.wall += jump_seconds
        clock.advance(60.0)
        (tmp_path / "f").unlink()
        flow = flow_of(live.pattern())
    assert flow.dwell.sum == pytest.approx(60.0)
    assert flow.last_departure_at == pytest.approx(clock.wall)


@pytest.mark.parametrize("jump_seconds", [-365 * 86400.0, 10 * 365 * 86400.0])
def test_a_file_that_a_look_finds_arrived_no_earlier_than_the_look_before(tmp_path: Path, jump_seconds: float) -> None:
    clock = ManualClock()
    with watching(tmp_path, backend=Backend.POLLING, clock=clock) as live:
        clock.advance(30.0)
        clock.wall += jump_seconds
        (tmp_path / "f").touch()
        live.engine.look_again(Reason.RELOAD)
        assert live.pattern().files == 1
        clock.advance(30.0)
        (tmp_path / "f").unlink()
        live.engine.look_again(Reason.RELOAD)
        flow = flow_of(live.pattern())
    assert 30.0 <= flow.dwell.sum <= 60.0


def test_what_comes_with_another_directory_arrived_no_earlier_than_the_look_before(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
    (tmp_path / "v2" / "f").touch()
    (tmp_path / "current").symlink_to("v1")
    clock = ManualClock()
    clock.wall = os.stat(tmp_path / "v2" / "f").st_ctime + 500.0
    with watching(tmp_path / "current", clock=clock) as live:
        clock.advance(30.0)
        (tmp_path / "fresh").symlink_to("v2")
        (tmp_path / "fresh").rename(tmp_path / "current")
        assert live.pattern().files == 1
        clock.advance(100.0)
        (tmp_path / "v2" / "f").unlink()
        flow = flow_of(live.pattern())
    assert (flow.arrivals, flow.departures) == (1, 1)
    assert flow.dwell.sum == pytest.approx(130.0)


def test_a_file_that_was_there_at_the_start_arrived_at_its_inode_change(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", (1, 1))
    clock = ManualClock()
    clock.wall = os.stat(tmp_path / "f").st_ctime + 500.0
    with watching(tmp_path, clock=clock) as live:
        clock.advance(100.0)
        (tmp_path / "f").unlink()
        flow = flow_of(live.pattern())
    assert flow.dwell.sum == pytest.approx(600.0)
    assert (flow.arrivals, flow.departures) == (0, 1)


def test_an_inode_change_in_the_future_is_no_negative_dwell_time(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    clock = ManualClock()
    clock.wall -= 86400.0
    with watching(tmp_path, clock=clock) as live:
        clock.advance(5.0)
        (tmp_path / "f").unlink()
        flow = flow_of(live.pattern())
    assert flow.dwell.sum == pytest.approx(5.0)
