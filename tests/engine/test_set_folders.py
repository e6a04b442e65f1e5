"""Folders come and go while the engine runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Folder, Selection
from fexp.model import Backend, Reason
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.model import FolderSnapshot
    from tests.engine.live import Live


def folder(path: Path, **labels: str) -> Folder:
    return Folder(os.fsencode(path), str(path), Selection(), labels)


def snapshots(live: Live) -> dict[str, FolderSnapshot]:
    live.quiet()
    return {one.folder: one for one in live.engine.snapshot().folders}


@pytest.mark.parametrize("backend", list(Backend))
def test_a_folder_that_is_added_is_looked_at_and_one_that_stays_is_not(tmp_path: Path, backend: Backend) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.mkdir()
        (path / "a").touch()
    with watching(first, backend=backend, poll_interval_seconds=0.01) as live:
        (first / "b").touch()
        live.until(lambda one: one.groups[0].files == 2)
        before = live.quiet()
        live.engine.set_folders([folder(second), live.folder])
        live.until(lambda _: len(snapshots(live)) == 2 and snapshots(live)[str(second)].up)
        after = snapshots(live)
        assert [one.folder for one in live.engine.snapshot().folders] == [str(second), str(first)]
        assert after[str(second)].groups[0].files == 1
        assert after[str(second)].scans[Reason.START] == 1
        assert after[str(first)].scans[Reason.START] == 1
        assert after[str(first)].groups[0].flow == before.groups[0].flow
        (second / "b").touch()
        live.until(lambda _: snapshots(live)[str(second)].groups[0].files == 2)


def test_a_folder_that_is_removed_is_no_longer_watched(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        (path / "sub").mkdir(parents=True)
    with watching(first, Selection(recursive=True)) as live:
        source = live.engine._source
        before = len(source._watched)  # type: ignore[union-attr]
        live.engine.set_folders([live.folder, folder(second)])
        live.quiet()
        live.engine.set_folders([live.folder])
        assert list(snapshots(live)) == [str(first)]
        assert len(source._watched) == before  # type: ignore[union-attr]
        (second / "a").touch()
        (first / "sub" / "a").touch()
        assert live.pattern().files == 1


def test_a_folder_that_is_removed_leaves_another_of_the_same_path_its_watches(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    recursive = Selection(recursive=True)
    folders = [Folder(os.fsencode(tmp_path), name, recursive) for name in ("one", "two")]
    with watching(tmp_path, recursive) as live:
        live.engine.set_folders(folders)
        live.until(lambda _: len(snapshots(live)) == 2 and all(one.up for one in snapshots(live).values()))
        live.engine.set_folders(folders[1:])
        (tmp_path / "sub" / "a").touch()
        (tmp_path / "b").touch()
        assert [(one.folder, one.groups[0].files) for one in (live.quiet(),)] == [("two", 2)]


@pytest.mark.parametrize("events_first", [True, False])
def test_a_folder_that_is_removed_with_events_on_their_way(tmp_path: Path, events_first: bool) -> None:
    (tmp_path / "sub").mkdir()
    with watching(tmp_path, Selection(recursive=True)) as live:
        with live.held():
            (tmp_path / "sub" / "a").touch()
            (tmp_path / "sub").rename(tmp_path / "bus")
            if events_first:
                live.drain_the_kernel()
            live.engine.set_folders([])
            (tmp_path / "bus" / "b").touch()
        assert live.engine.flush(60)
        assert not live.engine.snapshot().folders
        live.engine.set_folders([live.folder])
        live.until(lambda one: one.up and one.groups[0].files == 2)


def test_a_folder_with_other_labels_or_patterns_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with watching(tmp_path) as live:
        (tmp_path / "b").touch()
        flow = live.pattern().flow
        assert flow is not None
        assert flow.arrivals == 1
        live.engine.set_folders([folder(tmp_path, team="x")])
        snapshot = live.until(lambda one: one.up and one.labels == {"team": "x"})
        flow = snapshot.groups[0].flow
        assert flow is not None
        assert (snapshot.groups[0].files, flow.arrivals) == (2, 0)


def test_readers_get_the_same_object_while_nothing_changes(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with watching(tmp_path) as live:
        live.engine.set_folders([live.folder, folder(other)])
        live.until(lambda _: len(snapshots(live)) == 2 and snapshots(live)[str(other)].up)
        quiet, changing = snapshots(live).values()
        (other / "a").touch()
        after_quiet, after_changing = snapshots(live).values()
        assert after_quiet is quiet
        assert after_changing is not changing
