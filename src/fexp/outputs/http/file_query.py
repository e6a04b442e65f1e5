"""What ``/api/v1/files`` is asked for, by the query of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fexp.counting.listing import NUMBERS
from fexp.listed import FileQuery, Listed
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.model import FolderSnapshot, GroupSnapshot, Snapshot

_FILES = 20
FILES_MAX = 100
_FIELDS_MAX = 64


class RefusedError(Exception):
    """The answer is no; one line says why. ``status`` is that of HTTP."""

    def __init__(self, line: str, status: int = 400) -> None:
        super().__init__(line)
        self.status = status


def read_query(query: str, snapshot: Snapshot) -> FileQuery:
    """Return what is asked for. What is empty is taken as not given. Raise RefusedError for what makes no sense."""
    given = _fields(query)
    listed = _listed(given.pop("list", Listed.OLDEST))
    files_max = _files_max(given.pop("limit", str(_FILES)))
    groups = _wanted(given, snapshot)
    if groups and all(folder.hides_names for folder, _ in groups):
        raise RefusedError("no name of these files leaves fexp: it was told so (no_file_names)", 403)
    if groups and all(NUMBERS[listed] not in group.values for _, group in groups):
        raise RefusedError(f"list {listed}: fexp was not asked to count such files here ({NUMBERS[listed]})")
    return FileQuery(listed, files_max, given)


def _fields(query: str) -> dict[str, str]:
    try:
        fields = parse_qsl(query, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise RefusedError(f"there are more than {_FIELDS_MAX} parameters") from None
    given: dict[str, str] = {}
    for name, value in fields:
        if name in given:
            raise RefusedError(f"{one_line(name)} is given twice")
        given[name] = value
    return given


def _listed(text: str) -> Listed:
    try:
        return Listed(text)
    except ValueError:
        raise RefusedError(f"list {one_line(text)}: give one of {', '.join(Listed)}") from None


def _files_max(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(FILES_MAX)) and 1 <= int(text) <= FILES_MAX:
        return int(text)
    raise RefusedError(f"limit {one_line(text)}: give a whole number from 1 to {FILES_MAX}")


def _wanted(labels: Mapping[str, str], snapshot: Snapshot) -> list[tuple[FolderSnapshot, GroupSnapshot]]:
    """Return the groups that have these labels, each with its folder. Raise RefusedError for a label that none has."""
    groups = [(folder, group) for folder in snapshot.folders for group in folder.groups]
    known = {"folder", "pattern"}.union(*(_names(folder, group) for folder, group in groups))
    for name, value in labels.items():
        if name not in known:
            raise RefusedError(f"{one_line(name)} is unknown: give list, limit or a label, {_some(known)}")
        groups = [one for one in groups if _label(*one, name) == value]
        if not groups:
            raise RefusedError(f"{name} {one_line(value)}: no folder that is watched has this label")
    return groups


def _names(folder: FolderSnapshot, group: GroupSnapshot) -> Iterable[str]:
    return {*folder.labels, *group.labels}


def _label(folder: FolderSnapshot, group: GroupSnapshot, name: str) -> str | None:
    return folder.folder if name == "folder" else folder.labels.get(name, group.labels.get(name))


def _some(names: Iterable[str]) -> str:
    return one_line(", ".join(sorted(names)))
