"""Looks at the disk: one file, one directory, or everything below. The only module that reads what is watched."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from fexp.counting.selection import DOT
from fexp.model import Fault, FileColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fexp.counting.selection import Selection

_PATH_MAX = 4096
"""What the kernel takes for a path, with its NUL: limits.h."""
_NAME_MAX = 255
_PLACE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_TYPE_BITS = 0o170000
"""S_IFMT of stat(2)."""
_ENTRIES_AT_ONCE = 256
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


class Identity(NamedTuple):
    """Which directory a path names, and by which link: a link that was turned away and back may have missed events."""

    device: int
    inode: int
    link_inode: int
    link_changed_at: float


class SeenElsewhere(NamedTuple):
    """Names whose file may change without an event that names them."""

    links: list[bytes]
    """Symlinks that are followed, also those that lead nowhere."""
    shared: list[tuple[bytes, int]]
    """Files with several names, each with its inode."""


class Listing(NamedTuple):
    """What one directory holds, of what counts."""

    files: FileColumns
    subdirectories: dict[bytes, int]
    """With the inode that the directory has for each."""
    faults: list[Fault]
    seen_elsewhere: SeenElsewhere


class Found(NamedTuple):
    """What a look at some names found: files, and the names that have no regular file or cannot be looked at."""

    files: FileColumns
    missing: list[bytes]
    occupied: list[bytes]
    """Those of the missing names that something else has."""
    faults: list[Fault]
    seen_elsewhere: SeenElsewhere


def fault_of(error: OSError) -> Fault | None:
    """Name why an entry could not be read; None when it is simply gone."""
    if error.errno in _GONE:
        return None
    if error.errno in (errno.EACCES, errno.EPERM):
        return Fault.PERMISSION
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
        return Fault.NAME
    return Fault.IO


def _is_in_reach(directory: bytes) -> bool:
    """Return whether the kernel takes the path of any name in a directory."""
    return len(directory) + 1 + _NAME_MAX < _PATH_MAX


@contextmanager
def in_reach(path: bytes) -> Iterator[bytes]:
    """Return a path by which the kernel takes a directory, with any name in it. Raise OSError."""
    if _is_in_reach(path):
        yield path
        return
    descriptor = os.open(b"/", _PLACE)
    try:
        names = path.split(b"/")
        while names:
            step = b""
            while names and len(step) + len(names[0]) < _PATH_MAX - 2:
                step += names.pop(0) + b"/"
            deeper = os.open(step.lstrip(b"/") or b".", _PLACE, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield b"/proc/self/fd/%d/." % descriptor
    finally:
        os.close(descriptor)


def look_at(directory: bytes, names: Sequence[bytes], *, follow_symlinks: bool) -> Found:
    """Look at some names of a directory."""
    if _is_in_reach(directory):
        return _look_at(directory, names, follow_symlinks=follow_symlinks)
    try:
        with in_reach(directory) as shorter:
            return _look_at(shorter, names, follow_symlinks=follow_symlinks)
    except OSError as error:  # of the way there
        fault = fault_of(error)
        nothing = FileColumns([], [], [], [], [])
        return Found(nothing, list(names), [], [fault] if fault else [], SeenElsewhere([], []))


def _look_at(directory: bytes, names: Sequence[bytes], *, follow_symlinks: bool) -> Found:
    prefix = directory + b"/"
    files, seen_elsewhere = FileColumns([], [], [], [], []), SeenElsewhere([], [])
    add_name, add_size, add_inode = files.names.append, files.sizes.append, files.inodes.append
    add_modified_at, add_changed_at = files.modified_at.append, files.changed_at.append
    missing: list[bytes] = []
    occupied: list[bytes] = []
    faults: list[Fault] = []
    for name in names:
        is_link = False
        try:
            found = os.lstat(prefix + name)
            is_link = follow_symlinks and found.st_mode & _TYPE_BITS == stat.S_IFLNK
            if is_link:
                seen_elsewhere.links.append(name)
                found = os.stat(prefix + name)
        except OSError as error:
            fault = fault_of(error)
            if fault is not None:
                faults.append(fault)
            missing.append(name)
            if is_link:
                occupied.append(name)
            continue
        if found.st_mode & _TYPE_BITS == stat.S_IFREG:
            add_name(name)
            add_size(found.st_size)
            add_modified_at(found.st_mtime)
            add_changed_at(found.st_ctime)
            add_inode(found.st_ino)
            if found.st_nlink > 1:
                seen_elsewhere.shared.append((name, found.st_ino))
        else:
            missing.append(name)
            occupied.append(name)
    return Found(files, missing, occupied, faults, seen_elsewhere)


def identity(path: bytes) -> Identity:
    """Look which directory a path names, through symlinks. Raise OSError (NotADirectoryError for a file)."""
    link = os.lstat(path)
    is_link = stat.S_ISLNK(link.st_mode)
    found = os.stat(path) if is_link else link
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return Identity(found.st_dev, found.st_ino, *((link.st_ino, link.st_ctime) if is_link else (0, 0.0)))


def try_to_open(path: bytes) -> None:
    """Raise OSError when a directory cannot be read or entered."""
    os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    os.stat(os.path.join(path, b"."))


def directory_inode(path: bytes) -> int | None:
    """Return the inode of a real directory; None when there is none, or only a link to one."""
    directory, name = os.path.split(path)
    try:
        with in_reach(directory) as shorter:
            found = os.lstat(os.path.join(shorter, name))
    except OSError:
        return None
    return found.st_ino if stat.S_ISDIR(found.st_mode) else None


def list_directory(
    path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None] = lambda: None
) -> Listing:
    """List what counts in one directory. Raise OSError when the directory itself cannot be read or entered.

    A name that vanishes between its listing and its look is not there; one that cannot be looked at is a fault.
    ``progressed`` is called on the way: over a network a large directory takes minutes.
    """
    listing = Listing(FileColumns([], [], [], [], []), {}, [], SeenElsewhere([], []))
    with in_reach(path) as shorter, os.scandir(shorter) as entries:
        os.stat(os.path.join(shorter, b"."))  # names alone can be listed without the right to enter
        while some := list(islice(entries, _ENTRIES_AT_ONCE)):
            _add(some, below, selection, listing)
            progressed()
    return listing


def _add(entries: Iterable[os.DirEntry[bytes]], below: bytes, selection: Selection, listing: Listing) -> None:
    """Add to a listing what counts. What most entries are is asked first, and here: a call takes its time."""
    rows: list[tuple[bytes, int, float, float, int]] = []
    add = rows.append
    follow, suffix, patterns_of = selection.follow_symlinks, selection.suffix, selection.patterns_of
    for entry in entries:
        name = entry.name
        try:
            if entry.is_file(follow_symlinks=False):
                if suffix is None:
                    if not patterns_of(name, below):
                        continue
                elif name[0] == DOT or (suffix and not name.endswith(suffix)):
                    continue
            elif entry.is_dir(follow_symlinks=False):
                if selection.enters(name, below):
                    listing.subdirectories[name] = entry.inode()
                continue
            elif follow and entry.is_symlink() and patterns_of(name, below):
                listing.seen_elsewhere.links.append(name)
            else:
                continue
            found = entry.stat(follow_symlinks=follow)
            if found.st_mode & _TYPE_BITS == stat.S_IFREG:
                add((name, found.st_size, found.st_mtime, found.st_ctime, found.st_ino))
                if found.st_nlink > 1:
                    listing.seen_elsewhere.shared.append((name, found.st_ino))
        except OSError as error:
            fault = fault_of(error)
            if fault is not None:
                listing.faults.append(fault)
    listing.files.extend(zip(*rows, strict=True))
