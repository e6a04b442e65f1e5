"""``fexp.look``: the numbers of one look, and what it does where there is nothing to look at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import fexp
from fexp.model import Histogram
from fexp.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path


def test_the_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    clock = ManualClock(2e9)
    for name, content, age_seconds in (
        ("a.csv", "123", 100),
        ("b.csv", "", 50),
        ("c.csv", "1", -100),
        ("d.xml", "", 0),
    ):
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, (2e9 - age_seconds,) * 2)
    csv, xml = fexp.look(
        tmp_path, ext=["csv", "xml"], label={"team": "a"}, age_buckets=["1m", 120], size_buckets="0,2", clock=clock
    )
    assert (csv.folder, csv.pattern, csv.labels) == (str(tmp_path), "*.csv", {"team": "a", "pattern": "*.csv"})
    assert (csv.files, csv.size_bytes, csv.empty_files, csv.future_files) == (3, 4, 1, 1)
    assert (csv.oldest_modified_at, csv.newest_modified_at) == (2e9 - 100, 2e9 + 100)
    assert (csv.largest_bytes, csv.smallest_bytes) == (3, 0)
    assert csv.distributions["file_size_bytes"] == Histogram((0.0, 2.0), (1, 1, 1), 4)
    assert csv.distributions["file_age_seconds"].counts == (2, 1, 0)
    assert (csv.errors, csv.looked_at) == ({}, 2e9)
    assert xml.files == 1


def test_groups_and_single_files(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    folder.mkdir()
    for age_seconds, name in enumerate(["A_1.csv", "A_2.csv", "B_1.xml", "plain"]):
        (folder / name).write_text(name)
        os.utime(folder / name, (2e9 - age_seconds,) * 2)
    numbers = fexp.look(
        folder, by_ext=True, top=1, group="^(?P<partner>[A-Z])_", group_folder=".*/(?P<customer>.*)", per_file=True,
        max_series=3,
    )  # fmt: skip
    assert {(one.pattern, one.labels["partner"]): one.files for one in numbers} == {
        ("*.csv", "A"): 2,
        ("other", "B"): 1,
        ("other", "other"): 1,
    }
    assert {one.labels["customer"] for one in numbers} == {"acme"}
    single = {one.labels["partner"]: [file.labels["file"] for file in one.single_files] for one in numbers}
    assert single == {"A": ["A_2.csv"], "B": ["B_1.xml"], "other": ["plain"]}


def test_of_no_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    (numbers,) = fexp.look(tmp_path, match="*.csv")
    assert (numbers.files, numbers.size_bytes, numbers.empty_files) == (0, 0, 0)
    speaks_of_files = [numbers.oldest_modified_at, numbers.oldest_arrived_at, numbers.largest_bytes]
    assert speaks_of_files == [None] * 3


def test_folders_come_in_their_order_and_a_file_is_one(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "x.csv").touch()
    numbers = fexp.look([tmp_path / "b", tmp_path / "a" / "x.csv"])
    assert [(one.folder, one.pattern, one.files) for one in numbers] == [
        (f"{tmp_path}/b", "*", 0),
        (f"{tmp_path}/a", "x.csv", 1),
    ]


def test_all_folders_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(fexp.FolderError, match=f"^{tmp_path}/a: No such file or directory; {tmp_path}/b: No such"):
        fexp.look([tmp_path / "a", tmp_path, tmp_path / "b"])
