"""Which files are still arriving, by when fexp saw them change: their modification times say nothing of that.

Pure, as ``fexp.counting.state``. Time alone settles and stalls files; before it does, they are to be looked at again,
so that no lost event makes a difference.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from fexp.counting.sums import Sums
from fexp.listed import Listed
from fexp.model import ARRIVED, CLOSED, LEFT, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from fexp.counting.grouping import Grouping
    from fexp.counting.listing import Entry
    from fexp.counting.measures import Measures
    from fexp.counting.selection import Selection
    from fexp.counting.state import Directory
    from fexp.model import FileColumns, Instant

    GroupsOf = Callable[[bytes, bytes], tuple[Hashable, ...]]
    """From a file's name and its directory's path below the folder."""

_WRITING_SECONDS = 3600.0
"""A write that nothing closes counts for so long, when nobody says after how long an upload has stalled."""
_SWEEP_FROM = 1024


def partial_groups(grouping: Grouping, selection: Selection) -> GroupsOf:
    """Return the function from an upload under way to its groups, none for any other file.

    They are those of the finished file; all of them, when its name does not yet say which.
    """

    def groups_of(name: bytes, below: bytes) -> tuple[Hashable, ...]:
        finished = selection.finished_name(name, below)
        return () if finished is None else grouping.keys_of(finished, below) or grouping.lasting

    return groups_of


def is_being_written(history: str) -> bool | None:
    """Return whether a file was written and not closed since; None when its history does not say."""
    begins = max(history.rfind(ARRIVED), history.rfind(LEFT)) + 1
    written, closed = history.rfind(WRITTEN, begins), history.rfind(CLOSED, begins)
    if written == closed:
        return False if begins else None
    return written > closed


class _File:
    """A file that time alone will change, or a partial upload."""

    __slots__ = (
        "changed_at", "groups", "is_stalled", "is_unsettled", "modified_at", "partial_groups", "queued_at",
        "size_bytes",
    )  # fmt: skip

    def __init__(self, groups: tuple[Hashable, ...], partial_groups: tuple[Hashable, ...]) -> None:
        self.groups = groups
        """Where it counts as unsettled."""
        self.partial_groups = partial_groups
        """Where it counts as stalled."""
        self.changed_at = -inf
        """When fexp saw that, on the steady clock."""
        self.size_bytes = 0
        self.modified_at = 0.0
        self.is_unsettled = self.is_stalled = False
        self.queued_at = inf
        """When its entry in the queue is due."""


class _Place:
    """The files of one directory."""

    __slots__ = ("files", "seen", "stalled", "unsettled", "written_at")

    def __init__(self) -> None:
        self.seen: dict[bytes, int] = {}
        """By name: a hash of all that would show a change."""
        self.files: dict[bytes, _File] = {}
        self.written_at: dict[bytes, float] = {}
        """When files were written that were not closed since."""
        self.unsettled = Sums()
        self.stalled = Sums()
        """How many there are, by group."""


class _Due(NamedTuple):
    at: float
    serial: int
    """Sorts what is due at one time."""
    directory: Directory
    name: bytes
    file: _File


class Arriving(NamedTuple):
    """Copies of what is known of a directory's files, among which are those of a list."""

    listed: Listed
    below: bytes
    groups: frozenset[Hashable]
    names: list[bytes]
    files: list[_File]

    def entries(self, folder: str) -> list[Entry]:
        """Return the files of the list, those first that changed longest ago."""
        return [
            (file.changed_at, self.below + name, folder, file.size_bytes, file.modified_at, file.changed_at)
            for name, file in zip(self.names, self.files, strict=True)
            if not self.groups.isdisjoint(self._groups_of(file))
        ]

    def _groups_of(self, file: _File) -> tuple[Hashable, ...]:
        if self.listed is Listed.UNSETTLED:
            return file.groups if file.is_unsettled else ()
        return file.partial_groups if file.is_stalled else ()


class Settling:
    """Follows the files of one folder until they have settled, and partial uploads until they have stalled."""

    def __init__(self, measures: Measures, groups_of: GroupsOf, partial_groups_of: GroupsOf) -> None:
        self.changes = 0
        """How often a number changed."""
        self._settle_seconds = inf if measures.settle_seconds is None else measures.settle_seconds
        self._stall_after_seconds = inf if measures.stall_after_seconds is None else measures.stall_after_seconds
        self._writing_seconds = measures.stall_after_seconds or _WRITING_SECONDS
        self._groups_of = groups_of if measures.settle_seconds is not None else _no_groups
        self._partial_groups_of = partial_groups_of if measures.stall_after_seconds is not None else _no_groups
        self._places: dict[Directory, _Place] = {}
        self._unsettled = Sums()
        self._stalled = Sums()
        self._queue: list[_Due] = []
        """A heap. Entries may be out of date."""
        self._followed = 0
        """How many files may be due."""
        self._serials = count()

    # What events and looks found -----------------------------------------------------------------------------------

    def read(self, directory: Directory, histories: Mapping[bytes, str], names: Iterable[bytes], now: Instant) -> None:
        """Take in what events reported of files that are there, before the look that followed."""
        for name in names if self._settle_seconds < inf else ():
            is_written = is_being_written(histories[name])
            if is_written:
                self._place(directory).written_at[name] = now.steady
            elif is_written is False and directory in self._places:
                self._places[directory].written_at.pop(name, None)

    def look(self, directory: Directory, files: FileColumns, now: Instant, *, is_start: bool) -> None:
        """Take in what a look found. ``is_start``: the best that is known of when a file changed is its change time."""
        place, below = self._place(directory), directory.below
        known, seen = place.files, place.seen
        for name, size, modified_at, changed_at, inode in zip(*files, strict=True):
            fingerprint = hash((size, modified_at, changed_at, inode))
            file, is_changed = known.get(name), seen.get(name) != fingerprint
            if file is None and (is_changed or name in place.written_at):
                file = _File(self._groups_of(name, below), self._partial_groups_of(name, below))
                if not (file.groups or file.partial_groups):
                    continue
                known[name] = file
                self._followed += 1
            if is_changed and file is not None:
                seen[name] = fingerprint
                was_changed_at = changed_at - now.wall + now.steady if is_start else inf
                file.changed_at = min(now.steady, was_changed_at)
                file.size_bytes, file.modified_at = size, modified_at
            if file is not None:
                self._judge(directory, place, name, file, now.steady)
        if not seen:
            del self._places[directory]

    def let_go(self, directory: Directory, names: Iterable[bytes]) -> None:
        """Forget files that are gone."""
        place = self._places.get(directory)
        if place is None:
            return
        for name in names:
            if place.seen.pop(name, None) is not None:
                place.written_at.pop(name, None)
                file = place.files.pop(name, None)
                if file is not None:
                    self._followed -= 1
                    self._mark(place, file, is_unsettled=False, is_stalled=False)
        if not place.seen:
            del self._places[directory]

    def clear(self, directory: Directory) -> None:
        """Forget all files of a directory."""
        place = self._places.pop(directory, None)
        if place is None:
            return
        self._followed -= len(place.files)
        if place.unsettled or place.stalled:
            self._unsettled.take_out(place.unsettled)
            self._stalled.take_out(place.stalled)
            self.changes += 1

    # What follows --------------------------------------------------------------------------------------------------

    def names(self, directory: Directory) -> set[bytes]:
        """Return the names of the files that are known."""
        place = self._places.get(directory)
        return set(place.seen) if place is not None else set()

    def is_unsettled(self, directory: Directory, name: bytes) -> bool:
        """Return whether a file has not settled."""
        place = self._places.get(directory)
        file = place.files.get(name) if place is not None else None
        return file is not None and file.is_unsettled

    @property
    def directories(self) -> list[Directory]:
        """Return the directories in which files are followed."""
        return list(self._places)

    def arriving(self, directory: Directory, listed: Listed, wants: Callable[[Hashable], bool]) -> Arriving:
        """Return the files of a directory that have not settled, or have stalled, in groups that are wanted."""
        place = self._places.get(directory)
        counts = None if place is None else place.unsettled if listed is Listed.UNSETTLED else place.stalled
        groups = frozenset(filter(wants, counts or ()))
        if place is None or not groups:
            return Arriving(listed, directory.below, groups, [], [])
        return Arriving(listed, directory.below, groups, list(place.files), list(place.files.values()))

    @property
    def due_at(self) -> float:
        """Return when files are to be looked at again, on the steady clock; infinity for never."""
        return self._queue[0].at if self._queue else inf

    def due(self, now: float, most: int) -> Mapping[Directory, list[bytes]]:
        """Return files that are to be looked at now, for else time alone would change what they are."""
        names: defaultdict[Directory, list[bytes]] = defaultdict(list)
        while most and self.due_at <= now:
            due = heappop(self._queue)
            if not self._is_valid(due):
                continue
            _, _, directory, name, file = due
            file.queued_at, place = inf, self._places[directory]
            if self._next_at(place, name, file) > now:
                self._put(directory, place, name, file)
            else:
                names[directory].append(name)
                most -= 1
        return names

    @property
    def keys(self) -> Iterable[Hashable]:
        """Return the groups that have unsettled or stalled files."""
        return self._unsettled.keys() | self._stalled.keys()

    def values(self, key: Hashable) -> dict[str, float]:
        """Return the numbers of a group, those that are asked for."""
        values: dict[str, float] = {}
        if self._settle_seconds < inf:
            values["unsettled_files"] = self._unsettled[key]
        if self._stall_after_seconds < inf:
            values["stalled_files"] = self._stalled[key]
        return values

    # What they are made of -----------------------------------------------------------------------------------------

    def _place(self, directory: Directory) -> _Place:
        place = self._places.get(directory)
        if place is None:
            place = self._places[directory] = _Place()
        return place

    def _settles_at(self, place: _Place, name: bytes, file: _File) -> float:
        if not file.groups:
            return -inf
        written_until = place.written_at.get(name, -inf) + self._writing_seconds
        return max(file.changed_at + self._settle_seconds, written_until)

    def _next_at(self, place: _Place, name: bytes, file: _File) -> float:
        settles_at = self._settles_at(place, name, file) if file.is_unsettled else inf
        may_stall = file.partial_groups and not file.is_stalled
        return min(settles_at, file.changed_at + self._stall_after_seconds if may_stall else inf)

    def _judge(self, directory: Directory, place: _Place, name: bytes, file: _File, now: float) -> None:
        """Take note whether a file that was looked at has settled or stalled."""
        is_unsettled = now < self._settles_at(place, name, file)
        is_stalled = bool(file.partial_groups) and now >= file.changed_at + self._stall_after_seconds
        self._mark(place, file, is_unsettled=is_unsettled, is_stalled=is_stalled)
        if not is_unsettled:
            place.written_at.pop(name, None)
        if is_unsettled or file.partial_groups:
            self._put(directory, place, name, file)
        else:
            del place.files[name]
            self._followed -= 1

    def _mark(self, place: _Place, file: _File, *, is_unsettled: bool, is_stalled: bool) -> None:
        if is_unsettled != file.is_unsettled:
            file.is_unsettled = is_unsettled
            self._add(file.groups, 1 if is_unsettled else -1, self._unsettled, place.unsettled)
        if is_stalled != file.is_stalled:
            file.is_stalled = is_stalled
            self._add(file.partial_groups, 1 if is_stalled else -1, self._stalled, place.stalled)

    def _add(self, groups: Iterable[Hashable], number: int, *counts: Sums) -> None:
        self.changes += 1
        for of_group in counts:
            for key in groups:
                of_group.add(key, number)

    def _put(self, directory: Directory, place: _Place, name: bytes, file: _File) -> None:
        """Have a file looked at when time will change it. An entry that is due sooner does it too."""
        due_at = self._next_at(place, name, file)
        if due_at < file.queued_at:
            file.queued_at = due_at
            heappush(self._queue, _Due(due_at, next(self._serials), directory, name, file))
            if len(self._queue) > _SWEEP_FROM + 2 * self._followed:
                self._queue = [due for due in self._queue if self._is_valid(due)]
                heapify(self._queue)

    def _is_valid(self, due: _Due) -> bool:
        place = self._places.get(due.directory)
        return place is not None and place.files.get(due.name) is due.file and due.file.queued_at == due.at


def _no_groups(_name: bytes, _below: bytes) -> tuple[Hashable, ...]:
    return ()
