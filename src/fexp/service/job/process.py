"""Runs a command as a shell would: its own process group, the same streams, signals handed on, its exit status.

Only for the main thread. Handlers act at once, also while it waits for the command.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, NamedTuple, Self

from fexp.service.job.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""Handed on to the whole group, as a terminal's are."""
_MESSAGES = (signal.SIGUSR1, signal.SIGUSR2)
"""Handed on to the command alone: what it started may not know them."""
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_NOT_FOUND, _NOT_RUN, _BY_SIGNAL = 127, 126, 128
_GONE_TICK_SECONDS = 0.02
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
"""What the kernel counts peak memory in."""


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int
    timed_out: bool = False
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    problem: str | None = None
    """Why it could not be started."""

    @property
    def succeeded(self) -> bool:
        """Whether it did its work."""
        return self.exit_code == 0 and not self.timed_out


class Runner:
    """Runs commands while it is entered, one after the other."""

    def __init__(self, timeout_seconds: float | None, kill_after_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._kill_after_seconds = kill_after_seconds
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._stops: SimpleQueue[int] = SimpleQueue()
        self._early: list[int] = []
        self._group: int | None = None
        self._timed_out = False
        self._kill_at = 0.0
        self.stopped_by: int | None = None
        """The signal that said stop: nothing more is to be started."""

    def __enter__(self) -> Self:
        """Hand on signals from now on, but those that are ignored: whoever has them ignored wants no stop."""
        handlers = {**dict.fromkeys((*_STOPS, *_MESSAGES), self._hand_on), signal.SIGALRM: self._end_in_time}
        for number, handler in handlers.items():
            if number is signal.SIGALRM or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave signals to whom they were left before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: Sequence[str]) -> Ended:
        """Run a command to its end. One that was killed by a signal has 128 + its number, as in a shell."""
        self._timed_out = False
        terminal = Terminal()
        try:
            group = _spawn(command)
        except OSError as error:
            return _not_started(command[0], error)
        self._group = group
        while self._early:
            self._hand_on(self._early.pop(0), None)
        terminal.give(group)
        signal.setitimer(signal.ITIMER_REAL, self._timeout_seconds or 0)
        self._wait(group, terminal)
        signal.setitimer(signal.ITIMER_REAL, 0)
        terminal.take_back()
        _, status, usage = os.wait4(group, 0)
        if self._timed_out:
            self._end_group(group)
        self._group = None
        code = os.waitstatus_to_exitcode(status)
        return Ended(
            exit_code=_BY_SIGNAL - code if code < 0 else code,
            timed_out=self._timed_out,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            max_rss_bytes=usage.ru_maxrss * RSS_UNIT_BYTES,
        )

    def pause(self, seconds: float) -> bool:
        """Wait. Return False if a signal said stop, also before."""
        if self.stopped_by is None:
            with suppress(Empty):
                self._stops.get(timeout=seconds)
        return self.stopped_by is None

    def _wait(self, group: int, terminal: Terminal) -> None:
        """Wait until the command has ended. It is not reaped, so that its number stays its own."""
        while True:
            found = os.waitid(os.P_PID, group, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            if found is None or found.si_code not in (os.CLD_STOPPED, os.CLD_TRAPPED):
                return
            os.waitid(os.P_PID, group, os.WSTOPPED | os.WNOHANG)
            terminal.stop_too(group)

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOPS:
            self.stopped_by = number
            self._stops.put(number)  # a SimpleQueue may be put to at any moment
        if self._group is None:
            self._early.append(number)
        else:
            _kill(self._group, number, whole_group=number in _STOPS)

    def _end_in_time(self, _number: int, _frame: FrameType | None) -> None:
        group = self._group
        if group is None or _has_ended(group):
            return
        if self._timed_out:
            _kill(group, signal.SIGKILL)
            return
        self._timed_out = True
        self._kill_at = time.monotonic() + self._kill_after_seconds
        signal.setitimer(signal.ITIMER_REAL, self._kill_after_seconds)
        _kill(group, signal.SIGTERM)
        _kill(group, signal.SIGCONT)  # what is stopped would not obey

    def _end_group(self, group: int) -> None:
        """Wait for what the command left of its group, and kill it when its time is up."""
        never = Event()
        while _is_there(group):
            if time.monotonic() >= self._kill_at:
                _kill(group, signal.SIGKILL)
                return
            never.wait(_GONE_TICK_SECONDS)


def _not_started(name: str, error: OSError) -> Ended:
    """Return how a command ended that did not start: a folder of PATH that may not be read hides none, as in bash."""
    reason = error.errno or 0
    if reason == errno.EACCES and "/" not in name and not _is_on_path(name):
        reason = errno.ENOENT
    code = _NOT_FOUND if reason in (errno.ENOENT, errno.ENOTDIR) else _NOT_RUN
    return Ended(code, problem=f"{name}: {os.strerror(reason)}")


def _is_on_path(name: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for folder in os.get_exec_path())


def _spawn(command: Sequence[str]) -> int:
    """Start a command in a process group of its own. Raise OSError."""
    try:
        return _spawned(command)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        path = shutil.which(command[0]) or command[0]
        return _spawned(["/bin/sh", path, *command[1:]])  # a script without its first line, as every shell has it


def _spawned(command: Sequence[str]) -> int:
    return os.posix_spawnp(command[0], list(command), os.environ, setpgroup=0, setsigdef=_IGNORED_BY_PYTHON)


def _kill(group: int, number: int, *, whole_group: bool = True) -> None:
    with suppress(OSError):  # gone, or somebody else's by now
        (os.killpg if whole_group else os.kill)(group, number)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _has_ended(process: int) -> bool:
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
