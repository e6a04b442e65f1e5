"""Groups that come with their files: one for each extension, and for what a regular expression finds in a path.

There may be any number of them. Those with the most files are shown by name, the others together as ``other``, so that
the numbers of what is there depend on nothing but the disk. What came and went is history:

* A group has event counters of its own from when it is first shown by name, and keeps them at no files, until another
  group needs its place. What it counts before that is part of ``other``.
* A group that loses its place gives its counters to ``other``, which never gives any back. Shown again it begins at 0,
  which to Prometheus is a counter that was reset.

So no counter goes back while it is shown; the sum over all groups never does, and always counts what happened once. An
increase of ``other`` alone may be a group that came to it.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fexp.counting.aggregates import Extreme
from fexp.counting.regex import search_function
from fexp.model import Histogram
from fexp.text import unambiguous

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from fexp.counting.aggregates import Make
    from fexp.counting.group_by import GroupBy
    from fexp.counting.selection import Selection

    Key = tuple[Any, ...]
    """A pattern or an extension, and the groups of the regex; or the key of a group that takes in what is too much."""
    Picks = Mapping[str, Callable[..., float | None]]

OTHER = "other"
_NO_EXTENSION = b""
_NO_MATCH = ()


class ByName:
    """Groups whose keys are a pattern or an extension, and what a regex finds."""

    is_open = True
    only = None

    def __init__(self, selection: Selection, group_by: GroupBy) -> None:
        self.by_extension = group_by.extensions_max > 0
        self.limits = (group_by.extensions_max or None, group_by.groups_max if group_by.regex else None)
        """How many of each part of the keys are shown by name; None for all."""
        self.lasting: tuple[Key, ...] = tuple(
            (first, _NO_MATCH) for first in ([_NO_EXTENSION] if self.by_extension else range(len(selection.patterns)))
        )
        self._patterns = selection.labels
        self._label_names = group_by.label_names
        patterns_of, extension_of = selection.patterns_of, _extension_function(selection, group_by)
        find = _find_function(group_by)

        def keys_of(name: bytes, below: bytes) -> tuple[Key, ...]:
            patterns: tuple[int, ...] = patterns_of(name, below)
            if not patterns:
                return ()
            found = find(below + name)
            if self.by_extension:
                return ((extension_of(name), found),)
            return tuple([(pattern, found) for pattern in patterns])

        self.keys_of = keys_of

    def labels_of(self, key: Hashable) -> Mapping[str, str]:
        """See ``Grouping.labels_of``."""
        first, found = cast("Key", key)[:2]
        pattern = _pattern_of_extension(first) if self.by_extension else self._patterns[first]
        if not found:
            return {"pattern": pattern, **dict.fromkeys(self._label_names, OTHER)}
        named = zip(self._label_names, found, strict=True)
        return {"pattern": pattern, **{name: unambiguous(value) for name, value in named if value}}

    def rest_of(self, key: Key) -> Key:
        """Return the group that shows a group which has no name."""
        first, found = key[:2]
        return _NO_EXTENSION if self.by_extension else first, _NO_MATCH if self._label_names else found


def _pattern_of_extension(extension: bytes) -> str:
    if extension == _NO_EXTENSION:
        return OTHER
    return "*." + re.sub(r"([*?\[])", r"[\1]", unambiguous(extension))


def _extension_function(selection: Selection, group_by: GroupBy) -> Callable[[bytes], bytes]:
    """Return the function from a name to its extension. A name of which nothing stands before it has none."""
    ignore_case = selection.ignore_case
    compounds = tuple(b"." + os.fsencode(extension) for extension in group_by.compound_extensions)
    if ignore_case:
        compounds = tuple(map(_lower, compounds))
    compounds = tuple(sorted(compounds, key=len, reverse=True))

    def extension_of(name: bytes) -> bytes:
        stem, _, extension = (_lower(name) if ignore_case else name).rpartition(b".")
        if not stem.lstrip(b"."):
            return _NO_EXTENSION
        whole = stem + b"." + extension if compounds else b""
        for compound in compounds:
            if whole.endswith(compound) and whole.lstrip(b".") != compound[1:]:
                return compound[1:]
        return extension

    return extension_of


def _lower(name: bytes) -> bytes:
    return os.fsencode(os.fsdecode(name).lower())


def _find_function(group_by: GroupBy) -> Callable[[bytes], tuple[bytes, ...]]:
    if not group_by.regex:
        return lambda _: _NO_MATCH
    search, other = search_function(group_by.regex), (OTHER.encode(),) * len(group_by.label_names)

    def find(path: bytes) -> tuple[bytes, ...]:
        found = search(path)
        return _NO_MATCH if found is None or found == other or not any(found) else found

    return find


class Naming:
    """Which groups are shown by name; see the head of this module."""

    def __init__(self, grouping: ByName) -> None:
        self.left_out = 0
        """Extensions and groups that have files and no name."""
        self._limits = grouping.limits
        self._named: tuple[dict[Hashable, None], ...] = tuple({} for _ in self._limits)
        self._rest_of = grouping.rest_of

    def shown(self, key: Key) -> Key:
        """Return the group that shows a group: itself, or one with ``other``."""
        rest = self._rest_of(key)
        return tuple([
            part if limit is None or part in named else other
            for part, other, named, limit in zip(key, rest, self._named, self._limits, strict=False)
        ])  # fmt: skip

    def admit(self, key: Key) -> None:
        """Name a group while there is room."""
        for part, other, named, limit in zip(key, self._rest_of(key), self._named, self._limits, strict=False):
            if limit is not None and part != other and len(named) < limit:
                named[part] = None

    def place(self, key: Key) -> list[float]:
        """Return the place of a group that is shown among all that are: by number of files, then what is ``other``."""
        return [
            part if limit is None and isinstance(part, int) else _places(named).get(part, inf)
            for part, named, limit in zip(key, self._named, self._limits, strict=True)
        ]

    def rank(self, files_of: Iterable[tuple[Key, int]]) -> bool:
        """Name the groups with the most files, given the files of each. Return whether names changed."""
        counts: tuple[Counter[Any], ...] = tuple(Counter() for _ in self._limits)
        for key, files in files_of:
            for part, other, count in zip(key, self._rest_of(key), counts, strict=False):
                if part != other:
                    count[part] += files
        self.left_out = 0
        changed = False
        for count, named, limit in zip(counts, self._named, self._limits, strict=True):
            if limit is not None:
                self.left_out += max(0, len(count) - limit)
                changed |= _give_places(named, count, limit)
        return changed


def _places(named: dict[Hashable, None]) -> dict[Hashable, int]:
    return {part: place for place, part in enumerate(named)}


def _give_places(named: dict[Hashable, None], count: Counter[Any], limit: int) -> bool:
    """Give the places to what is most frequent. Who had one longest and is not among them loses it first."""
    if len(count) <= limit and count.keys() <= named.keys():
        return False
    top = sorted(count, key=lambda part: (-count[part], part))[:limit]
    new = [part for part in top if part not in named]
    if not new:
        return False
    leaving = [part for part in named if part not in set(top)]
    for part in leaving[: max(0, len(named) + len(new) - limit)]:
        del named[part]
    named.update(dict.fromkeys(new))
    return True


class Numbers(NamedTuple):
    """The numbers about the files of a group."""

    values: Mapping[str, float | None]
    distributions: Mapping[str, Histogram]


def picks_of(makers: Sequence[Make]) -> Picks:
    """Return how the values of several groups are joined that are no sums, by name."""
    return {made.name: made.extremum.pick for made in (make() for make in makers) if isinstance(made, Extreme)}


def joined(groups: Iterable[tuple[Key, Numbers]], picks: Picks) -> dict[Key, Numbers]:
    """Join groups that have the same key. ``picks``: how to join the values that are no sums, by name."""
    parts: defaultdict[Key, list[Numbers]] = defaultdict(list)
    for key, numbers in groups:
        parts[key].append(numbers)
    return {key: some[0] if len(some) == 1 else _join(some, picks) for key, some in parts.items()}


def _join(parts: Sequence[Numbers], picks: Picks) -> Numbers:
    values: dict[str, float | None] = {}
    for name in parts[0].values:
        there = [value for part in parts if (value := part.values[name]) is not None]
        values[name] = picks[name](there, default=None) if name in picks else sum(there)
    distributions = {name: _sum([part.distributions[name] for part in parts]) for name in parts[0].distributions}
    return Numbers(values, distributions)


def _sum(histograms: Sequence[Histogram]) -> Histogram:
    counts = tuple(map(sum, zip(*[histogram.counts for histogram in histograms], strict=True)))
    return Histogram(histograms[0].bounds, counts, sum(histogram.sum for histogram in histograms))
