"""What files take up on the disk: blocks, and those of a file with several names once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from fexp.counting.state import Directory
    from fexp.model import DiskUse

    Groups = tuple[Hashable, ...]
    Link = tuple[Hashable, tuple[int, int]]
    """A file with several names, in one group."""


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
        self._links: dict[Link, tuple[int, int]] = {}
        """How many names are known of each, and what it takes up."""

    def value(self, key: Hashable) -> int:
        """Return the sum of a group."""
        return self._sums_bytes[key]

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
        for key in groups:
            names, size_bytes = self._links.get((key, use.link), (0, 0))
            self._links[key, use.link] = names + 1, use.size_bytes
            self._sums_bytes.add(key, use.size_bytes - size_bytes)

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
        for key in groups:
            names, size_bytes = self._links.pop((key, use.link))
            if names > 1:
                self._links[key, use.link] = names - 1, size_bytes
            else:
                self._sums_bytes.add(key, -size_bytes)
