"""One look and done: what cron jobs and people ask for. No watcher, no memory of files, only sums."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp import scan
from fexp.model import Fault, FolderSnapshot, PatternSnapshot, Snapshot
from fexp.table import Extremes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.clock import Clock
    from fexp.model import FileInfo
    from fexp.selection import Folder


class _Sum:
    """The numbers of one pattern, added up."""

    def __init__(self) -> None:
        self.files = 0
        self.size_bytes = 0
        self.extremes: Extremes | None = None

    def add(self, infos: list[FileInfo]) -> None:
        if not infos:
            return
        self.files += len(infos)
        sizes = [info.size_bytes for info in infos]
        times = [info.modified_at for info in infos]
        self.size_bytes += sum(sizes)
        self.extremes = Extremes(min(times), max(times), max(sizes)).including(self.extremes)

    def snapshot(self, pattern: str) -> PatternSnapshot:
        extremes = self.extremes
        return PatternSnapshot(
            pattern=pattern,
            files=self.files,
            size_bytes=self.size_bytes,
            oldest_modified_at=extremes.oldest_at if extremes else None,
            newest_modified_at=extremes.newest_at if extremes else None,
            largest_bytes=extremes.largest_bytes if extremes else None,
        )


def look_at(folder: Folder, clock: Clock = clocks.now) -> tuple[FolderSnapshot, str | None]:
    """Look once at a folder. Give its numbers, and one line when it could not be read: then it is not up."""
    began = clock()
    selection = folder.selection
    sums = [_Sum() for _ in selection.patterns]
    faults: Counter[Fault] = Counter()
    problem = None
    try:
        for below, listing in scan.walk(folder.path, selection):
            faults += listing.faults
            if len(sums) == 1:
                sums[0].add([info for _, info in listing.files])
                continue
            matching: list[list[FileInfo]] = [[] for _ in sums]
            for name, info in listing.files:
                for index in selection.patterns_of(name, below):
                    matching[index].append(info)
            for total, infos in zip(sums, matching, strict=True):
                total.add(infos)
    except OSError as error:
        problem = f"{folder.label}: {error.strerror or error}"
    ended = clock()
    snapshot = FolderSnapshot(
        folder=folder.label,
        labels=folder.labels,
        up=problem is None,
        recursive=selection.recursive,
        patterns=tuple(total.snapshot(p) for total, p in zip(sums, selection.patterns, strict=True)),
        scan_duration_seconds=ended.steady - began.steady,
        last_scan_at=ended.wall,
        faults={fault: faults[fault] for fault in Fault},
    )
    return snapshot, problem


def look_at_all(folders: Sequence[Folder]) -> tuple[Snapshot, list[str]]:
    """Look once at each folder. Give the numbers and a line for each folder that could not be read."""
    looks = [look_at(folder) for folder in folders]
    return Snapshot(tuple(snapshot for snapshot, _ in looks)), [problem for _, problem in looks if problem]
