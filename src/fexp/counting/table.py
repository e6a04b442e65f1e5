"""The files of one directory that belong to one group, kept so that a million of them are cheap.

A file costs its name, one slot of a dict and a row of four numbers: about 140 bytes. Slots are dense: the last file
moves into a gap.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING

from fexp.counting.extremes import BLOCK, BLOCK_BITS, Blocks, span_of
from fexp.model import KnownFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from fexp.counting.extremes import Extremum
    from fexp.model import FileColumns

_ROW = Struct("qdQd")
"""Size, modification time, inode and arrival of a file: the columns of ``KnownFiles`` behind the name."""
_SEEN = Struct("qdQ")
"""The part of it that a look finds."""
_SEARCHED_MAX = 8
"""So many names are searched: the dict would cost as much as they do."""
_NOTHING = KnownFiles((), (), (), (), ())
_shared_slots: list[int] = []
"""Slot numbers, shared by all tables: an int object of its own would cost every file 32 bytes."""


class Table:
    """Files by name. The price of adding, changing and removing never depends on how many there are."""

    __slots__ = ("_blocks", "_rows", "_slots", "below", "key", "names", "position", "size_bytes")

    def __init__(self, key: Hashable, below: bytes = b"") -> None:
        self.key = key
        """Of the group."""
        self.below = below
        """Of the directory."""
        self.names: list[bytes] = []
        self.size_bytes = 0
        self.position = -1
        """Among the tables of its group; theirs to set."""
        self._rows = bytearray()
        self._slots: dict[bytes, int] | None = None
        """None as long as the names are so few that they are searched."""
        self._blocks: Blocks | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: bytes) -> bool:
        return name in (self.names if self._slots is None else self._slots)

    def _slot_of(self, name: bytes) -> int | None:
        if self._slots is None:
            return self.names.index(name) if name in self.names else None
        return self._slots.get(name)

    def inode_of(self, name: bytes) -> int | None:
        """Return a file's inode; None when it is not there."""
        slot = self._slot_of(name)
        return None if slot is None else self._at([slot]).inodes[0]

    def with_inodes(self, inodes: Collection[int]) -> list[tuple[bytes, int]]:
        """Return the names that have one of the inodes, each with its own, searching all of them."""
        column = self.files().inodes
        found = set(inodes).intersection(column)
        if not found:
            return []
        return [(name, inode) for name, inode in zip(self.names, column, strict=True) if inode in found]

    def files(self) -> KnownFiles:
        """Return views of the table's own columns. As long as one is kept, no file can be added or removed."""
        rows = memoryview(self._rows)
        sizes, times, inodes = rows.cast("q"), rows.cast("d"), rows.cast("Q")
        return KnownFiles(self.names, sizes[0::4], times[1::4], inodes[2::4], times[3::4])

    def copy(self) -> KnownFiles:
        """Return columns that stay as they are."""
        names, sizes, modified_at, inodes, arrived_at = self.files()
        return KnownFiles(list(names), list(sizes), list(modified_at), list(inodes), list(arrived_at))

    def fill(self, files: KnownFiles) -> None:
        """Add files that are not there yet."""
        first = len(self.names)
        self.names.extend(files.names)
        self._rows += b"".join(map(_ROW.pack, files.sizes, files.modified_at, files.inodes, files.arrived_at))
        self.size_bytes += sum(files.sizes)
        end = len(self.names)
        if end > len(_shared_slots):
            _shared_slots.extend(range(len(_shared_slots), end))
        if self._slots is not None:
            self._slots.update(zip(files.names, _shared_slots[first:end], strict=True))
        elif end > _SEARCHED_MAX:
            self._slots = dict(zip(self.names, _shared_slots[:end], strict=True))
        if self._blocks is not None:
            self._blocks.changed.update(range(first >> BLOCK_BITS, (end >> BLOCK_BITS) + 1))

    def update(self, files: FileColumns) -> tuple[list[bool], KnownFiles, KnownFiles]:
        """Take over what a look found of the files that are there.

        Return which files are new (they are not added), and the changed ones as they were and as they are.
        """
        if len(files.names) > _SEARCHED_MAX and self._are_as_known(files):
            return [False] * len(files.names), _NOTHING, _NOTHING
        slot_of = self._slot_of if self._slots is None else self._slots.get
        rows = self._rows
        is_new, changed = [], []
        for name, size, modified_at, _, inode in zip(*files, strict=True):
            slot = slot_of(name)
            is_new.append(slot is None)
            if slot is not None:
                seen = (size, modified_at, inode)
                if _SEEN.unpack_from(rows, slot * _ROW.size) != seen:
                    changed.append((slot, seen))
        if not changed:
            return is_new, _NOTHING, _NOTHING
        slots = [slot for slot, _ in changed]
        before = self._at(slots)
        for slot, seen in changed:
            _SEEN.pack_into(rows, slot * _ROW.size, *seen)
            if self._blocks is not None:
                self._blocks.changed.add(slot >> BLOCK_BITS)
        after = self._at(slots)
        self.size_bytes += sum(after.sizes) - sum(before.sizes)
        return is_new, before, after

    def _are_as_known(self, files: FileColumns) -> bool:
        """Return whether these are the files of some slots in a row, unchanged: so are most that are listed again."""
        first = self._slot_of(files.names[0])
        if first is None:
            return False
        span = slice(first, first + len(files.names))
        known = self.files()
        return (
            known.names[span] == files.names
            and known.sizes[span] == array("q", files.sizes)
            and known.modified_at[span] == array("d", files.modified_at)
            and known.inodes[span] == array("Q", files.inodes)
        )

    def _at(self, slots: Sequence[int]) -> KnownFiles:
        """Return some of the files; there is one."""
        rows = [_ROW.unpack_from(self._rows, slot * _ROW.size) for slot in slots]
        return KnownFiles([self.names[slot] for slot in slots], *zip(*rows, strict=True))

    def remove(self, names: Iterable[bytes]) -> KnownFiles:
        """Remove those of the files that are there, and return what was known of them."""
        slots = self._slots
        slot_of = self._slot_of if slots is None else slots.get
        all_names, all_rows, blocks = self.names, self._rows, self._blocks
        gone_names, gone_rows = [], []
        for name in names:
            slot = slot_of(name)
            if slot is None:
                continue
            at, last_name, end = slot * _ROW.size, all_names.pop(), len(all_names)
            gone_names.append(name)
            gone_rows.append(_ROW.unpack_from(all_rows, at))
            if slots is not None:
                del slots[name]
            if slot != end:
                all_names[slot] = last_name
                all_rows[at : at + _ROW.size] = all_rows[-_ROW.size :]
                if slots is not None:
                    slots[last_name] = slot
            del all_rows[-_ROW.size :]
            if blocks is not None:
                blocks.changed.add(slot >> BLOCK_BITS)
                blocks.changed.add(end >> BLOCK_BITS)
        if not gone_names:
            return _NOTHING
        removed = KnownFiles(gone_names, *zip(*gone_rows, strict=True))
        self.size_bytes -= sum(removed.sizes)
        return removed

    def extreme(self, extremum: Extremum) -> float:
        """Return one extreme, which is quick if ``extremes`` was asked for it before. There is a file."""
        files = self.files()
        if self._blocks is None:
            return extremum.pick(getattr(files, extremum.column))
        columns = [getattr(files, wanted.column) for wanted in self._blocks.wanted]
        return self._blocks.find(columns)[self._blocks.wanted.index(extremum)]

    def extremes(self, wanted: Sequence[Extremum]) -> tuple[float, ...]:
        """Return each extreme that is wanted: always the same ones. There is a file."""
        files = self.files()
        columns = [getattr(files, extremum.column) for extremum in wanted]
        if len(self.names) <= BLOCK:
            self._blocks = None
            return tuple(extremum.pick(column.tolist()) for extremum, column in zip(wanted, columns, strict=True))
        if self._blocks is None:
            self._blocks = Blocks(wanted)
        return self._blocks.find(columns)

    def runs(self, extremum: Extremum) -> Sequence[float]:
        """Return the extreme of each run of slots. Call ``extremes`` first."""
        return [self.extreme(extremum)] if self._blocks is None else self._blocks.known(extremum)

    def run(self, place: int) -> KnownFiles:
        """Return views of a run of slots, to be dropped as soon as those of ``files``."""
        span = slice(None) if self._blocks is None else span_of(place)
        names, sizes, modified_at, inodes, arrived_at = self.files()
        return KnownFiles(names[span], sizes[span], modified_at[span], inodes[span], arrived_at[span])
