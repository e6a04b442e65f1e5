"""The JSON documents of ``/api/v1`` and of readiness, as plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fexp import __version__
from fexp.counting.listing import ARRIVING
from fexp.metrics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.listed import FileQuery, ListedFile
    from fexp.model import FolderSnapshot, FolderStatus, GroupSnapshot, Snapshot

_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def to_json(document: object) -> bytes:
    """Return it as JSON in ASCII. An object that JSON does not know becomes text."""
    return json.dumps(document, default=_plain).encode("ascii") + b"\n"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def readiness(reasons: Sequence[str], statuses: Sequence[FolderStatus]) -> tuple[bool, dict[str, object]]:
    """Return whether fexp is ready, and the document that says why not."""
    looking = [{"folder": status.folder, "files_seen": status.files_seen} for status in statuses if not status.looked]
    ready = not reasons and not looking
    return ready, {"ready": ready, "reasons": list(reasons), "first_look_under_way": looking}


def folders(snapshot: Snapshot, statuses: Sequence[FolderStatus]) -> dict[str, object]:
    """Return the current numbers of all folders."""
    by_folder = {status.folder: status for status in statuses}
    return {"folders": [_folder(folder, by_folder.get(folder.folder)) for folder in snapshot.folders]}


def files(query: FileQuery, found: Sequence[ListedFile], snapshot: Snapshot) -> dict[str, object]:
    """Return the files that were asked for, and of which folders there are none to be had."""
    asked = [one for one in snapshot.folders if query.labels.get("folder", one.folder) == one.folder]
    at = "changed_at" if query.listed in ARRIVING else "arrived_at"
    return {
        "list": query.listed,
        "limit": query.files_max,
        "files": [{"folder": one.folder, **one.document(at)} for one in found],
        "down": [one.folder for one in asked if not one.up],
        "hidden": [one.folder for one in asked if one.hides_names],
    }


def _folder(folder: FolderSnapshot, status: FolderStatus | None) -> dict[str, object]:
    return {
        "folder": folder.folder,
        "labels": folder.labels,
        "up": folder.up,
        "problem": status.problem if status else None,
        "first_look_done": status.looked if status else folder.last_scan_at is not None,
        "backend": folder.backend,
        "recursive": folder.recursive,
        "directories": folder.directories if folder.up else None,
        "last_scan_at": folder.last_scan_at,
        "scan_duration_seconds": folder.scan_duration_seconds,
        "scans": folder.scans,
        "errors": folder.faults,
        "overflows": folder.overflows,
        "drift_files": folder.drift_files,
        "patterns": [_group(group, up=folder.up) for group in folder.groups],
        **_single_files(folder),
    }


def _single_files(folder: FolderSnapshot) -> dict[str, object]:
    """Return what only folders have of which somebody wants to see single files, or that have too many groups."""
    if folder.series_dropped is None:
        return {}
    files = [
        {**file.labels, "size_bytes": file.size_bytes, "modified_at": file.modified_at} for file in folder.single_files
    ]
    return {"files": files if folder.up else [], "series_dropped": folder.series_dropped if folder.up else None}


def _group(group: GroupSnapshot, *, up: bool) -> dict[str, object]:
    """Return one group's numbers. State numbers are null while the folder is not up."""
    flow = group.flow
    return {
        **group.labels,
        **{name: value if up else None for name, value in group.values.items()},
        **{name: histogram._asdict() if up else None for name, histogram in group.distributions.items()},
        "arrivals": flow.arrivals if flow else None,
        "departures": flow.departures if flow else None,
        "modifications": flow.modifications if flow else None,
        "arrived_bytes": flow.arrived_bytes if flow else None,
        "departed_bytes": flow.departed_bytes if flow else None,
        "last_arrival_at": flow.last_arrival_at if flow else None,
        "last_departure_at": flow.last_departure_at if flow else None,
    }


def metadata(
    own: Mapping[str, Any],
    snapshot: Snapshot,
    statuses: Sequence[FolderStatus],
    addresses: Sequence[str],
) -> dict[str, object]:
    """Return what the daemon says of itself (when it started, its settings, metrics of its own), and what all see."""
    by_folder = {status.folder: status for status in statuses}
    return {
        "name": "fexp",
        "version": __version__,
        "listen": addresses,
        **own,
        "deliveries": [delivery._asdict() for delivery in snapshot.deliveries],
        "folders": [
            {
                "folder": folder.folder,
                "labels": folder.labels,
                "recursive": folder.recursive,
                "patterns": list(dict.fromkeys(group.pattern for group in folder.groups)),
                "backend": folder.backend,
                "up": folder.up,
                "problem": status.problem if (status := by_folder.get(folder.folder)) else None,
            }
            for folder in snapshot.folders
        ],
        "metrics": [
            *({"name": row.name, "type": row.kind, "help": row.help, "labels": row.labels} for row in CATALOGUE),
            *own.get("metrics", ()),
        ],
    }


def service_discovery(host: str, server: tuple[str, int | None] | None, scheme: str) -> list[dict[str, object]]:
    """Return this exporter as a target: by the name it was asked under, else by the address it was asked at.

    https://prometheus.io/docs/prometheus/latest/http_sd/
    """
    if not _HOST.fullmatch(host):
        if server is None or server[1] is None:
            return []  # a unix socket: Prometheus has no way here
        host = f"{f'[{server[0]}]' if ':' in server[0] else server[0]}:{server[1]}"
    labels = {"__scheme__": scheme, "__metrics_path__": "/metrics", "__meta_fexp_version": __version__}
    return [{"targets": [host], "labels": labels}]
