"""The samples that a job hands over: from a file that it writes, or from a FIFO while it runs."""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from fexp.text import one_line

if TYPE_CHECKING:
    from typing import Protocol

    class _Reader(Protocol):
        def finish(self) -> bytes | None: ...


LIMIT_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class OwnSamples:
    """What a job writes for itself between ``begin`` and ``finish``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._reader: _Reader | None = None

    def begin(self) -> str | None:
        """Begin before the job does: who writes to a FIFO waits for a reader. Return why it cannot."""
        try:
            is_fifo = stat.S_ISFIFO(os.stat(self._path).st_mode)
            self._reader = _Fifo(self._path) if is_fifo else _File(self._path)
        except FileNotFoundError:
            self._reader = _File(self._path)
        except (OSError, RuntimeError) as error:
            return f"{one_line(self._path)}: {getattr(error, 'strerror', None) or error}"
        return None

    def finish(self) -> tuple[bytes | None, str | None]:
        """Return what the job wrote, None for nothing; and why it cannot be read."""
        try:
            text = self._reader.finish() if self._reader else None
        except OSError as error:
            return None, f"{one_line(self._path)}: {error.strerror or error}"
        if text is not None and len(text) > LIMIT_BYTES:
            return None, f"{one_line(self._path)}: more than {LIMIT_BYTES >> 20} MiB; left out"
        return text, None


class _File:
    """A file that counts only if the job wrote it: an older run's samples are not this one's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._before = _stamp(path)

    def finish(self) -> bytes | None:
        """Return what is in it. Raise OSError."""
        if _stamp(self._path) == self._before:
            return None
        with open(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(LIMIT_BYTES + 1)


class _Fifo:
    """A FIFO, read all the time: a job that writes much must not wait for its own end."""

    def __init__(self, path: str) -> None:
        # Open for writing too, it does not end with its first writer.
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._over, self._end = os.pipe()
        self._chunks: list[bytes] = []
        self._read_bytes = 0
        self._thread = Thread(target=self._read, name="fexp-samples", daemon=True)
        self._thread.start()

    def finish(self) -> bytes | None:
        """Return what was written until now."""
        os.close(self._end)
        self._thread.join()
        for descriptor in (self._fifo, self._over):
            os.close(descriptor)
        return b"".join(self._chunks) or None

    def _read(self) -> None:
        is_over = False
        while not is_over:
            ready, _, _ = select.select([self._fifo, self._over], [], [])
            is_over = self._over in ready
            with suppress(BlockingIOError):
                while chunk := os.read(self._fifo, _CHUNK_BYTES):
                    if self._read_bytes <= LIMIT_BYTES:
                        self._chunks.append(chunk)
                    self._read_bytes += len(chunk)
                    if is_over and self._read_bytes > LIMIT_BYTES:
                        return  # what the job left behind may write for ever


def _stamp(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
