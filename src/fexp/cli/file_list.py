"""The files that ``fexp scan --list`` prints, below a heading for each folder."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from fexp.clock import local_time
from fexp.listed import Listed
from fexp.text import human_age, human_bytes, unambiguous, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fexp.listed import FileQuery, ListedFile, Listing
    from fexp.model import FolderSnapshot, Snapshot

_TITLES = ("AGE", "SIZE", "MODIFIED", "FILE")
_WHAT = {Listed.EMPTY: "empty files", Listed.FUTURE: "files from the future"}


def print_files(snapshot: Snapshot, query: FileQuery, *, as_json: bool) -> None:
    """Print the files of each folder."""
    if as_json:
        folders = [_document(folder) for folder in snapshot.folders]
        json.dump({"list": query.listed, "limit": query.files_max, "folders": folders}, sys.stdout, indent=2)
        print()
        return
    now = time.time()
    blocks = ["\n".join(_lines(folder, query.listed, now)) for folder in snapshot.folders]
    print("\n\n".join(blocks))


def _document(folder: FolderSnapshot) -> dict[str, object]:
    listing = _listing(folder)
    return {
        "folder": folder.folder,
        "labels": dict(folder.labels),
        "up": folder.up,
        "problem": folder.problem,
        "hidden": folder.hides_names,
        "total": listing.total if listing else None,
        "files": [file.document("arrived_at") for file in listing.files] if listing else [],
    }


def _listing(folder: FolderSnapshot) -> Listing | None:
    return folder.listing if folder.up else None


def _lines(folder: FolderSnapshot, listed: Listed, now: float) -> Iterator[str]:
    """Yield the heading of a folder, and its files in columns."""
    name, listing = _encoded(visible(folder.folder)), _listing(folder)
    if listing is None:
        yield f"{name}: " + ("cannot be read" if not folder.up else "the names of its files stay in fexp")
        return
    what = _WHAT.get(listed, "files")
    if not listing.files:
        yield f"{name}: no {what}"
        return
    order = "" if listed in _WHAT else f", the {listed} first"
    yield f"{name}: {len(listing.files):,} of {listing.total:,} {what}{order}"
    rows = [_TITLES, *(_row(file, now) for file in listing.files)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for age, size, modified, path in rows:
        yield f"{age:>{widths[0]}}  {size:>{widths[1]}}  {modified:<{widths[2]}}  {path}"


def _row(file: ListedFile, now: float) -> Sequence[str]:
    path = unambiguous(file.path, sys.stdout.encoding or "utf-8")
    return human_age(now - file.modified_at), human_bytes(file.size_bytes), _time(file.modified_at), path


def _time(at: float) -> str:
    try:
        return local_time(at).isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):  # no calendar knows such a year
        return "-"


def _encoded(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
