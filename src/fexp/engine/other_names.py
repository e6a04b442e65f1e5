"""Looks at the other names of files that changed under one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fexp.engine.folder import FolderWatch
    from fexp.engine.seen_elsewhere import HardLinks
    from fexp.events.directory import WatchedDirectory


def look_at_other_names(
    links: HardLinks, folders: Sequence[FolderWatch], folder_of: Mapping[WatchedDirectory, FolderWatch]
) -> list[FolderWatch]:
    """Look at the names of files that changed, and return their folders.

    Names that are not known are searched for, once no directory waits to be listed. ``folder_of``: by root.
    """
    if links.needs_search and not any(folder.tree.is_busy for folder in folders):
        there = [folder.tree.root for folder in folders if folder.identity is not None]
        links.search(directory for root in there for directory in root.subtree())
    touched = []
    for directory, names in links.take().items():
        folder = folder_of[directory.root]
        if folder.identity is not None:
            folder.tree.look_again(directory, names)
            touched.append(folder)
    return touched
