"""A probe at work that runs for each file: follows the change feed, and runs for one file after the other."""

from __future__ import annotations

import os
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from fexp.model import Happening
from fexp.probes.file import File
from fexp.probes.triggers import Files
from fexp.service.probes.runner import Runner
from fexp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fexp.config.probes import Selected
    from fexp.counting.selection import Folder
    from fexp.engine.feed import Subscription
    from fexp.model import Change
    from fexp.service.probes.runner import Shared

    Path = tuple[str, bytes]
    """A folder and a path below it."""


class FilesRunner(Runner):
    """Runs for each file that is new or changed, and forgets each that goes."""

    def __init__(self, selected: Selected, shared: Shared, folders: Iterable[Folder]) -> None:
        super().__init__(selected, shared)
        on = self.probe.on
        assert isinstance(on, Files)
        self._settled_seconds = on.settled_seconds
        self._matches = on.matches
        self._folders = {folder.label: folder for folder in folders}
        self._pending: dict[Path, tuple[int, Change]] = {}
        """Files to run for, each with the number of its latest change."""
        self._due: list[tuple[float, int, Path]] = []
        """A heap: when. Entries of an earlier change are out of date."""
        self._numbers = count()
        self._subscribe: Callable[[], Subscription] | None = None
        self._subscription: Subscription | None = None
        self._path = b""
        """Of the file that it runs for."""
        self._is_done = False

    def follow(self, subscribe: Callable[[], Subscription]) -> None:
        """Take changes from a feed that begins with what is there. Without it, what ``learn`` was given is all."""
        self._subscribe = subscribe

    def set_folders(self, folders: Iterable[Folder]) -> None:
        """Run for files of these folders from now on, and forget those of others."""
        self._folders = {folder.label: folder for folder in folders}
        with self._state:
            gone = [path for path in self._series.owners if path is not None and path[0] not in self._folders]
        for path in gone:
            self._forget(path)

    def stop(self) -> None:
        """See ``Runner.stop``."""
        super().stop()
        if self._subscription is not None:
            self._subscription.close()

    def ask(self) -> int:
        """Return nothing to wait for: it runs by itself."""
        return 0

    def wait(self, run: int) -> None:  # noqa: ARG002  # all of them
        """Wait until there is nothing to do, or the probe hangs."""
        with self._state:
            while not self._is_done and not self._hangs:
                self._state.wait(min(max(0.0, self._deadline_at - self._now()) + 0.001, 1.0))
                self._judge()

    def learn(self, changes: Iterable[Change]) -> None:
        """Note what is to be done. What is there before it was looked at may have settled long ago."""
        gone = False
        for change in changes:
            if not self._matches(change.path) or change.folder not in self._folders:
                continue
            path = (change.folder, change.path)
            if change.happening is Happening.DEPARTURE:
                self._pending.pop(path, None)
                gone |= self._forget(path)
                continue
            number = next(self._numbers)
            self._pending[path] = (number, change)
            heappush(self._due, (self._now() + self._unsettled_seconds(change), number, path))
        if gone:
            self._shared.changed()

    def _unsettled_seconds(self, change: Change) -> float:
        if change.happening is not Happening.PRESENT or not self._settled_seconds:
            return self._settled_seconds
        return max(0.0, self._settled_seconds - max(0.0, self._shared.clock().wall - change.modified_at))

    def _follow(self) -> None:
        if self._subscribe is None:
            while not self._stopping and (change := self._next()):
                self._run_for(change)
            with self._state:
                self._is_done = True
                self._state.notify_all()
            return
        self._subscription = self._subscribe()
        while not self._stopping:
            changes, lost = self._subscription.take(self._patience_seconds())
            if lost:
                self._begin_again()
            else:
                self.learn(changes)
                if change := self._next():
                    self._run_for(change)

    def _patience_seconds(self) -> float | None:
        return max(0.0, self._due[0][0] - self._now()) if self._due else None

    def _next(self) -> Change | None:
        """Return the change whose file is to be run for now."""
        while self._due and self._due[0][0] <= self._now():
            _, number, path = heappop(self._due)
            latest, change = self._pending.get(path, (None, None))
            if latest == number:
                del self._pending[path]
                return change
        return None

    def _run_for(self, change: Change) -> None:
        folder = self._folders.get(change.folder)
        if folder is None:
            return
        path = folder.path.rstrip(b"/") + b"/" + change.path
        file = File(
            change.folder, path, change.path, change.size_bytes, change.modified_at,
            follow_symlinks=folder.selection.follow_symlinks, spend=self.spend,
        )  # fmt: skip
        self._path = path
        labels = (("folder", folder.label), *folder.labels.items())
        self._run_once((file,), (change.folder, change.path), labels, file.relpath)
        if self._is_moot() or change.folder not in self._folders:
            self._forget((change.folder, change.path))

    def _is_moot(self) -> bool:
        return not os.path.lexists(self._path)

    def _forget(self, path: Path) -> bool:
        """Drop what is about a file. Return whether there was something."""
        relpath = printable(path[1])
        with self._state:
            self._excuse(path)
            return self._series.drop(path, {relpath, relpath.rpartition("/")[2]})

    def _begin_again(self) -> None:
        """Forget everything, and begin with what is there: changes were lost."""
        assert self._subscribe is not None
        assert self._subscription is not None
        self._subscription.close()
        self._pending.clear()
        self._due.clear()
        with self._state:
            self._series.clear()
            for owner in list(self._failing):
                self._excuse(owner)
        self._subscription = self._subscribe()
