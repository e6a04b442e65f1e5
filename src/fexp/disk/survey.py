"""Adds up a folder without remembering its files: the one-shots' look. All cores share a large one.

Sharing is by fork, once there are enough directories to share. Each process takes the next directories from a pipe, so
that none waits for another, and hands its sums back through a pipe of its own.
"""

from __future__ import annotations

import marshal
import os
import signal
import struct
from collections import Counter
from typing import TYPE_CHECKING, cast
from warnings import catch_warnings, simplefilter

from fexp.counting.aggregates import Files, Number
from fexp.counting.distributions import Distribution
from fexp.counting.group_by import GROUPS_MAX
from fexp.counting.grouping import by_group
from fexp.disk import scan
from fexp.disk.sharing import SHARE_FROM, other_cores
from fexp.model import Fault, Instant, KnownFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from fexp.counting.aggregates import Aggregate, Make
    from fexp.counting.grouping import Grouping
    from fexp.counting.listing import FirstFiles
    from fexp.counting.naming import ByName, Key
    from fexp.counting.selection import Folder
    from fexp.counting.single_files import OldestFiles
    from fexp.counting.tally import Tally
    from fexp.listed import FileQuery
    from fexp.model import FileColumns, Histogram

_TASK = struct.Struct("I")
_TASKS_MAX = 1024
"""Task numbers must fit into a pipe without anybody reading. A user with many pipes gets one page each, see pipe(7)."""
_LOOK_DESCRIPTORS = 2
"""So many are open at once while a directory deep down is opened."""


def _pipe() -> tuple[int, int]:
    """Return a pipe. Raise OSError when it would leave too few descriptors to look with."""
    pipe = os.pipe()
    spare: list[int] = []
    try:
        while len(spare) < _LOOK_DESCRIPTORS:
            spare.append(os.dup(pipe[0]))
    except OSError:
        spare.extend(pipe)
        raise
    finally:
        for descriptor in spare:
            os.close(descriptor)
    return pipe


def _known(files: FileColumns) -> KnownFiles:
    """Return files as if they were known: one that was there at the start arrived at its inode change time."""
    return KnownFiles(files.names, files.sizes, files.modified_at, files.inodes, files.changed_at)


class Survey:
    """The numbers of a folder's groups, and what could not be read."""

    def __init__(
        self,
        folder: Folder,
        grouping: Grouping,
        makers: Sequence[Make],
        began: Instant,
        query: FileQuery | None = None,
    ) -> None:
        self.groups: dict[Hashable, list[Aggregate]] = {}
        self.faults: Counter[Fault] = Counter()
        self.directories = 0
        """How many were looked into."""
        self.single_files: OldestFiles | None = None
        if folder.measures.single_files_max:
            from fexp.counting.single_files import OldestFiles

            self.single_files = OldestFiles(folder.measures.single_files_max)
        self.first_files: FirstFiles | None = None
        """Those that are asked for."""
        if query is not None:
            from fexp.counting.listing import FirstFiles

            self.first_files = FirstFiles(query.listed, query.files_max, began.wall)
        self._query = query
        self._tally: Tally | None = None
        if folder.measures.is_detailed:
            from fexp.counting.tally import Tally

            self._tally = Tally(folder, grouping, began)
        self._folder = folder
        self._began = began
        self._path = folder.path
        self._prefix = self._path if self._path.endswith(b"/") else self._path + b"/"
        self._grouping = grouping
        self._makers = makers
        for key in grouping.lasting:
            self._group(key)

    def values(self, key: Hashable, now: Instant) -> dict[str, float | None]:
        """Return the value of each number of a group, by name."""
        wall_only = Instant(now.wall, now.wall)  # arrivals are Unix times here
        numbers = [aggregate for aggregate in self.groups[key] if isinstance(aggregate, Number)]
        values = {number.name: number.value(wall_only) for number in numbers}
        return values if self._tally is None else {**values, **self._tally.values(key)}

    def distributions(self, key: Hashable, now: Instant) -> dict[str, Histogram]:
        """Return each distribution of a group, by name."""
        distributions = [aggregate for aggregate in self.groups[key] if isinstance(aggregate, Distribution)]
        return {distribution.name: distribution.histogram(now) for distribution in distributions}

    def files(self, key: Hashable) -> int:
        """Return how many files a group has."""
        return next(aggregate.state for aggregate in self.groups[key] if isinstance(aggregate, Files))

    def join_links(self, shown: Callable[[Hashable], Hashable]) -> None:
        """Have groups that are shown as one count a file with names in several of them once."""
        firsts: dict[Hashable, Hashable] = {}
        for key in self.groups if self._tally is not None else ():
            first = firsts.setdefault(shown(key), key)
            if first != key and self._tally is not None:
                self._tally.join(key, first)

    def _group(self, key: Hashable) -> list[Aggregate]:
        key = self._kept(key)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = [make() for make in self._makers]
        return group

    def _kept(self, key: Hashable) -> Hashable:
        """Return the group that takes in the files of a group."""
        if key in self.groups or not self._grouping.is_open or len(self.groups) < GROUPS_MAX:
            return key
        return cast("ByName", self._grouping).rest_of(cast("Key", key))

    def run(self) -> None:
        """Look at everything. Raise OSError when the folder itself cannot be read."""
        self._look()
        if self._tally is not None:
            for key in self._tally.keys:
                self._group(key)
                if key not in self.groups:
                    self._tally.join(key, self._kept(key))

    def _look(self) -> None:
        waiting = self._measure(self._path, b"")
        helpers = other_cores()
        while waiting:
            if len(waiting) >= SHARE_FROM and helpers:
                if self._share(waiting, helpers):
                    return
                helpers = 0
            waiting.extend(self._enter(waiting.pop()))

    def _measure(self, path: bytes, below: bytes) -> list[bytes]:
        """Add up one directory; give its subdirectories, as paths below the folder ending in ``/``."""
        listing = scan.list_directory(path, below, self._folder.selection)
        self.faults.update(listing.faults)
        self.directories += 1
        files = listing.files if self._tally is None else self._tally.take_in(listing.files, listing.disk_use, below)
        if self.first_files is not None:
            self._list(self.first_files, files, below)
        for key, matching in by_group(self._grouping, files, below):
            if matching.names:
                known = _known(matching)
                for aggregate in self._group(key):
                    aggregate.add(known)
                if self.single_files is not None:
                    self.single_files.add(key, below, known)
        return [below + name + b"/" for name in listing.subdirectories]

    def _list(self, first: FirstFiles, files: FileColumns, below: bytes) -> None:
        if self._folder.selection.partials:  # they were looked at, whether they count or not
            files = files.where(bool(self._grouping.keys_of(name, below)) for name in files.names)
        first.add(self._folder.label, below, _known(files))

    def _enter(self, below: bytes) -> list[bytes]:
        try:
            return self._measure(self._prefix + below, below)
        except OSError as error:
            fault = scan.fault_of(error)
            if fault is not None:
                self.faults[fault] += 1
            return []

    # Sharing -------------------------------------------------------------------------------------------------------

    def _share(self, waiting: list[bytes], helpers: int) -> bool:
        """Look at everything that waits, with as many helpers as can be had. Return whether it was shared."""
        try:
            next_task, add_task = _pipe()
        except OSError:
            return False
        size = -(-len(waiting) // _TASKS_MAX)
        tasks = [waiting[first : first + size] for first in range(0, len(waiting), size)]
        os.write(add_task, b"".join(map(_TASK.pack, range(len(tasks)))))
        os.close(add_task)
        workers: list[tuple[int, int]] = []
        try:
            try:
                while len(workers) < helpers:
                    workers.append(self._start_worker(next_task, tasks))
            except OSError:  # no descriptor, no process or no memory for one more
                pass
            self._work(next_task, tasks)
            while workers:
                with os.fdopen(workers[-1][1], "rb", closefd=False) as stream:
                    dumped = stream.read()
                process, result = workers.pop()
                os.close(result)
                _, status = os.waitpid(process, 0)
                if status != 0:
                    raise OSError(0, "a process that helped to look ended before its time")
                self._merge(dumped)
        finally:
            os.close(next_task)
            for process, result in workers:  # a deadline or Ctrl-C ended the look
                os.kill(process, signal.SIGKILL)
                os.close(result)
        return True

    def _start_worker(self, next_task: int, tasks: list[list[bytes]]) -> tuple[int, int]:
        """Fork a process that works along; give its id and where its sums come from. Raise OSError."""
        result, write_result = _pipe()
        parent = os.getpid()
        with catch_warnings():
            simplefilter(
                "ignore", DeprecationWarning
            )  # of other threads: the deadline's holds nothing that a child needs
            try:
                process = os.fork()
            except OSError:
                os.close(result)
                os.close(write_result)
                raise
        if process:
            os.close(write_result)
            return process, result
        status = 1
        try:
            worker = Survey(self._folder, self._grouping, self._makers, self._began, self._query)
            worker._work(next_task, tasks, parent)
            with os.fdopen(write_result, "wb") as stream:
                stream.write(worker._dump())
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

    def _dump(self) -> bytes:
        groups = {key: [aggregate.state for aggregate in group] for key, group in self.groups.items()}
        faults = {str(fault): count for fault, count in self.faults.items()}
        single_files = None if self.single_files is None else (self.single_files.count, self.single_files.oldest)
        first_files = None if self.first_files is None else (self.first_files.entries, self.first_files.count)
        tally = None if self._tally is None else self._tally.state
        return marshal.dumps((groups, faults, self.directories, single_files, first_files, tally))

    def _merge(self, dumped: bytes) -> None:
        groups, faults, directories, single_files, first_files, tally = marshal.loads(dumped)  # noqa: S302  # by our own child
        self.directories += directories
        if self.single_files is not None:
            self.single_files.merge(*single_files)
        if self.first_files is not None:
            self.first_files.merge(*first_files)
        if self._tally is not None:
            self._tally.merge(tally)
        for key, states in groups.items():
            for make, aggregate, state in zip(self._makers, self._group(key), states, strict=True):
                other = make()
                other.state = state
                aggregate.merge(other)
        for fault, count in faults.items():
            self.faults[Fault(fault)] += count
