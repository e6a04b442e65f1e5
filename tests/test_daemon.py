"""What ``fexp watch`` does when a part of it fails that must not."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from fexp.daemon import Daemon, WatchSettings
from fexp.engine import EngineSettings
from fexp.errors import FexpError
from fexp.outputs.textfile import TextfileOutput
from fexp.selection import Folder, Selection

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_engine_ends_the_process(tmp_path: Path) -> None:
    """Numbers that nobody keeps any more must not be served for ever: whoever started fexp can start it again."""
    folder = Folder(os.fsencode(tmp_path), str(tmp_path), Selection())
    daemon = Daemon(WatchSettings((folder,), EngineSettings()))

    def die() -> None:
        raise RuntimeError("a bug")

    daemon._engine._queue.put((None, die))
    with pytest.raises(FexpError, match="engine has died"):
        daemon.run()


def test_a_reload_before_the_first_look_is_done_is_not_told_as_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd would start what waits for fexp, with no number there yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon = Daemon(WatchSettings((Folder(os.fsencode(tmp_path), str(tmp_path), Selection()),), EngineSettings()))
        daemon.reload()
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_publisher_is_not_ready(tmp_path: Path) -> None:
    """A textfile that nobody writes any more must not look alive."""
    output = TextfileOutput(str(tmp_path / "x.prom"))
    folder = Folder(os.fsencode(tmp_path), str(tmp_path), Selection(("*.txt",)))
    daemon = Daemon(WatchSettings((folder,), EngineSettings(), outputs=(output,)))
    publisher = daemon._publishers[0]
    assert not publisher.has_died()
    publisher._clock = lambda: 1 / 0  # a bug
    publisher.start()
    publisher._thread.join()
    assert "the textfile publisher is dead" in daemon.unready()
