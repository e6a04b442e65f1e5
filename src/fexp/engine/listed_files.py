"""Answers which files are the oldest and so on, from what the engine knows, in the thread of whoever asks.

The lock is held for one folder at a time, and looked into are only the folders whose numbers promise something.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from fexp.counting.listing import FirstFiles, listed_file, promise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fexp.counting.state import Wants
    from fexp.engine.context import Context
    from fexp.engine.folder import FolderWatch
    from fexp.listed import FileQuery, ListedFile
    from fexp.model import FolderSnapshot, Instant


def list_files(folders: Sequence[FolderWatch], context: Context, query: FileQuery) -> list[ListedFile]:
    """Return the files that are asked for, in order. A folder that hides names or is down has none."""
    with context.lock:
        now = context.now()
        snapshots = [folder.lasting_snapshot or folder.snapshot(now) for folder in folders]
    first = FirstFiles(query.listed, query.files_max, now.wall)
    promising = [
        (_promise(snapshot, query), place)
        for place, snapshot in enumerate(snapshots)
        if snapshot.up and not snapshot.hides_names
    ]
    for rank, place in sorted(promising):
        if rank >= first.bound:
            break
        snapshot = snapshots[place]
        folders[place].tree.state.pick(first, _wants(snapshot, query))
    return _described(first, folders, context, now)


def _wants(folder: FolderSnapshot, query: FileQuery) -> Wants:
    """Return whether the files of a group of a folder are asked for, by the group's labels."""

    def wants(labels: Mapping[str, str]) -> bool:
        all_labels = {"folder": folder.folder, **labels, **folder.labels}
        return all(all_labels.get(name) == value for name, value in query.labels.items())

    return wants


def _promise(folder: FolderSnapshot, query: FileQuery) -> float:
    """Return the rank of the folder's first file, or a smaller one; infinity when it has none."""
    wants = _wants(folder, query)
    return min((promise(query.listed, group.values) for group in folder.groups if wants(group.labels)), default=inf)


def _described(first: FirstFiles, folders: Sequence[FolderWatch], context: Context, now: Instant) -> list[ListedFile]:
    of_label = {folder.folder.label: folder for folder in folders}
    files = []
    for entry in first.entries:
        folder = of_label[entry[2]]
        with context.lock:
            groups = folder.tree.state.labels_of_file(entry[1])
        groups = [{**labels, **folder.folder.labels} for labels in groups]
        files.append(listed_file(entry, groups, now.wall - now.steady))
    return files
