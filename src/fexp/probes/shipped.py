"""The probes that come with fexp. Each is also an example: nothing in it is out of a user's reach."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING, Annotated

from fexp.metrics.declared import counter, gauge
from fexp.probes.parameters import Option
from fexp.probes.probe import probe
from fexp.probes.triggers import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

    from fexp.metrics.declared import Sample
    from fexp.probes.file import File

_CHUNK_BYTES = 64 * 1024
_DIGEST_BYTES = 6
_KNOWN_MAX = 10_000

LINES = gauge("file_lines", "Lines in the file.", labels=("path",))
CHECKSUM = gauge("file_checksum", "First 48 bits of the SHA-256 of the file's content.", labels=("path",))
CONTENT_CHANGES = counter(
    "file_content_changes", "Times the file was found with another content since fexp started.", labels=("path",)
)
MARKED = gauge("marker_timestamp_seconds", "What the marker file says, as Unix time.", labels=("path",))
HEADER_VALID = gauge("csv_header_valid", "1 if the header has all columns that it should have.", labels=("path",))
HEADER_MISSING = gauge(
    "csv_header_missing_columns", "Columns that the header should have and has not.", labels=("path",)
)


@probe(metrics=LINES, on=files())
def line_count(file: File) -> Iterator[Sample]:
    """Count the lines of files. A last line counts whether it ends or not."""
    lines, last = 0, b"\n"
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    yield LINES(lines + (last != b"\n"), path=file.relpath)


@probe(metrics=[CHECKSUM, CONTENT_CHANGES], on=files())
def checksum(file: File, known: dict[tuple[str, str], int]) -> Iterator[Sample]:
    """Show when the content of files changes, by their SHA-256.

    The gauge holds 48 bits of it: a float holds so many exactly.
    """
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    value = int.from_bytes(digest.digest()[:_DIGEST_BYTES], "big")
    before = known.pop((file.folder, file.relpath), value)
    known[file.folder, file.relpath] = value
    if len(known) > _KNOWN_MAX:
        del known[next(iter(known))]
    yield CHECKSUM(value, path=file.relpath)
    yield CONTENT_CHANGES.inc(before != value, path=file.relpath)


@checksum.lifespan
def _known_checksums(_settings: SimpleNamespace) -> Iterator[dict[tuple[str, str], int]]:
    yield {}


@probe(metrics=MARKED, on=files())
def marker_file(
    file: File, *, content: Annotated[bool, Option("Read the Unix time in the file, as date +%s writes it.")] = False
) -> Iterator[Sample]:
    """Show when marker files were touched, such as the last success of a backup."""
    if not content:
        yield MARKED(file.modified_at, path=file.relpath)
        return
    with file.open() as marker:
        yield MARKED(float(marker.readline(_CHUNK_BYTES)), path=file.relpath)


@probe(metrics=[HEADER_VALID, HEADER_MISSING], on=files("*.csv"))
def csv_header(
    file: File,
    *,
    column: Annotated[tuple[str, ...], Option("A column that the header must have.", "NAME")],
    delimiter: Annotated[str, Option("What stands between two columns.", "CHAR")] = ",",
) -> Iterator[Sample]:
    """Check that CSV files have the columns that they should have."""
    with file.open(encoding="utf-8-sig", newline="") as content:
        header = next(csv.reader([content.readline(_CHUNK_BYTES)], delimiter=delimiter), [])
    missing = len(set(column).difference(header))
    yield HEADER_VALID(not missing, path=file.relpath)
    yield HEADER_MISSING(missing, path=file.relpath)
