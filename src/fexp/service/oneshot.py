"""One look and done: what cron jobs and people ask for. No watcher, no memory of files, only sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.counting.grouping import ByPattern
from fexp.disk.survey import Survey
from fexp.metrics import makers
from fexp.model import Fault, FolderSnapshot, GroupSnapshot, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.clock import Clock
    from fexp.counting.selection import Folder


def look_at(folder: Folder, clock: Clock = clocks.now) -> tuple[FolderSnapshot, str | None]:
    """Look once at a folder. Return its numbers, and one line when it could not be read: then it is not up."""
    began = clock()
    grouping = ByPattern(folder.selection)
    survey = Survey(folder.path, folder.selection, grouping, makers(folder.measures, began))
    problem = None
    try:
        survey.run()
    except OSError as error:
        problem = error.strerror or str(error)
    ended = clock()
    snapshot = FolderSnapshot(
        folder=folder.label,
        labels=folder.labels,
        up=problem is None,
        recursive=folder.selection.recursive,
        groups=tuple(
            GroupSnapshot(
                grouping.labels_of(key),
                survey.values(key, ended),
                distributions=survey.distributions(key, ended),
            )
            for key in survey.groups
        ),
        scan_duration_seconds=ended.steady - began.steady,
        last_scan_at=ended.wall,
        faults={fault: survey.faults[fault] for fault in Fault},
        problem=problem,
    )
    return snapshot, f"{folder.label}: {problem}" if problem else None


def look_at_all(
    folders: Sequence[Folder], begins: Callable[[Folder], None] = lambda _: None
) -> tuple[Snapshot, list[str]]:
    """Look once at each folder. Return the numbers and a line for each folder that could not be read.

    ``begins`` is called before each look.
    """
    looks = []
    for folder in folders:
        begins(folder)
        looks.append(look_at(folder))
    return Snapshot(tuple(snapshot for snapshot, _ in looks)), [problem for _, problem in looks if problem]
