"""The values that cross from one part to the next. All are frozen; sizes are in bytes, times in Unix seconds.

Named tuples, not dataclasses: every one-shot imports them, and a dataclass takes eight times as long to define.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import compress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Backend(StrEnum):
    """How fexp learns that something happened in a folder."""

    INOTIFY = "inotify"
    OBSERVER = "observer"
    POLLING = "polling"


class Reason(StrEnum):
    """Why a whole folder was looked at."""

    START = "start"
    OVERFLOW = "overflow"
    INTERVAL = "interval"
    REAPPEARED = "reappeared"
    RELOAD = "reload"


class Fault(StrEnum):
    """Why an entry of a folder could not be read."""

    PERMISSION = "permission"
    IO = "io"
    NAME = "name"


ARRIVED, LEFT, CHANGED = "a", "l", "c"
"""What a hint tells of a file's name. What events told of one name, in order, is a string of these: its history."""

DIRECTORY_ARRIVED, DIRECTORY_LEFT, DIRECTORY_CHANGED = "A", "L", "C"
"""The same of a subdirectory's name: upper case where a file's are lower."""

ITSELF, OVERFLOW = "S", "O"
"""Something befell the watched directory itself; events were lost, so everything is to be looked at."""


class FileInfo(NamedTuple):
    """What one look at a regular file gave."""

    size_bytes: int
    modified_at: float
    changed_at: float
    """Inode change time: the best the disk knows about when the name appeared here."""
    inode: int


class FileColumns(NamedTuple):
    """What one look at a directory gave, a list for each field of its files: a tuple for each file would cost more."""

    names: list[bytes]
    sizes: list[int]
    modified_at: list[float]
    changed_at: list[float]
    inodes: list[int]

    def part(self, span: slice) -> FileColumns:
        """Give some of the files."""
        return FileColumns(
            self.names[span], self.sizes[span], self.modified_at[span], self.changed_at[span], self.inodes[span]
        )

    def where(self, chosen: Iterable[bool]) -> FileColumns:
        """Give the files for which ``chosen`` is true."""
        mask = list(chosen)
        return FileColumns(
            list(compress(self.names, mask)),
            list(compress(self.sizes, mask)),
            list(compress(self.modified_at, mask)),
            list(compress(self.changed_at, mask)),
            list(compress(self.inodes, mask)),
        )

    def info(self, index: int) -> FileInfo:
        """Give one file."""
        return FileInfo(self.sizes[index], self.modified_at[index], self.changed_at[index], self.inodes[index])


class Instant(NamedTuple):
    """One moment on two clocks: ``wall`` for people (Unix seconds), ``steady`` for durations (never jumps)."""

    wall: float
    steady: float


class DwellSnapshot(NamedTuple):
    """How long departed files had stayed. ``counts`` are per bucket; the last is above all bounds."""

    bounds_seconds: tuple[float, ...]
    counts: tuple[int, ...]
    sum_seconds: float


class FlowSnapshot(NamedTuple):
    """What came and went since fexp started. A one-shot has none."""

    arrivals: int
    departures: int
    modifications: int
    arrived_bytes: int
    departed_bytes: int
    last_arrival_at: float | None
    last_departure_at: float | None
    dwell: DwellSnapshot


class PatternSnapshot(NamedTuple):
    """The files of one folder that match one pattern. The extremes are None while there is no file."""

    pattern: str
    files: int
    size_bytes: int
    oldest_modified_at: float | None
    newest_modified_at: float | None
    largest_bytes: int | None
    flow: FlowSnapshot | None = None


class FolderSnapshot(NamedTuple):
    """One folder. While it is not ``up``, the patterns' state numbers are old and not to be shown."""

    folder: str
    """The label: the absolute path, printable and unique among the folders."""
    labels: Mapping[str, str]
    up: bool
    recursive: bool
    patterns: tuple[PatternSnapshot, ...]
    backend: Backend | None = None
    """None in a one-shot: nothing watches."""
    scans: Mapping[Reason, int] = MappingProxyType({})
    scan_duration_seconds: float | None = None
    last_scan_at: float | None = None
    overflows: int = 0
    drift_files: int = 0
    faults: Mapping[Fault, int] = MappingProxyType({})


class DeliverySnapshot(NamedTuple):
    """How one output fares. ``output`` is ``textfile``, ``gateway`` or ``remote_write``."""

    output: str
    deliveries: int
    failures: int
    last_delivery_at: float | None
    duration_seconds: float | None
    dropped: int | None = None
    """Snapshots that never reached the other side as a whole; None where nothing waits."""


class ReloadSnapshot(NamedTuple):
    """How the latest reading of the config files went, and when the latest that succeeded was."""

    successful: bool
    succeeded_at: float


class Snapshot(NamedTuple):
    """Everything fexp knows at one moment. Never changed once made."""

    folders: tuple[FolderSnapshot, ...]
    deliveries: tuple[DeliverySnapshot, ...] = ()
    reload: ReloadSnapshot | None = None
    """None in a one-shot."""


class FolderStatus(NamedTuple):
    """How far the watching of a folder is, for ``/-/ready`` and people."""

    folder: str
    up: bool
    looked: bool
    """The first look is done (a missing folder has been looked at)."""
    files_seen: int
    """Files found so far by the look that is under way, or known now."""
    problem: str | None
    """One line: why it is not up, or None."""


class Happening(StrEnum):
    """What befell a file."""

    ARRIVAL = "arrival"
    DEPARTURE = "departure"
    MODIFICATION = "modification"


class FileEvent(NamedTuple):
    """One thing that happened to one matching file, for those who follow along."""

    happening: Happening
    folder: str
    """The folder's label."""
    pattern: str
    path: str
    """Below the folder, ``/``-separated, printable."""
    size_bytes: int
    at: float
