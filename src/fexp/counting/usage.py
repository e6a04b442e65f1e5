"""What files take up on the disk: blocks, and those of a file with several names once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from fexp.counting.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from fexp.counting.state import Directory
    from fexp.model import DiskUse

    Groups = tuple[Hashable, ...]


class _Link:
    """A file with several names."""

    __slots__ = ("names", "size_bytes")

    def __init__(self) -> None:
        self.names: dict[Hashable, int] = {}
        """How many are known, by group."""
        self.size_bytes = 0


class _Place:
    """The files of one directory."""

    __slots__ = ("files", "linked", "size_bytes")

    def __init__(self) -> None:
        self.files: dict[bytes, tuple[DiskUse, Groups]] = {}
        self.linked: set[bytes] = set()
        """Those with several names."""
        self.size_bytes = Sums()
        """Of all others, by group."""


class DiskUsage:
    """The sums of a folder's groups."""

    def __init__(self) -> None:
        self.changes = 0
        """How often a sum changed."""
        self._places: dict[Directory, _Place] = {}
        self._sums_bytes = Sums()
        self._links: dict[tuple[int, int], _Link] = {}
        self._spread_bytes = Sums()
        """What files with names in several groups take up, by the set of these groups."""

    def value(self, key: Hashable) -> int:
        """Return the sum of a group."""
        return self._sums_bytes[key]

    def doubled(self, shown: Callable[[Hashable], Hashable]) -> Mapping[Hashable, int]:
        """Return what groups that are shown as one count more than once, by what shows them."""
        doubled = Sums()
        for groups, size_bytes in self._spread_bytes.items():
            for key, times in Counter(map(shown, cast("frozenset[Hashable]", groups))).items():
                doubled.add(key, (times - 1) * size_bytes)
        return doubled

    def put(self, directory: Directory, name: bytes, use: DiskUse, groups: Groups) -> None:
        """Take in what a file takes up now."""
        place = self._places.get(directory)
        if place is None:
            place = self._places[directory] = _Place()
        elif name in place.files:
            if place.files[name] == (use, groups) and use.link is None:
                return
            self._take_out(place, name)
        place.files[name] = use, groups
        self.changes += 1
        if use.link is None:
            self._add(place, groups, use.size_bytes)
            return
        place.linked.add(name)
        link = self._links.setdefault(use.link, _Link())
        self._count(link, -1)
        link.size_bytes = use.size_bytes
        for key in groups:
            link.names[key] = link.names.get(key, 0) + 1
        self._count(link, 1)

    def let_go(self, directory: Directory, names: Iterable[bytes]) -> None:
        """Forget files that are gone."""
        place = self._places.get(directory)
        if place is None:
            return
        for name in names:
            if name in place.files:
                self._take_out(place, name)
                self.changes += 1
        if not place.files:
            del self._places[directory]

    def clear(self, directory: Directory) -> None:
        """Forget all files of a directory, at the price of those with several names."""
        place = self._places.pop(directory, None)
        if place is not None:
            for name in tuple(place.linked):
                self._take_out(place, name)
            self._sums_bytes.take_out(place.size_bytes)
            self.changes += 1

    def _add(self, place: _Place, groups: Groups, size_bytes: int) -> None:
        for key in groups:
            place.size_bytes.add(key, size_bytes)
            self._sums_bytes.add(key, size_bytes)

    def _take_out(self, place: _Place, name: bytes) -> None:
        use, groups = place.files.pop(name)
        if use.link is None:
            self._add(place, groups, -use.size_bytes)
            return
        place.linked.discard(name)
        link = self._links[use.link]
        self._count(link, -1)
        for key in groups:
            link.names[key] -= 1
            if not link.names[key]:
                del link.names[key]
        self._count(link, 1)
        if not link.names:
            del self._links[use.link]

    def _count(self, link: _Link, times: int) -> None:
        for key in link.names:
            self._sums_bytes.add(key, times * link.size_bytes)
        if len(link.names) > 1:
            self._spread_bytes.add(frozenset(link.names), times * link.size_bytes)
