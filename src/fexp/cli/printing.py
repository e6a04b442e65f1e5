"""What ``fexp scan`` prints."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from fexp.cli.table import print_table
from fexp.metrics import TEXTFILE_SCOPES, FexpCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.model import GroupSnapshot, Snapshot


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
        patterns = [_group(group) for group in folder.groups] if folder.up else []
        folders.append(
            {"folder": folder.folder, "up": folder.up, "labels": dict(folder.labels), "patterns": patterns,
             "errors": dict(folder.faults), "problem": folder.problem}
        )  # fmt: skip
    json.dump({"folders": folders}, sys.stdout, indent=2)
    print()


def _group(group: GroupSnapshot) -> dict[str, object]:
    distributions = {name: histogram._asdict() for name, histogram in group.distributions.items()}
    return {**group.labels, **group.values, **distributions}


FORMATS: dict[str, Callable[[Snapshot], None]] = {
    "table": print_table,
    "prom": print_prom,
    "openmetrics": print_openmetrics,
    "json": print_json,
}
