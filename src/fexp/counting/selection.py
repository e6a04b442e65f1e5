"""Which files count: the rules of the contract's "What counts", as pure functions on names.

Names are bytes, as the kernel gives them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from fexp.counting.globs import SPECIAL, name_matcher, path_matcher
from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.text import unique_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from fexp.counting.globs import Matches

    PatternsOf = Callable[[bytes, bytes], tuple[int, ...]]

DOT = ord(".")
PARTIALS = (
    "*.part", "*.partial", "*.filepart", "*.tmp", "*.temp", "*.crdownload", "*.download", "*.uploading",
    "*.inprogress", "*._COPYING_",
)  # fmt: skip
"""Of browsers, SFTP clients, Hadoop and those who name by hand."""


def pattern_of_name(name: str) -> str:
    """Return the glob that matches exactly this name."""
    return re.sub(r"([*?\[])", r"[\1]", name.replace("\\", "\\\\"))


def _finished_part(partial: str) -> slice:
    """Return which part of a partial upload's name it will keep: all of it where the glob does not say."""
    if partial.startswith("*") and not SPECIAL.search(partial[1:]):
        return slice(None, -len(os.fsencode(partial[1:])) or None)
    if partial.endswith("*") and not SPECIAL.search(partial[:-1]):
        return slice(len(os.fsencode(partial[:-1])), None)
    return slice(None)


@dataclass(frozen=True)
class Selection:
    """What counts in a folder. Whoever makes it has checked what the user wrote.

    ``patterns`` are globs on names; ``excludes`` are globs on names, or with a ``/`` on paths below the folder.
    ``own_patterns`` are those of ``patterns`` that count in the folder itself only, however deep the others go: such is
    the name of a FOLDER that is a file. ``max_depth`` counts as ``find -maxdepth`` does: 1 is the folder's own files.
    """

    patterns: tuple[str, ...] = ("*",)
    excludes: tuple[str, ...] = ()
    recursive: bool = False
    max_depth: int | None = None
    hidden: bool = False
    follow_symlinks: bool = False
    ignore_case: bool = False
    own_patterns: frozenset[str] = frozenset()
    partials: tuple[str, ...] = ()
    """Globs on names of uploads under way: such files are looked at, whether they count or not."""
    disk_usage: bool = False
    """Looks find what files take up on the disk, too."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Return the patterns as label values: printable, and no two alike."""
        label_of = unique_labels(map(os.fsencode, self.patterns))
        return tuple(label_of[os.fsencode(pattern)] for pattern in self.patterns)

    @cached_property
    def _name_globs(self) -> tuple[Matches, ...]:
        return tuple(name_matcher(glob, ignore_case=self.ignore_case) for glob in self.patterns)

    @cached_property
    def _excluded_names(self) -> tuple[Matches, ...]:
        return tuple(name_matcher(g, ignore_case=self.ignore_case) for g in self.excludes if "/" not in g)

    @cached_property
    def _excluded_paths(self) -> tuple[Matches, ...]:
        return tuple(path_matcher(g, ignore_case=self.ignore_case) for g in self.excludes if "/" in g)

    @cached_property
    def _goes_deep(self) -> bool:
        return self.recursive and not self.own_patterns.issuperset(self.patterns)

    def admits(self, name: bytes, below: bytes) -> bool:
        """Return whether a name is neither hidden nor excluded."""
        if name[0] == DOT and not self.hidden:
            return False
        if any(excluded(name) for excluded in self._excluded_names):
            return False
        return not (self._excluded_paths and any(excluded(below + name) for excluded in self._excluded_paths))

    @cached_property
    def suffix(self) -> bytes | None:
        """Return how the names end that count, when no visible name needs more to be asked; else None."""
        pattern = self.patterns[0]
        is_suffix = pattern.startswith("*") and not SPECIAL.search(pattern[1:])
        if len(self.patterns) > 1 or self.own_patterns or self.excludes or self.ignore_case or self.hidden:
            return None
        if self.partials:
            return None
        return os.fsencode(pattern[1:]) if is_suffix else None

    @cached_property
    def patterns_of(self) -> PatternsOf:
        """Return the function from a file to the indexes of the patterns that count it.

        It takes the file's name and the path of its directory below the folder: ``b""``, or ending in ``/``.
        """
        nothing: tuple[int, ...] = ()
        globs = tuple(enumerate(self._name_globs))
        deep_globs = tuple([glob for glob in globs if self.patterns[glob[0]] not in self.own_patterns])

        def any_patterns(name: bytes, below: bytes) -> tuple[int, ...]:
            if not self.admits(name, below):
                return nothing
            return tuple([index for index, matches in (deep_globs if below else globs) if matches(name)])

        if self.suffix is None:
            return any_patterns
        first, suffix = (0,), self.suffix

        def one_suffix(name: bytes, _below: bytes) -> tuple[int, ...]:
            return first if name.endswith(suffix) and name[0] != DOT else nothing

        return one_suffix

    @cached_property
    def looks_at(self) -> Callable[[bytes, bytes], object]:
        """Return the function that says whether a file is looked at; it takes what ``patterns_of`` takes."""
        patterns_of, finished_name = self.patterns_of, self.finished_name
        if not self.partials:
            return patterns_of
        return lambda name, below: patterns_of(name, below) or finished_name(name, below) is not None

    @cached_property
    def _partial_globs(self) -> tuple[tuple[Matches, str, slice], ...]:
        return tuple(
            (name_matcher(glob, ignore_case=self.ignore_case), glob[0], _finished_part(glob)) for glob in self.partials
        )

    def finished_name(self, name: bytes, below: bytes) -> bytes | None:
        """Return the name that an upload under way will have, as far as its own says so; None for any other file.

        An exclude is about the finished name: whoever leaves out ``*.part`` still wants to hear of uploads that stall.
        """
        for matches, first, part in self._partial_globs:
            if matches(name) and (name[0] != DOT or self.hidden or first == "."):
                finished = name[part] or name
                is_excluded = any(excluded(finished) for excluded in self._excluded_names)
                is_excluded |= any(excluded(below + finished) for excluded in self._excluded_paths)
                return None if is_excluded else finished
        return None

    def counts(self, path: bytes, folder: bytes) -> bool:
        """Return whether the file of this path is one of the folder's, both being resolved."""
        inside = folder.rstrip(b"/") + b"/"
        if not path.startswith(inside):
            return False
        *directories, name = path[len(inside) :].split(b"/")
        below = b""
        for directory in directories:
            if not self.enters(directory, below):
                return False
            below += directory + b"/"
        return bool(self.patterns_of(name, below))

    def enters(self, name: bytes, below: bytes) -> bool:
        """Return whether a subdirectory of this name is looked into."""
        if not self._goes_deep:
            return False
        if self.max_depth is not None and below.count(b"/") + 2 > self.max_depth:
            return False
        return self.admits(name, below)


@dataclass(frozen=True)
class Folder:
    """One folder as the user meant it. ``label`` is printable and unique; ``path`` is what the disk is asked for."""

    path: bytes
    label: str
    selection: Selection
    labels: Mapping[str, str] = field(default_factory=dict)
    measures: Measures = field(default_factory=Measures)
    group_by: GroupBy = field(default_factory=GroupBy)
    hides_names: bool = False
    """No name of a file in it leaves fexp."""

    @property
    def label_names(self) -> frozenset[str]:
        """Return the names of the labels that the user gave its series."""
        return frozenset((*self.labels, *self.group_by.label_names))

    @property
    def key(self) -> Hashable:
        """Return what makes it the same folder: as long as nothing of it changes, its numbers go on."""
        labels = tuple(sorted(self.labels.items()))
        return self.path, self.label, self.selection, labels, self.measures, self.group_by, self.hides_names
