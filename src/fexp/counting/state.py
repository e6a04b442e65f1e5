"""The state of a folder: the files of its directories, and the numbers that a fold keeps up to date.

Pure: no I/O, no clock, no thread. One thread folds; another may read only while that one does not fold. The price of a
fold depends on what changed, never on how many files there are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from fexp.counting.groups import make_groups
from fexp.counting.histories import arrivals_of, replayed
from fexp.counting.listing import pick_from
from fexp.counting.table import Table
from fexp.model import ARRIVED, LEFT, Happening, KnownFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.aggregates import Make
    from fexp.counting.grouping import Grouping
    from fexp.counting.listing import FirstFiles
    from fexp.counting.single_files import SingleFiles
    from fexp.model import FileColumns, GroupSnapshot, Instant, SingleFile

    Wants = Callable[[Mapping[str, str]], bool]
    """Says whether somebody wants the files of a group with these labels."""


_TABLES_SEARCHED_MAX = 8
"""So many tables of a directory are searched: a dict would cost more."""


class _ManyTables:
    """The tables of a directory with files of many groups."""

    __slots__ = ("by_key",)

    def __init__(self, tables: Iterable[Table]) -> None:
        self.by_key = {table.key: table for table in tables}

    def __iter__(self) -> Iterator[Table]:
        return iter(self.by_key.values())

    def __len__(self) -> int:
        return len(self.by_key)


class Directory:
    """The known files of one directory, by group."""

    __slots__ = ("below", "tables")

    def __init__(self, below: bytes) -> None:
        self.below = below
        """Its path below the folder: empty, or ending in ``/``."""
        self.tables: tuple[Table, ...] | _ManyTables = ()
        """One for each group that has files here: mostly one."""

    def table_of(self, key: Hashable) -> Table | None:
        """Return the table of a group; None when it has no files here."""
        tables = self.tables
        if isinstance(tables, _ManyTables):
            return tables.by_key.get(key)
        for table in tables:
            if table.key == key:
                return table
        return None

    def add_table(self, table: Table) -> None:
        """Add the table of a group that has none here."""
        if isinstance(self.tables, _ManyTables):
            self.tables.by_key[table.key] = table
        elif len(self.tables) < _TABLES_SEARCHED_MAX:
            self.tables += (table,)
        else:
            self.tables = _ManyTables((*self.tables, table))

    def drop_table(self, table: Table) -> None:
        """Forget a table."""
        if isinstance(self.tables, _ManyTables):
            del self.tables.by_key[table.key]
            if not self.tables:
                self.tables = ()
        else:
            self.tables = tuple([other for other in self.tables if other is not table])

    def names(self) -> set[bytes]:
        """Return the names of all its files that count."""
        known: set[bytes] = set()
        for table in self.tables:
            known.update(table.names)
        return known

    def inode_of(self, name: bytes) -> int | None:
        """Return the inode of one of its files that counts; None when it is not there."""
        inodes = (table.inode_of(name) for table in self.tables)
        return next((inode for inode in inodes if inode is not None), None)


class Changed(NamedTuple):
    """Files of one group and directory to which the same happened."""

    happening: Happening
    key: Hashable
    """Of the group."""
    below: bytes
    """The directory, as ``Directory.below``."""
    files: KnownFiles


class _Gone(NamedTuple):
    """Files of a directory that departed whole: dwell times of some are still to be observed."""

    key: Hashable
    names: Sequence[bytes]
    below: bytes
    arrived_at: Sequence[float]
    left_at: Instant
    observed: int = 0


class FolderState:
    """All that fexp knows about the files of one folder."""

    def __init__(
        self,
        grouping: Grouping,
        aggregates: Sequence[Make],
        dwell_bounds_seconds: tuple[float, ...],
    ) -> None:
        self.changes: list[Changed] | None = None
        """What happened since it was last emptied. None: nobody follows, and nothing is recorded."""
        self.single_files: SingleFiles | None = None
        """The files in order of age. None: nobody asks for them."""
        self._grouping = grouping
        self._groups = make_groups(grouping, aggregates, dwell_bounds_seconds)
        self._group_of = self._groups.by_key
        self._gone: list[_Gone] = []

    @property
    def files(self) -> int:
        """Files known, summed over the groups."""
        return sum(group.files for group in self._group_of.values())

    # What events and looks found -----------------------------------------------------------------------------------

    def fold(
        self, directory: Directory, histories: Mapping[bytes, str], found: FileColumns, gone: Sequence[bytes],
        now: Instant,
    ) -> bool:  # fmt: skip
        """Take in the histories of names and what a look then found. Return whether anything changed.

        ``histories``: what events reported of each name, in order. ``found`` and ``gone`` are the truth after it: the
        files that are there and count, and the names where none is. Folding the same fact twice changes nothing. A file
        that came and went in the history alone was never seen; it is taken for a regular file and counts as an arrival
        and a departure of no bytes. What is new arrived now.
        """
        lives = {name: histories[name] for name in found.names if LEFT in histories[name]}
        lives.update((name, histories[name] + LEFT) for name in gone if ARRIVED in histories[name])
        known = self.known(directory, lives) if lives else set()
        left, unseen = list[bytes](), list[bytes]()
        for name, history in lives.items():
            departed, passed = replayed(history, is_known=name in known)
            if departed:
                left.append(name)
            unseen.extend([name] * passed)
        changed = bool(left) and self.let_go(directory, left, now)
        if unseen:
            changed |= self._pass_through(directory, unseen, now)
        if found.names:
            changed |= bool(self.take_in(directory, found, now, now.steady, is_start=False))
        if gone:
            changed |= self.let_go(directory, gone, now)
        return changed

    def take_in(
        self, directory: Directory, files: FileColumns, now: Instant, absent_since: float, *, is_start: bool
    ) -> list[bytes]:
        """Take in files that a listing found. Return the names that were not as known.

        A new file arrived when its inode last changed, though not before ``absent_since`` (on the steady clock).
        ``is_start``: it was there before fexp looked, so it is no arrival.
        """
        different: list[bytes] = []
        for key, matching in self._groups.split(files, directory.below):
            new = matching
            table = directory.table_of(key)
            if table is not None:
                is_new, before, after = table.update(matching)
                if after.names:
                    self._modify(directory, key, table, before, after)
                    different.extend(after.names)
                if not any(is_new):
                    continue
                new = matching.where(is_new)
            if new.names:
                self._arrive(directory, key, new, now, absent_since, is_start=is_start)
                different.extend(new.names)
        return different

    def let_go(self, directory: Directory, names: Iterable[bytes], now: Instant) -> bool:
        """Let files depart, those of them that are known. Return whether any was."""
        changed = False
        for table, some in self._tables(directory, names):
            changed |= self._depart(directory, table, some, now)
        return changed

    def _tables(self, directory: Directory, names: Iterable[bytes]) -> list[tuple[Table, Iterable[bytes]]]:
        """Return the tables that may know files of these names, each with the names to ask it for."""
        tables = directory.tables
        if not isinstance(tables, _ManyTables):
            return [(table, names) for table in tables]
        names_of: dict[Hashable, list[bytes]] = {}
        for name in names:
            for key in self._grouping.keys_of(name, directory.below):
                names_of.setdefault(self._groups.kept(key), []).append(name)
        return [(tables.by_key[key], some) for key, some in names_of.items() if key in tables.by_key]

    def clear(self, directory: Directory, now: Instant) -> bool:
        """Let all files of a directory depart, at a price that hardly depends on their number.

        Return whether there were any. Their dwell times follow with ``observe_some``.
        """
        tables, directory.tables = directory.tables, ()
        for table in tables:
            group, files = self._group_of[table.key], table.files()
            self._record(Happening.DEPARTURE, table.key, directory, files)
            group.flow.depart(len(table), table.size_bytes, now)
            group.drop(table)
            self._gone.append(_Gone(table.key, files.names, directory.below, files.arrived_at, now))
            self._groups.end_if_empty(table.key, group)
        return bool(tables)

    @property
    def owes_dwells(self) -> bool:
        """Whether dwell times of files that departed are still to be observed."""
        return bool(self._gone)

    def observe_some(self, count: int) -> None:
        """Observe the dwell times of up to so many files whose directories departed."""
        while count > 0 and self._gone:
            gone = self._gone.pop()
            end = min(gone.observed + count, len(gone.names))
            names, arrived_at = gone.names[gone.observed : end], gone.arrived_at[gone.observed : end]
            self._groups.flow_of(gone.key).observe_dwells(names, gone.below, arrived_at, gone.left_at)
            if end < len(gone.names):
                self._gone.append(gone._replace(observed=end))
            count -= len(names)

    def known(self, directory: Directory, names: Iterable[bytes]) -> set[bytes]:
        """Return those of the names that a directory has a file of that counts."""
        return {name for table, some in self._tables(directory, names) for name in some if name in table}

    def missing(self, directory: Directory, names: Sequence[bytes]) -> list[bytes]:
        """Return the names of all files of a directory that it knows, but for these."""
        if all(table.names == names for table in directory.tables):
            return []
        return list(directory.names().difference(names))

    # What they are made of -----------------------------------------------------------------------------------------

    def _arrive(
        self, directory: Directory, key: Hashable, files: FileColumns, now: Instant, absent_since: float,
        *, is_start: bool,
    ) -> None:  # fmt: skip
        group = self._groups.of(key)
        table = directory.table_of(key)
        if table is None:
            table = Table(key, directory.below)
            directory.add_table(table)
        arrived_at = arrivals_of(files.changed_at, absent_since, now)
        known = KnownFiles(files.names, files.sizes, files.modified_at, files.inodes, arrived_at)
        table.fill(known)
        group.add(table, known)
        if not is_start:
            group.flow.arrive(len(known.names), sum(known.sizes), directory.below + known.names[-1], now)
        self._record(Happening.PRESENT if is_start else Happening.ARRIVAL, key, directory, known)

    def _depart(self, directory: Directory, table: Table, names: Iterable[bytes], now: Instant) -> bool:
        key, group = table.key, self._group_of[table.key]
        removed = table.remove(names)
        if not removed.names:
            return False
        group.remove(table, removed)
        group.flow.depart(len(removed.names), sum(removed.sizes), now)
        group.flow.observe_dwells(removed.names, directory.below, removed.arrived_at, now)
        if not table:
            directory.drop_table(table)
            self._groups.end_if_empty(key, group)
        self._record(Happening.DEPARTURE, key, directory, removed)
        return True

    def _pass_through(self, directory: Directory, names: Iterable[bytes], now: Instant) -> bool:
        """Count files that came and went unseen. Return whether any of them counts."""
        counts: Counter[Hashable] = Counter()
        latest: dict[Hashable, bytes] = {}
        for name in names:
            keys = self._grouping.keys_of(name, directory.below)
            for key in keys:
                counts[key] += 1
                latest[key] = name
            if self.changes is not None:
                unseen = KnownFiles([name], [0], [now.wall], [0], [now.steady])
                for happening in (Happening.ARRIVAL, Happening.DEPARTURE):
                    for key in keys:
                        self._record(happening, key, directory, unseen)
        for key, count in counts.items():
            group = self._groups.of(key)
            group.flow.arrive(count, 0, directory.below + latest[key], now)
            group.flow.depart(count, 0, now)
            group.flow.observe_dwells([latest[key]] * count, directory.below, [now.steady] * count, now)
            self._groups.end_if_empty(key, group)
        return bool(counts)

    def _modify(self, directory: Directory, key: Hashable, table: Table, before: KnownFiles, after: KnownFiles) -> None:
        group = self._group_of[key]
        group.change(table, before, after)
        group.flow.modify(before, after)
        self._record(Happening.MODIFICATION, key, directory, after, before)

    def _record(
        self,
        happening: Happening,
        key: Hashable,
        directory: Directory,
        files: KnownFiles,
        before: KnownFiles | None = None,
    ) -> None:
        if self.changes is not None:
            self.changes.append(Changed(happening, key, directory.below, files))
        if self.single_files is not None:
            if happening is Happening.DEPARTURE:
                self.single_files.remove(key, directory.below, files)
            else:
                self.single_files.remove(key, directory.below, before)
                self.single_files.add(key, directory.below, files)

    # What readers see ----------------------------------------------------------------------------------------------

    def refresh(self, directory: Directory) -> None:
        """Find the extremes of a directory now, so that a reader need not wait for it."""
        for table in directory.tables:
            self._group_of[table.key].tables.refresh(table)

    def groups(self, now: Instant) -> tuple[GroupSnapshot, ...]:
        """Return the numbers of every group as they are now."""
        return self._groups.snapshots(now)

    def pick(self, first: FirstFiles, folder: str, wants: Wants) -> None:
        """Pick files of the groups whose labels are wanted."""
        pick_from(first, folder, [group.tables for key, group in self._group_of.items() if wants(self.labels_of(key))])

    def labels_of(self, key: Hashable) -> Mapping[str, str]:
        """Return the labels of the group that shows a group."""
        return self._grouping.labels_of(self._groups.shown(self._groups.kept(key)))

    def labels_of_file(self, name: bytes, below: bytes) -> list[Mapping[str, str]]:
        """Return the labels of each group of a file."""
        return [self.labels_of(key) for key in self._grouping.keys_of(name, below)]

    @property
    def single_snapshots(self) -> tuple[SingleFile, ...]:
        """Return the files that are shown one by one."""
        if self.single_files is None:
            return ()
        shown, labels_of = self._groups.shown, self._grouping.labels_of
        return self.single_files.snapshots(lambda key: labels_of(shown(key)))

    @property
    def left_out(self) -> int | None:
        """How many groups and files have no series of their own because of a cap; None when there is no cap."""
        if self.single_files is None:
            return self._groups.left_out
        return (self._groups.left_out or 0) + self.single_files.left_out

    @property
    def moves(self) -> bool:
        """Return whether something differs from one moment to the next while no file changes."""
        return any(group.moves for group in self._group_of.values())

    def next_change_at(self, now: Instant) -> float:
        """Return when a number changes by time alone, on the steady clock; infinity for never."""
        return min((group.next_change_at(now) for group in self._group_of.values()), default=float("inf"))
