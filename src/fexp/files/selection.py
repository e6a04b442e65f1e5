"""Which files count: the rules of the contract's "What counts", as pure functions on names.

Names are bytes, as the kernel gives them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.files.globs import SPECIAL, name_matcher, path_matcher
from fexp.text import unique_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from fexp.files.globs import Matches

    PatternsOf = Callable[[bytes, bytes], tuple[int, ...]]

_DOT = ord(".")


def pattern_of_extension(extension: str) -> str:
    """Return the glob for ``txt``, ``.txt`` or ``tar.gz``. Raise SettingsError for what is no extension."""
    bare = extension.removeprefix(".")
    if not bare or SPECIAL.search(bare) or "/" in bare:
        raise SettingsError(
            f"--ext {extension!r} is no extension: write it as txt or .txt; for a glob there is --match"
        )
    return f"*.{bare}"


def pattern_of_name(name: str) -> str:
    """Return the glob that matches exactly this name."""
    return re.sub(r"([*?\[])", r"[\1]", name.replace("\\", "\\\\"))


@dataclass(frozen=True)
class Selection:
    """What counts in a folder. Built once. Raise SettingsError when it cannot match anything or contradicts itself.

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

    def __post_init__(self) -> None:
        for glob in self.patterns + self.excludes:
            try:
                os.fsencode(glob)
            except UnicodeEncodeError:
                raise SettingsError(
                    f"the glob {glob!r} is no text that a file name can hold: write it in UTF-8"
                ) from None
        for pattern in self.patterns:
            if not pattern or "/" in pattern or "\0" in pattern:
                raise SettingsError(
                    f"--match {pattern!r} can match no file name: a pattern is a glob on the name, without '/'"
                )
            if pattern.removeprefix("\\").startswith(".") and not self.hidden:
                raise SettingsError(f"--match {pattern!r} matches only hidden names, which do not count: add --hidden")
        for exclude in self.excludes:
            if not exclude.strip("/"):
                raise SettingsError(f"--exclude {exclude!r} is empty: give a name or a path below the folder, as globs")
        if self.max_depth is not None:
            if self.max_depth < 1:
                raise SettingsError(
                    f"--max-depth {self.max_depth} is too small: 1 means the folder itself, 2 its subfolders too"
                )
            if not self.recursive:
                raise SettingsError("--max-depth says how far --recursive goes: add -r, or leave --max-depth out")

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

    def _admits(self, name: bytes, below: bytes) -> bool:
        if name[0] == _DOT and not self.hidden:
            return False
        if any(excluded(name) for excluded in self._excluded_names):
            return False
        return not (self._excluded_paths and any(excluded(below + name) for excluded in self._excluded_paths))

    @cached_property
    def patterns_of(self) -> PatternsOf:
        """Return the function from a file to the indexes of the patterns that count it.

        It takes the file's name and the path of its directory below the folder: ``b""``, or ending in ``/``.
        """
        nothing: tuple[int, ...] = ()
        globs = tuple(enumerate(self._name_globs))
        deep_globs = tuple([glob for glob in globs if self.patterns[glob[0]] not in self.own_patterns])

        def any_patterns(name: bytes, below: bytes) -> tuple[int, ...]:
            if not self._admits(name, below):
                return nothing
            return tuple([index for index, matches in (deep_globs if below else globs) if matches(name)])

        pattern = self.patterns[0]
        is_suffix = pattern.startswith("*") and not SPECIAL.search(pattern[1:])
        if len(globs) > 1 or self.own_patterns or self.excludes or self.ignore_case or self.hidden or not is_suffix:
            return any_patterns
        first, suffix = (0,), os.fsencode(pattern[1:])

        def one_suffix(name: bytes, _below: bytes) -> tuple[int, ...]:
            return first if name.endswith(suffix) and name[0] != _DOT else nothing

        return one_suffix

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
        return self._admits(name, below)


@dataclass(frozen=True)
class Folder:
    """One folder as the user meant it. ``label`` is printable and unique; ``path`` is what the disk is asked for."""

    path: bytes
    label: str
    selection: Selection
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Hashable:
        """Return what makes it the same folder: as long as nothing of it changes, its numbers go on."""
        return self.path, self.label, self.selection, tuple(sorted(self.labels.items()))
