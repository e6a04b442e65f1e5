"""What one look can say of numbers that ``fexp watch`` keeps with a history: by change times, for it has none."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from fexp.counting.grouping import by_group
from fexp.counting.settling import partial_groups

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from fexp.counting.grouping import Grouping
    from fexp.counting.selection import Folder
    from fexp.model import DiskUse, FileColumns, Instant


class Tally:
    """The numbers of a folder's groups, those that a one-shot was asked for."""

    def __init__(self, folder: Folder, grouping: Grouping, now: Instant) -> None:
        self._measures = folder.measures
        self._grouping = grouping
        self._partial_groups = partial_groups(grouping, folder.selection)
        self._now = now
        self._unsettled: Counter[Hashable] = Counter()
        self._stalled: Counter[Hashable] = Counter()
        self._used_bytes: Counter[Hashable] = Counter()
        """Without what is linked."""
        self._linked_bytes: defaultdict[Hashable, dict[tuple[int, int], int]] = defaultdict(dict)
        """By group and inode."""

    def take_in(self, files: FileColumns, disk_use: Mapping[bytes, DiskUse], below: bytes) -> FileColumns:
        """Take in the files of a directory. Return those that count."""
        if self._measures.stall_after_seconds is not None:
            self._count_stalled(files, below, self._now.wall - self._measures.stall_after_seconds)
        if self._measures.settle_seconds is not None:
            files = self._settled(files, below, self._now.wall - self._measures.settle_seconds)
        if self._measures.disk_usage:
            self._add_up(files, disk_use, below)
        return files

    def _count_stalled(self, files: FileColumns, below: bytes, until: float) -> None:
        for name, changed_at in zip(files.names, files.changed_at, strict=True):
            if changed_at <= until:
                self._stalled.update(self._partial_groups(name, below))

    def _settled(self, files: FileColumns, below: bytes, until: float) -> FileColumns:
        unsettled = files.where(changed_at > until for changed_at in files.changed_at)
        for key, matching in by_group(self._grouping, unsettled, below):
            self._unsettled[key] += len(matching.names)
        if not self._measures.counts_settled:
            return files
        return files.where(changed_at <= until for changed_at in files.changed_at)

    def _add_up(self, files: FileColumns, disk_use: Mapping[bytes, DiskUse], below: bytes) -> None:
        for key, matching in by_group(self._grouping, files, below):
            for name in matching.names:
                size_bytes, link = disk_use[name]
                if link is None:
                    self._used_bytes[key] += size_bytes
                else:
                    self._linked_bytes[key][link] = size_bytes

    @property
    def keys(self) -> Iterable[Hashable]:
        """Return the groups that have numbers."""
        return {*self._unsettled, *self._stalled, *self._used_bytes, *self._linked_bytes}

    def join(self, key: Hashable, other: Hashable) -> None:
        """Add the numbers of a group to those of another."""
        for counts in (self._unsettled, self._stalled, self._used_bytes):
            counts[other] += counts.pop(key, 0)
        self._linked_bytes[other].update(self._linked_bytes.pop(key, {}))

    def values(self, key: Hashable) -> dict[str, float | None]:
        """Return the numbers of a group."""
        values: dict[str, float | None] = {}
        if self._measures.settle_seconds is not None:
            values["unsettled_files"] = self._unsettled[key]
        if self._measures.stall_after_seconds is not None:
            values["stalled_files"] = self._stalled[key]
        if self._measures.disk_usage:
            linked_bytes = self._linked_bytes.get(key, {})
            values["disk_usage_bytes"] = self._used_bytes[key] + sum(linked_bytes.values())
        return values

    @property
    def state(self) -> tuple[dict[Any, Any], ...]:
        """Return all that it has taken in, as plain values."""
        return dict(self._unsettled), dict(self._stalled), dict(self._used_bytes), dict(self._linked_bytes)

    def merge(self, state: tuple[dict[Any, Any], ...]) -> None:
        """Take in what another has taken in."""
        unsettled, stalled, used_bytes, linked_bytes = state
        self._unsettled.update(unsettled)
        self._stalled.update(stalled)
        self._used_bytes.update(used_bytes)
        for key, of_group in linked_bytes.items():
            self._linked_bytes[key].update(of_group)
