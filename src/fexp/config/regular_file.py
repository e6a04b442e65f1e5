"""Opening files that are read again when they change, without waiting for a writer that never comes."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


def open_regular_file(path: str) -> BinaryIO:
    """Return the file, open for reading. Raise OSError for anything else: opening a FIFO would wait for its writer."""

    def opener(path: str, flags: int) -> int:
        number = os.open(path, flags | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(errno.EINVAL, "not a regular file, which could be read again when it changes", path)
        return number

    return open(path, "rb", opener=opener)
