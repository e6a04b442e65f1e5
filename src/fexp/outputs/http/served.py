"""What the server asks the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fexp.listed import FileQuery, ListedFile
    from fexp.model import FolderStatus, Snapshot, Taken


class Subscription(Protocol):
    """A place in the change feed."""

    def take(self) -> Taken:
        """Return what waits, without waiting."""

    def close(self) -> None:
        """Take nothing any more."""


class Served(Protocol):
    """Called from several threads."""

    def snapshot(self) -> Snapshot:
        """Return the numbers as they are now."""

    def scrape(self) -> Snapshot:
        """Return the same, for a scrape: what is found out only when somebody asks is found out first."""

    def catch_up(self) -> None:
        """Give what has happened until now a moment to be folded."""

    def statuses(self) -> Sequence[FolderStatus]:
        """Return how far the watching of each folder is."""

    def unready(self) -> Sequence[str]:
        """Return the reasons why fexp is not ready, one line each; none when it is."""

    def list_files(self, query: FileQuery) -> Sequence[ListedFile]:
        """Return the files that are asked for, in order. Those of folders that hide names are left out."""

    def reload(self) -> None:
        """Read the config again. Raise SettingsError, and keep the old one, when it is wrong."""

    def subscribe(self, capacity: int, notify: Callable[[], None]) -> Subscription:
        """Follow what happens to files. ``notify`` is called in another thread when there is something to take."""

    def metadata(self) -> Mapping[str, object]:
        """Return config and outputs, without secrets, in what JSON can say."""
