"""The probes that come with fexp."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp import File
from fexp.probes.shipped import checksum, csv_header, line_count, marker_file

if TYPE_CHECKING:
    from pathlib import Path

    from fexp import Probe


def values(probe: Probe, path: Path, *arguments: Any, **options: Any) -> list[float]:
    found = path.stat()
    file = File("f", os.fsencode(path), path.name.encode(), found.st_size, found.st_mtime)
    samples = list(probe(file, *arguments, **options))
    assert [sample.problem for sample in samples] == [""] * len(samples)
    return [sample.state[0] for sample in samples]


@given(st.binary(max_size=50) | st.text("\na").map(str.encode))
@settings(max_examples=60)
def test_lines_are_those_that_grep_counts(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(content)
    counted = subprocess.run(["grep", "-ac", "", path], capture_output=True, check=False, env={"LC_ALL": "C"})
    assert values(line_count, path) == [int(counted.stdout)]


def test_a_checksum_is_exact_and_counts_changes_of_content(tmp_path: Path) -> None:
    path, known = tmp_path / "a", dict[tuple[str, str], int]()
    seen = []
    for content in (b"one", b"one", b"two", b"one"):
        path.write_bytes(content)
        value, change = values(checksum, path, known)
        assert int(value) == value == int(hashlib.sha256(content).hexdigest()[:12], 16)
        seen.append(change)
    assert seen == [0, 0, 1, 1]


def test_a_marker_says_when(tmp_path: Path) -> None:
    marker = tmp_path / "done"
    marker.write_text("1700000000\nignored\n")
    os.utime(marker, (5, 5))
    assert values(marker_file, marker) == [5]
    assert values(marker_file, marker, content=True) == [1_700_000_000]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a,b\n1,2\n", {}, [1, 0]),
        ("\ufeffa,b\n", {}, [1, 0]),
        ('"b",c,a\r\n', {}, [1, 0]),
        ("a;b\n", {}, [0, 2]),
        ("a;b\n", {"delimiter": ";"}, [1, 0]),
        ("a\n", {}, [0, 1]),
        ("", {}, [0, 2]),
    ],
)
def test_a_header_has_its_columns(tmp_path: Path, text: str, options: dict[str, str], expected: list[float]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, newline="")
    assert values(csv_header, path, column=("a", "b"), **options) == expected
