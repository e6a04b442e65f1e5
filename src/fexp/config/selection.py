"""What counts, as the user says it; and the folders that follow from it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from fexp.config.groups import label_names, labels_from_path, parse_group
from fexp.config.labels import parse_labels
from fexp.config.options import Group, flag, option, repeatable
from fexp.config.template import DATE, UTC, parse_time_zone
from fexp.config.values import (
    one_of,
    parse_buckets,
    parse_buckets_or_none,
    parse_count,
    parse_duration,
    parse_size_buckets,
    parse_whole_number,
)
from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.paths import absolute_folder
from fexp.counting.selection import PARTIALS, Folder, Selection, pattern_of_name
from fexp.errors import SettingsError
from fexp.text import one_line, unique_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fexp.config.origin import Origin


def parse_extensions(origin: Origin | str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the globs for ``txt``, ``.txt`` or ``tar.gz``. Raise SettingsError for what is not an extension."""
    return tuple(_pattern_of_extension(origin, text) for text in texts)


def _pattern_of_extension(origin: Origin | str, text: str) -> str:
    bare = text.removeprefix(".")
    if not bare or re.search(r"[*?\[\\/\0]", bare):
        raise SettingsError(f"{origin} {text!r} is not an extension: write it as txt or .txt; for a glob use match")
    if "," in bare:
        raise SettingsError(f"{origin} {text!r} is not an extension: give each by itself, without a comma")
    _check_text(origin, text)
    return f"*.{bare}"


def parse_patterns(origin: Origin | str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return globs on names. Raise SettingsError for one that matches no name."""
    for text in texts:
        _check_text(origin, text)
        if not text or "/" in text or "\0" in text:
            raise SettingsError(
                f"{origin} {text!r} can match no file name: a pattern is a glob on the name, without '/'"
            )
    return tuple(texts)


def parse_excludes(origin: Origin | str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return globs on names, or with a ``/`` on paths below the folder. Raise SettingsError for an empty one."""
    for text in texts:
        _check_text(origin, text)
        if not text.strip("/"):
            raise SettingsError(f"{origin} {text!r} is empty: give a name or a path below the folder, as globs")
    return tuple(texts)


def _check_text(origin: Origin | str, glob: str) -> None:
    try:
        os.fsencode(glob)
    except UnicodeEncodeError:
        raise SettingsError(f"{origin} {glob!r} is not text that a file name can hold: write it in UTF-8") from None


def parse_compound_extensions(origin: Origin | str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return extensions such as ``tar.gz``, without the dot in front. Raise SettingsError for any other."""
    bare = [pattern.removeprefix("*.") for pattern in parse_extensions(origin, texts)]
    for text in bare:
        if "." not in text.strip("."):
            raise SettingsError(f"{origin} {text!r} has no dot in it: {origin} is for such as tar.gz")
    return tuple(bare)


_NEEDS = {
    "extensions_max": "by_extension",
    "compound_extensions": "by_extension",
    "groups_max": "group_regex",
    "single_files_max": "per_file",
}
"""Settings that say more about another."""


class CountingSettings(Group):
    """Which files count, and what tells them apart."""

    panel: ClassVar = "What counts"

    extensions: tuple[str, ...] = repeatable(
        "ext", parse_extensions, "Count files with this extension, with or without the dot.", metavar="EXT"
    )
    """As patterns."""
    matches: tuple[str, ...] = repeatable(
        "match", parse_patterns, "Count files whose name matches this glob.", metavar="GLOB"
    )
    excludes: tuple[str, ...] = repeatable(
        "exclude", parse_excludes, "Leave out a name, or with a / a path below the folder.", metavar="GLOB"
    )
    recursive: bool = flag("recursive", "Look into subfolders too.", aliases=("-r",))
    max_depth: int | None = option(
        "max-depth", parse_whole_number, None, "How deep -r goes; 1 is the folder itself.", metavar="N"
    )
    hidden: bool = flag("hidden", "Count hidden names and enter hidden folders.")
    follow_symlinks: bool = flag("follow-symlinks", "Count a symlink to a file by its target.")
    ignore_case: bool = flag("ignore-case", "Ignore case: `*.txt` also matches A.TXT.")
    labels: Mapping[str, str] = repeatable(
        "label", parse_labels, "Add a label to every folder series.", metavar="NAME=VALUE", key="labels"
    )
    per_subfolder: bool = flag("per-subfolder", "Make each directory directly below FOLDER a folder of its own.")
    by_extension: bool = flag("by-ext", "Count each extension that is found as a pattern of its own.")
    extensions_max: int = option(
        "top", parse_count, "10", "So many extensions, those of the most files; the rest is other.", metavar="N"
    )
    compound_extensions: tuple[str, ...] = repeatable(
        "compound-ext", parse_compound_extensions, "An extension with a dot in it, such as tar.gz.", metavar="EXT"
    )
    group_regex: str | None = option(
        "group", parse_group, None, "Label files by the named groups of a regex, searched in their paths below FOLDER.",
        metavar="REGEX",
    )  # fmt: skip
    groups_max: int = option(
        "max-groups",
        parse_count,
        "100",
        "Show so many groups, those of the most files; the rest is other.",
        metavar="N",
    )
    folder_regex: str | None = option(
        "group-folder", parse_group, None, "Label a folder by the named groups of a regex, searched in its own path.",
        metavar="REGEX",
    )  # fmt: skip


class SelectionSettings(CountingSettings):
    """What is said of folders on the command line: what counts, and what is shown of it."""

    time_zone: str = option(
        "time-zone", parse_time_zone, UTC, "Where dates in the path of a config file begin.", metavar="ZONE"
    )
    age_bounds_seconds: tuple[float, ...] | None = option(
        "age-buckets", parse_buckets, None, "Show how old the files are, in buckets up to these ages.", metavar="LIST"
    )
    size_bounds_bytes: tuple[float, ...] | None = option(
        "size-buckets",
        parse_size_buckets,
        None,
        "Show how large the files are, in buckets up to these sizes.",
        metavar="LIST",
    )
    disk_usage: bool = flag("disk-usage", "Show what the files take up on the disk, as du does.")
    settle_seconds: float | None = option(
        "settle", parse_duration, None, "Show how many files changed less than this ago.", metavar="DURATION"
    )
    stall_after_seconds: float | None = option(
        "stall-after",
        parse_duration,
        None,
        "Show how many partial uploads have not changed for this long.",
        metavar="DURATION",
    )
    partials: tuple[str, ...] = repeatable(
        "partial", parse_patterns, "What a partial upload is named; *.part, *.tmp and more without it.", metavar="GLOB"
    )
    counted: str = option(
        "count",
        one_of(("present", "settled")),
        "present",
        "present, or settled: count no file before.",
        metavar="WHICH",
    )
    per_file: bool = flag("per-file", "Show the size and the time of single files, the oldest.")
    single_files_max: int = option("max-series", parse_count, "100", "So many files of a folder.", metavar="N")
    hides_names: bool = flag("no-file-names", "Let no name of a file leave fexp.")

    def validate(self) -> None:
        self._validate_arrivals()
        self._validate_groups()
        self._validate_names()
        for pattern in self.matches:
            if pattern.removeprefix("\\").startswith(".") and not self.hidden:
                raise SettingsError(
                    f"{self.origin('matches')} {pattern!r} matches only hidden names, which do not count:"
                    f" add {self.origin('hidden')}"
                )
        if self.max_depth is None:
            return
        depth = self.origin("max_depth")
        if self.max_depth < 1:
            raise SettingsError(f"{depth} {self.max_depth} is too small: 1 means the folder itself, 2 its subfolders")
        if not self.recursive and not depth.is_shared:
            recursive = self.origin("recursive")
            raise SettingsError(f"{depth} says how far {recursive} goes: add {recursive}, or leave {depth} out")

    def _validate_arrivals(self) -> None:
        if self.partials and self.stall_after_seconds is None and not self.origin("partials").is_shared:
            raise SettingsError(
                f"{self.origin('partials')} says which files may stall, but not when:"
                f" add {self.origin('stall_after_seconds')}"
            )
        if self.counted == "settled" and self.settle_seconds is None and not self.origin("counted").is_shared:
            raise SettingsError(
                f"{self.origin('counted')} settled does not say when a file has settled:"
                f" add {self.origin('settle_seconds')}"
            )

    def _validate_groups(self) -> None:
        for name, needed in _NEEDS.items():
            option_, needs = self.origin(name), self.origin(needed)
            if option_.given and not option_.is_shared and not getattr(self, needed):
                raise SettingsError(f"{option_} has no effect without {needs}: add {needs}, or leave {option_} out")
        taken = dict.fromkeys(self.labels, self.origin("labels"))
        for name in ("group_regex", "folder_regex"):
            for label in label_names(getattr(self, name) or ""):
                if label in taken:
                    raise SettingsError(
                        f"{self.origin(name)} {label}: {taken[label]} sets this label; choose another name"
                    )
                taken[label] = self.origin(name)

    def _validate_names(self) -> None:
        hides, per_file, by_ext = map(self.origin, ("hides_names", "per_file", "by_extension"))
        if self.hides_names and self.per_file:
            raise SettingsError(f"{per_file} shows names of files, which {hides} forbids: leave one out")
        if self.hides_names and self.by_extension:
            way_out = f"name what may be shown with {self.origin('extensions')}"
            raise SettingsError(f"{by_ext} shows how names end, which {hides} forbids: {way_out}")

    @property
    def folder_labels(self) -> Mapping[str, Origin]:
        """The labels of the folders themselves, each with what sets it."""
        found = dict.fromkeys(label_names(self.folder_regex or ""), self.origin("folder_regex"))
        return {**dict.fromkeys(self.labels, self.origin("labels")), **found}

    @property
    def label_names(self) -> frozenset[str]:
        """The names of all labels that the user gives the series."""
        return frozenset((*self.folder_labels, *label_names(self.group_regex or "")))

    @property
    def group_by(self) -> GroupBy:
        """What else than the patterns tells files apart."""
        regex = self.group_regex or ""
        return GroupBy(
            extensions_max=self.extensions_max if self.by_extension else 0,
            compound_extensions=self.compound_extensions,
            regex=regex,
            label_names=label_names(regex),
            groups_max=self.groups_max if regex else 0,
        )

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs of all files that count."""
        return tuple(dict.fromkeys((*self.extensions, *self.matches))) or ("*",)

    @property
    def measures(self) -> Measures:
        """What is measured in addition."""
        return Measures(
            age_bounds_seconds=self.age_bounds_seconds or (),
            size_bounds_bytes=self.size_bounds_bytes or (),
            settle_seconds=self.settle_seconds,
            stall_after_seconds=self.stall_after_seconds,
            counts_settled=self.counted == "settled" and self.settle_seconds is not None,
            disk_usage=self.disk_usage,
            single_files_max=self.single_files_max if self.per_file else 0,
        )

    def labels_of(self, path: bytes) -> Mapping[str, str]:
        """Return the labels of the series of the folder that has this path."""
        return {**self.labels, **labels_from_path(self.folder_regex or "", path)}

    def applied_to(self, patterns: tuple[str, ...], own_patterns: frozenset[str] = frozenset()) -> Selection:
        """Return the selection with these patterns."""
        is_recursive = self.recursive and not own_patterns.issuperset(patterns)
        return Selection(
            patterns=patterns,
            own_patterns=own_patterns if is_recursive else frozenset(),
            excludes=self.excludes,
            recursive=is_recursive,
            max_depth=self.max_depth if is_recursive else None,
            hidden=self.hidden,
            follow_symlinks=self.follow_symlinks,
            ignore_case=self.ignore_case,
            disk_usage=self.disk_usage,
            partials=() if self.stall_after_seconds is None else self.partials or PARTIALS,
        )


class FolderSettings(SelectionSettings):
    """What a config file says of folders: with what holds for all of them on the command line."""

    dwell_bounds_seconds: tuple[float, ...] | None = option(
        "dwell-buckets",
        parse_buckets_or_none,
        None,
        "Upper bounds of the buckets of fexp_dwell_seconds, instead of the engine's; none leaves it out.",
        metavar="LIST",
    )

    @property
    def measures(self) -> Measures:
        """See ``SelectionSettings.measures``."""
        return super().measures._replace(dwell_bounds_seconds=self.dwell_bounds_seconds)


@dataclass(frozen=True, eq=False)
class FolderTemplate:
    """Folders that follow from the disk and the date.

    ``path`` is absolute. ``is_literal``: it means what it says, and only its subfolders come and go.
    """

    path: str
    origin: Origin
    selection: SelectionSettings
    is_literal: bool = False

    @property
    def has_date(self) -> bool:
        """Whether it moves on with the time."""
        return not self.is_literal and DATE.search(self.path) is not None


def build_folders(paths: Iterable[str], settings: SelectionSettings | None = None) -> tuple[Folder, ...]:
    """Return the folders of these paths. One that is named twice is one, with the patterns of both."""
    settings = settings or SelectionSettings()
    files: dict[str, list[str]] = {}
    """By folder: patterns of paths that name a file in it. None of them goes deeper."""
    whole = set()
    for path in paths:
        absolute = _absolute(path)
        if os.path.isfile(absolute):
            folder, name = os.path.split(absolute)
            files.setdefault(folder, []).append(_pattern_of_file(path, name, settings))
        else:
            files.setdefault(absolute, [])
            whole.add(absolute)
    label_of = unique_labels(map(os.fsencode, files))
    group_by = settings.group_by
    folders, known = [], dict[Selection, Selection]()
    for path, own in files.items():
        shared = settings.patterns if path in whole else ()
        selection = settings.applied_to(tuple(dict.fromkeys((*shared, *own))), frozenset(own).difference(shared))
        selection = known.setdefault(selection, selection)  # a thousand folders share the matchers of one
        raw = os.fsencode(path)
        folders.append(
            Folder(
                path=raw,
                label=label_of[raw],
                selection=selection,
                labels=settings.labels_of(raw),
                measures=settings.measures,
                group_by=group_by if path in whole else group_by._replace(extensions_max=0),
                hides_names=settings.hides_names,
            )
        )
    return tuple(folders)


def build_templates(paths: Iterable[str], settings: SelectionSettings) -> tuple[FolderTemplate, ...]:
    """Return what stands for the subfolders of these folders."""
    origin = settings.origin("per_subfolder")
    return tuple(
        FolderTemplate(path, origin, settings, is_literal=True) for path in dict.fromkeys(map(_absolute, paths))
    )


def with_unique_labels(folders: Sequence[Folder]) -> tuple[Folder, ...]:
    """Return the folders, no two labels of which are alike."""
    label_of = unique_labels(folder.path for folder in folders)
    return tuple(
        folder if folder.label == label_of[folder.path] else replace(folder, label=label_of[folder.path])
        for folder in folders
    )


def _absolute(path: str) -> str:
    if not path:
        raise SettingsError("FOLDER is empty: name a folder to look at")
    return absolute_folder(path, os.getcwd, os.readlink)


def _pattern_of_file(path: str, name: str, settings: SelectionSettings) -> str:
    if name.startswith(".") and not settings.hidden:
        raise SettingsError(f"{one_line(path)} is a hidden file, which does not count: add {settings.origin('hidden')}")
    return pattern_of_name(name)
