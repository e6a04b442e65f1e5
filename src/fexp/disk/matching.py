"""The directories that a path of globs matches now, and what to watch to know when that changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Part(NamedTuple):
    """One component of a path: a name, or a rule for names."""

    name: bytes
    matches: Callable[[bytes], bool] | None = None
    follows_symlinks: bool = True


class Matched:
    """What a path matches."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Look now."""
        self.folders: list[bytes] = []
        self.ways: set[bytes] = set()
        """Paths whose coming and going changes it; one that ends in a slash: what lies there."""
        self.unlisted: dict[bytes, str] = {}
        """Directories that could not be listed, and why: what matched below them may still be there."""
        self.closed: set[bytes] = set()
        """Paths that match as far as names go, and may not be looked at. A shell leaves them out, too."""
        self._walk(b"/", parts, is_base=True)

    def _walk(self, here: bytes, parts: Sequence[Part], *, is_base: bool) -> None:
        for index, part in enumerate(parts):
            if part.matches is not None:
                self._list(here, part, parts[index + 1 :], is_base=is_base)
                return
            here = os.path.join(here, part.name)
        self.ways.add(here)
        try:
            if stat.S_ISDIR(os.stat(here).st_mode):
                self.folders.append(here)
        except PermissionError:
            self.closed.add(here)
        except OSError:
            pass  # it is not there

    def _list(self, here: bytes, part: Part, rest: Sequence[Part], *, is_base: bool) -> None:
        assert part.matches is not None
        self.ways.add(os.path.join(here, b""))
        try:
            with os.scandir(here) as entries:
                found = sorted(
                    (entry.name, entry.is_symlink())
                    for entry in entries
                    if part.matches(entry.name) and entry.is_dir(follow_symlinks=part.follows_symlinks)
                )
        except OSError as error:
            if is_base or not isinstance(error, FileNotFoundError | NotADirectoryError):
                self.unlisted[here] = error.strerror or str(error)
            return
        for name, is_symlink in found:
            path = os.path.join(here, name)
            if rest:
                self._walk(path, rest, is_base=False)
            else:
                self.folders.append(path)
            if is_symlink:
                self.ways.add(path)
