"""What the system grants a process, and the way out when it grants no more."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MORE_DESCRIPTORS = "allow more with ulimit -n, or LimitNOFILE= in the unit"
_MORE_THREADS = "allow more with ulimit -u, or TasksMax= and LimitNPROC= in the unit"


@contextmanager
def holding_descriptors(number: int) -> Iterator[None]:
    """Run the block with so many descriptors held free for what comes after it. Raise OSError (EMFILE) without them."""
    held: list[int] = []
    try:
        try:
            while len(held) < number:
                held.append(os.dup(held[0]) if held else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            shortage = f"{number} more are needed and {len(held)} can be had"
            raise OSError(error.errno, f"{error.strerror}: {shortage}; {_MORE_DESCRIPTORS}") from None
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


@contextmanager
def starting_threads() -> Iterator[None]:
    """Run the block. Raise OSError (EAGAIN) when it can start no thread."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, f"{error}; {_MORE_THREADS}") from error
