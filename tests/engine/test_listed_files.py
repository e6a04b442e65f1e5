"""Which files: the engine's answer beside what the disk has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.selection import PARTIALS, Selection
from fexp.listed import FileQuery, Listed
from tests.engine.live import watching
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.live import Live

RECURSIVE = Selection(("*.csv", "a*"), recursive=True)


def names(live: Live, listed: Listed, files_max: int = 9, **labels: str) -> list[bytes]:
    live.quiet()
    return [file.path for file in live.engine.list_files(FileQuery(listed, files_max, labels))]


def test_the_lists_are_those_of_the_disk_as_it_is_now(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(["a.csv", "sub/b.csv", "c.csv", "a-4", "no.txt"]):
        (tmp_path / name).write_bytes(b"x" * number)
        os.utime(tmp_path / name, (number, 1e9 + number))
    with watching(tmp_path, RECURSIVE) as live:
        assert names(live, Listed.OLDEST) == [b"a.csv", b"sub/b.csv", b"c.csv", b"a-4"]
        assert names(live, Listed.NEWEST, 2) == [b"a-4", b"c.csv"]
        assert names(live, Listed.LARGEST, 1) == [b"a-4"]
        assert names(live, Listed.SMALLEST, 2) == names(live, Listed.OLDEST, 2)
        assert names(live, Listed.EMPTY) == [b"a.csv"]
        assert names(live, Listed.OLDEST, pattern="a*") == [b"a.csv", b"a-4"]
        assert names(live, Listed.FUTURE) == names(live, Listed.OLDEST, folder="/elsewhere") == []
        os.utime(tmp_path / "c.csv", (0, 1e10))
        (tmp_path / "a.csv").unlink()
        assert names(live, Listed.FUTURE) == names(live, Listed.NEWEST, 1) == [b"c.csv"]
        assert names(live, Listed.OLDEST, 1) == [b"sub/b.csv"]
        (file,) = live.engine.list_files(FileQuery(Listed.FUTURE, 9))
        assert (file.folder, file.patterns, file.labels) == (str(tmp_path), ("*.csv",), {})
        assert (file.size_bytes, file.modified_at) == (2, 1e10)
        assert abs(file.at - live.engine.snapshot().folders[0].last_scan_at) < 60  # type: ignore[operator]
        for name in ("sub/b.csv", "sub", "a-4", "c.csv", "no.txt"):
            (os.rmdir if name == "sub" else os.unlink)(tmp_path / name)
        tmp_path.rmdir()
        poll(lambda: not live.engine.snapshot().folders[0].up)
        assert names(live, Listed.OLDEST) == []
        tmp_path.mkdir()


def test_files_on_their_way_are_listed_those_that_changed_longest_ago_first(tmp_path: Path) -> None:
    (tmp_path / "old.part").touch()
    os.utime(tmp_path / "old.part", (0, 0))
    measures = Measures(settle_seconds=3600.0, stall_after_seconds=1e-3, counts_settled=True)
    with watching(tmp_path, Selection(("*.csv",), partials=PARTIALS), measures) as live:
        (tmp_path / "first.csv").write_text("1")
        live.quiet()
        (tmp_path / "second.csv").write_text("22")
        assert names(live, Listed.UNSETTLED) == [b"first.csv", b"second.csv"]
        assert names(live, Listed.UNSETTLED, 1) == [b"first.csv"]
        assert names(live, Listed.UNSETTLED, pattern="*.txt") == names(live, Listed.OLDEST) == []
        poll(lambda: names(live, Listed.STALLED) == [b"old.part"])
        (stalled,) = live.engine.list_files(FileQuery(Listed.STALLED, 9))
        assert (stalled.patterns, stalled.size_bytes, stalled.modified_at) == (("*.csv",), 0, 0.0)


def test_labels_of_groups_choose_files(tmp_path: Path) -> None:
    for name in ("A_1", "B_1", "B_2"):
        (tmp_path / name).touch()
    group_by = GroupBy(regex="^(?P<partner>.)_", label_names=("partner",), groups_max=9)
    with watching(tmp_path, group_by=group_by) as live:
        assert sorted(names(live, Listed.EMPTY, partner="B")) == [b"B_1", b"B_2"]
        (file,) = live.engine.list_files(FileQuery(Listed.EMPTY, 9, {"partner": "A", "pattern": "*"}))
        assert (file.path, file.labels) == (b"A_1", {"partner": "A"})


def test_a_folder_that_hides_names_lists_none(tmp_path: Path) -> None:
    (tmp_path / "patient.txt").touch()
    with watching(tmp_path, hides_names=True) as live:
        assert live.engine.snapshot().folders[0].hides_names
        assert names(live, Listed.OLDEST) == []
        own, public = live.engine.subscribe(), live.engine.subscribe(leave=True)
        live.quiet()
        (tmp_path / "another.txt").touch()
        live.quiet()
        assert {change.path for change in own.take().changes} == {b"another.txt"}
        assert {change.path for change in public.take().changes} == {b""}
