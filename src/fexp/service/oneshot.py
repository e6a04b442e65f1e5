"""One look and done: what cron jobs and people ask for. No watcher, no memory of files, only sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from fexp import clock as clocks
from fexp.counting.grouping import grouping_of
from fexp.disk.survey import Survey
from fexp.listed import Listing
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
    from fexp.counting.single_files import LabelsOf
    from fexp.listed import FileQuery
    from fexp.model import Instant, SingleFile


def find_folders(settings: Settings, wall: float) -> tuple[tuple[Folder, ...], list[str]]:
    """Return the folders that there are at one moment, and a line for each directory that could not be listed."""
    if not settings.templates:
        return settings.folders, []
    from fexp.service.places import Places

    places = Places(settings)
    return places.find(wall), places.problems


def look_at(
    folder: Folder, clock: Clock = clocks.now, query: FileQuery | None = None
) -> tuple[FolderSnapshot, str | None]:
    """Look once at a folder. Return its numbers, and one line when it could not be read: then it is not up.

    ``query``: the files that are asked for, too, unless the folder hides their names.
    """
    began = clock()
    grouping, made = grouping_of(folder), makers(folder.measures, began)
    survey = Survey(folder, grouping, made, began, None if folder.hides_names else query)
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
        listing=shown.listing,
        hides_names=folder.hides_names,
    )
    return snapshot, f"{folder.label}: {problem}" if problem else None


class _Shown(NamedTuple):
    groups: tuple[GroupSnapshot, ...]
    single_files: tuple[SingleFile, ...]
    left_out: int | None
    listing: Listing | None


def _shown(survey: Survey, grouping: Grouping, now: Instant) -> _Shown:
    groups = tuple(
        GroupSnapshot(grouping.labels_of(key), survey.values(key, now), distributions=survey.distributions(key, now))
        for key in survey.groups
    )
    labels_of = grouping.labels_of
    return _Shown(groups, *_single_files(survey, labels_of, None), _listing(survey, grouping, labels_of))


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

    def labels_of(key: Hashable) -> Mapping[str, str]:
        return grouping.labels_of(naming.shown(cast("Key", key)))

    return _Shown(groups, *_single_files(survey, labels_of, naming.left_out), _listing(survey, grouping, labels_of))


def _single_files(
    survey: Survey, labels_of: LabelsOf, left_out: int | None
) -> tuple[tuple[SingleFile, ...], int | None]:
    if survey.single_files is None:
        return (), left_out
    from fexp.counting.single_files import snapshots_of

    return snapshots_of(survey.single_files.oldest, labels_of), (left_out or 0) + survey.single_files.left_out


def _listing(survey: Survey, grouping: Grouping, labels_of: LabelsOf) -> Listing | None:
    if survey.first_files is None:
        return None
    from fexp.counting.listing import listed_file

    def groups_of(path: bytes) -> list[Mapping[str, str]]:
        below, slash, name = path.rpartition(b"/")
        return [labels_of(key) for key in grouping.keys_of(name, below + slash)]

    first = survey.first_files
    return Listing(tuple(listed_file(entry, groups_of(entry[1])) for entry in first.entries), first.count)


def look_at_all(
    folders: Sequence[Folder], say: Callable[[str], object] = lambda _: None, query: FileQuery | None = None
) -> tuple[Snapshot, list[str]]:
    """Look once at each folder. Return the numbers and a line for each folder that could not be read.

    ``say`` is given a line before each look.
    """
    looks = []
    for number, folder in enumerate(folders, 1):
        say(f"folder {number} of {len(folders)}: {visible(folder.label)}")
        looks.append(look_at(folder, query=query))
    return Snapshot(tuple(snapshot for snapshot, _ in looks)), [problem for _, problem in looks if problem]
