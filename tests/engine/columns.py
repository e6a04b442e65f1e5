"""Files as a look gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.model import FileColumns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.model import FileInfo


def columns(files: Mapping[bytes, FileInfo]) -> FileColumns:
    """Give files as columns."""
    infos = files.values()
    return FileColumns(
        list(files),
        [info.size_bytes for info in infos],
        [info.modified_at for info in infos],
        [info.changed_at for info in infos],
        [info.inode for info in infos],
    )
