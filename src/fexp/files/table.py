"""The files of one directory that belong to one group, kept so that a million of them are cheap.

A file costs its name, one slot of a dict and four numbers in arrays: about 140 bytes. Slots are dense (the last file
moves into a gap), so that columns can be searched by the array's own speed.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from fexp.files.extremes import BLOCK, BLOCK_BITS, Blocks
from fexp.model import KnownFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from fexp.files.extremes import Extremum
    from fexp.model import FileColumns

_NOTHING = KnownFiles((), (), (), (), ())
_shared_slots: list[int] = []
"""Slot numbers, shared by all tables: an int object of its own would cost every file 32 bytes."""


class Table:
    """Files by name. The price of adding, changing and removing never depends on how many there are."""

    __slots__ = (
        "_blocks", "_slots", "arrived_at", "inodes", "modified_at", "names", "position", "size_bytes", "sizes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.sizes = array("q")
        self.modified_at = array("d")
        self.inodes = array("Q")
        self.arrived_at = array("d")
        """On the steady clock."""
        self.size_bytes = 0
        self.position = -1
        """Among the tables of its group; theirs to set."""
        self._slots: dict[bytes, int] = {}
        self._blocks: Blocks | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: bytes) -> bool:
        return name in self._slots

    def inode_of(self, name: bytes) -> int | None:
        """Return a file's inode; None when it is not there."""
        slot = self._slots.get(name)
        return None if slot is None else self.inodes[slot]

    def with_inodes(self, inodes: Collection[int]) -> list[tuple[bytes, int]]:
        """Return the names that have one of the inodes, each with its own, searching all of them."""
        found = set(inodes).intersection(self.inodes)
        if not found:
            return []
        return [(self.names[slot], inode) for slot, inode in enumerate(self.inodes) if inode in found]

    def files(self) -> KnownFiles:
        """Return the table's own columns. They change as it does."""
        return KnownFiles(self.names, self.sizes, self.modified_at, self.inodes, self.arrived_at)

    def copy(self) -> KnownFiles:
        """Return columns that stay as they are."""
        return KnownFiles(self.names[:], self.sizes[:], self.modified_at[:], self.inodes[:], self.arrived_at[:])

    def fill(self, files: KnownFiles) -> None:
        """Add files that are not there yet."""
        first, count = len(self.names), len(files.names)
        if first + count > len(_shared_slots):
            _shared_slots.extend(range(len(_shared_slots), first + count))
        self._slots.update(zip(files.names, _shared_slots[first : first + count], strict=True))
        self.names.extend(files.names)
        self.sizes.extend(files.sizes)
        self.modified_at.extend(files.modified_at)
        self.inodes.extend(files.inodes)
        self.arrived_at.extend(files.arrived_at)
        self.size_bytes += sum(files.sizes)
        if self._blocks is not None:
            self._blocks.changed.update(range(first >> BLOCK_BITS, (first + count >> BLOCK_BITS) + 1))

    def update(self, files: FileColumns) -> tuple[list[bool], KnownFiles, KnownFiles]:
        """Take over what a look found of the files that are there.

        Return which files are new (they are not added), and the changed ones as they were and as they are.
        """
        slot_of, sizes, modified_at, inodes = self._slots.get, self.sizes, self.modified_at, self.inodes
        is_new, changed = [], []
        for index, (name, size, modified, _, inode) in enumerate(zip(*files, strict=True)):
            slot = slot_of(name)
            is_new.append(slot is None)
            if slot is not None and (modified_at[slot] != modified or sizes[slot] != size or inodes[slot] != inode):
                changed.append((slot, index))
        if not changed:
            return is_new, _NOTHING, _NOTHING
        before = self._at([slot for slot, _ in changed])
        for slot, index in changed:
            self.size_bytes += files.sizes[index] - sizes[slot]
            sizes[slot] = files.sizes[index]
            modified_at[slot] = files.modified_at[index]
            inodes[slot] = files.inodes[index]
            if self._blocks is not None:
                self._blocks.changed.add(slot >> BLOCK_BITS)
        return is_new, before, self._at([slot for slot, _ in changed])

    def _at(self, slots: list[int]) -> KnownFiles:
        return KnownFiles(
            [self.names[slot] for slot in slots],
            [self.sizes[slot] for slot in slots],
            [self.modified_at[slot] for slot in slots],
            [self.inodes[slot] for slot in slots],
            [self.arrived_at[slot] for slot in slots],
        )

    def remove(self, names: Iterable[bytes]) -> KnownFiles:
        """Remove those of the files that are there, and return what was known of them."""
        slots, all_names, all_sizes, all_modified_at = self._slots, self.names, self.sizes, self.modified_at
        all_inodes, all_arrived_at, blocks = self.inodes, self.arrived_at, self._blocks
        gone: tuple[list[bytes], list[int], list[float], list[int], list[float]] = ([], [], [], [], [])
        add_name, add_size, add_modified_at = gone[0].append, gone[1].append, gone[2].append
        add_inode, add_arrived_at = gone[3].append, gone[4].append
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
                all_inodes[slot], inode = inode, all_inodes[slot]
                all_arrived_at[slot], arrived_at = arrived_at, all_arrived_at[slot]
            if blocks is not None:
                blocks.changed.add(slot >> BLOCK_BITS)
                blocks.changed.add(end >> BLOCK_BITS)
            add_size(size)
            add_modified_at(modified_at)
            add_inode(inode)
            add_arrived_at(arrived_at)
        removed = KnownFiles(*gone)
        self.size_bytes -= sum(removed.sizes)
        return removed

    def extremes(self, wanted: Sequence[Extremum]) -> tuple[float, ...]:
        """Return each extreme that is wanted: always the same ones. There is a file."""
        columns = [getattr(self, extremum.column) for extremum in wanted]
        if len(self.names) <= BLOCK:
            self._blocks = None
            return tuple(extremum.pick(column) for extremum, column in zip(wanted, columns, strict=True))
        if self._blocks is None:
            self._blocks = Blocks([extremum.pick for extremum in wanted])
        return self._blocks.find(columns)
