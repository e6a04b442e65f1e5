"""What the user asked for, made whole and valid, or refused with one line. Untyped text ends here."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fexp.config.labels import check_pairs, split_pairs
from fexp.errors import SettingsError
from fexp.files.selection import Folder, Selection, pattern_of_extension, pattern_of_name
from fexp.metrics import CATALOGUE
from fexp.text import unique_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST_SECONDS = 100 * 365 * 86400.0
"""A longer wait than this is a slip of the hand, and more than the clocks of an operating system take."""
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+|\d+(?:\.\d+)?")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])?")

OWN_LABELS = frozenset(label for row in CATALOGUE for label in row.labels) | {"le", "file", "job_name"}
"""Label names that fexp gives a meaning."""


def parse_duration(option: str, text: str, *, zero: bool = False) -> float:
    """Read ``90``, ``1s``, ``5m`` or ``1h30m`` as seconds. Raises SettingsError, also for 0 unless ``zero``."""
    if not _DURATION.fullmatch(text):
        raise SettingsError(f"{option} {text!r} is no duration: write 30s, 5m, 1h30m, 7d, or a number of seconds")
    seconds = sum(float(number) * _UNIT_SECONDS[unit or "s"] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST_SECONDS:
        raise SettingsError(f"{option} {text!r} is more than 100 years: write a shorter time")
    if seconds == 0 and not zero:
        raise SettingsError(f"{option} {text!r} must be longer than 0")
    return seconds


def parse_buckets(option: str, text: str) -> tuple[float, ...]:
    """Read ``1s,1m,1h`` as ascending bounds in seconds."""
    bounds = [parse_duration(option, part.strip()) for part in text.split(",")]
    if sorted(set(bounds)) != bounds:
        raise SettingsError(f"{option} {text!r} must ascend: each bound larger than the one before")
    return tuple(bounds)


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` labels for the folder series."""
    pairs = split_pairs("--label", texts)
    check_pairs("--label", pairs)
    for name, _ in pairs:
        if name in OWN_LABELS:
            raise SettingsError(f"--label {name}: fexp uses this label itself; choose another name")
    return dict(pairs)


def _folder_and_patterns(path: str, patterns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if not path:
        raise SettingsError("FOLDER is empty: name a folder to look at")
    absolute = os.path.abspath(path)
    if os.path.isfile(absolute):
        return os.path.dirname(absolute), (pattern_of_name(os.path.basename(absolute)),)
    return absolute, patterns


def build_folders(
    paths: Sequence[str],
    *,
    extensions: Sequence[str] = (),
    matches: Sequence[str] = (),
    excludes: Sequence[str] = (),
    recursive: bool = False,
    max_depth: int | None = None,
    hidden: bool = False,
    follow_symlinks: bool = False,
    ignore_case: bool = False,
    labels: Mapping[str, str] | None = None,
) -> tuple[Folder, ...]:
    """Make folders of what the command line names; the same folder named twice is one with the patterns of both."""
    given = tuple(dict.fromkeys([*map(pattern_of_extension, extensions), *matches])) or ("*",)
    patterns_of: dict[str, tuple[str, ...]] = {}
    for path in paths:
        absolute, patterns = _folder_and_patterns(path, given)
        patterns_of[absolute] = tuple(dict.fromkeys((*patterns_of.get(absolute, ()), *patterns)))
    label_of = unique_labels(map(os.fsencode, patterns_of))
    return tuple(
        Folder(
            path=os.fsencode(path),
            label=label_of[os.fsencode(path)],
            selection=Selection(
                patterns=patterns,
                excludes=tuple(excludes),
                recursive=recursive,
                max_depth=max_depth,
                hidden=hidden,
                follow_symlinks=follow_symlinks,
                ignore_case=ignore_case,
            ),
            labels=dict(labels or {}),
        )
        for path, patterns in patterns_of.items()
    )
