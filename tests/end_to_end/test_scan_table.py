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
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from fexp.cli.printing import print_for_people, unread
from fexp.cli.table import _Row, print_table, sorted_rows
from fexp.model import Fault, FolderSnapshot, Snapshot
from fexp.service.progress import elided
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


def _printed(
    snapshot: Snapshot, columns: int, sort: str = "", *, has_sums: bool = True, colours: bool = False,
    term: str = "xterm", stream: io.StringIO | None = None,
) -> list[str]:  # fmt: skip
    stream = Terminal() if stream is None else stream
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"COLUMNS": str(columns), "TERM": term, "NO_COLOR": "" if colours else "1"}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", stream)
        print_table(snapshot, sort, has_sums=has_sums)
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
            shown = " ".join(" ".join(lines).split())
            assert shown.count("files 1,234,567, size 1.0 TiB, oldest 46y 336d,") == 2
            assert "TOTAL files 2,469,134, size 2.0 TiB, oldest 46y 336d," in shown


def test_paths_that_would_look_the_same_are_shown_whole() -> None:
    paths = [f"/srv/in/first-of-{'all' * 20}-{where}-and-so-on-and-on-and-on" for where in ("north", "south")]
    lines = _printed(_snapshot(*paths), 100)
    assert [line for line in lines if line.startswith("/")] == [f"{path}  *.csv" for path in paths]


def test_what_paths_begin_with_is_shown_once_where_there_is_no_room() -> None:
    snapshot = _snapshot(LONG.format("acme"), LONG.format("bmw"), LONG.format("bmw/gone"), "/srv/sftp")
    assert not _printed(snapshot, 200)[0].startswith("In ")
    lines = _printed(snapshot, 128)
    assert lines[0] == "In /srv/sftp:"
    assert [line.split()[0] for line in lines[1:]] == [
        "FOLDER",
        "customers/acme/incoming/invoices/2026/november/not-yet-checked",
        "customers/bmw/incoming/invoices/2026/november/not-yet-checked",
        "customers/bmw/gone/incoming/invoices/2026/november/not-yet-checked",
        ".",
        "TOTAL",
    ]
    for columns in range(110, 128):
        lines = _printed(snapshot, columns)
        assert lines[0] == "In /srv/sftp:"
        assert max(map(len, lines)) <= columns
    in_a_file = _printed(snapshot, 60, stream=io.StringIO())
    assert [line.split()[0] for line in in_a_file[1:-1]] == [folder.folder for folder in snapshot.folders]


SIZES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 3))), min_size=2, max_size=6
)


@given(sizes=SIZES, has_sums=st.booleans())
@settings(max_examples=40)
def test_the_total_is_that_of_the_rows(sizes: list[tuple[int, int, int | None]], has_sums: bool) -> None:
    groups = [group_of("*", files=files, size_bytes=size_bytes) for files, size_bytes, _ in sizes]
    folders = tuple(
        FolderSnapshot("/in", {}, True, False, (group._replace(values={**group.values, "largest_bytes": largest}),))
        for group, (_, _, largest) in zip(groups, sizes, strict=True)
    )
    gone = FolderSnapshot("/gone", {}, False, False, (group_of("*", files=5, size_bytes=5, largest_bytes=99),))
    lines = _printed(Snapshot((*folders, gone)), 120, has_sums=has_sums)
    largest = max((value for _, _, value in sizes if value), default=None)
    extremes = ["-", "-", "-" if largest is None else f"{largest} B"]
    sums = [str(sum(files for files, _, _ in sizes)), f"{sum(bytes_ for _, bytes_, _ in sizes)} B"]
    assert " ".join(lines[-1].split()) == " ".join(["TOTAL", *(sums if has_sums else []), *extremes])


def test_one_row_has_no_total() -> None:
    assert len(_printed(_snapshot("/in"), 120)) == 2


COLUMNS_OF_ROWS = {"files": "files", "size": "size_bytes", "oldest": "oldest_modified_at", "largest": "largest_bytes"}


@pytest.mark.parametrize("sort", COLUMNS_OF_ROWS)
@given(values=st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=8))
@settings(max_examples=25)
def test_rows_are_sorted_by_a_number_and_those_without_one_are_last(sort: str, values: list[int | None]) -> None:
    rows = [_Row(f"/{place}", "*", {COLUMNS_OF_ROWS[sort]: value}) for place, value in enumerate(values)]
    ordered = sorted_rows([_Row("/gone", "*", None), *rows], sort)
    shown = [(row.values or {}).get(COLUMNS_OF_ROWS[sort]) for row in ordered]
    known = sorted((value for value in values if value is not None), reverse=sort != "oldest")
    assert shown == [*known, *[None] * (len(values) + 1 - len(known))]
    for value in set(values):
        paths = [row.path for row in ordered if row.values is not None and row.values[COLUMNS_OF_ROWS[sort]] == value]
        assert paths == sorted(paths), "rows that are alike stay as they were"


def test_rows_are_sorted_by_name() -> None:
    rows = [_Row("/b", "*.a", {}), _Row("/a", "*.c", {}), _Row("/a", "*.b", None)]
    assert [row.path for row in sorted_rows(rows, "folder")] == ["/a", "/a", "/b"]
    assert [row.pattern for row in sorted_rows(rows, "pattern")] == ["*.a", "*.b", "*.c"]
    assert sorted_rows(rows, "") == rows


@pytest.mark.parametrize(
    ("age_seconds", "colour"), [(-3600, "35"), (0, "32"), (7200, ""), (86400, "33"), (8 * 86400, "31")]
)
def test_an_age_has_its_colour_on_a_terminal_that_shows_some(age_seconds: int, colour: str) -> None:
    group = group_of("*", files=1, oldest_modified_at=time.time() - age_seconds)
    snapshot = Snapshot((FolderSnapshot("/in", {}, True, False, (group,)),))
    plain = _printed(snapshot, 120)
    shown = "\n".join(_printed(snapshot, 120, colours=True))
    assert re.findall(r"\x1b\[(\d+)m", shown) == ([colour, "0"] if colour else [])
    assert re.sub(r"\x1b\[\d+m", "", shown).splitlines() == plain, "the columns are where they are without colours"
    assert "\x1b" not in "".join(_printed(snapshot, 120, colours=True, term="dumb"))
    assert "\x1b" not in "".join(_printed(snapshot, 120, colours=True, stream=io.StringIO()))


def test_what_was_asked_for_has_a_column() -> None:
    group = group_of("*", files=3, unsettled_files=2, disk_usage_bytes=4096)
    both = [FolderSnapshot(path, {}, True, False, (group,)) for path in ("/a", "/b")]
    lines = _printed(Snapshot(tuple(both)), 120)
    assert lines[0].split()[-3:] == ["UNSETTLED", "ON", "DISK"]
    assert lines[1].split()[-3:] == ["2", "4.0", "KiB"]
    assert lines[-1].split()[-1] == "4", "files of several names are on the disk once"


def test_a_folder_that_cannot_be_read_says_so_and_widens_nothing() -> None:
    lines = _printed(_snapshot("/in", "/gone"), 120)
    assert lines[2] == "/gone   *.csv    cannot be read"
    assert lines[:2] == _printed(_snapshot("/in"), 120)
    assert lines[3].split()[:3] == ["TOTAL", "1,234,567", "1.0"]
    assert _printed(_snapshot("/gone"), 40) == ["/gone  *.csv", "  cannot be read"]


def test_wide_letters_take_two_columns() -> None:
    for columns in range(20, 60):
        shown = elided("/data/" + "\u65e5\u672c\u8a9e/" * 9, columns)
        assert cell_len(shown) <= columns
        assert cell_len(shown) >= min(columns - 2, 60)
    header, wide, narrow, _ = _printed(_snapshot("/\u65e5\u672c", "/in"), 120)
    assert cell_len(wide) == cell_len(narrow) == len(header)


def test_wide_letters_fit_or_are_a_paragraph() -> None:
    snapshot = _snapshot("/in/\u65e5\u672c\u8a9e/" + "\u65e5" * 30, "/in/\u65e5\u672c", "/in/\u8a9e")
    for columns in range(40, 140):
        lines = _printed(snapshot, columns)
        assert lines[0] == "In /in:" or lines[0].startswith(("FOLDER", "/in/"))
        if not lines[0].startswith("/in/"):
            assert max(map(cell_len, lines)) <= columns


def test_where_no_folder_matches_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_for_people(Snapshot(()))
    assert capsys.readouterr().out == "There is no such folder now.\n"


def test_what_could_not_be_read_below_a_folder_is_told() -> None:
    faults = {Fault.PERMISSION: 2, Fault.IO: 0, Fault.NAME: 1}
    some = FolderSnapshot("/in\n", {}, True, True, (group_of("*"),), faults=faults)
    one = FolderSnapshot("/a", {}, True, True, (), faults={Fault.IO: 1})
    gone = FolderSnapshot("/gone", {}, False, True, (), faults=faults)
    assert list(unread(Snapshot((some, one, gone)))) == [
        "/in\\n: 3 entries could not be read (permission, name)",
        "/a: 1 entry could not be read (io)",
    ]


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
