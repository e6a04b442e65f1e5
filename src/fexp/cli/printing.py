"""What ``fexp scan`` prints."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from fexp.metrics import TEXTFILE_SCOPES, FexpCollector
from fexp.text import human_age, human_bytes, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.model import GroupSnapshot, Snapshot


def print_table(snapshot: Snapshot) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("FOLDER", "PATTERN"):
        table.add_column(title, overflow="fold")
    for title in ("FILES", "SIZE", "OLDEST", "NEWEST", "LARGEST"):
        table.add_column(title, justify="right", no_wrap=True)
    now = time.time()
    for folder in snapshot.folders:
        for group in folder.groups:
            cells = _cells(group, now) if folder.up else ["cannot be read", "", "", "", ""]
            table.add_row(Text(visible(folder.folder)), Text(visible(group.pattern)), *cells)
    Console().print(table)


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


def print_prom(snapshot: Snapshot) -> None:
    """Print what a textfile would hold."""
    from fexp.outputs.text import render_text

    sys.stdout.buffer.write(render_text(FexpCollector(lambda: snapshot, TEXTFILE_SCOPES)))


def print_openmetrics(snapshot: Snapshot) -> None:
    """Print OpenMetrics 1.0.0."""
    from prometheus_client.openmetrics.exposition import generate_latest

    text: bytes = generate_latest(FexpCollector(lambda: snapshot, TEXTFILE_SCOPES))  # type: ignore[no-untyped-call]
    sys.stdout.buffer.write(text)


def print_json(snapshot: Snapshot) -> None:
    """Print the numbers as JSON."""
    folders = []
    for folder in snapshot.folders:
        patterns = [{**group.labels, **group.values} for group in folder.groups] if folder.up else []
        folders.append(
            {"folder": folder.folder, "up": folder.up, "labels": dict(folder.labels), "patterns": patterns,
             "errors": dict(folder.faults), "problem": folder.problem}
        )  # fmt: skip
    json.dump({"folders": folders}, sys.stdout, indent=2)
    print()


FORMATS: dict[str, Callable[[Snapshot], None]] = {
    "table": print_table,
    "prom": print_prom,
    "openmetrics": print_openmetrics,
    "json": print_json,
}
