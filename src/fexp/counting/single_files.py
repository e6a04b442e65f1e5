"""The oldest files of a folder, for series of their own."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import nsmallest
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from fexp.model import SingleFile
from fexp.text import unambiguous

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from fexp.model import KnownFiles

    Entry = tuple[float, bytes, int, Any]
    """Modification time, path below the folder, size and group of a file: they sort by age, then by path."""
    LabelsOf = Callable[[Hashable], Mapping[str, str]]

_BLOCK = 1024
"""Adding a file moves at most twice as many."""


def entries(key: Hashable, below: bytes, files: KnownFiles) -> Iterator[Entry]:
    """Yield the files of one directory and group."""
    for name, size_bytes, modified_at in zip(files.names, files.sizes, files.modified_at, strict=True):
        yield modified_at, below + name, size_bytes, key


def snapshots_of(oldest: Iterable[Entry], labels_of: LabelsOf) -> tuple[SingleFile, ...]:
    """Return what is shown of files; ``labels_of``: from the key of a group."""
    return tuple(
        SingleFile({**labels_of(key), "file": unambiguous(path)}, size_bytes, modified_at)
        for modified_at, path, size_bytes, key in oldest
    )


class SingleFiles:
    """All files of a folder in order of age. What adding, removing and showing cost hardly depends on how many."""

    def __init__(self, files_max: int) -> None:
        self._files_max = files_max
        self._count = 0
        self._blocks: list[list[Entry]] = []
        """None is empty."""
        self._lasts: list[Entry] = []
        """The last of each block."""

    def add(self, key: Hashable, below: bytes, files: KnownFiles) -> None:
        """Add files."""
        count = len(files.names)
        self._count += count
        if count > _BLOCK and 4 * count > self._count:
            self._fill(sorted(chain(entries(key, below, files), *self._blocks)))
            return
        for entry in entries(key, below, files):
            self._insert(entry)

    def _fill(self, ordered: list[Entry]) -> None:
        self._blocks = [ordered[first : first + _BLOCK] for first in range(0, len(ordered), _BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]

    def _insert(self, entry: Entry) -> None:
        if not self._blocks:
            self._fill([entry])
            return
        at = min(bisect_left(self._lasts, entry), len(self._lasts) - 1)
        block = self._blocks[at]
        insort(block, entry)
        self._lasts[at] = block[-1]
        if len(block) > 2 * _BLOCK:
            self._blocks[at : at + 1] = halves = [block[:_BLOCK], block[_BLOCK:]]
            self._lasts[at : at + 1] = [half[-1] for half in halves]

    def remove(self, key: Hashable, below: bytes, files: KnownFiles | None) -> None:
        """Remove files, all of which are there."""
        if files is None:
            return
        self._count -= len(files.names)
        if not self._count:
            self._fill([])
            return
        for entry in entries(key, below, files):
            at = bisect_left(self._lasts, entry)
            block = self._blocks[at]
            del block[bisect_left(block, entry)]
            if block:
                self._lasts[at] = block[-1]
            else:
                del self._blocks[at], self._lasts[at]

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return max(0, self._count - self._files_max)

    def snapshots(self, labels_of: LabelsOf) -> tuple[SingleFile, ...]:
        """Return the oldest."""
        return snapshots_of(islice(chain(*self._blocks), self._files_max), labels_of)


class OldestFiles:
    """The oldest of files that come once and stay: all that a one-shot remembers of single files."""

    def __init__(self, files_max: int) -> None:
        self.count = 0
        self.oldest: list[Entry] = []
        self._files_max = files_max

    def add(self, key: Hashable, below: bytes, files: KnownFiles) -> None:
        """Take in files."""
        self.merge(len(files.names), entries(key, below, files))

    def merge(self, count: int, found: Iterable[Entry]) -> None:
        """Take in ``count`` files, of which the oldest were found."""
        self.count += count
        self.oldest = nsmallest(self._files_max, chain(self.oldest, found))

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return max(0, self.count - self._files_max)
