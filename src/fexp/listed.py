"""Which files somebody asks for, and what they get. Values as those of ``fexp.model``."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from fexp.text import unambiguous

if TYPE_CHECKING:
    from collections.abc import Mapping


class Listed(StrEnum):
    """Which files are listed, and in which order."""

    OLDEST = "oldest"
    NEWEST = "newest"
    LARGEST = "largest"
    SMALLEST = "smallest"
    EMPTY = "empty"
    """Of no bytes, the oldest first."""
    FUTURE = "future"
    """Modified more than a minute from now, the farthest first."""
    UNSETTLED = "unsettled"
    """Those that changed longest ago first."""
    STALLED = "stalled"
    """The same."""


class FileQuery(NamedTuple):
    """Which files somebody asks for."""

    listed: Listed
    files_max: int
    labels: Mapping[str, str] = MappingProxyType({})
    """Of the series that count the files: those of the folder and of the group."""


class ListedFile(NamedTuple):
    """One file that somebody asked for."""

    folder: str
    """The folder's label."""
    path: bytes
    """Below the folder, ``/``-separated, as the kernel spells it."""
    patterns: tuple[str, ...]
    """The labels of the patterns that the file matches."""
    labels: Mapping[str, str]
    """What the series that count it have beside them."""
    size_bytes: int
    modified_at: float
    at: float
    """When it arrived; in the lists of files on their way, when it last changed. As Unix time."""

    def document(self, at: str) -> dict[str, object]:
        """Return what JSON shows of it; ``at``: what its time is called."""
        return {
            "path": unambiguous(self.path),
            "patterns": self.patterns,
            "labels": dict(self.labels),
            "size_bytes": self.size_bytes,
            "modified_at": self.modified_at,
            at: self.at,
        }


class Listing(NamedTuple):
    """The first files of a folder in the order of a list."""

    files: tuple[ListedFile, ...]
    total: int
    """How many the list has."""
