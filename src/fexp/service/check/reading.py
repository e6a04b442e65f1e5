"""Whether another user may read what fexp will write. Only modes are looked at: nobody can become any user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fexp.service.check.processes import Identity

_ACL = "system.posix_acl_access"
_READ, _ENTER = 4, 1


def closed_to(reader: Identity | None, directory: str, file_mode: int, file: str = "") -> str | None:
    """Return what is closed to a user: a directory, or ``file`` that will be there; None if the way is open.

    ``reader``: None stands for anybody else. What has an ACL is taken for open.
    """
    names = directory.split("/")
    ways = [*("/".join(names[:depth]) or "/" for depth in range(1, len(names))), directory]
    for way in dict.fromkeys(ways):
        found = os.stat(way)
        needed = _ENTER | (_READ if way == directory else 0)
        if not _has_acl(way) and not _may(reader, found.st_uid, found.st_gid, found.st_mode, needed):
            return way
    found = os.stat(directory)
    group = found.st_gid if found.st_mode & 0o2000 else os.getegid()
    return None if _may(reader, os.geteuid(), group, file_mode, _READ) else file


def _may(reader: Identity | None, user: int, group: int, mode: int, needed: int) -> bool:
    if reader is not None and reader.user == 0:
        return True
    if reader is not None and reader.user == user:
        shift = 6
    elif reader is not None and group in reader.groups:
        shift = 3
    else:
        shift = 0
    return (mode >> shift) & needed == needed


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACL))
    except OSError:
        return False
