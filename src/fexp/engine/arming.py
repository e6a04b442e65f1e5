"""Which directories of a folder have a watch, and which have to be polled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fexp.disk import scan
from fexp.disk.mounts import is_network
from fexp.engine.context import log
from fexp.model import Backend
from fexp.text import printable

if TYPE_CHECKING:
    from fexp.counting.selection import Folder
    from fexp.engine.context import Context
    from fexp.events import Source
    from fexp.events.directory import WatchedDirectory


class Arming:
    """Watches the directories of one folder as well as can be. Only the engine's thread calls it."""

    def __init__(self, folder: Folder, source: Source | None, context: Context) -> None:
        self.source = source
        """None: there are no events, everything is polled."""
        self.real_path = folder.path
        """The folder's path through all symlinks, as the mount table knows it."""
        self.polled: set[WatchedDirectory] = set()
        """Directories that the source cannot watch."""
        self._folder = folder
        self._context = context
        self._polling_is_logged = False

    @property
    def backend(self) -> Backend:
        """Return what the folder is watched by; polling if any part of it is polled."""
        return Backend.POLLING if self.source is None or self.polled else self.source.backend

    @property
    def departures_are_facts(self) -> bool:
        """Return whether an event is proof enough that a name left."""
        return self.source is not None and self.source.departures_are_facts

    @property
    def per_directory(self) -> bool:
        """Return whether each directory has a watch of its own, or needs none."""
        return self.source is None or self.source.per_directory

    def reports_on(self, directory: WatchedDirectory) -> bool:
        """Return whether events report what happens in a directory."""
        return self.source is not None and not self.polled & {directory, directory.root}

    def is_watching(self, directory: WatchedDirectory) -> bool:
        """Return whether a directory is watched as well as can be."""
        return self.source is None or directory in self.polled or self.source.watching(directory)

    def arm(self, directory: WatchedDirectory) -> bool:
        """Watch a directory. Return whether what was known of it is doubtful."""
        if self.source is None:
            return False
        kind = self._context.mounts.silent_kind(os.path.join(self.real_path, directory.below.rstrip(b"/")))
        if kind is not None:
            self.source.disarm(directory)
            is_remote = is_network(kind)
            self.poll(directory, f"{printable(kind)} {'is a network file system' if is_remote else 'gives no events'}")
            return True
        try:
            with scan.in_reach(directory.path) as path:
                is_new = self.source.arm(directory, path, recursive=self._folder.selection.recursive)
        except OSError as error:
            if scan.fault_of(error) is not None:
                self.poll(directory, error.strerror or str(error))
            return True
        self.polled.discard(directory)
        return is_new

    def poll(self, directory: WatchedDirectory, reason: str) -> None:
        """Have a directory polled from now on."""
        if self.source is None:
            return
        if not self._polling_is_logged:
            self._polling_is_logged = True
            log.warning(
                "%s: cannot watch %s (%s); what cannot be watched is polled every %gs",
                self._folder.label, self._shown(directory), reason, self._context.settings.poll_interval_seconds,
            )  # fmt: skip
        self.polled.add(directory)

    def _shown(self, directory: WatchedDirectory) -> str:
        if self._folder.hides_names and directory.below:
            return "a directory in it"
        return printable(directory.path)

    def disarm_below(self, directory: WatchedDirectory) -> None:
        """Stop watching a directory and all below it."""
        for part in directory.subtree():
            self.polled.discard(part)
            if self.source is not None:
                self.source.disarm(part)
