"""What ``fexp watch`` does when a part of it fails that must not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.daemon import Daemon, WatchSettings
from fexp.engine import EngineSettings
from fexp.errors import FexpError
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
