"""How many inotify watches fexp says it has, against the kernel's count."""

from __future__ import annotations

import shutil
from pathlib import Path

from fexp.counting.selection import Selection
from fexp.model import Backend
from tests.engine.live import inotify_watches, watching


def test_it_has_as_many_watches_as_the_kernel_counts(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    before = inotify_watches()
    with watching(tmp_path, Selection(recursive=True)) as live:
        first = live.engine.snapshot().inotify
        assert first is not None
        assert first.watches == inotify_watches() - before > 4
        assert first.watches_limit == int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "d").mkdir()
        live.quiet()
        after = live.engine.snapshot().inotify
        assert after is not None
        assert after.watches == inotify_watches() - before == first.watches - 1


def test_without_inotify_there_is_nothing_to_say(tmp_path: Path) -> None:
    with watching(tmp_path, backend=Backend.POLLING) as live:
        assert live.engine.snapshot().inotify is None
