"""The files of one directory that match one pattern, kept so that a million of them are cheap.

A file costs its name, one slot of a dict and four numbers in arrays: about 140 bytes. Slots are dense (the last file
moves into a gap), so that extremes can be found by the array's own speed, block by block.
"""

from __future__ import annotations

from array import array
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fexp.model import FileColumns, FileInfo

_BLOCK_BITS = 8
_BLOCK = 1 << _BLOCK_BITS
_LARGE = 16 * _BLOCK
"""Above this many files, extremes are kept per block."""

_shared_slots: list[int] = []
"""Slot numbers, shared by all tables: an int object of its own would cost every file 32 bytes."""


class Extremes(NamedTuple):
    """Smallest and largest modification time, largest size."""

    oldest_at: float
    newest_at: float
    largest_bytes: int

    def including(self, other: Extremes | None) -> Extremes:
        """Give the extremes of both."""
        if other is None:
            return self
        return Extremes(
            min(self.oldest_at, other.oldest_at),
            max(self.newest_at, other.newest_at),
            max(self.largest_bytes, other.largest_bytes),
        )


class Removed(NamedTuple):
    """What was known of files that were removed, a list for each field. ``arrived_at`` is on the steady clock."""

    names: list[bytes]
    sizes: list[int]
    modified_at: list[float]
    arrived_at: list[float]


class Table:
    """Files by name. The price of adding, changing and removing never depends on how many there are."""

    __slots__ = (
        "_arrived_at", "_blocks", "_inodes", "_is_sure", "_largest", "_modified_at", "_names", "_newest", "_oldest",
        "_sizes", "_slots", "size_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.size_bytes = 0
        self._slots: dict[bytes, int] = {}
        self._names: list[bytes] = []
        self._sizes = array("q")
        self._modified_at = array("d")
        self._inodes = array("Q")
        self._arrived_at = array("d")
        self._oldest = inf
        self._newest = -inf
        self._largest = -1
        self._is_sure = True
        """False when an extreme went: the extremes are to be found again when asked for."""
        self._blocks: _Blocks | None = None

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: bytes) -> bool:
        return name in self._slots

    def names(self) -> set[bytes]:
        """Give the names, as a set of its own."""
        return set(self._slots)

    def files(self) -> Iterator[tuple[bytes, int, float]]:
        """Give each file's name, size and modification time."""
        return zip(self._names, self._sizes, self._modified_at, strict=True)

    def fill(self, files: FileColumns, arrived_at: list[float]) -> None:
        """Add files that are not there yet."""
        first, count = len(self._names), len(files.names)
        if first + count > len(_shared_slots):
            _shared_slots.extend(range(len(_shared_slots), first + count))
        self._slots.update(zip(files.names, _shared_slots[first : first + count], strict=True))
        self._names.extend(files.names)
        self._sizes.extend(files.sizes)
        self._modified_at.extend(files.modified_at)
        self._inodes.extend(files.inodes)
        self._arrived_at.extend(arrived_at)
        self.size_bytes += sum(files.sizes)
        if self._blocks is not None:
            self._blocks.changed.update(range(first >> _BLOCK_BITS, (first + count >> _BLOCK_BITS) + 1))
        self._newest = max(self._newest, *files.modified_at)
        self._oldest = min(self._oldest, *files.modified_at)
        self._largest = max(self._largest, *files.sizes)

    def sift(self, files: FileColumns) -> tuple[list[bool], list[int]]:
        """Compare with what a look found: say of each file whether it is new, and give the indexes of changed ones."""
        slot_of, sizes, modified_at, inodes = self._slots.get, self._sizes, self._modified_at, self._inodes
        is_new, changed = [], []
        for index, (name, size, modified, _, inode) in enumerate(zip(*files, strict=True)):
            slot = slot_of(name)
            is_new.append(slot is None)
            if slot is not None and (modified_at[slot] != modified or sizes[slot] != size or inodes[slot] != inode):
                changed.append(index)
        return is_new, changed

    def change(self, name: bytes, info: FileInfo) -> int | None:
        """Take over what a look found. Give by how many bytes the file grew, or None when nothing is different."""
        slot = self._slots[name]
        old_size, old_modified_at = self._sizes[slot], self._modified_at[slot]
        if old_modified_at == info.modified_at and old_size == info.size_bytes and self._inodes[slot] == info.inode:
            return None
        if old_modified_at <= self._oldest or old_modified_at >= self._newest or old_size >= self._largest:
            self._is_sure = False
        self._sizes[slot] = info.size_bytes
        self._modified_at[slot] = info.modified_at
        self._inodes[slot] = info.inode
        if self._blocks is not None:
            self._blocks.changed.add(slot >> _BLOCK_BITS)
        self._newest = max(self._newest, info.modified_at)
        self._oldest = min(self._oldest, info.modified_at)
        self._largest = max(self._largest, info.size_bytes)
        self.size_bytes += info.size_bytes - old_size
        return info.size_bytes - old_size

    def remove(self, names: Iterable[bytes]) -> Removed:
        """Remove those of the files that are there, and give what was known of them."""
        slots, all_names, all_sizes, all_modified_at = self._slots, self._names, self._sizes, self._modified_at
        all_inodes, all_arrived_at, blocks = self._inodes, self._arrived_at, self._blocks
        removed = Removed([], [], [], [])
        add_name, add_size = removed.names.append, removed.sizes.append
        add_modified_at, add_arrived_at = removed.modified_at.append, removed.arrived_at.append
        for name in names:
            slot = slots.pop(name, None)
            if slot is None:
                continue
            add_name(name)
            last_name, size, modified_at = all_names.pop(), all_sizes.pop(), all_modified_at.pop()
            inode, arrived_at, end = all_inodes.pop(), all_arrived_at.pop(), len(all_names)
            if slot != end:
                all_names[slot] = last_name
                slots[last_name] = slot
                all_sizes[slot], size = size, all_sizes[slot]
                all_modified_at[slot], modified_at = modified_at, all_modified_at[slot]
                all_inodes[slot] = inode
                all_arrived_at[slot], arrived_at = arrived_at, all_arrived_at[slot]
            if blocks is not None:
                blocks.changed.add(slot >> _BLOCK_BITS)
                blocks.changed.add(end >> _BLOCK_BITS)
            add_size(size)
            add_modified_at(modified_at)
            add_arrived_at(arrived_at)
        if removed.names:
            self._forget_extremes(removed)
        return removed

    def _forget_extremes(self, removed: Removed) -> None:
        self.size_bytes -= sum(removed.sizes)
        if not self._names:
            self._oldest, self._newest, self._largest, self._is_sure = inf, -inf, -1, True
            self._blocks = None
        elif (
            min(removed.modified_at) <= self._oldest
            or max(removed.modified_at) >= self._newest
            or max(removed.sizes) >= self._largest
        ):
            self._is_sure = False

    def arrived_at(self) -> array[float]:
        """Give all arrival times on the steady clock, in no order. Not to be changed."""
        return self._arrived_at

    def extremes(self) -> Extremes | None:
        """Give the extremes, or None while there is no file."""
        if not self._names:
            return None
        if not self._is_sure:
            if len(self._names) < _LARGE:
                found = Extremes(min(self._modified_at), max(self._modified_at), max(self._sizes))
            else:
                self._blocks = self._blocks or _Blocks()
                found = self._blocks.extremes(self._modified_at, self._sizes)
            self._oldest, self._newest, self._largest = found
            self._is_sure = True
        return Extremes(self._oldest, self._newest, self._largest)


class _Blocks:
    """Extremes of each run of 256 slots, so that finding a table's extremes anew costs its changes, not its files."""

    __slots__ = ("_largest", "_newest", "_oldest", "changed")

    def __init__(self) -> None:
        self.changed: set[int] = set()
        """Blocks in which a slot changed since the last look."""
        self._oldest = array("d")
        self._newest = array("d")
        self._largest = array("q")

    def extremes(self, modified_at: array[float], sizes: array[int]) -> Extremes:
        count = (len(sizes) + _BLOCK - 1) >> _BLOCK_BITS
        columns = (self._oldest, self._newest, self._largest)
        for column in columns:
            del column[count:]
        known = len(self._oldest)
        for block in sorted(block for block in self.changed if block < known):
            self._oldest[block], self._newest[block], self._largest[block] = self._find(block, modified_at, sizes)
        for block in range(known, count):
            found = self._find(block, modified_at, sizes)
            self._oldest.append(found.oldest_at)
            self._newest.append(found.newest_at)
            self._largest.append(found.largest_bytes)
        self.changed.clear()
        return Extremes(min(self._oldest), max(self._newest), max(self._largest))

    @staticmethod
    def _find(block: int, modified_at: array[float], sizes: array[int]) -> Extremes:
        span = slice(block << _BLOCK_BITS, (block + 1) << _BLOCK_BITS)
        times = modified_at[span]
        return Extremes(min(times), max(times), max(sizes[span]))
