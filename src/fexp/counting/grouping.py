"""Which groups a file belongs to. Each group has numbers of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from fexp.counting.selection import Folder, Selection
    from fexp.model import FileColumns

    KeysOf = Callable[[bytes, bytes], tuple[Hashable, ...]]


class Grouping(Protocol):
    """Sorts the files of a folder into groups."""

    @property
    def lasting(self) -> tuple[Hashable, ...]:
        """Groups that are there without a file. All others come with their first file and go with their last."""
        ...

    @property
    def only(self) -> Hashable | None:
        """The group of all files that count, when there can be no other."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether any number of groups may come: it is a ``fexp.counting.naming.ByName`` then."""
        ...

    @property
    def keys_of(self) -> KeysOf:
        """The function from a file's name and its directory's path below the folder to its groups."""
        ...

    def labels_of(self, key: Hashable) -> Mapping[str, str]:
        """Return the labels of a group's series."""
        ...


class ByPattern:
    """One group for each pattern of a selection."""

    is_open = False

    def __init__(self, selection: Selection) -> None:
        self.keys_of: KeysOf = selection.patterns_of
        self.lasting = tuple(range(len(selection.patterns)))
        self.only = 0 if len(selection.patterns) == 1 and not selection.partials else None
        self._labels = [{"pattern": label} for label in selection.labels]

    def labels_of(self, key: Hashable) -> Mapping[str, str]:
        """See ``Grouping.labels_of``."""
        assert isinstance(key, int)
        return self._labels[key]


def grouping_of(folder: Folder) -> Grouping:
    """Return how the files of a folder are sorted."""
    if not (folder.group_by.extensions_max or folder.group_by.regex):
        return ByPattern(folder.selection)
    from fexp.counting.naming import ByName

    return ByName(folder.selection, folder.group_by)


def by_group(grouping: Grouping, files: FileColumns, below: bytes) -> Iterator[tuple[Hashable, FileColumns]]:
    """Yield each group with its share of a directory's files. All of them count."""
    if grouping.only is not None:
        yield grouping.only, files
        return
    keys_of_each = [grouping.keys_of(name, below) for name in files.names]
    if not grouping.is_open:
        for key in dict.fromkeys(key for keys in keys_of_each for key in keys):
            yield key, files.where(key in keys for keys in keys_of_each)
        return
    places: dict[Hashable, list[int]] = {}
    for place, keys in enumerate(keys_of_each):
        for key in keys:
            places.setdefault(key, []).append(place)
    for key, chosen in places.items():
        yield key, files if len(chosen) == len(files.names) else files.at(chosen)
