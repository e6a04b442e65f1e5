"""Adds up a folder without remembering its files: the one-shots' look. A large one is shared by all cores.

Sharing is by fork, once there are enough directories to share. Each process takes the next directories from a pipe, so
that none waits for another, and hands its sums back through a pipe of its own.
"""

from __future__ import annotations

import marshal
import os
import signal
import struct
from collections import Counter
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from fexp.disk import scan
from fexp.files.table import Extremes
from fexp.model import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.files.selection import Selection

_SHARE_FROM = 64
"""So many directories waiting are worth the other cores."""
_TASK = struct.Struct("I")
_TASKS_MAX = 1024
"""Task numbers must fit into a pipe without anybody reading. A user with many pipes gets one page each, see pipe(7)."""


class Sum:
    """The numbers of one pattern, added up."""

    def __init__(self) -> None:
        self.files = 0
        self.size_bytes = 0
        self.extremes: Extremes | None = None

    def add(self, sizes: list[int], modified_at: list[float]) -> None:
        """Add the files of one directory."""
        if sizes:
            found = Extremes(min(modified_at), max(modified_at), max(sizes))
            self.merge(len(sizes), sum(sizes), found)

    def merge(self, files: int, size_bytes: int, extremes: Extremes | None) -> None:
        """Add another sum."""
        self.files += files
        self.size_bytes += size_bytes
        if extremes is not None:
            self.extremes = extremes.including(self.extremes)


class Survey:
    """The sums of a folder, one for each pattern, and what could not be read."""

    def __init__(self, path: bytes, selection: Selection) -> None:
        self.sums = [Sum() for _ in selection.patterns]
        self.faults: Counter[Fault] = Counter()
        self._prefix = path if path.endswith(b"/") else path + b"/"
        self._path = path
        self._selection = selection

    def run(self) -> None:
        """Look at everything. Raises OSError when the folder itself cannot be read."""
        waiting = self._measure(self._path, b"")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        while waiting:
            if len(waiting) >= _SHARE_FROM and cores > 1:
                self._share(waiting, cores)
                return
            waiting.extend(self._enter(waiting.pop()))

    def _measure(self, path: bytes, below: bytes) -> list[bytes]:
        """Add up one directory; give its subdirectories, as paths below the folder ending in ``/``."""
        files, subdirectories, faults = scan.list_directory(path, below, self._selection)
        self.faults.update(faults)
        if len(self.sums) == 1:
            self.sums[0].add(files.sizes, files.modified_at)
        else:
            for name, size, modified_at in zip(files.names, files.sizes, files.modified_at, strict=True):
                for index in self._selection.patterns_of(name, below):
                    self.sums[index].add([size], [modified_at])
        return [below + name + b"/" for name in subdirectories]

    def _enter(self, below: bytes) -> list[bytes]:
        try:
            return self._measure(self._prefix + below, below)
        except OSError as error:
            fault = scan.fault_of(error)
            if fault is not None:
                self.faults[fault] += 1
            return []

    # Sharing -------------------------------------------------------------------------------------------------------

    def _share(self, waiting: list[bytes], cores: int) -> None:
        size = -(-len(waiting) // _TASKS_MAX)
        tasks = [waiting[first : first + size] for first in range(0, len(waiting), size)]
        next_task, tell_task = os.pipe()
        os.write(tell_task, b"".join(map(_TASK.pack, range(len(tasks)))))
        os.close(tell_task)
        workers: list[tuple[int, int]] = []
        try:
            workers.extend(self._start_worker(next_task, tasks) for _ in range(cores - 1))
            self._work(next_task, tasks)
            while workers:
                with os.fdopen(workers[-1][1], "rb", closefd=False) as stream:
                    told = stream.read()
                process, result = workers.pop()
                os.close(result)
                _, status = os.waitpid(process, 0)
                if status != 0:
                    raise OSError(0, "a process that helped to look ended before its time")
                self._merge(told)
        finally:
            os.close(next_task)
            for process, result in workers:  # a deadline or Ctrl-C ended the look: nobody waits for them
                os.kill(process, signal.SIGKILL)
                os.close(result)

    def _start_worker(self, next_task: int, tasks: list[list[bytes]]) -> tuple[int, int]:
        """Fork a process that works along; give its id and where its sums come from."""
        result, tell_result = os.pipe()
        parent = os.getpid()
        with catch_warnings():
            simplefilter(
                "ignore", DeprecationWarning
            )  # of other threads: the deadline's holds nothing that a child needs
            process = os.fork()
        if process:
            os.close(tell_result)
            return process, result
        status = 1
        try:
            worker = Survey(self._path, self._selection)
            worker._work(next_task, tasks, parent)
            with os.fdopen(tell_result, "wb") as stream:
                stream.write(worker._told())
            status = 0
        finally:
            os._exit(status)  # nothing of the parent's may run twice

    def _work(self, next_task: int, tasks: list[list[bytes]], parent: int | None = None) -> None:
        """Look at what no other process has taken; a child only while its parent lives."""
        for below in self._directories(next_task, tasks):
            waiting = [below]
            while waiting and parent in (None, os.getppid()):
                waiting.extend(self._enter(waiting.pop()))

    @staticmethod
    def _directories(next_task: int, tasks: list[list[bytes]]) -> Iterator[bytes]:
        while number := os.read(next_task, _TASK.size):
            yield from tasks[_TASK.unpack(number)[0]]

    def _told(self) -> bytes:
        sums = [(total.files, total.size_bytes, total.extremes and tuple(total.extremes)) for total in self.sums]
        return marshal.dumps((sums, {str(fault): count for fault, count in self.faults.items()}))

    def _merge(self, told: bytes) -> None:
        sums, faults = marshal.loads(told)  # noqa: S302  # written by our own child
        for total, (files, size_bytes, extremes) in zip(self.sums, sums, strict=True):
            total.merge(files, size_bytes, Extremes(*extremes) if extremes else None)
        for fault, count in faults.items():
            self.faults[Fault(fault)] += count
