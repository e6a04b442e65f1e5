"""The tap says that nothing is on its way only when that is so."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch

from fexp.events.tap import Tap

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 10.0


def test_what_is_being_delivered_is_still_on_its_way(tmp_path: Path) -> None:
    delivering, go_on, delivered = threading.Event(), threading.Event(), threading.Event()

    def deliver(_: bytes) -> None:
        delivering.set()
        go_on.wait(PATIENCE_SECONDS)
        delivered.set()

    tap = Tap(deliver)
    tap.start()
    try:
        assert tap.drained()
        assert not os.get_inheritable(tap.descriptor), "what fexp starts has no use for it"
        inotify_add_watch(tap.descriptor, os.fsencode(tmp_path), InotifyConstants.IN_CREATE)
        (tmp_path / "a").touch()
        assert delivering.wait(PATIENCE_SECONDS)
        assert not tap.drained()
        go_on.set()
        assert delivered.wait(PATIENCE_SECONDS)
        pause = threading.Event()
        assert any(tap.drained() or pause.wait(0.01) for _ in range(1000))
    finally:
        go_on.set()
        tap.stop()
        tap.join()
    assert tap.drained()
