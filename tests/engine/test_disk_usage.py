"""Directories and what files take up on the disk, in a running engine beside du."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.model import Backend
from fexp.service.oneshot import look_at
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.model import FolderSnapshot


def du(root: Path) -> float:
    files = sorted(root.rglob("*.csv"))
    if not files:
        return 0.0
    said = subprocess.run(["du", "-c", "-B1", *files], check=True, capture_output=True, text=True).stdout
    return float(said.splitlines()[-1].split()[0])


def numbers(folder: FolderSnapshot) -> tuple[float | None, int | None]:
    return folder.groups[0].values["disk_usage_bytes"], folder.directories


@pytest.mark.parametrize("backend", [Backend.INOTIFY, Backend.POLLING])
def test_equal_to_du_whatever_the_names(backend: Backend, tmp_path: Path) -> None:
    selection = Selection(("*.csv",), recursive=True, disk_usage=True)
    deep, outside = tmp_path / "in" / "sub" / "deep", tmp_path / "out"
    deep.mkdir(parents=True)
    root = tmp_path / "in"
    (root / "a.csv").write_bytes(b"a" * 5000)
    with watching(
        root, selection, Measures(disk_usage=True), backend=backend, poll_interval_seconds=0.001
    ) as live:  # fmt: skip

        def is_as_du_says(directories: int) -> None:
            live.until(lambda folder: numbers(folder) == (du(root), directories))
            assert numbers(look_at(live.folder)[0]) == (du(root), directories)

        is_as_du_says(3)
        assert du(root) > 0
        os.link(root / "a.csv", deep / "b.csv")  # only now it has several names
        is_as_du_says(3)
        with open(deep / "b.csv", "ab") as file:
            file.write(b"b" * 50000)
        os.truncate(deep / "b.csv", 10**9)  # a hole takes up nothing
        is_as_du_says(3)
        (root / "a.csv").unlink()
        is_as_du_says(3)
        os.link(deep / "b.csv", root / "sub" / "c.csv")
        (root / "d.csv").write_bytes(b"d")
        is_as_du_says(3)
        (root / "sub").rename(outside)
        is_as_du_says(1)
        outside.rename(root / "back")
        is_as_du_says(3)
        shutil.rmtree(root / "back")
        (root / "d.csv").unlink()
        is_as_du_says(1)


def test_a_file_with_names_in_two_groups_that_are_shown_as_one_counts_once(tmp_path: Path) -> None:
    selection, group_by = Selection(disk_usage=True), GroupBy(extensions_max=1)
    for name in ("1.top", "2.top", "3.top", "a.x"):
        (tmp_path / name).write_bytes(b"a" * 5000)
    os.link(tmp_path / "a.x", tmp_path / "b.y")
    blocks = os.stat(tmp_path / "a.x").st_blocks * 512
    with watching(tmp_path, selection, Measures(disk_usage=True), group_by=group_by) as live:

        def is_on_disk(other: int, top: int) -> None:
            live.until(lambda folder: _on_disk(folder) == {"other": other * blocks, "*.top": top * blocks})
            assert _on_disk(look_at(live.folder)[0]) == {"other": other * blocks, "*.top": top * blocks}

        is_on_disk(1, 3)
        os.link(tmp_path / "a.x", tmp_path / "c.z")
        os.link(tmp_path / "a.x", tmp_path / "4.top")
        is_on_disk(1, 4)
        (tmp_path / "a.x").unlink()
        (tmp_path / "c.z").unlink()
        is_on_disk(1, 4)
        (tmp_path / "b.y").unlink()
        is_on_disk(0, 4)


def _on_disk(folder: FolderSnapshot) -> dict[str, float | None]:
    return {group.pattern: group.values["disk_usage_bytes"] for group in folder.groups}
