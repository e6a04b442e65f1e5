"""Looks at the disk: one file, one directory, or everything below. The only module that reads what is watched."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from fexp.model import Fault, FileInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.selection import Selection

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


class Identity(NamedTuple):
    """Which directory a path names, whatever it is called."""

    device: int
    inode: int


class Listing(NamedTuple):
    """What one directory holds, of what counts."""

    files: list[tuple[bytes, FileInfo]]
    subdirectories: list[bytes]
    faults: Counter[Fault]


def fault_of(error: OSError) -> Fault | None:
    """Name why an entry could not be read; None when it is simply gone."""
    if error.errno in _GONE:
        return None
    if error.errno in (errno.EACCES, errno.EPERM):
        return Fault.PERMISSION
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
        return Fault.NAME
    return Fault.IO


def _info(found: os.stat_result) -> FileInfo | None:
    if stat.S_IFMT(found.st_mode) != stat.S_IFREG:
        return None
    return FileInfo(found.st_size, found.st_mtime, found.st_ctime, found.st_ino)


def look(path: bytes, *, follow_symlinks: bool) -> FileInfo | None:
    """Look at one file. None: no regular file is there. Raises OSError when that cannot be told."""
    try:
        return _info(os.stat(path) if follow_symlinks else os.lstat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        if fault_of(error) is None:
            return None
        raise


def identity(path: bytes) -> Identity:
    """Look which directory a path names, through symlinks. Raises OSError (NotADirectoryError for a file)."""
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return Identity(found.st_dev, found.st_ino)


def is_directory(path: bytes) -> bool:
    """Say whether a real directory, not a link to one, is there."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def list_directory(path: bytes, below: bytes, selection: Selection) -> Listing:
    """List what counts in one directory. Raises OSError when the directory itself cannot be read.

    A name that vanishes between its listing and its look is not there; one that cannot be looked at is a fault.
    """
    files: list[tuple[bytes, FileInfo]] = []
    subdirectories: list[bytes] = []
    faults: Counter[Fault] = Counter()
    follow = selection.follow_symlinks
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if selection.enters(name, below):
                        subdirectories.append(name)
                elif (follow or not entry.is_symlink()) and selection.patterns_of(name, below):
                    info = _info(entry.stat(follow_symlinks=follow))
                    if info is not None:
                        files.append((name, info))
            except OSError as error:
                fault = fault_of(error)
                if fault is not None:
                    faults[fault] += 1
    return Listing(files, subdirectories, faults)


def walk(path: bytes, selection: Selection) -> Iterator[tuple[bytes, Listing]]:
    """List a folder and everything below it that is entered, each with its path below the folder.

    Raises OSError only for the folder itself; a subdirectory that cannot be read gives a listing with the fault alone.
    """
    prefix = path if path.endswith(b"/") else path + b"/"
    first = list_directory(path, b"", selection)
    yield b"", first
    stack = [name + b"/" for name in first.subdirectories]
    while stack:
        below = stack.pop()
        try:
            listing = list_directory(prefix + below, below, selection)
        except OSError as error:
            fault = fault_of(error)
            listing = Listing([], [], Counter([fault] if fault else ()))
        yield below, listing
        stack.extend(below + name + b"/" for name in listing.subdirectories)
