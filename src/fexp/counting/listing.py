"""Which files are the oldest, the largest and so on: the first few of a list, without sorting all.

Where extremes of runs of files are kept, only runs that may hold one of the first are looked into.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from heapq import heappop, heappush, nsmallest
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from fexp.counting.aggregates import (
    FUTURE_SECONDS,
    LargestFile,
    NewestModification,
    OldestModification,
    SmallestFile,
)
from fexp.listed import Listed, ListedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.aggregates import Extreme
    from fexp.counting.extremes import Extremum
    from fexp.counting.table import Table
    from fexp.counting.tables import Tables
    from fexp.model import KnownFiles

    Entry = tuple[float, bytes, str, int, float, float]
    """Rank, path below the folder, the folder's label, size, modification time, and when it arrived or last changed."""


class _Order(NamedTuple):
    """How a list sorts."""

    extreme: type[Extreme]
    """What the first file is."""
    number: str
    """The name of the number of files in the list."""
    zero: Extremum | None = None
    """Where this extreme is not 0, there is no file of the list."""

    @property
    def sign(self) -> int:
        """Ranks are the extreme's column, with the other sign for a maximum."""
        return 1 if self.extreme.extremum.pick is min else -1


_ORDERS = {
    Listed.OLDEST: _Order(OldestModification, "files"),
    Listed.NEWEST: _Order(NewestModification, "files"),
    Listed.LARGEST: _Order(LargestFile, "files"),
    Listed.SMALLEST: _Order(SmallestFile, "files"),
    Listed.EMPTY: _Order(OldestModification, "empty_files", SmallestFile.extremum),
    Listed.FUTURE: _Order(NewestModification, "future_files"),
}
ARRIVING = (Listed.UNSETTLED, Listed.STALLED)
"""Lists of what tables do not know: see ``fexp.counting.settling``."""
NUMBERS = {
    **{listed: order.number for listed, order in _ORDERS.items()},
    Listed.UNSETTLED: "unsettled_files",
    Listed.STALLED: "stalled_files",
}
"""The name of the number of files in a list. A folder without that number was not asked for it."""


def promise(listed: Listed, numbers: Mapping[str, float | None]) -> float:
    """Return the rank of the first file of a list in a group, or a smaller one, by the group's numbers.

    Infinity when it has none.
    """
    if not numbers.get(NUMBERS[listed]):
        return inf
    if listed in ARRIVING:
        return -inf
    order = _ORDERS[listed]
    extreme = numbers[order.extreme.name]
    return inf if extreme is None else order.sign * extreme


class FirstFiles:
    """The first files of a list, so many at most, in order. They may be given to it in any."""

    def __init__(self, listed: Listed, files_max: int, now_wall: float) -> None:
        self.listed = listed
        self.count = 0
        """How many files of the list it was given."""
        self.entries: list[Entry] = []
        self._files_max = files_max
        self._latest = now_wall + FUTURE_SECONDS

    @property
    def bound(self) -> float:
        """Return the rank from which on a file is not picked, unless it is like the last by its rank."""
        if len(self.entries) == self._files_max:
            return self.entries[-1][0]
        return -self._latest if self.listed is Listed.FUTURE else inf

    def add(self, folder: str, below: bytes, files: KnownFiles) -> None:
        """Take in files of one directory. Of those whose ranks are alike, the first by path is picked."""
        places, ranks = self._ranked(files)
        bound = self.bound
        if len(self.entries) < self._files_max < len(ranks):
            bound = nsmallest(self._files_max, ranks)[-1]
        names, sizes, modified_at, _, arrived_at = files
        found = (
            (rank, below + names[place], folder, sizes[place], modified_at[place], arrived_at[place])
            for rank, place in zip(ranks, places, strict=True)
            if rank <= bound
        )
        self.merge(found, len(ranks))

    def _ranked(self, files: KnownFiles) -> tuple[Sequence[int], list[float]]:
        """Return the places of the files that belong to the list, and their ranks: the smaller the sooner."""
        if self.listed is Listed.EMPTY:
            places = [place for place, size in enumerate(_values(files.sizes)) if not size]
            return places, [files.modified_at[place] for place in places]
        if self.listed is Listed.FUTURE:
            times = _values(files.modified_at)
            places = [place for place, modified_at in enumerate(times) if modified_at > self._latest]
            return places, [-times[place] for place in places]
        order = _ORDERS[self.listed]
        column = _values(getattr(files, order.extreme.extremum.column))
        return range(len(column)), list(column) if order.sign > 0 else [-number for number in column]

    def merge(self, entries: Iterable[Entry], files: int) -> None:
        """Take in so many files of the list, among which these come first. One that is there already is one."""
        self.count += files
        for entry in nsmallest(self._files_max, entries):
            at = bisect_left(self.entries, entry)
            if at < self._files_max and self.entries[at : at + 1] != [entry]:
                self.entries.insert(at, entry)
                del self.entries[self._files_max :]


def _values(column: Sequence[Any]) -> Sequence[Any]:
    return column.tolist() if isinstance(column, memoryview) else column


def listed_file(entry: Entry, groups: Sequence[Mapping[str, str]], ahead_seconds: float = 0.0) -> ListedFile:
    """Return a file that was picked, given the labels of its groups. So far is Unix time ahead of the entry's."""
    _, path, folder, size_bytes, modified_at, at = entry
    labels = {name: value for name, value in groups[0].items() if name != "pattern"} if groups else {}
    patterns = tuple(dict.fromkeys(one["pattern"] for one in groups))
    return ListedFile(folder, path, patterns, labels, size_bytes, modified_at, at + ahead_seconds)


class _Runs(NamedTuple):
    """Runs of files, or of tables, the most promising first."""

    ranks: Sequence[float]
    places: Iterator[int]
    open: Callable[[int], None]


def pick_from(first: FirstFiles, folder: str, groups: Iterable[Tables]) -> None:
    """Pick from the files of some groups, by what tables know. Of files whose ranks are alike it picks any.

    The price hardly depends on how many files there are: it opens the most promising run of files, and the next, until
    none is left that is more promising than the last file picked.
    """
    order, serials = _ORDERS[first.listed], count()
    sign, extremum, zero = order.sign, order.extreme.extremum, order.zero
    frontier: list[tuple[float, int, int, _Runs]] = []

    def put(runs_of: Callable[[Extremum], Sequence[float]], open_: Callable[[int], None]) -> None:
        extremes = runs_of(extremum)
        ranks = extremes if sign > 0 else [-extreme for extreme in extremes]
        places = range(len(ranks)) if zero is None else [at for at, least in enumerate(runs_of(zero)) if not least]
        put_next(_Runs(ranks, iter(sorted(places, key=ranks.__getitem__)), open_))

    def put_next(runs: _Runs) -> None:
        for place in runs.places:
            heappush(frontier, (runs.ranks[place], next(serials), place, runs))
            return

    def open_tables(tables: Tables, run: int) -> None:
        some = tables.run(run)
        put(partial(tables.run_extremes, run), lambda place: put(some[place].runs, partial(open_files, some[place])))

    def open_files(table: Table, run: int) -> None:
        first.add(folder, table.below, table.run(run))

    for tables in groups:
        tables.extremes()
        put(tables.runs, partial(open_tables, tables))
    while frontier and frontier[0][0] < first.bound:
        _, _, place, runs = heappop(frontier)
        runs.open(place)
        put_next(runs)
