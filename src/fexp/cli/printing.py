"""What ``fexp scan`` prints."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from fexp.cli.table import print_table
from fexp.counting.overlaps import may_count_twice
from fexp.metrics import TEXTFILE_SCOPES, FexpCollector
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fexp.counting.selection import Folder
    from fexp.model import FolderSnapshot, GroupSnapshot, Snapshot


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
             "errors": dict(folder.faults), "problem": folder.problem, **_capped(folder)}
        )  # fmt: skip
    document: dict[str, object] = {"folders": folders}
    if snapshot.probes:
        document["probes"] = [
            {"probe": one.probe, "success": one.success, "duration_seconds": one.duration_seconds}
            for one in snapshot.probes
        ]
        document["samples"] = [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for family in snapshot.families
            for sample in family.samples
        ]
    json.dump(document, sys.stdout, indent=2)
    print()


def print_for_people(snapshot: Snapshot, folders: Sequence[Folder] = (), sort: str = "") -> None:
    """Print the table, and what probes yielded. ``folders``: those of the snapshot."""
    if snapshot.folders:
        has_sums = not may_count_twice((os.path.realpath(folder.path), folder) for folder in folders)
        print_table(snapshot, sort, has_sums=has_sums)
        for line in unread(snapshot):
            print(line)
    elif not snapshot.probes:
        print("There is no such folder now.")  # no subfolder, or none that matches
    if snapshot.families:
        from fexp.outputs.formats import Families, Format

        text = Format.TEXT.render(Families(snapshot.families)).decode()
        print("\n".join(["", *(visible(line) for line in text.splitlines() if not line.startswith("#"))]))


def unread(snapshot: Snapshot) -> Iterator[str]:
    """Yield a line for each folder that was read but for some of what is in it."""
    for folder in snapshot.folders:
        faults = {fault: count for fault, count in folder.faults.items() if count and folder.up}
        if faults:
            count, reasons = sum(faults.values()), ", ".join(faults)
            entries = "1 entry" if count == 1 else f"{count:,} entries"
            yield f"{visible(folder.folder)}: {entries} could not be read ({reasons})"


def _capped(folder: FolderSnapshot) -> dict[str, object]:
    if folder.series_dropped is None or not folder.up:
        return {}
    files = [
        {**file.labels, "size_bytes": file.size_bytes, "modified_at": file.modified_at} for file in folder.single_files
    ]
    return {"files": files, "series_dropped": folder.series_dropped}


def _group(group: GroupSnapshot) -> dict[str, object]:
    distributions = {name: histogram._asdict() for name, histogram in group.distributions.items()}
    return {**group.labels, **group.values, **distributions}


FORMATS: dict[str, Callable[[Snapshot], None]] = {
    "prom": print_prom,
    "openmetrics": print_openmetrics,
    "json": print_json,
}
