"""A running engine for a test, and means to hold it still."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.selection import Folder, Selection
from fexp.engine import Engine, EngineSettings
from fexp.model import Backend
from tests.chaos.driver import pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fexp.clock import Clock
    from fexp.model import FolderSnapshot, GroupSnapshot

PATIENCE_SECONDS = 60.0
NEVER = 3600.0


def inotify_watches() -> int:
    """Return how many watches this process has, as the kernel counts them."""
    count = 0
    for descriptor in os.listdir("/proc/self/fdinfo"):
        with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
            count += sum(line.startswith(b"inotify wd:") for line in file)
    return count


class Live:
    """One engine with one folder."""

    def __init__(self, engine: Engine, folder: Folder) -> None:
        self.engine = engine
        self.folder = folder
        self.path = folder.path

    def quiet(self) -> FolderSnapshot:
        """Return the numbers once everything that has happened is folded."""
        assert self.engine.flush(PATIENCE_SECONDS), self.engine.unready()
        return self.engine.snapshot().folders[0]

    def pulsed(self) -> FolderSnapshot:
        """Have the root checked, and give the numbers once that is folded."""
        pulse(self.engine)
        self.quiet()
        return self.quiet()

    def pattern(self) -> GroupSnapshot:
        """Return the first pattern's numbers once quiet."""
        return self.quiet().groups[0]

    def until(self, is_true: Callable[[FolderSnapshot], bool]) -> FolderSnapshot:
        """Wait, but not for ever, until the folder's numbers are as they should be."""
        return self._until(self.quiet, is_true)

    def until_shown(self, is_true: Callable[[FolderSnapshot], bool]) -> FolderSnapshot:
        """Do the same while work waits that is not due yet."""
        return self._until(lambda: self.engine.snapshot().folders[0], is_true)

    @staticmethod
    def _until(look: Callable[[], FolderSnapshot], is_true: Callable[[FolderSnapshot], bool]) -> FolderSnapshot:
        pause = threading.Event()
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            snapshot = look()
            if is_true(snapshot):
                return snapshot
            pause.wait(0.02)
        raise AssertionError(f"it did not come to that: {snapshot}")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the engine's thread still: what happens meanwhile comes to it in one batch."""
        reached, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            reached.set()
            go_on.wait(PATIENCE_SECONDS)

        self.engine._queue.put((None, hold))
        assert reached.wait(PATIENCE_SECONDS)
        try:
            yield
            self.drain_the_kernel()
        finally:
            go_on.set()

    def drain_the_kernel(self) -> None:
        """Wait until the tap has handed over all that the kernel has told."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_SECONDS / 0.001)):
            if self.engine._source is None or self.engine._source.drained():
                return
            pause.wait(0.001)
        raise AssertionError("the tap does not read")


@contextlib.contextmanager
def watching(
    path: str | os.PathLike[str] | bytes,
    selection: Selection | None = None,
    measures: Measures | None = None,
    *,
    backend: Backend | None = Backend.INOTIFY,
    rescan_seconds: float = NEVER,
    poll_interval_seconds: float = NEVER,
    clock: Clock | None = None,
    changed: Callable[[], None] = lambda: None,
    group_by: GroupBy | None = None,
    hides_names: bool = False,
) -> Iterator[Live]:
    """Run an engine over one folder, until its first look is done and then for as long as the test takes."""
    raw = os.fsencode(path)
    label = os.fsdecode(raw).encode("utf-8", "replace").decode()
    folder = Folder(
        raw,
        label,
        selection or Selection(),
        measures=measures or Measures(),
        group_by=group_by or GroupBy(),
        hides_names=hides_names,
    )
    settings = EngineSettings(
        backend=backend, rescan_seconds=rescan_seconds, poll_interval_seconds=poll_interval_seconds
    )
    if clock is None:
        engine = Engine([folder], settings, changed=changed)
    else:
        engine = Engine([folder], settings, changed=changed, clock=clock)
    engine.start()
    live = Live(engine, folder)
    try:
        live.quiet()
        yield live
    finally:
        engine.stop()
