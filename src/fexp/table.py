"""The files of one directory that match one pattern, kept so that a million of them are cheap.

A file costs its name, one slot of a dict and four numbers in arrays: about 140 bytes. Slots are dense (the last file
moves into a gap), so that extremes can be found by the array's own speed, block by block.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fexp.model import FileInfo

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


class Record(NamedTuple):
    """What is known of one file. ``arrived_at`` is on the steady clock."""

    size_bytes: int
    modified_at: float
    inode: int
    arrived_at: float


class Table:
    """Files by name. Adding, changing and removing one never depends on how many there are."""

    __slots__ = ("_arrived_at", "_blocks", "_extremes", "_inodes", "_modified_at", "_names", "_sizes", "_slots", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self._slots: dict[bytes, int] = {}
        self._names: list[bytes] = []
        self._sizes = array("q")
        self._modified_at = array("d")
        self._inodes = array("Q")
        self._arrived_at = array("d")
        self._extremes: Extremes | None = None
        """None: to be found again when asked for."""
        self._blocks: _Blocks | None = None

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: bytes) -> bool:
        return name in self._slots

    def names(self) -> set[bytes]:
        """Give the names, as a set of its own."""
        return set(self._slots)

    def get(self, name: bytes) -> Record | None:
        """Give what is known of a file."""
        slot = self._slots.get(name)
        if slot is None:
            return None
        return Record(self._sizes[slot], self._modified_at[slot], self._inodes[slot], self._arrived_at[slot])

    def add(self, name: bytes, info: FileInfo, arrived_at: float) -> None:
        """Add a file that is not there yet."""
        slot = len(self._names)
        if slot == len(_shared_slots):
            _shared_slots.append(slot)
        self._slots[name] = _shared_slots[slot]
        self._names.append(name)
        self._sizes.append(info.size_bytes)
        self._modified_at.append(info.modified_at)
        self._inodes.append(info.inode)
        self._arrived_at.append(arrived_at)
        self.size_bytes += info.size_bytes
        self._touch(slot)
        known = self._extremes
        if known is not None:
            self._extend(known, info)
        elif slot == 0:
            self._extremes = Extremes(info.modified_at, info.modified_at, info.size_bytes)

    def change(self, name: bytes, info: FileInfo) -> int | None:
        """Take over what a look found. Give by how many bytes the file grew, or None when nothing is different."""
        slot = self._slots[name]
        old_size, old_modified_at = self._sizes[slot], self._modified_at[slot]
        if old_modified_at == info.modified_at and old_size == info.size_bytes and self._inodes[slot] == info.inode:
            return None
        self._forget_extreme(old_size, old_modified_at)
        self._sizes[slot] = info.size_bytes
        self._modified_at[slot] = info.modified_at
        self._inodes[slot] = info.inode
        self._touch(slot)
        if self._extremes is not None:
            self._extend(self._extremes, info)
        self.size_bytes += info.size_bytes - old_size
        return info.size_bytes - old_size

    def remove(self, name: bytes) -> Record:
        """Remove a file that is there and give what was known of it."""
        slot = self._slots.pop(name)
        record = Record(self._sizes[slot], self._modified_at[slot], self._inodes[slot], self._arrived_at[slot])
        self._forget_extreme(record.size_bytes, record.modified_at)
        self.size_bytes -= record.size_bytes
        last_name, last_size, last_modified_at = self._names.pop(), self._sizes.pop(), self._modified_at.pop()
        last_inode, last_arrived_at = self._inodes.pop(), self._arrived_at.pop()
        if slot != len(self._names):
            self._names[slot] = last_name
            self._slots[last_name] = _shared_slots[slot]
            self._sizes[slot] = last_size
            self._modified_at[slot] = last_modified_at
            self._inodes[slot] = last_inode
            self._arrived_at[slot] = last_arrived_at
        self._touch(slot)
        self._touch(len(self._names))
        if not self._names:
            self._extremes = None
            self._blocks = None
        return record

    def arrived_at(self) -> array[float]:
        """Give all arrival times on the steady clock, in no order. Not to be changed."""
        return self._arrived_at

    def extremes(self) -> Extremes | None:
        """Give the extremes, or None while there is no file."""
        if self._extremes is None and self._names:
            if len(self._names) < _LARGE:
                self._extremes = Extremes(min(self._modified_at), max(self._modified_at), max(self._sizes))
            else:
                self._blocks = self._blocks or _Blocks()
                self._extremes = self._blocks.extremes(self._modified_at, self._sizes)
        return self._extremes

    def _extend(self, known: Extremes, info: FileInfo) -> None:
        if not known.oldest_at <= info.modified_at <= known.newest_at or info.size_bytes > known.largest_bytes:
            self._extremes = known.including(Extremes(info.modified_at, info.modified_at, info.size_bytes))

    def _forget_extreme(self, size_bytes: int, modified_at: float) -> None:
        known = self._extremes
        if known is not None and (
            modified_at in (known.oldest_at, known.newest_at) or size_bytes == known.largest_bytes
        ):
            self._extremes = None

    def _touch(self, slot: int) -> None:
        if self._blocks is not None:
            self._blocks.changed.add(slot >> _BLOCK_BITS)


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
