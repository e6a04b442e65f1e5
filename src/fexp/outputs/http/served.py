"""What the server asks the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fexp.model import FolderStatus, Snapshot


class Served(Protocol):
    """Called from several threads."""

    def snapshot(self) -> Snapshot:
        """Return the numbers as they are now."""

    def statuses(self) -> Sequence[FolderStatus]:
        """Return how far the watching of each folder is."""

    def unready(self) -> Sequence[str]:
        """Return the reasons why fexp is not ready, one line each; none when it is."""

    def reload(self) -> None:
        """Read the config again. Raise SettingsError, and keep the old one, when it is wrong."""

    def metadata(self) -> Mapping[str, object]:
        """Return config and outputs, without secrets, in what JSON can say."""
