"""Where the path of a folder leads: noticed by events, and by looking where there are none."""

from __future__ import annotations

import os
import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from watchdog.observers.inotify_c import InotifyConstants

from fexp.counting.selection import Folder, Selection
from fexp.disk import scan
from fexp.engine import Engine, EngineSettings, loop, sources
from fexp.events import paths
from fexp.events.paths import PathWatch
from fexp.events.tap import HEADER
from fexp.model import Backend, Reason
from tests.chaos.world import exchange
from tests.engine.live import NEVER, PATIENCE_SECONDS, inotify_watches, watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engine.live import Live


@pytest.fixture
def rare_pulses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only events can tell."""
    monkeypatch.setattr(loop, "_PULSE_SECONDS", NEVER)


by_event = pytest.mark.usefixtures("rare_pulses")


def make(path: Path, files: int) -> Path:
    """Make a directory of so many files."""
    path.mkdir(parents=True)
    for number in range(files):
        (path / f"{number}").touch()
    return path


def put_link(link: Path, target: object) -> None:
    """Put a symlink in the place of whatever is there, in one step."""
    fresh = link.with_name(link.name + ".fresh")
    fresh.symlink_to(str(target))
    fresh.rename(link)


def shows(live: Live, files: int | None) -> None:
    """Assert that the folder shows so many files now; None: that it is down."""
    folder = live.quiet()
    assert folder.up is (files is not None)
    if files is not None:
        assert folder.groups[0].files == files


@by_event
@pytest.mark.parametrize("step", ["p", "p/q", "p/q/root"])
def test_a_step_of_the_way_goes_and_comes_back(tmp_path: Path, step: str) -> None:
    root = make(tmp_path / "p" / "q" / "root", 2)
    with watching(root) as live:
        for _ in range(3):
            (tmp_path / step).rename(tmp_path / "away")
            shows(live, None)
            (tmp_path / "away").rename(tmp_path / step)
            shows(live, 2)
            (root / "more").touch()
            shows(live, 3)
            (root / "more").unlink()
            shows(live, 2)
        flow = live.pattern().flow
        assert flow is not None
        assert (flow.arrivals, flow.departures) == (3, 3)


@by_event
@pytest.mark.parametrize("step", ["p", "p/q", "p/q/root"])
def test_another_directory_takes_the_place_of_a_step(tmp_path: Path, step: str) -> None:
    root = make(tmp_path / "p" / "q" / "root", 2)
    make(tmp_path / "other" / "p" / "q" / "root", 5)
    with watching(root) as live:
        for files in (5, 2, 5):
            exchange(os.fsencode(tmp_path / step), os.fsencode(tmp_path / "other" / step))
            shows(live, files)
        (root / "more").touch()
        shows(live, 6)
        shutil.rmtree(tmp_path / step)
        shows(live, None)
        make(root, 1)
        shows(live, 1)


def absolute(tmp_path: Path, target: str) -> str:
    return f"{tmp_path}/{target}"


def relative(tmp_path: Path, target: str) -> str:
    del tmp_path
    return target


def up_and_down(tmp_path: Path, target: str) -> str:
    return f"v1/.././/v2/../{target}/."


@by_event
@pytest.mark.parametrize("spelling", [absolute, relative, up_and_down])
def test_a_link_on_the_way_is_switched(tmp_path: Path, spelling: Callable[[Path, str], str]) -> None:
    make(tmp_path / "v1" / "root", 1)
    make(tmp_path / "v2" / "root", 2)
    put_link(tmp_path / "current", spelling(tmp_path, "v1"))
    with watching(tmp_path / "current" / "root") as live:
        for files in (2, 1, 2):
            put_link(tmp_path / "current", spelling(tmp_path, f"v{files}"))
            shows(live, files)
        (tmp_path / "current").unlink()
        shows(live, None)
        put_link(tmp_path / "current", spelling(tmp_path, "v1"))
        shows(live, 1)


@by_event
def test_any_link_of_a_chain_is_switched(tmp_path: Path) -> None:
    make(tmp_path / "v1" / "deep" / "root", 1)
    make(tmp_path / "v2" / "deep" / "root", 2)
    make(tmp_path / "v3" / "deep" / "root", 3)
    (tmp_path / "elsewhere").mkdir()
    put_link(tmp_path / "elsewhere" / "one", "../two")
    put_link(tmp_path / "two", tmp_path / "three")
    put_link(tmp_path / "three", "v1/deep")
    put_link(tmp_path / "folder", "elsewhere/one/root")
    with watching(tmp_path / "folder") as live:
        shows(live, 1)
        put_link(tmp_path / "three", "v2/deep")
        shows(live, 2)
        put_link(tmp_path / "two", "v3/deep")
        shows(live, 3)
        put_link(tmp_path / "elsewhere" / "one", tmp_path / "v1" / "deep")
        shows(live, 1)
        put_link(tmp_path / "folder", "v2/deep/root")
        shows(live, 2)
        put_link(tmp_path / "folder", "folder")  # it leads to itself
        shows(live, None)
        put_link(tmp_path / "folder", "v3/deep/root")
        shows(live, 3)


@by_event
@pytest.mark.parametrize("behind_link", [True, False])
def test_a_folder_is_made_late_and_deep(tmp_path: Path, *, behind_link: bool) -> None:
    root = tmp_path / "a" / "b" / "c" / "d" / "root"
    way = root
    if behind_link:
        put_link(tmp_path / "link", "a/b/../b/c")
        way = tmp_path / "link" / "d" / "root"
    with watching(way) as live:
        for _ in range(3):
            shows(live, None)
            make(root, 2)
            shows(live, 2)
            (root / "more").touch()
            shows(live, 3)
            shutil.rmtree(tmp_path / "a")
        for directory in reversed(root.relative_to(tmp_path).parents[:-1]):
            (tmp_path / directory).mkdir()
            shows(live, None)
        make(root, 4)
        shows(live, 4)


@by_event
def test_more_links_than_the_kernel_follows(tmp_path: Path) -> None:
    make(tmp_path / "real", 1)
    put_link(tmp_path / "0", "real")
    for number in range(1, 41):
        put_link(tmp_path / f"{number}", number - 1)
    with watching(tmp_path / "40") as live:
        shows(live, None)
        put_link(tmp_path / "1", "real")  # forty are left
        shows(live, 1)
        put_link(tmp_path / "1", "0")
        shows(live, None)
        put_link(tmp_path / "40", "real")
        shows(live, 1)


@by_event
def test_two_folders_with_one_path(tmp_path: Path) -> None:
    make(tmp_path / "v1" / "root", 1)
    make(tmp_path / "v2" / "root", 2)
    put_link(tmp_path / "current", "v1")
    path = os.fsencode(tmp_path / "current" / "root")
    folders = [Folder(path, f"{number}", Selection()) for number in range(2)]
    before = inotify_watches()
    engine = Engine(folders, EngineSettings(backend=Backend.INOTIFY))
    engine.start()

    def numbers() -> list[int]:
        assert engine.flush(PATIENCE_SECONDS)
        return [folder.groups[0].files for folder in engine.snapshot().folders if folder.up]

    try:
        put_link(tmp_path / "current", "v2")
        assert numbers() == [2, 2]
        engine.set_folders(folders[1:])
        put_link(tmp_path / "current", "v1")
        assert numbers() == [1], "the other one's path is still watched"
        engine.set_folders([])
        assert numbers() == []
        assert inotify_watches() == before
        engine.set_folders(folders)
        put_link(tmp_path / "current", "v2")
        assert numbers() == [2, 2]
        engine.set_folders([])
        assert numbers() == []
        assert inotify_watches() == before
    finally:
        engine.stop()


def test_switches_leave_no_watch_behind(tmp_path: Path) -> None:
    watches, descriptors = inotify_watches(), len(os.listdir("/proc/self/fd"))
    for number in range(10):
        make(tmp_path / f"v{number}" / "deep" / "root", number)
    put_link(tmp_path / "current", "v0/deep")
    with watching(tmp_path / "current" / "root") as live:
        before = inotify_watches()
        for number in range(1000):
            put_link(tmp_path / "current", f"v{number % 10}/deep")
            if number % 50 == 0:
                shutil.rmtree(tmp_path / "v5")
                make(tmp_path / "v5" / "deep" / "root", 5)
                shows(live, number % 10)
        shows(live, 9)
        assert inotify_watches() == before
    assert inotify_watches() == watches
    assert len(os.listdir("/proc/self/fd")) == descriptors


def cannot_open(*_: object) -> PathWatch:
    raise OSError(24, os.strerror(24))


def cannot_watch(*_: object) -> int:
    return -1


@pytest.mark.parametrize("fails", ["open", "watch"])
def test_without_events_paths_are_checked_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(loop, "_PULSE_SECONDS", 0.01)
    if fails == "open":
        monkeypatch.setattr(paths, "PathWatch", cannot_open)
    else:
        monkeypatch.setattr(paths, "inotify_add_watch", cannot_watch)
    root = make(tmp_path / "p" / "q" / "root", 1)
    make(tmp_path / "other" / "root", 2)
    with watching(root) as live:
        root.parent.rename(tmp_path / "away")
        live.until(lambda folder: not folder.up)
        (tmp_path / "other").rename(root.parent)
        live.until(lambda folder: folder.up and folder.groups[0].files == 2)
        monkeypatch.undo()
        monkeypatch.setattr(loop, "_PULSE_SECONDS", 0.01)
        live.until(lambda _: live.engine._paths.watch is not None and not live.engine._paths._unreported)


def test_a_path_of_which_no_event_reports_is_checked_at_each_pulse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for its turn among the others."""
    monkeypatch.setattr(loop, "_PULSE_SECONDS", NEVER)
    monkeypatch.setattr(paths, "inotify_add_watch", cannot_watch)
    root = make(tmp_path / "p" / "root", 1)
    make(tmp_path / "other" / "root", 2)
    with watching(root) as live:
        for files in (2, 1):
            exchange(os.fsencode(tmp_path / "p"), os.fsencode(tmp_path / "other"))
            live.engine._paths._round = 5
            live.engine._queue.put((None, partial(setattr, live.engine, "_pulse_at", float("-inf"))))
            shows(live, files)


def test_a_disk_that_failed_is_tried_at_each_pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event says that it works again, and its folder does not wait for its turn among the others."""
    monkeypatch.setattr(loop, "_PULSE_SECONDS", NEVER)
    list_directory = scan.list_directory
    with watching(make(tmp_path / "root", 1)) as live:
        monkeypatch.setattr(scan, "list_directory", cannot_open)
        live.engine.look_again(Reason.RELOAD)
        shows(live, None)
        monkeypatch.setattr(scan, "list_directory", list_directory)
        live.engine._paths._round = 5  # the turn of others
        live.engine._queue.put((None, partial(setattr, live.engine, "_pulse_at", float("-inf"))))
        shows(live, 1)


def test_lost_events_make_every_path_doubtful(tmp_path: Path) -> None:
    watch = PathWatch(lambda _: None)
    try:
        for name in ("a", "b"):
            assert watch.watch(os.fsencode(tmp_path / name))
        overflow = HEADER.pack(-1, InotifyConstants.IN_Q_OVERFLOW, 0, 0)
        assert watch.affected(overflow) == {os.fsencode(tmp_path / name) for name in ("a", "b")}
        assert not watch.affected(HEADER.pack(9999, InotifyConstants.IN_ATTRIB, 0, 0))
        last, _ = watch._steps[os.fsencode(tmp_path / "a")][-1]
        unmounted = HEADER.pack(last, InotifyConstants.IN_UNMOUNT, 0, 0)
        assert watch.affected(unmounted) == {os.fsencode(tmp_path / name) for name in ("a", "b")}
    finally:
        watch.close()


def test_what_happens_beside_the_way_concerns_nobody(tmp_path: Path) -> None:
    make(tmp_path / "p" / "root", 0)
    delivered: list[bytes] = []
    there = threading.Event()

    def deliver(events: bytes) -> None:
        delivered.append(events)
        there.set()

    watch = PathWatch(deliver)
    try:
        assert watch.watch(os.fsencode(tmp_path / "p" / "root"))
        (tmp_path / "p" / "beside").touch()
        assert there.wait(PATIENCE_SECONDS)
        assert not watch.affected(b"".join(delivered))
    finally:
        watch.close()


def test_what_could_not_be_opened_is_opened_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(paths, "PathWatch", cannot_open)
        opened = sources.Sources(Backend.INOTIFY, lambda *_: None, lambda _: None)
        assert not opened.open_missing()
    try:
        assert opened.open_missing()
        assert not opened.open_missing()
    finally:
        for one in (opened.events, opened.ways):
            assert one is not None
            one.close()
