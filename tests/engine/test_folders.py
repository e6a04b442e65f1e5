"""The folder itself: late, replaced, renamed above, behind a link; and the names and kinds in it."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Folder, Selection
from fexp.disk import scan
from fexp.engine import Engine, EngineSettings, loop
from fexp.model import Backend, Fault, Reason
from tests.chaos.world import exchange
from tests.engine.live import PATIENCE_SECONDS, watching
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

RECURSIVE = Selection(recursive=True)
every_backend = pytest.mark.parametrize("backend", list(Backend))


def _fill(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(name)
    return directory


@every_backend
def test_a_folder_that_is_not_there_yet(tmp_path: Path, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "late" / "root"
    with watching(root, RECURSIVE, backend=backend, poll_interval_seconds=0.02) as live:
        for _ in range(5):
            snapshot = live.pulsed()
        assert not snapshot.up
        assert live.engine.statuses()[0].looked
        assert "No such file" in (live.engine.statuses()[0].problem or "")
        assert len(caplog.records) == 1
        _fill(root / "sub", "a", "b")
        snapshot = live.until(lambda folder: folder.up and folder.groups[0].files == 2)
        flow = snapshot.groups[0].flow
        assert flow is not None
        assert (flow.arrivals, flow.departures) == (2, 0)
        assert snapshot.scans[Reason.START] == 0
        assert live.engine.statuses()[0].problem is None
        _fill(root / "sub", "c")
        live.until(lambda folder: folder.groups[0].files == 3)


@every_backend
def test_a_folder_that_vanishes_and_returns(tmp_path: Path, backend: Backend) -> None:
    root = _fill(tmp_path / "root" / "sub", "a", "b").parent
    with watching(root, RECURSIVE, backend=backend, poll_interval_seconds=0.02) as live:
        shutil.rmtree(root)
        live.until(lambda folder: not folder.up)
        _fill(root / "other", "c", "d", "e")
        snapshot = live.until(lambda folder: folder.up and folder.groups[0].files == 3)
        flow = snapshot.groups[0].flow
        assert flow is not None
        assert flow.arrivals - flow.departures == 3 - 2
        assert snapshot.scans[Reason.REAPPEARED] >= 1


@every_backend
def test_a_folder_that_becomes_a_file_and_a_folder_again(tmp_path: Path, backend: Backend) -> None:
    root = _fill(tmp_path / "root", "a")
    with watching(root, RECURSIVE, backend=backend, poll_interval_seconds=0.02) as live:
        shutil.rmtree(root)
        root.write_text("a file")
        live.until(lambda folder: not folder.up)
        root.unlink()
        _fill(root, "b", "c")
        live.until(lambda folder: folder.up and folder.groups[0].files == 2)


@pytest.mark.parametrize("way", ["exchange", "rename", "above"])
def test_a_folder_in_whose_place_another_is_put(tmp_path: Path, way: str) -> None:
    root = _fill(tmp_path / "p" / "root" / "sub", "a", "b").parent
    other = _fill(tmp_path / "q" / "root" / "sub", "c", "d", "e").parent
    with watching(root, RECURSIVE) as live:
        if way == "exchange":
            exchange(os.fsencode(root), os.fsencode(other))
        elif way == "rename":
            root.rename(tmp_path / "old")
            other.rename(root)
        else:
            exchange(os.fsencode(root.parent), os.fsencode(other.parent))
        snapshot = live.pulsed()
        assert snapshot.up
        assert snapshot.groups[0].files == 3
        _fill(root / "sub", "f")
        assert live.pattern().files == 4
        for directory in (tmp_path / "old", other, tmp_path / "q" / "root"):
            if directory.exists():
                _fill(directory / "sub", "not counted")
        assert live.pattern().files == 4


@every_backend
def test_a_folder_behind_a_link_that_is_switched(tmp_path: Path, backend: Backend) -> None:
    first, second = _fill(tmp_path / "v1", "a"), _fill(tmp_path / "v2", "b", "c")
    link, fresh = tmp_path / "current", tmp_path / "fresh"
    link.symlink_to(first)
    with watching(link, RECURSIVE, backend=backend, poll_interval_seconds=0.02) as live:
        assert live.pattern().files == 1
        _fill(first, "more")
        live.until(lambda folder: folder.groups[0].files == 2)
        fresh.symlink_to(second)
        fresh.rename(link)
        live.until(lambda folder: folder.up and folder.scans[Reason.REAPPEARED] > 0)
        live.until(lambda folder: folder.groups[0].files == 2)
        _fill(second, "d")
        live.until(lambda folder: folder.groups[0].files == 3)
        _fill(first, "not counted")
        assert live.pulsed().groups[0].files == 3


@every_backend
def test_one_directory_under_two_names_and_twice(tmp_path: Path, backend: Backend) -> None:
    root = _fill(tmp_path / "root", "a.txt")
    (tmp_path / "link").symlink_to(root)
    paths = [root, root, tmp_path / "link"]
    folders = [
        Folder(os.fsencode(path), f"{number}", Selection((glob,), recursive=True))
        for number, (path, glob) in enumerate(zip(paths, ("*.txt", "*.csv", "*"), strict=True))
    ]
    engine = Engine(folders, EngineSettings(backend=backend, poll_interval_seconds=0.02))
    engine.start()
    try:
        assert engine.flush(PATIENCE_SECONDS)
        scans = [folder.scans[Reason.REAPPEARED] for folder in engine.snapshot().folders]
        _fill(root / "sub", "b.txt", "c.csv")

        def has_counted_all() -> bool:
            assert engine.flush(PATIENCE_SECONDS)
            return [folder.groups[0].files for folder in engine.snapshot().folders] == [2, 1, 3]

        poll(has_counted_all, seconds=PATIENCE_SECONDS, every_seconds=0.005)
        assert [folder.scans[Reason.REAPPEARED] for folder in engine.snapshot().folders] == scans == [0, 0, 0]
    finally:
        engine.stop()


def test_kinds_that_do_not_count(tmp_path: Path) -> None:
    root = _fill(tmp_path / "root", "a.txt", ".hidden.txt")
    _fill(root / "dir.txt", "inner.txt")
    with watching(root, Selection(("*.txt",))) as live:
        assert live.pattern().files == 1
        os.mkfifo(root / "fifo.txt")
        (root / "dangling.txt").symlink_to("nowhere")
        (root / "loop.txt").symlink_to("loop.txt")
        (root / "link.txt").symlink_to("a.txt")
        (root / "dirlink.txt").symlink_to(".")
        here = os.getcwd()
        os.chdir(root)  # a socket's path may have 107 bytes only
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("socket.txt")
        finally:
            os.chdir(here)
        assert live.pattern().files == 1
        (root / "fifo.txt").unlink()
        _fill(root, "fifo.txt")
        assert live.pattern().files == 2


def test_links_are_counted_by_their_targets_when_followed(tmp_path: Path) -> None:
    root = _fill(tmp_path / "root", "a.txt")
    outside = _fill(tmp_path / "outside", "target")
    (outside / "target").write_text("12345")
    with watching(root, Selection(("*.txt",), follow_symlinks=True)) as live:
        (root / "link.txt").symlink_to(outside / "target")
        (root / "dangling.txt").symlink_to("nowhere")
        (root / "loop.txt").symlink_to("loop.txt")
        (root / "dirlink.txt").symlink_to(outside)
        pattern = live.pattern()
        assert (pattern.files, pattern.size_bytes) == (2, 10)
        (root / "nowhere").write_text("123")
        (outside / "target").write_text("1")
        live.engine.look_again(Reason.RELOAD)
        pattern = live.pattern()
        assert (pattern.files, pattern.size_bytes) == (3, 9)
        assert not any(live.quiet().faults.values())


def test_a_file_becomes_a_directory_of_the_same_name_and_back(tmp_path: Path) -> None:
    thing = tmp_path / "x.txt"
    with watching(tmp_path, Selection(("*.txt",), recursive=True)) as live:
        for held in (False, True):
            thing.write_text("a file")
            assert live.pattern().files == 1
            if held:
                with live.held():
                    thing.unlink()
                    _fill(thing, "in.txt", "side.txt")
            else:
                thing.unlink()
                _fill(thing, "in.txt", "side.txt")
            assert live.pattern().files == 2
            shutil.rmtree(thing)
            assert live.pattern().files == 0


@every_backend
@pytest.mark.parametrize(
    "raw", [b"n" * 251 + b".txt", b"\xff\xfe.txt", b"new\nline.txt", b'quo"te\\.txt', b" .txt", b"*.txt"]
)
def test_names_that_bite(tmp_path: Path, raw: bytes, backend: Backend) -> None:
    root = os.fsencode(tmp_path)
    directory = os.path.join(root, raw)
    selection = Selection(("*.txt",), recursive=True)
    with watching(tmp_path, selection, backend=backend, poll_interval_seconds=0.02) as live:
        os.mkdir(directory)
        path = os.path.join(directory, raw)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        live.until(lambda folder: folder.groups[0].files == 1)
        os.rename(directory, os.path.join(root, b"plain"))
        os.unlink(os.path.join(root, b"plain", raw))
        live.until(lambda folder: folder.groups[0].files == 0)


def test_a_folder_whose_own_name_bites(tmp_path: Path) -> None:
    root = os.path.join(os.fsencode(tmp_path), b'\xff\n"\\' + b"d" * 200)
    os.mkdir(root)
    with watching(root, RECURSIVE) as live:
        os.close(os.open(os.path.join(root, b"\xff"), os.O_CREAT | os.O_WRONLY))
        assert live.pattern().files == 1


def test_the_root_directory_can_be_a_folder() -> None:
    with watching("/", Selection(("no such name",))) as live:
        snapshot = live.quiet()
        assert snapshot.up
        assert snapshot.groups[0].files == 0


def test_changed_is_called_when_numbers_change_and_only_then(tmp_path: Path) -> None:
    calls: list[None] = []
    with watching(tmp_path, Selection(("*.txt",)), changed=lambda: calls.append(None)) as live:
        live.quiet()
        before = len(calls)
        _fill(tmp_path, "other.csv")
        live.pulsed()
        assert len(calls) == before
        _fill(tmp_path, "a.txt")
        live.quiet()
        live.quiet()
        assert len(calls) > before


def test_drift_is_what_no_event_told_of(tmp_path: Path) -> None:
    """A file written through another name, outside: only a timed look can see it."""
    root, outside = _fill(tmp_path / "root", "a"), _fill(tmp_path / "outside")
    os.link(root / "a", outside / "other")
    with watching(root, rescan_seconds=0.02, poll_interval_seconds=0.02) as live:
        (outside / "other").write_text("much longer than it was")
        snapshot = live.until(lambda folder: folder.groups[0].size_bytes == 23)
        assert snapshot.drift_files == 1
        for number in range(50):
            _fill(root, f"f{number}")
        live.until(lambda folder: folder.groups[0].files == 51)
        live.until(lambda folder: folder.scans[Reason.INTERVAL] > snapshot.scans[Reason.INTERVAL] + 3)
        assert live.quiet().drift_files == 1


def test_a_disk_that_fails_is_said_once_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _fill(tmp_path, "a")
    with watching(tmp_path) as live:

        def fail(*_: object) -> scan.Listing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patched:
            patched.setattr(scan, "list_directory", fail)
            live.engine.look_again(Reason.RELOAD)
            for _ in range(10):
                snapshot = live.pulsed()
            assert not snapshot.up
            assert "Input/output error" in (live.engine.statuses()[0].problem or "")
            assert len(caplog.records) == 1
        assert live.pulsed().up
        assert live.engine.statuses()[0].problem is None
        assert live.pattern().files == 1


def test_a_look_that_hangs_does_not_keep_the_engine_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A dead NFS server answers never: the textfile has to go all the same."""
    monkeypatch.setattr(loop, "_STOP_SECONDS", 0.05)
    hangs, answers = threading.Event(), threading.Event()

    def hang(*_: object) -> scan.Listing:
        hangs.set()
        answers.wait()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(scan, "list_directory", hang)
    engine = Engine([Folder(os.fsencode(tmp_path), str(tmp_path), Selection())], EngineSettings())
    engine.start()
    try:
        assert hangs.wait(10)
        engine.stop()
        assert engine.is_alive()
        assert not engine.snapshot().folders[0].up
        assert "hangs" in caplog.text
    finally:
        answers.set()
        engine._thread.join(10)
        engine.stop()


def test_names_of_a_directory_that_cannot_be_reached_any_more(tmp_path: Path) -> None:
    """Events may tell of a directory beyond what a path can hold, after its way there was cut."""
    far = os.fsencode(tmp_path) + b"/gone" + b"/deep" * 1000
    found = scan.look_at(far, [b"a", b"b"], follow_symlinks=False)
    assert (found.files.names, found.missing, found.faults) == ([], [b"a", b"b"], [])
    near = _fill(tmp_path / "near", "a")
    found = scan.look_at(os.fsencode(near), [b"a", b"b", b"c" * 256], follow_symlinks=False)
    assert (found.files.names, found.missing) == ([b"a"], [b"b", b"c" * 256])
    assert found.faults == [Fault.NAME]


@every_backend
def test_a_tree_deeper_than_a_path_can_hold(tmp_path: Path, backend: Backend) -> None:
    """What lies beyond PATH_MAX counts and is followed like all else; tools that take paths do not see it."""
    root, names = tmp_path / "root", [f"{level:02d}".ljust(200, "d") for level in range(25)]
    root.mkdir()
    deepest = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=deepest)
        deeper = os.open(name, os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = deeper

    def touch(name: str) -> None:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=deepest))

    try:
        touch("before")
        with watching(root, RECURSIVE, backend=backend, poll_interval_seconds=0.05, rescan_seconds=0.2) as live:
            live.until(lambda folder: folder.groups[0].files == 1)
            touch("after" + "n" * 250)
            os.unlink("before", dir_fd=deepest)
            touch("more")
            live.until(lambda folder: folder.groups[0].files == 2)
            os.rename(root / names[0], tmp_path / "away")
            live.until(lambda folder: folder.groups[0].files == 0)
            os.rename(tmp_path / "away", root / names[0])
            live.until(lambda folder: folder.groups[0].files == 2)
            assert live.pattern().size_bytes == 0
    finally:
        os.close(deepest)
        subprocess.run(["rm", "-rf", str(root)], check=True)
