"""The folders of the settings: those that are named, and those that templates stand for now."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from fexp.config.selection import build_folders, with_unique_labels
from fexp.config.template import DATE
from fexp.config.template import UTC as UTC_NAME
from fexp.counting.globs import SPECIAL, name_matcher
from fexp.disk.matching import Matched, Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from fexp.config.selection import FolderTemplate
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder

_UNIT = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DOT = b"."


@cache
def _zone(name: str) -> tzinfo:
    if name == UTC_NAME:
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def dated(path: str, zone: tzinfo, wall: float) -> str:
    """Return a path with its dates as they are at a Unix time.

    Minutes and hours from now are elapsed time; days and weeks are the calendar's, whatever the clock does in between.
    """

    def text(found: re.Match[str]) -> str:
        sign, unit = -1 if found["sign"] == "-" else 1, found["unit"] or "m"
        offset = timedelta(**{_UNIT[unit]: sign * int(found["number"] or 0)})
        now = datetime.fromtimestamp(wall, UTC)
        moment = (now + offset).astimezone(zone) if unit in {"m", "h"} else now.astimezone(zone) + offset
        return moment.strftime(found["format"])

    return DATE.sub(text, path)


class Places:
    """Finds the folders. Not for several threads at once."""

    def __init__(self, settings: Settings, before: Places | None = None) -> None:
        """``before``: those of the settings that these replace."""
        self._settings = settings
        self._known: dict[tuple[str, bool], list[bytes]] = before._known if before is not None else {}
        """What each path matched when it was last looked for."""
        self.problems: list[str] = []
        """A line for each directory that could not be listed."""
        self.doubles: list[str] = []
        """A line for each folder that several paths match."""
        self.closed: set[bytes] = set()
        """Paths that may be folders, but may not be looked at."""
        self._made: dict[FolderTemplate, dict[bytes, Folder]] = {}
        self.ways: set[bytes] = set()
        """What to watch to know when the folders change, see ``Matched``."""

    @property
    def have_dates(self) -> bool:
        """Whether the folders may change by time alone."""
        return any(template.has_date for template in self._settings.templates)

    def dates(self, wall: float) -> list[str]:
        """Return what the dates make of the paths."""
        return [dated_path(template, wall) for template in self._settings.templates if template.has_date]

    def find(self, wall: float) -> tuple[Folder, ...]:
        """Return the folders that there are now."""
        folders = {folder.path: folder for folder in self._settings.folders}
        self.ways, self.problems, self.doubles, self.closed = set(), [], [], set()
        for template in self._settings.templates:
            found = self._find(template, wall)
            made = self._made_of(template, found)
            self.doubles += [
                f"{folder.label} is a folder already, {template.origin} matches it too"
                for folder in made
                if folders.setdefault(folder.path, folder) is not folder
            ]
        return with_unique_labels(list(folders.values()))

    def _made_of(self, template: FolderTemplate, paths: Sequence[bytes]) -> list[Folder]:
        """Return the folders of these paths. Those that are known are not made anew, and all share their matchers."""
        made = self._made.setdefault(template, {})
        new = [path for path in paths if path not in made]
        for folder in build_folders(map(os.fsdecode, new), template.selection):
            first = next(iter(made.values()), folder)
            is_same = first.selection == folder.selection
            made[folder.path] = replace(folder, selection=first.selection) if is_same else folder
        kept = self._made[template] = {path: made[path] for path in paths if path in made}
        return list(kept.values())

    def _find(self, template: FolderTemplate, wall: float) -> list[bytes]:
        parts, key = _parts(template, wall), (template.path, template.selection.per_subfolder)
        if not any(part.matches for part in parts):
            return [b"/" + b"/".join(part.name for part in parts)]
        matched = Matched(parts)
        self.ways |= matched.ways
        self.closed |= matched.closed
        folders = matched.folders
        for directory, reason in matched.unlisted.items():
            below = os.path.join(directory, b"")
            folders += [path for path in self._known.get(key, ()) if path.startswith(below)]
            self.problems.append(f"{os.fsdecode(directory)}: {reason}; no folder is found there")
        self._known[key] = folders
        return folders


def dated_path(template: FolderTemplate, wall: float) -> str:
    """Return the path of a template with its dates as they are at a Unix time."""
    return dated(template.path, _zone(template.selection.time_zone), wall) if template.has_date else template.path


def _parts(template: FolderTemplate, wall: float) -> list[Part]:
    selection = template.selection
    names = [name for name in dated_path(template, wall).split("/") if name]
    if template.is_literal:
        parts = [Part(os.fsencode(name)) for name in names]
    else:
        parts = [_part(name, hidden=selection.hidden) for name in names]
    if selection.per_subfolder:
        admits = selection.applied_to(selection.patterns).admits
        parts.append(Part(b"", lambda name: admits(name, b""), follows_symlinks=False))
    return parts


def _part(name: str, *, hidden: bool) -> Part:
    if not SPECIAL.search(name.replace("\\\\", "")) or not re.search(r"[*?\[]", re.sub(r"\\.", "", name)):
        return Part(os.fsencode(re.sub(r"\\(.)", r"\1", name)))
    matches = name_matcher(name, ignore_case=False)
    shows_hidden = hidden or name.startswith(".")
    return Part(b"", lambda raw: (shows_hidden or not raw.startswith(_DOT)) and matches(raw))
