"""Sources of hints where to look. One module for each source; none knows another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable

    from fexp.events.directory import WatchedDirectory
    from fexp.model import Backend

    Deliver = Callable[["Source", object], None]
    """Called by a source's own thread with what it has: cheap, never raises."""


class Hints(Protocol):
    """Takes a source's hints in the order of the events."""

    histories: defaultdict[WatchedDirectory, defaultdict[bytes, str]]
    """Histories of files by directory and name: ARRIVED, LEFT and CHANGED in the order of the events."""

    def events_lost(self) -> None:
        """Take the hint that events were lost: look everywhere."""
        ...

    def subdirectory(self, parent: WatchedDirectory, name: bytes, hint: str) -> None:
        """Take a hint on a subdirectory: DIRECTORY_ARRIVED, DIRECTORY_LEFT or DIRECTORY_CHANGED."""
        ...

    def itself(self, directory: WatchedDirectory, *, moved: bool) -> None:
        """Take a hint on a watched directory: it was ``moved`` or removed, or its own attributes changed."""
        ...


class Source(Protocol):
    """A watcher of directories that hints where something happened. It owes hints, never the truth.

    All but the source's own thread is called from the engine's thread.
    """

    backend: Backend
    per_directory: bool
    """Each directory is armed by itself; else arming a folder's root covers all below."""
    departures_are_facts: bool
    """A name that is reported to have left was gone, and what came later will be reported later."""

    @property
    def inotify_watches(self) -> int | None:
        """How many inotify watches it has; None where that cannot be known."""
        ...

    def arm(self, directory: WatchedDirectory, path: bytes, *, recursive: bool) -> bool:
        """Watch a directory, or the one that now has its path.

        Return whether the watch is new: then what was known is doubtful.
        ``path`` is how it can be reached now: its own path, or a shorter way when that is too long for the kernel.
        ``recursive``: what lies below is of interest too.

        Raise OSError: ENOSPC or EMFILE when the system's limits are reached, else why it cannot be watched.
        """
        ...

    def disarm(self, directory: WatchedDirectory) -> None:
        """Stop watching a directory. Harmless when it is not watched."""
        ...

    def watching(self, directory: WatchedDirectory) -> bool:
        """Return whether a directory that was armed still is."""
        ...

    def read(self, delivered: object, hints: Hints) -> None:
        """Read what this source delivered. What ``hints`` does may change watches: what follows is read by the new."""
        ...

    def drained(self) -> bool:
        """Return whether the source holds nothing back that has happened."""
        ...

    def alive(self) -> bool:
        """Return whether the source's threads run."""
        ...

    def close(self) -> None:
        """End the threads and free what the system lent."""
        ...
