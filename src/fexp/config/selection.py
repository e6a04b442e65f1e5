"""What counts, as the user says it; and the folders that follow from it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, ClassVar

from fexp.config.labels import parse_labels
from fexp.config.options import Group, flag, option, repeatable
from fexp.config.values import parse_buckets, parse_size_buckets, parse_whole_number
from fexp.counting.measures import Measures
from fexp.counting.paths import absolute_folder
from fexp.counting.selection import Folder, Selection, pattern_of_name
from fexp.errors import SettingsError
from fexp.text import one_line, unique_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


class SelectionSettings(Group):
    """Which files count, in all folders."""

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
        "label", parse_labels, "Add a label to every folder series.", metavar="NAME=VALUE"
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

    def validate(self) -> None:
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
        if not self.recursive:
            recursive = self.origin("recursive")
            raise SettingsError(f"{depth} says how far {recursive} goes: add {recursive}, or leave {depth} out")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs of all files that count."""
        return tuple(dict.fromkeys((*self.extensions, *self.matches))) or ("*",)

    @property
    def measures(self) -> Measures:
        """What is measured in addition."""
        return Measures(self.age_bounds_seconds or (), self.size_bounds_bytes or ())

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
        )


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
    folders, known = [], dict[Selection, Selection]()
    for path, own in files.items():
        shared = settings.patterns if path in whole else ()
        selection = settings.applied_to(tuple(dict.fromkeys((*shared, *own))), frozenset(own).difference(shared))
        selection = known.setdefault(selection, selection)  # a thousand folders share the matchers of one
        raw = os.fsencode(path)
        folders.append(
            Folder(
                path=raw, label=label_of[raw], selection=selection, labels=settings.labels, measures=settings.measures
            )
        )
    return tuple(folders)


def _absolute(path: str) -> str:
    if not path:
        raise SettingsError("FOLDER is empty: name a folder to look at")
    return absolute_folder(path, os.getcwd, os.readlink)


def _pattern_of_file(path: str, name: str, settings: SelectionSettings) -> str:
    if name.startswith(".") and not settings.hidden:
        raise SettingsError(f"{one_line(path)} is a hidden file, which does not count: add {settings.origin('hidden')}")
    return pattern_of_name(name)
