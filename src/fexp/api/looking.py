"""``fexp.look``: the numbers of some folders, once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from fexp import clock as clocks
from fexp.api.arguments import read_selection
from fexp.errors import FolderError
from fexp.service.oneshot import look_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Unpack

    from fexp.api.arguments import Folders, WhatIsShown
    from fexp.clock import Clock
    from fexp.model import FolderSnapshot, Histogram, SingleFile


class FolderNumbers(NamedTuple):
    """What one look gave of the files of a folder that match one pattern. Times are Unix time, sizes in bytes.

    What speaks of single files is None while there is none.
    """

    folder: str
    """The folder as its label shows it."""
    pattern: str
    """The glob on the names: ``"*"`` when none was given."""
    labels: Mapping[str, str]
    """All labels of the series but the folder's: the pattern, and those that were given."""
    files: int
    size_bytes: int
    """All together."""
    oldest_modified_at: float | None
    newest_modified_at: float | None
    oldest_arrived_at: float | None
    """When the file that has been waiting longest came: its inode change time."""
    largest_bytes: int | None
    smallest_bytes: int | None
    empty_files: int
    future_files: int
    """Files modified more than a minute from now."""
    distributions: Mapping[str, Histogram]
    """Those that buckets were given for: ``"file_age_seconds"``, ``"file_size_bytes"``."""
    errors: Mapping[str, int]
    """How many entries of the whole folder could not be read: ``"permission"``, ``"io"``, ``"name"``."""
    looked_at: float
    """When the look ended."""
    duration_seconds: float
    disk_usage_bytes: int | None = None
    """With ``disk_usage``: what the files take up on the disk."""
    unsettled_files: int | None = None
    """With ``settle``: those that changed too lately, by their inode change times."""
    stalled_files: int | None = None
    """With ``stall_after``: partial uploads that have not changed for so long."""
    single_files: Sequence[SingleFile] = ()
    """With ``per_file``: those of the folder's oldest files that are in this group."""


def look(folders: Folders, *, clock: Clock = clocks.now, **arguments: Unpack[WhatIsShown]) -> list[FolderNumbers]:
    """Return what is in some folders now: for each folder and each pattern one ``FolderNumbers``, in this order.

    The numbers are those of ``fexp scan``. ``clock`` is for tests. Raise SettingsError for a wrong argument,
    FolderError for folders that cannot be read.
    """
    numbers: list[FolderNumbers] = []
    problems = []
    for folder in read_selection(folders, arguments):
        snapshot, problem = look_at(folder, clock)
        if problem is not None:
            problems.append(problem)
        numbers += numbers_of(snapshot)
    if problems:
        raise FolderError("; ".join(problems))
    return numbers


def numbers_of(folder: FolderSnapshot) -> Iterator[FolderNumbers]:
    """Yield the numbers of each of its patterns."""
    own = FolderNumbers._fields
    files_of: defaultdict[frozenset[tuple[str, str]], list[SingleFile]] = defaultdict(list)
    for file in folder.single_files:
        files_of[frozenset(file.labels.items() - {("file", file.labels["file"])})].append(file)
    for group in folder.groups:
        yield FolderNumbers(
            **{
                "folder": folder.folder,
                "pattern": group.pattern,
                "labels": {**folder.labels, **group.labels},
                **{name: value for name, value in group.values.items() if name in own},
                "distributions": group.distributions,
                "single_files": tuple(files_of[frozenset(group.labels.items())]),
                "errors": {str(fault): count for fault, count in folder.faults.items() if count},
                "looked_at": folder.last_scan_at,
                "duration_seconds": folder.scan_duration_seconds,
            }  # type: ignore[arg-type]  # a test pins that the aggregates are fields
        )
