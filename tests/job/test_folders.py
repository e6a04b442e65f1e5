"""What a job did to its folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fexp.service.job.folders
from fexp.config.selection import build_folders
from fexp.service.job.folders import Folders, difference, look_into

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = st.dictionaries(st.sampled_from([b"a", b"b", b"c/d", b"e"]), st.integers(0, 100))


@given(CONTENTS, CONTENTS)
def test_before_and_what_came_is_after_and_what_went(before: dict[bytes, int], after: dict[bytes, int]) -> None:
    found = difference(before, after)
    assert len(before) + found.produced_files == len(after) + found.consumed_files
    assert sum(before.values()) + found.produced_bytes == sum(after.values()) + found.consumed_bytes
    assert min(found) >= 0
    assert difference(before, before) == (0, 0, 0, 0)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    (folder,) = build_folders([str(tmp_path / "later")])
    assert look_into(folder) == {0: {}}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    folders = Folders(build_folders([str(tmp_path)]))
    folders.begin()
    tmp_path.chmod(0o700)
    assert folders.samples() == {}
    assert folders.problems == [f"{tmp_path}: Permission denied"]


def test_a_folder_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is more than its numbers."""
    import threading

    release = threading.Event()
    monkeypatch.setattr(fexp.service.job.folders, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(fexp.service.job.folders, "look_into", lambda _: release.wait() and {})
    folders = Folders(build_folders([str(tmp_path)]))
    try:
        folders.begin()
    finally:
        release.set()
    assert folders.problems == [f"{tmp_path}: not looked into after 0.05 s"]
    assert folders.samples() == {}


def test_without_a_thread_it_looks_itself(tmp_path: Path, no_thread: object) -> None:
    (tmp_path / "a").write_text("12")
    assert callable(no_thread)
    no_thread()
    folders = Folders(build_folders([str(tmp_path)]))
    folders.begin()
    (tmp_path / "a").unlink()
    labels = {"folder": str(tmp_path), "pattern": "*"}
    assert folders.samples()["fexp_job_consumed_bytes"] == [(labels, 2)]


def test_a_folder_that_came_with_the_job_counts_and_one_that_went(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("12")
    old, new = build_folders([str(tmp_path / "old"), str(tmp_path / "new")])
    folders = Folders([old], lambda: [new])
    folders.begin()
    (tmp_path / "old" / "a").unlink()
    (tmp_path / "old").rmdir()
    samples = folders.samples()
    assert [(labels["folder"], value) for labels, value in samples["fexp_job_consumed_files"]] == [
        (old.label, 1),
        (new.label, 0),
    ]
    assert [value for _, value in samples["fexp_job_produced_bytes"]] == [0, 2]
