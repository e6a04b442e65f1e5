"""What a job did to its folders: the difference between a look before it and one after it."""

from __future__ import annotations

from contextlib import suppress
from operator import add
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, cast

from fexp.counting.grouping import by_group, grouping_of
from fexp.disk.scan import list_directory
from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from fexp.counting.grouping import Grouping
    from fexp.counting.naming import ByName, Key
    from fexp.counting.selection import Folder

    Sizes = dict[bytes, int]
    """By path below the folder."""
    Contents = dict[Hashable, Sizes]
    """By group."""

_LOOK_SECONDS = 60.0
"""A folder that hangs must not keep the job waiting for ever."""


class Difference(NamedTuple):
    """What was consumed and produced between two looks."""

    consumed_files: int
    consumed_bytes: int
    produced_files: int
    produced_bytes: int


def difference(before: Sizes, after: Sizes) -> Difference:
    """Compare two looks. A file is its path; what grew was produced, what shrank was consumed."""
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    grown = [after[path] - size for path, size in before.items() if path in after]
    return Difference(
        len(gone),
        sum(before[path] for path in gone) - sum(growth for growth in grown if growth < 0),
        len(new),
        sum(after[path] for path in new) + sum(growth for growth in grown if growth > 0),
    )


def look_into(folder: Folder) -> Contents:
    """Return the sizes of the files that count. A folder that is not there holds none. Raise OSError."""
    grouping = grouping_of(folder)
    contents: Contents = {key: {} for key in grouping.lasting}
    prefix = folder.path if folder.path.endswith(b"/") else folder.path + b"/"
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        try:
            listing = list_directory(prefix + below if below else folder.path, below, folder.selection)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            if not below:
                raise
            continue  # as every look, it tells what can be read
        for key, matching in by_group(grouping, listing.files, below):
            contents.setdefault(key, {}).update(
                zip((below + name for name in matching.names), matching.sizes, strict=True)
            )
        waiting.extend(below + name + b"/" for name in listing.subdirectories)
    return contents


class Folders:
    """The folders of a job, looked into before it and after it."""

    def __init__(self, folders: Sequence[Folder], find: Callable[[], Iterable[Folder]] = tuple) -> None:
        """``find`` returns those that there are after the job: some may be new."""
        self._folders = folders
        self._find = find
        self._before: dict[bytes, Contents] = {}
        self.problems: list[str] = []
        """A line for each folder that could not be looked into."""

    def begin(self) -> None:
        """Look before the job."""
        self._before = {folder.path: contents for folder, contents in self._looks(self._folders)}

    def samples(self) -> Mapping[str, Sequence[tuple[Mapping[str, str], float]]]:
        """Look after the job. Return the samples of what differs, by the name of the metric."""
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        known = {folder.path for folder in self._folders}
        folders = [folder for folder in self._folders if folder.path in self._before]
        folders += [folder for folder in self._find() if folder.path not in known]
        for folder, after in self._looks(folders):
            grouping, before = grouping_of(folder), self._before.get(folder.path, {})
            for key, found in _shown(grouping, before, after):
                labels = {"folder": folder.label, **grouping.labels_of(key), **folder.labels}
                for field, number in found._asdict().items():
                    kind, _, what = field.partition("_")
                    samples.setdefault(f"fexp_job_{kind}_{what}", []).append((labels, number))
        return samples

    def _looks(self, folders: Sequence[Folder]) -> Iterator[tuple[Folder, Contents]]:
        for folder in folders:
            try:
                yield folder, _in_time(folder)
            except OSError as error:
                self.problems.append(f"{folder.label}: {error.strerror or error}")
            except FexpError as error:
                self.problems.append(str(error))


def _shown(grouping: Grouping, before: Contents, after: Contents) -> Iterator[tuple[Hashable, Difference]]:
    """Yield the groups that are shown, each with its difference. Those with the most files have names."""
    differences = {key: difference(before.get(key, {}), after.get(key, {})) for key in {**before, **after}}
    if not grouping.is_open:
        yield from differences.items()
        return
    from fexp.counting.naming import Naming

    naming = Naming(cast("ByName", grouping))
    sums: dict[Hashable, Difference] = {}
    naming.rank((cast("Key", key), len({**before.get(key, {}), **after.get(key, {})})) for key in differences)
    for key, found in differences.items():
        shown = naming.shown(cast("Key", key))
        sums[shown] = Difference(*map(add, sums.get(shown, (0, 0, 0, 0)), found))
    yield from sums.items()


def _in_time(folder: Folder) -> Contents:
    """Look into a folder. Raise OSError, or FexpError if it hangs: only the end of the process ends such a look."""
    found: list[Contents | OSError] = []

    def look() -> None:
        try:
            found.append(look_into(folder))
        except OSError as error:
            found.append(error)

    looker = Thread(target=look, name="fexp-look", daemon=True)
    with suppress(RuntimeError):  # the user may have no thread left
        looker.start()
    if looker.ident is None:
        look()
    else:
        looker.join(_LOOK_SECONDS)
    if not found:
        raise FexpError(f"{folder.label}: not looked into after {_LOOK_SECONDS:g} s")
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]
