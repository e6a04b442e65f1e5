"""A process that lists directories for another, and what the two write to each other.

It is an interpreter of its own, not a fork: who asks has threads, and their locks would stay held in a copy. It imports
no more than it needs, and ends when its input does, or when nobody takes its answers.
"""

from __future__ import annotations

import errno
import marshal
import os
import struct
from array import array
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING

from fexp.clock import now
from fexp.counting.selection import Selection
from fexp.disk import scan
from fexp.model import DiskUse, Fault, FileColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

LENGTH = struct.Struct("Q")
"""Precedes each answer. An answer of no bytes only says that the process is at work."""
_SIGN_SECONDS = 1.0
"""How often it says so."""
_FILES_AT_ONCE = 4096
"""Files whose names are read in one step: other threads wait for so many."""
_CODES = "qddQ"
"""Of arrays that hold the columns of ``FileColumns`` behind the names."""
_FIELDS = [field.name for field in fields(Selection)]


def request(path: bytes, below: bytes, selection: Selection) -> bytes:
    """Return what asks for the listing of a directory."""
    return marshal.dumps((path, below, tuple([getattr(selection, name) for name in _FIELDS])))


def read_answer(answer: bytes | bytearray) -> scan.Listing:
    """Return the listing that was asked for. Raise OSError when the directory could not be read or entered."""
    value = marshal.loads(answer)  # noqa: S302  # written by our own child
    if isinstance(value, int):
        raise OSError(value, os.strerror(value))
    names, columns, subdirectories, faults, links, shared, disk_use = value
    files = FileColumns([], *[array(code, column) for code, column in zip(_CODES, columns, strict=True)])
    for some in names:
        files.names.extend(some.split(b"/"))
    used = {name: DiskUse(*use) for name, use in disk_use.items()}
    return scan.Listing(files, subdirectories, list(map(Fault, faults)), scan.SeenElsewhere(links, shared), used)


def _answer(listing: scan.Listing) -> bytes:
    names = listing.files.names
    numbers: tuple[Sequence[float], ...] = listing.files[1:]
    parts = [b"/".join(names[first : first + _FILES_AT_ONCE]) for first in range(0, len(names), _FILES_AT_ONCE)]
    columns = [array(code, column) for code, column in zip(_CODES, numbers, strict=True)]
    disk_use = {name: tuple(use) for name, use in listing.disk_use.items()}
    faults = list(map(str, listing.faults))
    return marshal.dumps((parts, columns, listing.subdirectories, faults, *listing.seen_elsewhere, disk_use))


@cache
def _selection(values: tuple[Any, ...]) -> Selection:
    return Selection(*values)


def _list(path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> bytes:
    """List a directory from inside, so that the kernel walks no path to each file."""
    try:
        with scan.in_reach(path) as shorter:
            os.chdir(shorter)
        return _answer(scan.list_directory(b".", below, selection, progressed))
    except OSError as error:
        return marshal.dumps(error.errno or errno.EIO)
    finally:
        os.chdir(b"/")  # from inside it would keep a mount busy


def main() -> None:
    """Answer what standard input asks for, one directory after the other."""
    asked_by = os.getppid()
    signed_at = now().steady
    with open(0, "rb") as requests, open(1, "wb") as answers:

        def progressed() -> None:
            nonlocal signed_at
            if os.getppid() != asked_by:
                os._exit(1)
            if now().steady >= signed_at + _SIGN_SECONDS:
                signed_at = now().steady
                answers.write(LENGTH.pack(0))
                answers.flush()

        while True:
            try:
                path, below, values = marshal.load(requests)  # noqa: S302  # written by our own parent
            except EOFError:
                os._exit(0)
            answer = _list(path, below, _selection(values), progressed)
            answers.write(LENGTH.pack(len(answer)))
            answers.write(answer)
            answers.flush()
