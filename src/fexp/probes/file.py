"""The file that a probe is given."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from fexp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, TextIO


class File:
    """One file of a watched folder, as the latest look found it."""

    def __init__(
        self,
        folder: str,
        path: bytes,
        below: bytes,
        size_bytes: int,
        modified_at: float,
        *,
        follow_symlinks: bool = False,
        spend: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``path``: what the disk is asked for. ``below``: the path below the folder. ``spend``: waits for bytes."""
        self.folder = folder
        """The label of the folder."""
        self.path = os.fsdecode(path)
        """What ``open()`` takes."""
        self.relpath = printable(below)
        """The path below the folder, as a label shows it."""
        self.name = self.relpath.rpartition("/")[2]
        self.size_bytes = size_bytes
        self.modified_at = modified_at
        """As Unix time."""
        self._flags = 0 if follow_symlinks else os.O_NOFOLLOW
        self._spend = spend

    def __repr__(self) -> str:
        """Return which file it is."""
        return f"<File {self.relpath} of {self.folder}>"

    @overload
    def open(self, mode: Literal["rb"]) -> BinaryIO: ...
    @overload
    def open(
        self, mode: Literal["r"] = "r", *, encoding: str = ..., errors: str = ..., newline: str | None = ...
    ) -> TextIO: ...
    def open(
        self, mode: Literal["r", "rb"] = "r", *, encoding: str = "utf-8", errors: str = "replace",
        newline: str | None = None,
    ) -> Any:  # fmt: skip
        """Open it for reading, as ``open()`` does. Reading keeps to what all probes together may read in a second.

        Raise OSError, also if it is no regular file any more.
        """
        number = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | self._flags)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(errno.EINVAL, "not a regular file", self.path)
        reader = io.BufferedReader(_Metered(number, self._spend))
        return reader if mode == "rb" else io.TextIOWrapper(reader, encoding, errors, newline)


_CHUNK_BYTES = 64 * 1024


class _Metered(io.FileIO):
    """A file that is read no faster than somebody allows."""

    def __init__(self, number: int, spend: Callable[[int], None]) -> None:
        super().__init__(number)
        self._spend = spend

    def readinto(self, buffer: Any, /) -> int | None:
        read = cast("int | None", super().readinto(buffer))
        self._spend(read or 0)
        return read

    def readall(self) -> bytes:
        chunks = []
        while chunk := self.read(_CHUNK_BYTES):
            self._spend(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)
