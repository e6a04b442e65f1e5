"""Whole looks: what shows before, while and after one, and how often they may be."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import generate_latest

from fexp.counting.selection import Folder, Selection
from fexp.disk import scan
from fexp.engine import Engine, EngineSettings
from fexp.engine.looks import LookSchedule
from fexp.metrics import FexpCollector
from fexp.model import Backend, Instant, Reason
from fexp.testing import ManualClock
from tests.engine.live import PATIENCE_SECONDS, Live, watching
from tests.engine.test_overflow import deaf_tap, queue_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fexp.model import FolderSnapshot

RECURSIVE = Selection(recursive=True)


def make(path: Path, *names: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text(name)
    return path


def make_tree(path: Path) -> Path:
    """Make a directory of which a look leaves much to do when it is stopped below."""
    for number in range(8):
        make(path / f"{number}" / "deep", "a")
    return path


class Gate:
    """Stops the first listing of a directory below a path until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self._path = os.fsencode(path)
        self._list = scan.list_directory
        monkeypatch.setattr(scan, "list_directory", self._pass)

    def _pass(self, path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> scan.Listing:
        if path.startswith(self._path + b"/") and not self.opened.is_set():
            self.reached.set()
            assert self.opened.wait(PATIENCE_SECONDS)
        return self._list(path, below, selection, progressed)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Wait until the listing has come to the gate, and let it pass in the end."""
        assert self.reached.wait(PATIENCE_SECONDS)
        try:
            yield
        finally:
            self.opened.set()


@contextmanager
def started(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Live, Gate]]:
    """Run an engine whose first look stops below its folder."""
    gate = Gate(monkeypatch, path)
    folder = Folder(os.fsencode(path), "root", RECURSIVE)
    engine = Engine([folder], EngineSettings(backend=Backend.INOTIFY))
    engine.start()
    try:
        yield Live(engine, folder), gate
    finally:
        gate.opened.set()
        engine.stop()


def now(live: Live) -> FolderSnapshot:
    return live.engine.snapshot().folders[0]


def exposed(live: Live) -> bytes:
    return generate_latest(FexpCollector(live.engine.snapshot))


def test_nobody_knows_whether_a_folder_is_up_before_its_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "root", "a")
    make(root / "sub", "b")
    with started(root, monkeypatch) as (live, gate):
        with gate.closed():
            assert (now(live).looked, now(live).up) == (False, False)
            assert b"\nfexp_folder_up{" not in exposed(live)
            assert b"\nfexp_files{" not in exposed(live)
            assert live.engine.unready()
        assert live.quiet().looked
        assert live.quiet().up
        assert b'\nfexp_folder_up{folder="root"} 1.0\n' in exposed(live)
        assert live.pattern().files == 2


def test_the_folder_goes_in_the_middle_of_its_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is given up: what it would find at its end is not there any more."""
    root = make_tree(tmp_path / "root")
    with started(root, monkeypatch) as (live, gate):
        with gate.closed():
            root.rename(tmp_path / "away")
        folder = live.quiet()
        assert (folder.looked, folder.up) == (True, False)
        assert sum(folder.scans.values()) == 0
        assert live.engine.statuses()[0].problem
        (tmp_path / "away").rename(root)
        assert live.pulsed().up
        assert live.pattern().files == 8


def test_the_folder_goes_in_the_middle_of_a_later_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(tmp_path / "root")
    with watching(root, RECURSIVE) as live:
        gate = Gate(monkeypatch, root)
        live.engine.look_again(Reason.RELOAD)
        with gate.closed():
            root.rename(tmp_path / "away")
        assert not live.quiet().up
        assert live.quiet().scans[Reason.RELOAD] == 0
        for _ in range(3):
            assert not live.pulsed().up


def test_another_directory_takes_the_place_in_the_middle_of_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at what was there never ends, and is not taken for the new one's."""
    for name in ("v1", "v2"):
        make_tree(tmp_path / name)
    make(tmp_path / "v2", "b")
    (tmp_path / "current").symlink_to("v1")
    with watching(tmp_path / "current", RECURSIVE) as live:
        gate = Gate(monkeypatch, tmp_path / "current")
        live.engine.look_again(Reason.RELOAD)
        with gate.closed():
            (tmp_path / "fresh").symlink_to("v2")
            (tmp_path / "fresh").rename(tmp_path / "current")
        folder = live.quiet()
        assert (folder.scans[Reason.RELOAD], folder.scans[Reason.REAPPEARED]) == (0, 1)
        assert folder.groups[0].files == 9


@pytest.mark.parametrize("way", ["link", "ancestor"])
def test_the_numbers_before_stay_until_the_new_look_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A link is replaced by one to another directory, and the path was never absent: no gap, no half-done look."""
    make(tmp_path / "v1" / "sub", "a", "b")
    make(tmp_path / "v2" / "sub", "c", "d", "e")
    make(tmp_path / "v2", "f")
    (tmp_path / "current").symlink_to("v1")
    path = tmp_path / "current" / "sub" / ".." if way == "ancestor" else tmp_path / "current"
    with watching(path, RECURSIVE) as live:
        before = live.quiet()
        assert before.groups[0].files == 2
        gate = Gate(monkeypatch, path)
        (tmp_path / "fresh").symlink_to("v2")
        (tmp_path / "fresh").rename(tmp_path / "current")
        with gate.closed():
            assert now(live) == before
            assert live.engine.statuses()[0].up
            assert not live.engine.unready()
        after = live.quiet()
        assert after.up
        assert after.groups[0].files == 4
        assert after.scans[Reason.REAPPEARED] == 1
        flow = after.groups[0].flow
        assert flow is not None
        assert flow.arrivals - flow.departures == 2


def test_a_link_that_is_replaced_by_an_equal_one_loses_nothing(tmp_path: Path) -> None:
    make(tmp_path / "v1" / "sub", "a", "b")
    (tmp_path / "current").symlink_to("v1")
    with watching(tmp_path / "current", RECURSIVE) as live:
        ups: list[bool] = []
        for _ in range(20):
            (tmp_path / "fresh").symlink_to("v1")
            (tmp_path / "fresh").rename(tmp_path / "current")
            ups.append(now(live).up and now(live).groups[0].files == 2)
            ups.append(live.quiet().up)
        assert all(ups)
        flow = live.pattern().flow
        assert flow is not None
        assert (flow.arrivals, flow.departures) == (0, 0)
        make(tmp_path / "v1" / "sub", "c")
        assert live.pattern().files == 3


def test_what_held_the_place_goes_before_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "v1" / "sub", "a", "b")
    make(tmp_path / "v2" / "sub", "c")
    (tmp_path / "current").symlink_to("v1")
    with watching(tmp_path / "current", RECURSIVE) as live:
        gate = Gate(monkeypatch, tmp_path / "current")
        (tmp_path / "fresh").symlink_to("v2")
        (tmp_path / "fresh").rename(tmp_path / "current")
        with gate.closed():
            (tmp_path / "current").unlink()
        assert not live.quiet().up
        assert live.quiet().scans[Reason.REAPPEARED] == 0


def test_a_poll_lists_what_nobody_watches_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(tmp_path / "root")
    listed: list[bytes] = []
    list_directory = scan.list_directory

    def note(path: bytes, *arguments: object) -> scan.Listing:
        listed.append(path)
        return list_directory(path, *arguments)  # type: ignore[arg-type]

    with watching(root, RECURSIVE, poll_interval_seconds=0.01) as live:
        (folder,) = live.engine._folders
        for _ in range(3):  # the first compares with nothing yet
            listed.clear()
            monkeypatch.setattr(scan, "list_directory", note)

            def poll() -> None:
                folder.tree.want_listing(folder.tree.root.children[b"3"], deep=False)

            live.engine._queue.put((None, poll))
            live.engine._queue.put((None, lambda: live.engine._agenda.touch([folder])))
            live.quiet()
            monkeypatch.undo()
        assert listed == [os.fsencode(root / "3")]


def test_a_look_after_an_overflow_is_followed_by_a_pause_as_long_as_it_took() -> None:
    schedule = LookSchedule()
    schedule.want(Reason.OVERFLOW)
    assert schedule.due_at < 0
    look = schedule.begin(Reason.OVERFLOW, Instant(0.0, 100.0))
    schedule.want(Reason.OVERFLOW)
    assert schedule.due_at == float("inf"), "one look at a time"
    schedule.end(look, Instant(0.0, 130.0))
    assert schedule.due_at == 160.0
    schedule.cancel()
    assert schedule.due_at == float("inf")


def test_overflows_without_end_leave_time_for_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    root = make(tmp_path / "root", "a")
    list_directory = scan.list_directory

    def take_long(*arguments: object) -> scan.Listing:
        clock.advance(30.0)
        return list_directory(*arguments)  # type: ignore[arg-type]

    with watching(root, RECURSIVE, clock=clock) as live:
        monkeypatch.setattr(scan, "list_directory", take_long)
        overflow(live, root)
        assert live.quiet().scans[Reason.OVERFLOW] == 1
        overflow(live, root)
        live.drain_the_kernel()
        asked = threading.Event()
        live.engine._queue.put((None, asked.set))
        assert asked.wait(PATIENCE_SECONDS)
        (root / "b").touch()
        live.until_shown(lambda folder: folder.groups[0].files == 2)
        assert now(live).overflows == 2
        assert now(live).scans[Reason.OVERFLOW] == 1
        clock.advance(31.0)
        assert live.quiet().scans[Reason.OVERFLOW] == 2


def overflow(live: Live, root: Path) -> None:
    with deaf_tap(live, root / "nudge"):
        for number in range(queue_length() // 2 + 200):
            path = f"{root}/{number}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
        (root / "nudge").unlink()
