"""What a person sees of ``fexp scan`` on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from fexp.cli.table import elided, print_table
from fexp.model import FolderSnapshot, Snapshot
from tests.end_to_end.running import COMMAND, environment
from tests.snapshots import group_of

if TYPE_CHECKING:
    from pathlib import Path

LONG = "/srv/sftp/customers/{}/incoming/invoices/2026/november/not-yet-checked"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _snapshot(*folders: str) -> Snapshot:
    modified_at = time.time() - 17126 * 86400
    numbers = group_of(
        "*.csv", files=1_234_567, size_bytes=2**40, oldest_modified_at=modified_at, newest_modified_at=modified_at
    )
    return Snapshot(tuple(FolderSnapshot(folder, {}, "gone" not in folder, False, (numbers,)) for folder in folders))


def _printed(snapshot: Snapshot, columns: int) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        stream = Terminal()
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", stream)
        print_table(snapshot)
    return stream.getvalue().splitlines()


def test_a_long_path_loses_its_middle_and_no_other_column_a_letter() -> None:
    path = LONG.format("acme")
    wide = _printed(_snapshot(path, "/in"), 200)
    for columns in range(40, 200):
        lines = _printed(_snapshot(path, "/in"), columns)
        if lines[0].startswith("FOLDER"):
            assert all(len(line) <= columns for line in lines)
            assert [line.split()[1:] for line in lines] == [line.split()[1:] for line in wide]
            assert lines[1].startswith("/srv")
            assert lines[1].split()[0].endswith("checked")
            assert lines[2].startswith("/in ")
        else:
            assert columns < 90
            assert lines[0] == f"{path}  *.csv"
            assert all(len(line) <= columns for line in lines if not line.startswith("/"))
            assert " ".join(" ".join(lines).split()).count("files 1,234,567, size 1.0 TiB, oldest 46y 336d,") == 2


def test_paths_that_would_look_the_same_are_shown_whole() -> None:
    paths = [LONG.format("acme-of-the-north"), LONG.format("acme-of-the-south")]
    lines = _printed(_snapshot(*paths), 100)
    assert [line for line in lines if line.startswith("/")] == [f"{path}  *.csv" for path in paths]


def test_a_folder_that_cannot_be_read_says_so_and_widens_nothing() -> None:
    lines = _printed(_snapshot("/in", "/gone"), 120)
    assert lines[2] == "/gone   *.csv    cannot be read"
    assert lines[:2] == _printed(_snapshot("/in"), 120)
    assert _printed(_snapshot("/gone"), 40) == ["/gone  *.csv", "  cannot be read"]


def test_wide_letters_take_two_columns() -> None:
    for columns in range(20, 60):
        shown = elided("/data/" + "\u65e5\u672c\u8a9e/" * 9, columns)
        assert cell_len(shown) <= columns
        assert cell_len(shown) >= min(columns - 2, 60)
    header, wide, narrow = _printed(_snapshot("/\u65e5\u672c", "/in"), 120)
    assert cell_len(wide) == cell_len(narrow) == len(header)


def test_in_a_file_nothing_is_cut(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200)
    folder.mkdir()
    command = [*COMMAND, "scan", str(folder), "--format", "table"]
    ended = subprocess.run(command, env=environment(COLUMNS="60"), capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[1].split()[:3] == [str(folder), "*", "0"]


def _on_terminal(command: list[str], columns: int, **extra: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    env = environment(COLUMNS=str(columns), **extra)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    return process, ours


def _read_to_end(terminal: int) -> str:
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # EIO: nobody writes to it any more
            part = b""
        if not part:
            os.close(terminal)
            return said.decode()
        said += part


def test_on_a_terminal_it_is_a_table_that_fits(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    process, terminal = _on_terminal([*COMMAND, "scan", str(folder)], 80)
    with process:
        lines = _read_to_end(terminal).splitlines()
    assert lines[0].split() == ["FOLDER", "PATTERN", "FILES", "SIZE", "OLDEST", "NEWEST", "LARGEST"]
    assert "xxx..." not in lines[0]
    assert re.match(r"/\S+\.\.\.x+ ", lines[1])
    assert max(map(len, lines)) <= 80


def test_on_a_terminal_of_ascii_the_columns_are_straight(tmp_path: Path) -> None:
    (tmp_path / "f\xe4\xdf").mkdir()
    command = [*COMMAND, "scan", str(tmp_path / "f\xe4\xdf"), str(tmp_path)]
    process, terminal = _on_terminal(command, 200, PYTHONIOENCODING="ascii")
    with process:
        lines = _read_to_end(terminal).splitlines()
    assert "f\\xe4\\xdf" in "".join(lines)
    assert len(set(map(len, lines))) == 1


_SLOW = """
import sys
from fexp.cli import main
from fexp.disk.survey import Survey

Survey.run = lambda self: sys.stdin.readline()
main()
"""


def test_a_long_scan_says_where_it_is(tmp_path: Path) -> None:
    process, terminal = _on_terminal([sys.executable, "-c", _SLOW, "scan", "/", str(tmp_path)], 80)
    with process:
        said = b""
        while b"folder 1 of 2: /, 1 s" not in said:
            said += os.read(terminal, 4096)
        assert process.stdin is not None
        process.stdin.close()
        rest = _read_to_end(terminal)
    assert process.returncode == 0
    assert "\r\x1b[K" in rest
    assert "FOLDER" in rest.rpartition("\r\x1b[K")[2] or "files 0" in rest
