"""The table that ``fexp scan`` prints for people."""

from __future__ import annotations

import os
import sys
import time
from shutil import get_terminal_size
from typing import TYPE_CHECKING, NamedTuple

from fexp.service.progress import elided, is_dumb
from fexp.text import human_age, human_bytes, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fexp.model import FolderSnapshot, GroupSnapshot, Snapshot

    Lines = list[list["_Cell"]]

_PATH_MIN = 20
"""Columns. Less of a path says too little."""
_TOTAL = "TOTAL"
_AGES = ((-60.0, "35"), (3600.0, "32"), (86400.0, ""), (7 * 86400.0, "33"), (float("inf"), "31"))
"""Colours of ages below these: magenta is in the future, green the last hour, then none; yellow a day, red a week."""


class _Cell(NamedTuple):
    text: str
    colour: str = ""
    """As a terminal takes it; none is empty."""


class _Column(NamedTuple):
    """A number of each group."""

    title: str
    name: str
    """Of the value."""
    cell: Callable[[float, float], _Cell]
    """Takes the value and the time now."""
    total: Callable[[Iterable[float]], float] | None = None
    """None where the total is more than the rows tell: files of several names, uploads of no pattern yet."""
    is_asked_for: bool = False
    is_least_first: bool = False
    """When rows are sorted by it."""


def _count(value: float, _now: float) -> _Cell:
    return _Cell(f"{value:,.0f}")


def _bytes(value: float, _now: float) -> _Cell:
    return _Cell(human_bytes(value))


def _age(modified_at: float, now: float) -> _Cell:
    age_seconds = now - modified_at
    return _Cell(human_age(age_seconds), next(colour for below, colour in _AGES if age_seconds < below))


_TEXTS = ("FOLDER", "PATTERN")
_COLUMNS = (
    _Column("FILES", "files", _count, sum),
    _Column("SIZE", "size_bytes", _bytes, sum),
    _Column("OLDEST", "oldest_modified_at", _age, min, is_least_first=True),
    _Column("NEWEST", "newest_modified_at", _age, max),
    _Column("LARGEST", "largest_bytes", _bytes, max),
    _Column("UNSETTLED", "unsettled_files", _count, sum, is_asked_for=True),
    _Column("STALLED", "stalled_files", _count, is_asked_for=True),
    _Column("ON DISK", "disk_usage_bytes", _bytes, is_asked_for=True),
)


class _Row(NamedTuple):
    path: str
    pattern: str
    values: Mapping[str, float | None] | None
    """None of a folder that cannot be read."""


def print_table(snapshot: Snapshot, sort: str = "", *, has_sums: bool = False) -> None:
    """Print a table for people. On a terminal that is too narrow for it, print a paragraph for each of its rows.

    ``sort`` is the title of a column, in small letters. ``has_sums``: no file is in two of the rows.
    """
    now = time.time()
    rows = sorted_rows([_row(folder, group) for folder in snapshot.folders for group in folder.groups], sort)
    if len(rows) > 1:
        rows.append(_total(rows, has_sums=has_sums))
    columns = [one for one in _COLUMNS if not one.is_asked_for or any(one.name in (row.values or ()) for row in rows)]
    titles = [_Cell(title) for title in (*_TEXTS, *(column.title for column in columns))]
    lines = [titles, *(_cells(row, columns, now) for row in rows)]
    is_terminal = sys.stdout.isatty()
    if is_terminal:
        width = get_terminal_size().columns
        if (fitting := _fitting(lines, width)) is None:
            _print_paragraphs(lines, width)
            return
        prefix, lines = fitting
        if prefix:
            print(f"In {prefix}:")
    is_coloured = is_terminal and not os.environ.get("NO_COLOR") and not is_dumb()
    widths = _widths(lines)
    for cells in lines:
        print(_line(cells, widths, is_coloured=is_coloured))


def sorted_rows(rows: list[_Row], sort: str) -> list[_Row]:
    """Return the rows in order: by name, or the most first; what is oldest first for ages."""
    if sort == "folder":
        return sorted(rows, key=lambda row: row.path)
    if sort == "pattern":
        return sorted(rows, key=lambda row: row.pattern)
    for column in _COLUMNS:
        if column.title.lower() == sort:
            sign = 1 if column.is_least_first else -1
            found = [(row, (row.values or {}).get(column.name)) for row in rows]
            ordered = sorted((pair for pair in found if pair[1] is not None), key=lambda pair: sign * (pair[1] or 0))
            return [row for row, _ in (*ordered, *(pair for pair in found if pair[1] is None))]
    return rows


def _row(folder: FolderSnapshot, group: GroupSnapshot) -> _Row:
    return _Row(_shown(folder.folder), _shown(group.title), group.values if folder.up else None)


def _shown(name: str) -> str:
    """Return a name as this terminal can show it, so that its width is known."""
    encoding = sys.stdout.encoding or "utf-8"
    return visible(name).encode(encoding, "backslashreplace").decode(encoding)


def _total(rows: Sequence[_Row], *, has_sums: bool) -> _Row:
    """Return what the rows are together. A sum is left out where it would not be true."""
    totals: dict[str, float | None] = {}
    for column in _COLUMNS:
        found = [row.values[column.name] for row in rows if row.values is not None and column.name in row.values]
        known = [value for value in found if value is not None]
        if column.total is not None and found and (has_sums or column.total is not sum):
            totals[column.name] = column.total(known) if known else None
    return _Row(_TOTAL, "", totals)


def _cells(row: _Row, columns: Iterable[_Column], now: float) -> list[_Cell]:
    """Return a row: two texts, then numbers; or the reason why there are none."""
    texts = [_Cell(row.path), _Cell(row.pattern)]
    if row.values is None:
        return [*texts, _Cell("cannot be read")]
    for column in columns:
        value = row.values.get(column.name)
        nothing = _Cell("-" if column.name in row.values else "")
        texts.append(nothing if value is None else column.cell(value, now))
    return texts


def _fitting(lines: Lines, columns: int) -> tuple[str, Lines] | None:
    """Return the lines so that they fit: paths without what they all begin with, and then without their middles.

    Return also what they begin with; None if there is no room for a table, or two paths would look the same.
    """
    from rich.cells import cell_len

    widths = _widths(lines)
    room = columns - sum(widths[1:]) - 2 * len(widths[1:])
    if widths[0] <= room:
        return "", lines
    paths = dict.fromkeys(cells[0].text for cells in lines[1:] if cells[0].text != _TOTAL)
    prefix = _prefix(list(paths))
    shown = {path: _below(path, prefix) for path in paths}
    if max(map(cell_len, shown.values())) > room < _PATH_MIN:
        return None
    shown = {path: elided(below, room) for path, below in shown.items()}
    if len(set(shown.values())) < len(paths):
        return None
    return prefix, [[_Cell(shown.get(cells[0].text, cells[0].text)), *cells[1:]] for cells in lines]


def _prefix(paths: Sequence[str]) -> str:
    """Return the directory that all paths begin with; none if that is the topmost, or there is one path only."""
    common = os.path.commonpath(paths) if len(paths) > 1 else ""
    return "" if common == "/" else common


def _below(path: str, prefix: str) -> str:
    return (path[len(prefix) :].lstrip("/") or ".") if prefix else path


def _widths(lines: Lines) -> list[int]:
    """Return the width of each column. A reason why there are no numbers may be wider than they are."""
    from rich.cells import cell_len

    count = len(lines[0])
    whole = [cells if len(cells) == count else [*cells[:2], *[_Cell("")] * (count - 2)] for cells in lines]
    return [max(cell_len(cell.text) for cell in column) for column in zip(*whole, strict=True)]


def _line(cells: Sequence[_Cell], widths: Sequence[int], *, is_coloured: bool) -> str:
    from rich.cells import cell_len

    parts = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        blank = " " * (width - cell_len(cell.text))
        text = f"\x1b[{cell.colour}m{cell.text}\x1b[0m" if is_coloured and cell.colour else cell.text
        is_text = place < len(_TEXTS) or len(cells) < len(widths)
        parts.append(text + blank if is_text else blank + text)
    return "  ".join(parts).rstrip()


def _print_paragraphs(lines: Lines, columns: int) -> None:
    from textwrap import fill

    titles = lines[0]
    for path, pattern, *cells in lines[1:]:
        print(f"{path.text}  {pattern.text}".rstrip())
        pairs = zip(titles[2:], cells, strict=False)
        named = (f"{title.text.lower()} {cell.text}" for title, cell in pairs if cell.text)
        text = ", ".join(named) if len(cells) > 1 else cells[0].text
        print(fill(text, columns, initial_indent="  ", subsequent_indent="  "))
