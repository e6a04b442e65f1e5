"""Keeps watch over where the paths of folders lead: by events where there are any, else by looking every second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from fexp.disk.mounts import Mounts
    from fexp.engine.folder import FolderWatch
    from fexp.events.paths import PathWatch

_ROUND_PULSES = 30
"""Where events report the change, the path is still checked once in so many pulses: a failing disk gives none."""


class PathChecks:
    """Checks the paths of folders. Only the engine's thread calls it."""

    def __init__(self, watch: PathWatch | None, mounts: Mounts) -> None:
        self.watch = watch
        """None: no events report."""
        self._mounts = mounts
        self._unreported: set[FolderWatch] = set()
        """Folders whose path may lead elsewhere without an event."""
        self._round = 0

    def check(self, folders: Iterable[FolderWatch]) -> None:
        """Check where paths lead, and have events report when they lead elsewhere."""
        for folder in tuple(folders):
            path = folder.folder.path
            is_reported = self.watch is not None and self.watch.watch(path)  # first: what comes later is an event
            folder.check_root()
            is_local = self._mounts.silent_kind(folder.tree.arming.real_path) is None
            if is_reported and is_local and folder.identity is not None:
                self._unreported.discard(folder)
            else:
                self._unreported.add(folder)

    def check_unreported(self, folders: Sequence[FolderWatch]) -> set[FolderWatch]:
        """Check the paths that no event reports, and a share of the others. Return the folders that were checked."""
        checked = self._unreported.union([folder for folder in folders if folder.identity is None])
        self.check(checked)
        share = -(-len(folders) // _ROUND_PULSES)
        for folder in folders[self._round * share : (self._round + 1) * share]:
            if folder not in checked and folder.check_root():
                self.check([folder])
                checked.add(folder)
        self._round = (self._round + 1) % _ROUND_PULSES
        return checked

    def read(self, events: bytes, folders: Sequence[FolderWatch]) -> set[FolderWatch]:
        """Check the paths that events report. Return their folders."""
        affected = self.watch.affected(events) if self.watch is not None else ()
        checked = {folder for folder in folders if folder.folder.path in affected} if affected else set()
        self.check(checked)
        return checked

    def keep(self, folders: Collection[FolderWatch]) -> None:
        """Forget all other folders."""
        self._unreported.intersection_update(folders)
        if self.watch is not None:
            self.watch.keep({folder.folder.path for folder in folders})

    def drained(self) -> bool:
        """Return whether no event is on its way."""
        return self.watch is None or self.watch.drained()

    def close(self) -> None:
        """Watch no more."""
        if self.watch is not None:
            self.watch.close()
