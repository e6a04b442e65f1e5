"""What fexp leans on in watchdog, one test each. Where a release differs, src/fexp/events needs a new look."""

from __future__ import annotations

import ctypes
import errno
import inspect
import logging
import os
import struct
import threading
from collections import defaultdict
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from watchdog.events import DirAttribEvent, FileAttribEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_c import (
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
    inotify_add_watch,
    inotify_rm_watch,
)

from fexp.events.observer import ObserverSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.observers.api import BaseObserver

    from fexp.events.directory import WatchedDirectory

PATIENCE_SECONDS = 10.0


@pytest.fixture
def inotify() -> Iterator[InotifyFD]:
    """An instance that no thread reads."""
    instance = InotifyFD()
    yield instance
    instance._is_reading = False
    instance.close()


@pytest.fixture
def observer() -> Iterator[BaseObserver]:
    found = Observer()
    found.start()
    yield found
    found.stop()
    found.join()


def test_the_version_is_one_that_was_looked_at() -> None:
    assert version("watchdog").startswith("7.")


def test_an_instance_holds_its_descriptor_where_the_tap_takes_it(inotify: InotifyFD) -> None:
    assert os.readlink(f"/proc/self/fd/{inotify._inotify_fd}") == "anon_inode:inotify"


def test_the_raw_calls_take_bytes_and_set_errno(inotify: InotifyFD, tmp_path: Path) -> None:
    mask = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_ONLYDIR)
    descriptor = inotify_add_watch(inotify._inotify_fd, os.fsencode(tmp_path), mask)
    assert descriptor > 0
    assert inotify_add_watch(inotify._inotify_fd, os.fsencode(tmp_path), mask) == descriptor
    assert inotify_rm_watch(inotify._inotify_fd, WatchDescriptor(descriptor)) == 0
    assert inotify_add_watch(inotify._inotify_fd, b"/nowhere/at/all", mask) == -1
    assert ctypes.get_errno() == errno.ENOENT


def test_one_read_gives_the_kernels_bytes_unparsed(inotify: InotifyFD, tmp_path: Path) -> None:
    inotify_add_watch(inotify._inotify_fd, os.fsencode(tmp_path), InotifyConstants.IN_CREATE)
    for name in ("one", "two"):
        (tmp_path / name).touch()
    events = inotify._read_event_buffer(1 << 20)
    assert isinstance(events, bytes)
    _, mask, _, length = struct.unpack_from("iIII", events)
    assert mask == InotifyConstants.IN_CREATE
    assert events[16 : 16 + length].rstrip(b"\0") == b"one"
    assert len(events) == 2 * (16 + length)


def test_reading_asks_whether_there_is_something_and_returns_nothing_when_closed(inotify: InotifyFD) -> None:
    assert "_check_inotify_fd" in inspect.getsource(InotifyFD._read_event_buffer)
    inotify.close()
    assert inotify._read_event_buffer(1024) == b""


def test_the_thread_reads_in_run_until_it_is_stopped(tmp_path: Path) -> None:
    read = threading.Event()

    class Reader(InotifyFD):
        def run(self) -> None:
            while self.should_keep_running():
                if self._read_event_buffer(1024):
                    read.set()

    before = len(os.listdir("/proc/self/fd"))
    reader = Reader()
    inotify_add_watch(reader._inotify_fd, os.fsencode(tmp_path), InotifyConstants.IN_CREATE)
    reader.start()
    (tmp_path / "file").touch()
    assert read.wait(PATIENCE_SECONDS)
    reader.stop()
    reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_constants_are_the_kernels() -> None:
    assert (InotifyConstants.IN_MOVED_FROM, InotifyConstants.IN_MOVED_TO) == (0x40, 0x80)
    assert (InotifyConstants.IN_Q_OVERFLOW, InotifyConstants.IN_IGNORED) == (0x4000, 0x8000)
    assert (InotifyConstants.IN_ONLYDIR, InotifyConstants.IN_DONT_FOLLOW) == (0x1000000, 0x2000000)
    assert (InotifyConstants.IN_EXCL_UNLINK, InotifyConstants.IN_ISDIR) == (0x4000000, 0x40000000)


def test_lost_events_are_told_by_a_log_record(inotify: InotifyFD, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("watchdog.observers.inotify_c")
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        inotify.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert any("overflow" in message for message in seen)


class Recorder:
    """Takes hints, and counts the losses."""

    def __init__(self) -> None:
        self.histories: defaultdict[WatchedDirectory, defaultdict[bytes, str]] = defaultdict(lambda: defaultdict(str))
        self.losses = 0

    def events_lost(self) -> None:
        self.losses += 1

    def subdirectory(self, parent: WatchedDirectory, name: bytes, hint: str) -> None:
        raise AssertionError((parent, name, hint))

    def itself(self, directory: WatchedDirectory, *, moved: bool) -> None:
        raise AssertionError((directory, moved))


def test_the_observer_source_hears_of_lost_events(inotify: InotifyFD) -> None:
    delivered: list[object] = []
    source = ObserverSource(lambda _, what: delivered.append(what))
    try:
        inotify.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    finally:
        source.close()
    hints = Recorder()
    for what in delivered:
        source.read(what, hints)
    assert hints.losses == 1


def test_an_observer_shows_its_emitters_and_each_its_watch(observer: BaseObserver, tmp_path: Path) -> None:
    watch = observer.schedule(FileSystemEventHandler(), str(tmp_path), recursive=True)
    (emitter,) = observer.emitters
    assert emitter.watch is watch
    assert emitter.is_alive()
    observer.unschedule(watch)
    assert not observer.emitters
    assert not emitter.is_alive()


def test_an_emitter_ends_when_its_directory_is_removed(observer: BaseObserver, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    observer.schedule(FileSystemEventHandler(), str(tmp_path / "root"), recursive=True)
    (emitter,) = observer.emitters
    (tmp_path / "root").rmdir()
    emitter.join(PATIENCE_SECONDS)
    assert not emitter.is_alive()


def test_unscheduling_twice_is_a_key_error(observer: BaseObserver, tmp_path: Path) -> None:
    watch = observer.schedule(FileSystemEventHandler(), str(tmp_path))
    observer.unschedule(watch)
    with pytest.raises(KeyError):
        observer.unschedule(watch)


def test_two_watches_of_one_path_are_one_to_watchdog(observer: BaseObserver, tmp_path: Path) -> None:
    """Why ``ObserverSource`` spells the second in another way."""
    first = observer.schedule(FileSystemEventHandler(), str(tmp_path))
    assert observer.schedule(FileSystemEventHandler(), str(tmp_path)) == first
    assert observer.schedule(FileSystemEventHandler(), f"{tmp_path}/.") != first
    assert len(observer.emitters) == 2


def test_a_watch_does_not_follow_a_link(observer: BaseObserver, tmp_path: Path) -> None:
    """Why ``ObserverSource`` resolves the path first."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "sub").mkdir()
    seen: list[FileSystemEvent] = []
    told = threading.Event()

    class Handler(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            seen.append(event)
            told.set()

    observer.schedule(Handler(), str(tmp_path / "link"), recursive=True)
    (tmp_path / "real" / "file").touch()
    assert not told.wait(0.5), seen


def test_on_linux_one_thread_reads_for_all_watches(observer: BaseObserver) -> None:
    """Whose end ``ObserverSource.alive`` has to notice."""
    assert isinstance(observer, InotifyObserver)
    assert isinstance(observer._inotify_fd, InotifyFD)
    assert observer._inotify_fd.is_alive()


def test_events_of_names_that_are_not_utf8_come_back_to_their_bytes(observer: BaseObserver, tmp_path: Path) -> None:
    paths: list[bytes] = []
    told = threading.Event()

    class Handler(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            paths.append(os.fsencode(event.src_path))
            told.set()

    observer.schedule(Handler(), str(tmp_path))
    path = os.path.join(os.fsencode(tmp_path), b"\xff\n.txt")
    with open(path, "wb"):
        assert told.wait(PATIENCE_SECONDS)
    assert paths[0] == path


def test_changed_attributes_are_events_of_their_own_kind() -> None:
    """The observer's hints pass over what says 'modified' of a directory, but not this."""
    assert DirAttribEvent.event_type == FileAttribEvent.event_type != "modified"
