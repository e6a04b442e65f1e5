"""The table that ``fexp scan`` prints for people."""

from __future__ import annotations

import sys
import time
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from fexp.text import human_age, human_bytes, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.model import FolderSnapshot, GroupSnapshot, Snapshot

_TITLES = ("FOLDER", "PATTERN", "FILES", "SIZE", "OLDEST", "NEWEST", "LARGEST")
_PATH_MIN = 20
"""Columns. Less of a path says too little."""


def print_table(snapshot: Snapshot) -> None:
    """Print a table for people. On a terminal that is too narrow for it, print a paragraph for each of its rows."""
    now = time.time()
    rows = [_row(folder, group, now) for folder in snapshot.folders for group in folder.groups]
    widths = _widths(rows)
    if sys.stdout.isatty():
        columns = get_terminal_size().columns
        room = columns - sum(widths[1:]) - 2 * len(widths[1:])
        widths[0] = min(widths[0], max(room, _PATH_MIN))
        paths = {row[0] for row in rows}
        if widths[0] > room or len({elided(path, widths[0]) for path in paths}) < len(paths):
            _print_paragraphs(rows, columns)
            return
    for path, *cells in (_TITLES, *rows):
        print(_line((elided(path, widths[0]), *cells), widths))


def _widths(rows: list[tuple[str, ...]]) -> list[int]:
    """Return the width of each column. A reason why there are no numbers may be wider than they are."""
    from rich.cells import cell_len

    whole = [_TITLES, *(row if len(row) == len(_TITLES) else (*row[:2], *[""] * 5) for row in rows)]
    return [max(map(cell_len, column)) for column in zip(*whole, strict=True)]


def _print_paragraphs(rows: list[tuple[str, ...]], columns: int) -> None:
    from textwrap import fill

    for path, pattern, *cells in rows:
        print(f"{path}  {pattern}")
        named = (f"{title.lower()} {cell}" for title, cell in zip(_TITLES[2:], cells, strict=False))
        text = ", ".join(named) if len(cells) > 1 else cells[0]
        print(fill(text, columns, initial_indent="  ", subsequent_indent="  "))


def elided(path: str, columns: int) -> str:
    """Return a path that fits, its middle left out if it must be."""
    from rich.cells import cell_len

    shown, kept = path, columns - 3
    while cell_len(shown) > columns:
        shown = f"{path[: kept // 2]}...{path[len(path) - (kept - kept // 2) :]}"
        kept -= 1
    return shown


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a row: two columns of text, then numbers; or the reason why there are none."""
    from rich.cells import cell_len

    padding = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False)]
    texts = [cell + blank for cell, blank in zip(cells[:2], padding, strict=False)]
    if len(cells) < len(widths):
        return "  ".join((*texts, *cells[2:]))
    return "  ".join((*texts, *(blank + cell for blank, cell in zip(padding[2:], cells[2:], strict=True))))


def _row(folder: FolderSnapshot, group: GroupSnapshot, now: float) -> tuple[str, ...]:
    numbers = _cells(group, now) if folder.up else ["cannot be read"]
    return _shown(folder.folder), _shown(group.title), *numbers


def _shown(name: str) -> str:
    """Return a name as this terminal can show it, so that its width is known."""
    encoding = sys.stdout.encoding or "utf-8"
    return visible(name).encode(encoding, "backslashreplace").decode(encoding)


def _cells(group: GroupSnapshot, now: float) -> list[str]:
    def age(name: str) -> str:
        modified_at = group.values[name]
        return "-" if modified_at is None else human_age(now - modified_at)

    largest_bytes = group.values["largest_bytes"]
    return [
        f"{group.files:,}",
        human_bytes(group.size_bytes),
        age("oldest_modified_at"),
        age("newest_modified_at"),
        "-" if largest_bytes is None else human_bytes(largest_bytes),
    ]
