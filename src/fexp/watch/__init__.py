"""Sources of hints: what tells fexp where to look. One module a source; none knows another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable, Iterable

    from fexp.files.state import Directory
    from fexp.model import Backend

    Hint = tuple[Directory | None, bytes, str]
    """Where to look: a directory, a name in it, and one of the letters in ``fexp.model``. No directory: everywhere."""

    Histories = defaultdict[Directory, defaultdict[bytes, str]]
    """What was told of files, by directory and name: letters in the order they came."""

    Deliver = Callable[["Source", object], None]
    """Called by a source's own thread with what it has: cheap, never raises."""


class Source(Protocol):
    """Tells where something happened in the directories it watches. It owes hints, never the truth.

    All but the source's own thread is called from the engine's thread.
    """

    backend: Backend
    per_directory: bool
    """Each directory is armed by itself; else arming a folder's root covers all below."""
    departures_are_facts: bool
    """A name that is told to have left was not there any more, and what came later will be told later."""

    def arm(self, directory: Directory, path: bytes) -> bool:
        """Watch a directory, or the one that now has its path. Say whether the watch is new: then doubt what was known.

        ``path`` is how it can be reached now: its own path, or a shorter way when that is too long for the kernel.

        Raises OSError: ENOSPC or EMFILE when the system's limits are reached, else why it cannot be watched.
        """
        ...

    def disarm(self, directory: Directory) -> None:
        """Stop watching a directory. Harmless when it is not watched."""
        ...

    def watching(self, directory: Directory) -> bool:
        """Say whether a directory that was armed still is."""
        ...

    def hints(self, delivered: object, histories: Histories) -> Iterable[Hint]:
        """Read what this source delivered: what concerns files goes into ``histories``, the rest is given in order."""
        ...

    def drained(self) -> bool:
        """Say whether the source holds nothing back that has happened."""
        ...

    def alive(self) -> bool:
        """Say whether the source's threads run."""
        ...

    def close(self) -> None:
        """End the threads and free what the system lent."""
        ...
