"""The parts of a folder that has many groups: what is read or rendered of one of them is kept until it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.model import FolderSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUPS_MIN = 32
"""Fewer are cheaper to read and to render together: the first time, parts cost twice as much."""


def parts_of(folder: FolderSnapshot, before: Sequence[FolderSnapshot]) -> tuple[FolderSnapshot, ...]:
    """Return a part for each group; of ``before`` those in which nothing changed. Of few groups there are none.

    The first has all that is said of the folder as a whole.
    """
    if len(folder.groups) < _GROUPS_MIN:
        return ()
    old = {part.name: part for part in before}
    bare = FolderSnapshot(
        folder.folder, folder.labels, folder.up, folder.recursive, (), looked=False, hides_names=folder.hides_names
    )
    parts = [(bare if place else folder)._replace(groups=(group,)) for place, group in enumerate(folder.groups)]
    return tuple([known if (known := old.get(part.name)) == part else part for part in parts])
