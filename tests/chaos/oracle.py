"""A second opinion: what counts in a folder, found by the plainest means and sharing no code with fexp."""

from __future__ import annotations

import fnmatch
import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The contract's "What counts", for one folder. ``excluded_names`` are globs on names."""

    patterns: tuple[str, ...] = ("*",)
    recursive: bool = True
    hidden: bool = False
    max_depth: int = 1 << 30
    excluded_names: tuple[str, ...] = ()
    ignore_case: bool = False
    follow_symlinks: bool = False


@dataclass(frozen=True)
class Seen:
    """One file as the disk has it."""

    size_bytes: int
    modified_at: float


def _matches(name: bytes, glob: str, rules: Rules) -> bool:
    text = os.fsdecode(name)
    if rules.ignore_case:
        return fnmatch.fnmatchcase(text.casefold(), glob.casefold())
    return fnmatch.fnmatchcase(text, glob)


def files_on_disk(root: bytes, rules: Rules) -> dict[str, dict[bytes, Seen]] | None:
    """Return path and facts of every file that counts, by pattern; None: the folder is not there or denied."""
    found: dict[str, dict[bytes, Seen]] = {pattern: {} for pattern in rules.patterns}
    if not os.path.isdir(root) or not os.access(root, os.R_OK | os.X_OK):
        return None
    for directory, subdirectories, _ in os.walk(root):
        below = os.path.relpath(directory, root) if directory != root else b""
        depth = len(below.split(b"/")) + 1 if below else 1
        admitted = [name for name in os.listdir(directory) if _is_admitted(name, rules)]
        for name in admitted:
            path = os.path.join(directory, name)
            try:
                status = os.stat(path, follow_symlinks=rules.follow_symlinks)
            except OSError:
                continue  # a dangling link, or a loop of them
            if stat.S_ISREG(status.st_mode):
                for pattern in rules.patterns:
                    if _matches(name, pattern, rules):
                        found[pattern][os.path.join(below, name)] = Seen(status.st_size, status.st_mtime)
        enters = rules.recursive and depth < rules.max_depth
        subdirectories[:] = [name for name in subdirectories if enters and name in admitted]
    return found


def counts(path: bytes, rules: Rules) -> bool:
    """Return whether a regular file with this path below a folder counts in it."""
    names = path.split(b"/")
    is_in_reach = len(names) <= rules.max_depth and (rules.recursive or len(names) == 1)
    is_admitted = all(_is_admitted(name, rules) for name in names)
    return is_in_reach and is_admitted and any(_matches(names[-1], pattern, rules) for pattern in rules.patterns)


def _is_admitted(name: bytes, rules: Rules) -> bool:
    if name.startswith(b".") and not rules.hidden:
        return False
    return not any(_matches(name, glob, rules) for glob in rules.excluded_names)
