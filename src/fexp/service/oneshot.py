"""One look and done: what cron jobs and people ask for. No watcher, no memory of files, only sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from fexp import clock as clocks
from fexp.counting.grouping import grouping_of
from fexp.disk.survey import Survey
from fexp.metrics import makers
from fexp.model import Fault, FolderSnapshot, GroupSnapshot, Snapshot
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from fexp.clock import Clock
    from fexp.config.settings import Settings
    from fexp.counting.aggregates import Make
    from fexp.counting.grouping import Grouping
    from fexp.counting.naming import ByName, Key
    from fexp.counting.selection import Folder
    from fexp.model import Instant, SingleFile


def find_folders(settings: Settings, wall: float) -> tuple[tuple[Folder, ...], list[str]]:
    """Return the folders that there are at one moment, and a line for each directory that could not be listed."""
    if not settings.templates:
        return settings.folders, []
    from fexp.service.places import Places

    places = Places(settings)
    return places.find(wall), places.problems


def look_at(folder: Folder, clock: Clock = clocks.now) -> tuple[FolderSnapshot, str | None]:
    """Look once at a folder. Return its numbers, and one line when it could not be read: then it is not up."""
    began = clock()
    grouping, made = grouping_of(folder), makers(folder.measures, began)
    survey = Survey(folder, grouping, made, began)
    problem = None
    try:
        survey.run()
    except OSError as error:
        problem = error.strerror or str(error)
    ended = clock()
    shown = (
        _shown_by_name(survey, cast("ByName", grouping), made, ended)
        if grouping.is_open
        else _shown(survey, grouping, ended)
    )
    snapshot = FolderSnapshot(
        folder=folder.label,
        labels=folder.labels,
        up=problem is None,
        recursive=folder.selection.recursive,
        groups=shown.groups,
        scan_duration_seconds=ended.steady - began.steady,
        last_scan_at=ended.wall,
        faults={fault: survey.faults[fault] for fault in Fault},
        directories=survey.directories,
        problem=problem,
        single_files=shown.single_files,
        series_dropped=shown.left_out,
    )
    return snapshot, f"{folder.label}: {problem}" if problem else None


class _Shown(NamedTuple):
    groups: tuple[GroupSnapshot, ...]
    single_files: tuple[SingleFile, ...]
    left_out: int | None


def _shown(survey: Survey, grouping: Grouping, now: Instant) -> _Shown:
    groups = tuple(
        GroupSnapshot(grouping.labels_of(key), survey.values(key, now), distributions=survey.distributions(key, now))
        for key in survey.groups
    )
    return _Shown(groups, *_single_files(survey, grouping.labels_of, None))


def _shown_by_name(survey: Survey, grouping: ByName, made: Sequence[Make], now: Instant) -> _Shown:
    from fexp.counting.naming import Naming, Numbers, joined, picks_of

    naming = Naming(grouping)
    naming.rank((cast("Key", key), survey.files(key)) for key in survey.groups)
    survey.join_links(lambda key: naming.shown(cast("Key", key)))
    numbers = joined(
        (
            (naming.shown(cast("Key", key)), Numbers(survey.values(key, now), survey.distributions(key, now)))
            for key in survey.groups
        ),
        picks_of(made),
    )
    groups = tuple(
        GroupSnapshot(grouping.labels_of(key), some.values, distributions=some.distributions)
        for key, some in sorted(numbers.items(), key=lambda item: naming.place(item[0]))
    )
    labels_of = grouping.labels_of
    return _Shown(
        groups, *_single_files(survey, lambda key: labels_of(naming.shown(cast("Key", key))), naming.left_out)
    )


def _single_files(
    survey: Survey, labels_of: Callable[[Hashable], Mapping[str, str]], left_out: int | None
) -> tuple[tuple[SingleFile, ...], int | None]:
    if survey.single_files is None:
        return (), left_out
    from fexp.counting.single_files import snapshots_of

    return snapshots_of(survey.single_files.oldest, labels_of), (left_out or 0) + survey.single_files.left_out


def look_at_all(folders: Sequence[Folder], say: Callable[[str], object] = lambda _: None) -> tuple[Snapshot, list[str]]:
    """Look once at each folder. Return the numbers and a line for each folder that could not be read.

    ``say`` is given a line before each look.
    """
    looks = []
    for number, folder in enumerate(folders, 1):
        say(f"folder {number} of {len(folders)}: {visible(folder.label)}")
        looks.append(look_at(folder))
    return Snapshot(tuple(snapshot for snapshot, _ in looks)), [problem for _, problem in looks if problem]
