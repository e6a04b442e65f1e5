"""What a run of hints asks to be looked at."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from fexp.model import DIRECTORY_CHANGED, DIRECTORY_LEFT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fexp.engine.folder import FolderWatch
    from fexp.watch.tree import WatchedDirectory


class Batch:
    """Collects hints; see ``fexp.watch.Hints``.

    The looks come when the batch is full. Only watches change at once: the events of a directory that left are about
    another place.
    """

    def __init__(self, folder_of: Mapping[WatchedDirectory, FolderWatch], events_lost: Callable[[], None]) -> None:
        self.histories: defaultdict[WatchedDirectory, defaultdict[bytes, str]] = defaultdict(partial(defaultdict, str))
        self.events_lost = events_lost
        self._folder_of = folder_of
        """By root."""
        self._detached: list[WatchedDirectory] = []
        self._subdirectories: dict[tuple[WatchedDirectory, bytes], str] = {}
        self._roots: dict[WatchedDirectory, bool] = {}
        """Folders to which something happened, and whether they were moved or removed."""

    def subdirectory(self, parent: WatchedDirectory, name: bytes, hint: str) -> None:
        """See ``Hints.subdirectory``."""
        if hint != DIRECTORY_LEFT:
            self._subdirectories[parent, name] = hint
            return
        folder = self._folder_of.get(parent.root)
        child = folder.tree.detach(parent, name) if folder is not None else None
        if child is not None:
            self._detached.append(child)

    def itself(self, directory: WatchedDirectory, *, moved: bool) -> None:
        """See ``Hints.itself``."""
        if directory.parent is not None:
            self._subdirectories.setdefault((directory.parent, directory.name), DIRECTORY_CHANGED)
        else:
            self._roots[directory] = moved or self._roots.get(directory, False)

    def look(self) -> set[FolderWatch]:
        """Look at all that hints told of, and fold. Return the folders that were looked at."""
        touched = set()
        for directory, histories in self.histories.items():
            if directory.alive:
                folder = self._folder_of[directory.root]
                folder.tree.look_at_files(directory, histories)
                touched.add(folder)
        for child in self._detached:
            folder = self._folder_of[child.root]
            folder.tree.drop(child)
            touched.add(folder)
        for (parent, name), hint in self._subdirectories.items():
            if parent.alive:
                folder = self._folder_of[parent.root]
                folder.tree.examine(parent, name, hint)
                touched.add(folder)
        for root, moved in self._roots.items():
            if root.alive:
                folder = self._folder_of[root]
                if moved:
                    folder.check_root()
                else:  # its own attributes changed: it may have become readable, or no more
                    folder.tree.want_listing(root, deep=False)
                touched.add(folder)
        return touched
