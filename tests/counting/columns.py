"""Files as a look gives them, and as a state knows them."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from fexp.model import FileColumns, KnownFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.model import FileInfo


def columns(files: Mapping[bytes, FileInfo]) -> FileColumns:
    """Return files as a look gives them."""
    infos = files.values()
    return FileColumns(
        list(files),
        [info.size_bytes for info in infos],
        [info.modified_at for info in infos],
        [info.changed_at for info in infos],
        [info.inode for info in infos],
    )


def arrays(files: Mapping[bytes, FileInfo]) -> FileColumns:
    """Return files as the look of another process gives them."""
    found = columns(files)
    return found._replace(
        sizes=array("q", found.sizes),
        modified_at=array("d", found.modified_at),
        changed_at=array("d", found.changed_at),
        inodes=array("Q", found.inodes),
    )


def known(files: Mapping[bytes, FileInfo], arrived_at: float) -> KnownFiles:
    """Return files as a state knows them."""
    found = columns(files)
    return KnownFiles(found.names, found.sizes, found.modified_at, found.inodes, [arrived_at] * len(files))
