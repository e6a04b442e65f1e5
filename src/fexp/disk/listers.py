"""Processes that list directories while this one goes on. Nothing here waits for one of them.

A process may die, be stopped, or hang in a file system: what it was asked for comes back without an answer then.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import fexp
from fexp.disk.lister import LENGTH, request
from fexp.disk.sharing import other_cores
from fexp.limits import holding_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.counting.selection import Selection

    Answered = Callable[[bytearray | None], None]
    """Called with the answer, see ``lister.read_answer``; with None when there will be none."""

_LISTERS_MAX = 7
"""More would find faster than one thread takes in."""
_AHEAD = 4
"""Directories that a process is asked for at a time, so that it always has something to do."""
_DESCRIPTORS_LEFT = 16
"""So many stay for the looks of this process and for what it serves."""
_PIPE_BYTES = 1 << 20
_SILENT_SECONDS = 10.0
"""Who says nothing for so long is not waited for."""
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from fexp.disk.lister import main; main()"


class Listers:
    """The processes: started when there is much to list, ended after it."""

    def __init__(self) -> None:
        self.is_open = False
        self._listers: list[_Lister] = []
        self._ended: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        """Start as many as the cores are worth and the system allows, which may be none."""
        self.is_open = True
        with suppress(OSError):
            while len(self._listers) < min(other_cores(), _LISTERS_MAX):
                with holding_descriptors(_DESCRIPTORS_LEFT):
                    self._listers.append(_Lister())

    def ask(self, path: bytes, below: bytes, selection: Selection, answered: Answered, now: float) -> bool:
        """Have a directory listed. Return False when no process has room for it."""
        lister = min(self._listers, key=lambda one: len(one.waiting), default=None)
        if lister is None or len(lister.waiting) == _AHEAD:
            return False
        lister.ask(request(path, below, selection), answered, now)
        return True

    def collect(self, now: float) -> None:
        """Take in the answers that are there. ``now`` is on the steady clock."""
        for lister in tuple(self._listers):
            try:
                lister.read(now)
            except OSError:
                self._end(lister)

    def close(self) -> None:
        """End the processes. What they were asked for comes back without an answer."""
        self.is_open = False
        while self._listers:
            self._end(self._listers[0])
        self.reap()

    def reap(self, patience_seconds: float = 0.0) -> None:
        """Let go of processes that have ended, and wait so long for each of the others."""
        for process in self._ended:
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_seconds)
        self._ended = [process for process in self._ended if process.returncode is None]

    def _end(self, lister: _Lister) -> None:
        self._listers.remove(lister)
        lister.end()
        self._ended.append(lister.process)
        for answered in lister.waiting:
            answered(None)


class _Lister:
    """One process, and who waits for its answers. Raise OSError when it cannot be had."""

    def __init__(self) -> None:
        self.waiting: deque[Answered] = deque()
        """In the order of the answers."""
        self._unsent = b""
        self._received = bytearray()
        self._heard_at = 0.0
        with ExitStack() as undone, ExitStack() as theirs:
            requests, self._requests = os.pipe()
            theirs.callback(os.close, requests)
            undone.callback(os.close, self._requests)
            self._answers, answers = os.pipe()
            theirs.callback(os.close, answers)
            undone.callback(os.close, self._answers)
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, os.path.dirname(os.path.dirname(fexp.__file__))],
                stdin=requests,
                stdout=answers,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for who asks
            )
            undone.pop_all()
        for descriptor in (self._requests, self._answers):
            os.set_blocking(descriptor, False)
        with suppress(OSError, AttributeError):  # else it has to be emptied more often
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def ask(self, request: bytes, answered: Answered, now: float) -> None:
        """Have a directory listed."""
        if not self.waiting:
            self._heard_at = now
        self.waiting.append(answered)
        self._unsent += request
        self._send()

    def _send(self) -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # who has died is met by ``read``
            while self._unsent:
                self._unsent = self._unsent[os.write(self._requests, self._unsent) :]

    def read(self, now: float) -> None:
        """Take in the answers that are there. Raise OSError when it has died or hangs."""
        self._send()
        try:
            received = os.read(self._answers, _PIPE_BYTES)
        except BlockingIOError:
            if self.waiting and now >= self._heard_at + _SILENT_SECONDS:
                raise TimeoutError from None
            return
        if not received:
            raise BrokenPipeError
        self._heard_at = now
        self._received += received
        while len(self._received) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received)
            end = LENGTH.size + length
            if len(self._received) < end:
                return
            answer = self._received[LENGTH.size : end]
            del self._received[:end]
            if length:
                self.waiting.popleft()(answer)

    def end(self) -> None:
        """End it. It can be waited for then, unless it hangs in a file system."""
        os.close(self._requests)
        os.close(self._answers)
        self.process.kill()
