"""What a run of hints asks to be looked at."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from queue import Empty
from typing import TYPE_CHECKING

from fexp.model import DIRECTORY_CHANGED, DIRECTORY_LEFT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from queue import SimpleQueue

    from fexp.engine.folder import FolderWatch
    from fexp.events import Source
    from fexp.events.directory import WatchedDirectory

    Deliveries = SimpleQueue[tuple[Source | None, object]]
    """What sources delivered, each with its source; and with None what is to be called in the engine's thread."""

_no_histories = partial(defaultdict[bytes, str], str)
_DELIVERIES_MAX = 64
_READ_BYTES_MAX = 1 << 20
"""Of events. A batch ends after so many, that one name's history cannot grow without bound."""


class Batch:
    """Collects hints; see ``fexp.events.Hints``.

    The looks come when the batch is full. Only watches change at once: the events of a directory that left are about
    another place.
    """

    def __init__(self, folder_of: Mapping[WatchedDirectory, FolderWatch], events_lost: Callable[[], None]) -> None:
        self.histories: defaultdict[WatchedDirectory, defaultdict[bytes, str]] = defaultdict(_no_histories)
        self.events_lost = events_lost
        self._folder_of = folder_of
        """By root: of each directory that is alive."""
        self._detached: list[WatchedDirectory] = []
        self._subdirectories: dict[tuple[WatchedDirectory, bytes], str] = {}
        self._roots: dict[WatchedDirectory, bool] = {}
        """Folders to which something happened, and whether they were moved or removed."""

    def take(self, deliveries: Deliveries, patience_seconds: float) -> int:
        """Wait so long for a delivery, and read what is there. Return how many came from sources."""
        read_bytes = taken = 0
        try:
            for _ in range(_DELIVERIES_MAX):
                source, delivered = deliveries.get(patience_seconds > 0, patience_seconds)
                patience_seconds = 0.0
                if source is None:
                    assert callable(delivered)
                    delivered()
                    continue
                source.read(delivered, self)
                taken += 1
                read_bytes += len(delivered) if isinstance(delivered, bytes) else 1
                if read_bytes > _READ_BYTES_MAX:
                    break
        except Empty:
            pass
        return taken

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
            if child.alive:
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
