"""Whether files may count twice: in two folders, or in two groups of one."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from fexp.counting.globs import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fexp.counting.selection import Folder, Selection


def may_count_twice(folders: Iterable[tuple[bytes, Folder]]) -> bool:
    """Return whether a file may be in two groups. ``folders``: each with its path, symlinks resolved.

    False is certain, but for mounts that show one directory at two places.
    """
    by_path: dict[bytes, Folder] = {}
    for path, folder in folders:
        if path in by_path or _groups_overlap(folder):
            return True
        by_path[path] = folder
    return any(_is_looked_into(path, by_path) for path in by_path)


def _is_looked_into(path: bytes, folders: dict[bytes, Folder]) -> bool:
    """Return whether this directory is looked into by a folder above it."""
    names = path.strip(b"/").split(b"/")
    for depth in range(len(names) if names != [b""] else 0):
        above = folders.get(b"/" + b"/".join(names[:depth]))
        if above is not None and _reaches(above.selection, names[depth:]):
            return True
    return False


def _reaches(selection: Selection, names: list[bytes]) -> bool:
    below = b""
    for name in names:
        if not selection.enters(name, below):
            return False
        below += name + b"/"
    return True


def _groups_overlap(folder: Folder) -> bool:
    if folder.group_by.extensions_max:
        return False  # a file has one extension
    ignore_case = folder.selection.ignore_case
    patterns = [pattern.casefold() if ignore_case else pattern for pattern in folder.selection.patterns]
    return any(_both_match_some(one, other) for one, other in combinations(patterns, 2))


def _both_match_some(one: str, other: str) -> bool:
    """Return whether there may be a name that both globs match; of plain names and endings it is known."""
    ends, others_end = one.removeprefix("*"), other.removeprefix("*")
    if SPECIAL.search(ends) or SPECIAL.search(others_end):
        return True
    if one == ends and other == others_end:
        return one == other
    if one == ends:
        return one.endswith(others_end)
    if other == others_end:
        return other.endswith(ends)
    return ends.endswith(others_end) or others_end.endswith(ends)
