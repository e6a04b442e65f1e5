"""The terminal that the command reads from, handed to its process group as a shell does."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import suppress

_STDIN, _STDOUT = 0, 1


class Terminal:
    """The terminal on standard input, if there is one and fexp is in its foreground; else nothing.

    In a pipeline it stays with the group of all its commands: a pager reads keys from it.
    """

    def __init__(self) -> None:
        self._is_ours = _is_in_foreground() and not _is_pipe(_STDOUT)

    def give(self, group: int) -> None:
        """Put a group into the foreground, and wake it if it wanted to read before it was there."""
        if self._is_ours:
            _put_into_foreground(group)
            with suppress(OSError):
                os.killpg(group, signal.SIGCONT)

    def take_back(self) -> None:
        """Put fexp's own group into the foreground."""
        if self._is_ours:
            _put_into_foreground(os.getpgrp())

    def stop_too(self, group: int) -> None:
        """Stop as the group did (Ctrl-Z), so that the shell goes on; and wake it when the shell wakes fexp."""
        if not self._is_ours:
            return
        self.take_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        if _is_in_foreground():
            _put_into_foreground(group)
        with suppress(OSError):
            os.killpg(group, signal.SIGCONT)


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:  # not a terminal, or another session's
        return False


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _put_into_foreground(group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else the terminal stops whom it belongs to no more
    try:
        with suppress(OSError):
            os.tcsetpgrp(_STDIN, group)
    finally:
        signal.signal(signal.SIGTTOU, before)
