"""The parts of a folder that has several groups: what is read or rendered of one of them is kept until it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.model import FolderSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence


def parts_of(folder: FolderSnapshot, before: Sequence[FolderSnapshot]) -> tuple[FolderSnapshot, ...]:
    """Return a part for each group; of ``before`` those in which nothing changed. A single group needs none.

    The first has all that is said of the folder as a whole.
    """
    if len(folder.groups) < 2:
        return ()
    old = {part.name: part for part in before}
    bare = FolderSnapshot(
        folder.folder, folder.labels, folder.up, folder.recursive, (), looked=False, hides_names=folder.hides_names
    )
    parts = [(bare if place else folder)._replace(groups=(group,)) for place, group in enumerate(folder.groups)]
    return tuple([known if (known := old.get(part.name)) == part else part for part in parts])
