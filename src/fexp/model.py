"""The values that cross from one part to the next. All are frozen; sizes are in bytes, times in Unix seconds.

Named tuples, not dataclasses: every one-shot imports them, and a dataclass takes eight times as long to define.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import compress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.listed import Listing


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
"""What an event reports of a file's name. The reports on one name, in order, are a string of these: its history."""

WRITTEN, CLOSED = "w", "x"
"""What an event that reports CHANGED may say in addition: the file was written, or who wrote it closed it."""

DIRECTORY_ARRIVED, DIRECTORY_LEFT, DIRECTORY_CHANGED = "A", "L", "C"
"""The same of a subdirectory's name."""


class FileInfo(NamedTuple):
    """What one look at a regular file gave."""

    size_bytes: int
    modified_at: float
    changed_at: float
    """Inode change time: the best the disk knows about when the name appeared here."""
    inode: int


class FileColumns(NamedTuple):
    """What one look at a directory gave, a column for each field of its files: a tuple for each file would cost more.

    What another process found comes as arrays: copied and compared they need no object for each number.
    """

    names: list[bytes]
    sizes: MutableSequence[int]
    modified_at: MutableSequence[float]
    changed_at: MutableSequence[float]
    inodes: MutableSequence[int]

    def extend(self, columns: Iterable[Iterable[Any]]) -> None:
        """Add files, given as columns in the same order. Of no files there may be no columns."""
        own: tuple[MutableSequence[Any], ...] = self
        for column, values in zip(own, columns, strict=False):
            column.extend(values)

    def part(self, span: slice) -> FileColumns:
        """Return some of the files."""
        return FileColumns(
            self.names[span], self.sizes[span], self.modified_at[span], self.changed_at[span], self.inodes[span]
        )

    def at(self, places: Sequence[int]) -> FileColumns:
        """Return the files at these places."""
        return FileColumns(
            [self.names[place] for place in places],
            [self.sizes[place] for place in places],
            [self.modified_at[place] for place in places],
            [self.changed_at[place] for place in places],
            [self.inodes[place] for place in places],
        )

    def where(self, chosen: Iterable[bool]) -> FileColumns:
        """Return the files for which ``chosen`` is true."""
        mask = list(chosen)
        return FileColumns(
            list(compress(self.names, mask)),
            list(compress(self.sizes, mask)),
            list(compress(self.modified_at, mask)),
            list(compress(self.changed_at, mask)),
            list(compress(self.inodes, mask)),
        )


class DiskUse(NamedTuple):
    """What one file takes up on the disk."""

    size_bytes: int
    link: tuple[int, int] | None
    """Device and inode of a file with several names: it takes up its blocks once."""


class KnownFiles(NamedTuple):
    """Files as the state knows them, a column for each field. ``arrived_at`` is on the steady clock."""

    names: Sequence[bytes]
    sizes: Sequence[int]
    modified_at: Sequence[float]
    inodes: Sequence[int]
    arrived_at: Sequence[float]


class Instant(NamedTuple):
    """One moment on two clocks: ``wall`` for people (Unix seconds), ``steady`` for durations (never jumps)."""

    wall: float
    steady: float


class Histogram(NamedTuple):
    """How many there are in each bucket, bounds included; the last of ``counts`` is above all bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class Example(NamedTuple):
    """A file that something was counted of, the latest."""

    path: bytes
    """Below the folder."""
    value: float
    at: float
    """As Unix time."""


class FlowSnapshot(NamedTuple):
    """What came and went since fexp started. A one-shot has none."""

    arrivals: int
    departures: int
    modifications: int
    arrived_bytes: int
    departed_bytes: int
    last_arrival_at: float | None
    last_departure_at: float | None
    dwell: Histogram
    """How long departed files had stayed. Without bounds nobody asked for it."""
    arrival_example: Example | None = None
    dwell_examples: tuple[Example | None, ...] = ()
    """Of each bucket."""


class GroupSnapshot(NamedTuple):
    """The numbers of one group of files in a folder, such as those that match one pattern."""

    labels: Mapping[str, str]
    """What names the group: ``pattern``, and what a regex found."""
    values: Mapping[str, float | None]
    """By name of the aggregate (``fexp.counting.aggregates``); None while there is nothing to say."""
    flow: FlowSnapshot | None = None
    """None in a one-shot."""
    distributions: Mapping[str, Histogram] = MappingProxyType({})
    """By name of the aggregate, those that are asked for."""

    @property
    def pattern(self) -> str:
        """The pattern's label."""
        return self.labels["pattern"]

    @property
    def title(self) -> str:
        """The group's name for people: the pattern and all other labels."""
        return ", ".join([self.pattern, *(f"{k}={v}" for k, v in self.labels.items() if k != "pattern")])

    @property
    def files(self) -> int:
        """How many files there are."""
        return int(self.values["files"] or 0)

    @property
    def size_bytes(self) -> int:
        """How large they are together."""
        return int(self.values["size_bytes"] or 0)


class SingleFile(NamedTuple):
    """One file of those that are shown one by one."""

    labels: Mapping[str, str]
    """Of its group, and ``file``: its path below the folder."""
    size_bytes: int
    modified_at: float


class FolderSnapshot(NamedTuple):
    """One folder. While it is not ``up``, the groups' state numbers are old and not to be shown."""

    folder: str
    """The label: the absolute path, printable and unique among the folders."""
    labels: Mapping[str, str]
    up: bool
    recursive: bool
    groups: tuple[GroupSnapshot, ...]
    backend: Backend | None = None
    """None in a one-shot: nothing watches."""
    scans: Mapping[Reason, int] = MappingProxyType({})
    scan_duration_seconds: float | None = None
    last_scan_at: float | None = None
    overflows: int = 0
    drift_files: int = 0
    faults: Mapping[Fault, int] = MappingProxyType({})
    directories: int | None = None
    """How many are looked into."""
    looked: bool = True
    """The first look is done. Before it, nobody knows whether the folder is up."""
    problem: str | None = None
    """Why a one-shot could not read it."""
    single_files: tuple[SingleFile, ...] = ()
    series_dropped: int | None = None
    """Groups and files that a cap keeps from having series of their own; None when there is no cap."""
    listing: Listing | None = None
    """The files that a one-shot was asked for."""
    hides_names: bool = False
    """No name of a file in it leaves fexp."""
    parts: tuple[FolderSnapshot, ...] = ()
    """The same with one group each, if it has many: a part in which nothing changed stays the same object."""

    @property
    def name(self) -> tuple[object, ...]:
        """What tells it, or the part, from all others of a snapshot."""
        return self.folder, *[tuple(group.labels.items()) for group in self.groups]


class DeliverySnapshot(NamedTuple):
    """How one output fares. ``output`` is ``textfile``, ``gateway`` or ``remote_write``."""

    output: str
    deliveries: int
    failures: int
    last_delivery_at: float | None
    duration_seconds: float | None
    dropped: int | None = None
    """Snapshots that never reached the other side as a whole; None where nothing waits."""
    is_failing: bool = False
    """The latest try failed."""


class ReloadSnapshot(NamedTuple):
    """How the latest reading of the config files went, and when the latest that succeeded was."""

    successful: bool
    succeeded_at: float


class InotifySnapshot(NamedTuple):
    """How many watches fexp has, and how many the system grants its user; None where nobody says."""

    watches: int
    watches_limit: int | None


class JobSnapshot(NamedTuple):
    """A job that ``fexp run`` runs, and how its latest run that ended went."""

    name: str
    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
    """By the name of the metric: labels in addition to the job's name, and the value."""


class ProbeSnapshot(NamedTuple):
    """How a probe fares."""

    probe: str
    """Its name."""
    success: bool | None
    """Whether its latest run went well; of one that runs for each file, the latest run of every file. None before."""
    duration_seconds: float | None
    last_run_at: float | None
    """When its latest run ended."""
    runs: int | None = None
    """Since fexp started; None in a one-shot."""
    failures: int | None = None
    rejected_samples: int = 0
    """Samples that were left out as they are bad, or too many."""


class Snapshot(NamedTuple):
    """Everything fexp knows at one moment. Never changed once made."""

    folders: tuple[FolderSnapshot, ...]
    deliveries: tuple[DeliverySnapshot, ...] = ()
    reload: ReloadSnapshot | None = None
    """None in a one-shot."""
    inotify: InotifySnapshot | None = None
    """None in a one-shot and without inotify."""
    job: JobSnapshot | None = None
    """Only ``fexp run`` has one."""
    probes: tuple[ProbeSnapshot, ...] = ()
    families: tuple[Metric, ...] = ()
    """What the probes yielded. One in which nothing changed is the same object in the next snapshot."""


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
    """What happened to a file."""

    PRESENT = "present"
    """It was there when the folder was looked at for the first time: no arrival."""
    ARRIVAL = "arrival"
    DEPARTURE = "departure"
    MODIFICATION = "modification"


class Change(NamedTuple):
    """One thing that happened to one file, for those who follow along."""

    happening: Happening
    folder: str
    """The folder's label."""
    patterns: tuple[str, ...]
    """The labels of the patterns that the file matches."""
    path: bytes
    """Below the folder, ``/``-separated, as the kernel spells it; empty when it must not leave fexp."""
    size_bytes: int
    modified_at: float
    inode: int
    """0 for a file that came and went between two looks: only its name was seen."""
    at: float
    """When it was found, as Unix time."""


class Taken(NamedTuple):
    """What a subscriber takes from the change feed."""

    changes: Iterator[Change]
    """In order; made while they are read."""
    lost: int
    """How many came before them and were lost, because the subscriber was too slow."""
