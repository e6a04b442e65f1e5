"""The state of a folder of which somebody asks how files arrive, or what they take up on the disk."""

from __future__ import annotations

from collections import defaultdict
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from fexp.counting.settling import Settling, partial_groups
from fexp.counting.state import FolderState
from fexp.counting.usage import DiskUsage
from fexp.model import LEFT

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from fexp.counting.aggregates import Make
    from fexp.counting.grouping import Grouping
    from fexp.counting.selection import Folder
    from fexp.counting.settling import Arriving
    from fexp.counting.state import Directory, Wants
    from fexp.listed import Listed
    from fexp.model import DiskUse, FileColumns, GroupSnapshot, Instant


class DetailedState(FolderState):
    """A state with numbers that need more than a table has. Other folders do not pay for them.

    It knows which files have settled. When only those count, it keeps the others back until they have.
    """

    def __init__(
        self, folder: Folder, grouping: Grouping, aggregates: Sequence[Make], dwell_bounds_seconds: tuple[float, ...]
    ) -> None:
        super().__init__(grouping, aggregates, dwell_bounds_seconds)
        measures = folder.measures
        self.disk_use: Mapping[bytes, DiskUse] = MappingProxyType({})
        """What the latest look found. Set before its files are taken in."""
        self._settling: Settling | None = None
        self._partial_groups_of = partial_groups(grouping, folder.selection)
        if measures.follows_arrivals:
            self._settling = Settling(measures, grouping.keys_of, self._partial_groups_of)
        self._usage = DiskUsage() if measures.disk_usage else None
        self._counts_settled = measures.counts_settled

    # What time alone changes ---------------------------------------------------------------------------------------

    @property
    def due_at(self) -> float:
        """Return when files are to be looked at again, on the steady clock; infinity for never."""
        return inf if self._settling is None else self._settling.due_at

    def due(self, now: float, most: int) -> Mapping[Directory, list[bytes]]:
        """See ``Settling.due``."""
        return {} if self._settling is None else self._settling.due(now, most)

    @property
    def other_changes(self) -> int:
        """Return how often a number changed that may change while no file is different."""
        settling = 0 if self._settling is None else self._settling.changes
        return settling + (0 if self._usage is None else self._usage.changes)

    # What events and looks found -----------------------------------------------------------------------------------

    def fold(
        self, directory: Directory, histories: Mapping[bytes, str], found: FileColumns, gone: Sequence[bytes],
        now: Instant,
    ) -> bool:  # fmt: skip
        """See ``FolderState.fold``. When only settled files count, those that came and went unseen never did."""
        before, changed = self.other_changes, False
        if self._settling is not None:
            replaced = [name for name in found.names if LEFT in histories[name]]
            self._settling.let_go(directory, replaced)
            self._settling.read(directory, histories, found.names, now)
            if self._counts_settled:
                changed = super().let_go(directory, replaced, now)
                histories = dict.fromkeys([*found.names, *gone], "")
        changed |= super().fold(directory, histories, found, gone, now)
        return changed or self.other_changes != before

    def take_in(
        self, directory: Directory, files: FileColumns, now: Instant, absent_since: float, *, is_start: bool
    ) -> list[bytes]:
        """See ``FolderState.take_in``. What has settled since is not different: it was known."""
        kept_back: set[bytes] = set()
        if self._settling is not None:
            if self._counts_settled:
                kept_back = self._kept_back(directory, files.names)
            self._settling.look(directory, files, now, is_start=is_start)
            if self._counts_settled:
                unsettled = self._kept_back(directory, files.names)
                files = files.where(name not in unsettled for name in files.names) if unsettled else files
        different = super().take_in(directory, files, now, absent_since, is_start=is_start)
        if self._usage is not None:
            self._measure(self._usage, directory, files.names)
        return [name for name in different if name not in kept_back] if kept_back else different

    def _kept_back(self, directory: Directory, names: Sequence[bytes]) -> set[bytes]:
        """Return those of the names whose files do not count yet."""
        assert self._settling is not None
        is_unsettled, known = self._settling.is_unsettled, self.known(directory, names)
        return {name for name in names if name not in known and is_unsettled(directory, name)}

    def _measure(self, usage: DiskUsage, directory: Directory, names: Iterable[bytes]) -> None:
        groups_of: defaultdict[bytes, tuple[Hashable, ...]] = defaultdict(tuple)
        for table, some in self._tables(directory, names):
            for name in some:
                if name in table and name in self.disk_use:
                    groups_of[name] += (table.key,)
        for name, groups in groups_of.items():
            usage.put(directory, name, self.disk_use[name], groups)

    def let_go(self, directory: Directory, names: Iterable[bytes], now: Instant) -> bool:
        """See ``FolderState.let_go``."""
        names, before = list(names), self.other_changes
        for part in (self._settling, self._usage):
            if part is not None:
                part.let_go(directory, names)
        return super().let_go(directory, names, now) or self.other_changes != before

    def clear(self, directory: Directory, now: Instant) -> bool:
        """See ``FolderState.clear``."""
        before = self.other_changes
        for part in (self._settling, self._usage):
            if part is not None:
                part.clear(directory)
        return super().clear(directory, now) or self.other_changes != before

    # What readers see ----------------------------------------------------------------------------------------------

    def missing(self, directory: Directory, names: Sequence[bytes]) -> list[bytes]:
        """See ``FolderState.missing``."""
        if self._settling is None:
            return super().missing(directory, names)
        return list((directory.names() | self._settling.names(directory)).difference(names))

    def groups(self, now: Instant) -> tuple[GroupSnapshot, ...]:
        """See ``FolderState.groups``."""
        return self._groups.snapshots(now, self)

    @property
    def arriving_in(self) -> list[Directory]:
        """Return the directories in which files are followed until they have settled or stalled."""
        return [] if self._settling is None else self._settling.directories

    def arriving(self, directory: Directory, listed: Listed, wants: Wants) -> Arriving:
        """Return the files of a directory that are on their way, in groups whose labels are wanted."""
        assert self._settling is not None
        return self._settling.arriving(directory, listed, lambda key: wants(self.labels_of(key)))

    def labels_of_file(self, name: bytes, below: bytes) -> list[Mapping[str, str]]:
        """See ``FolderState.labels_of_file``. A partial upload has those of the file that it will be."""
        keys = self._grouping.keys_of(name, below) or self._partial_groups_of(name, below)
        return [self.labels_of(key) for key in keys]

    @property
    def other_keys(self) -> Iterable[Hashable]:
        """Return the groups that have files which are arriving, counted or not."""
        return () if self._settling is None else self._settling.keys

    def other_values(self, key: Hashable) -> Mapping[str, float]:
        """Return the numbers of a group that are not the state's own."""
        values = {} if self._settling is None else self._settling.values(key)
        if self._usage is not None:
            values["disk_usage_bytes"] = self._usage.value(key)
        return values

    def surplus(self, shown: Callable[[Hashable], Hashable]) -> Mapping[Hashable, Mapping[str, int]]:
        """Return what groups that are shown as one have more than once: files with names in several of them."""
        doubled = {} if self._usage is None else self._usage.doubled(shown)
        return {key: {"disk_usage_bytes": size_bytes} for key, size_bytes in doubled.items()}
