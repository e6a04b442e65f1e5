"""What a source takes from the system it gives back when it cannot begin: it is tried again each second."""

from __future__ import annotations

import errno
import gc
import logging
import os
import resource
from typing import TYPE_CHECKING

import pytest

from fexp.engine.sources import Sources
from fexp.events.directory import WatchedDirectory
from fexp.events.inotify import InotifySource
from fexp.events.observer import ObserverSource
from fexp.events.paths import PathWatch
from fexp.model import Backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def alarms() -> list[logging.Handler]:
    """Return what listens to watchdog's log for lost events."""
    handlers = logging.getLogger("watchdog.observers.inotify_c").handlers
    return [handler for handler in handlers if type(handler).__module__ == ObserverSource.__module__]


@pytest.mark.parametrize("begin", [lambda: InotifySource(lambda *_: None), lambda: PathWatch(lambda _: None)])
@pytest.mark.parametrize("free", [0, 1, 2])
def test_no_descriptor_is_left(begin: Callable[[], object], free: int) -> None:
    """An inotify instance takes one, and the pipe that wakes its reader two."""
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = [os.open("/", os.O_RDONLY) for _ in range(free + 1)]
    for descriptor in lowest:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest[-1], hard))
    try:
        with pytest.raises(OSError, match=r"Too many open files|inotify instance") as raised:
            begin()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert raised.value.errno == errno.EMFILE
    del raised
    assert descriptors() == before


@pytest.mark.parametrize("begin", [lambda: InotifySource(lambda *_: None), lambda: PathWatch(lambda _: None)])
def test_no_thread_is_left(begin: Callable[[], object], no_thread: Callable[[], None]) -> None:
    before = descriptors()
    no_thread()
    with pytest.raises(OSError, match="can't start new thread"):
        begin()
    assert descriptors() == before


@pytest.mark.parametrize("backend", [None, Backend.INOTIFY, Backend.OBSERVER])
def test_what_cannot_begin_is_polled_and_begins_later(
    backend: Backend | None, monkeypatch: pytest.MonkeyPatch, no_thread: Callable[[], None]
) -> None:
    assert not alarms()
    no_thread()
    sources = Sources(backend, lambda *_: None, lambda _: None)
    for _ in range(3):
        assert not sources.open_missing()
    assert not alarms()
    monkeypatch.undo()
    try:
        assert sources.open_missing()
    finally:
        assert sources.events is not None
        assert isinstance(sources.events, ObserverSource) is (backend is Backend.OBSERVER)
        sources.events.close()
        if sources.ways is not None:
            sources.ways.close()
    assert not alarms()


def test_a_directory_without_a_thread_for_it_cannot_be_watched(tmp_path: Path, no_thread: Callable[[], None]) -> None:
    """It is polled then. Anything but an OSError would end the engine."""
    source, root = ObserverSource(lambda *_: None), WatchedDirectory.of_folder(os.fsencode(tmp_path))
    try:
        no_thread()
        with pytest.raises(OSError, match="can't start new thread; allow more with ulimit -u"):
            source.arm(root, root.path, recursive=True)
        assert not source.watching(root)
    finally:
        source.close()
