"""Files with several names: whatever name a change comes by, all of them show it at once."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Folder, Selection
from fexp.counting.table import Table
from fexp.disk import scan
from fexp.engine import Engine, EngineSettings
from fexp.engine.seen_elsewhere import HardLinks
from fexp.events.directory import WatchedDirectory
from fexp.model import Backend, FileColumns, KnownFiles
from tests.chaos.world import exchange
from tests.engine.live import PATIENCE_SECONDS, watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engine.live import Live

RECURSIVE = Selection(("*.txt", "*"), recursive=True)
every_backend = pytest.mark.parametrize("backend", list(Backend))
_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _AT_SYMLINK_FOLLOW = -100, 0x400


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def truncate(path: Path) -> None:
    os.truncate(path, 1)


def shows(live: Live, *sizes: int) -> None:
    """Assert that both patterns come to show files of these sizes; with inotify they have to at once."""
    if live.engine.snapshot().folders[0].backend is not Backend.INOTIFY:
        live.until(lambda folder: folder.groups[0].size_bytes == sum(sizes) and folder.groups[0].files == len(sizes))
    for group in live.quiet().groups:
        assert (group.files, group.size_bytes) == (len(sizes), sum(sizes))
        assert group.values["largest_bytes"] == max(sizes)
        assert group.values["smallest_bytes"] == min(sizes)


@every_backend
@pytest.mark.parametrize("other", ["b.txt", "sub/b.txt"])
@pytest.mark.parametrize("change", [append, truncate])
@pytest.mark.parametrize("linked", ["before", "after"])
def test_a_change_through_either_name_shows_under_both(
    tmp_path: Path, backend: Backend, other: str, change: Callable[[Path], None], linked: str
) -> None:
    one, two = tmp_path / "a.txt", tmp_path / other
    two.parent.mkdir(exist_ok=True)
    one.write_text("12345")
    if linked == "before":
        os.link(one, two)
    with watching(tmp_path, RECURSIVE, backend=backend, poll_interval_seconds=0.02) as live:
        if linked == "after":
            os.link(one, two)
        for path in (two, one, two):
            change(path)
            size = one.stat().st_size
            shows(live, size, size)
        one.unlink()
        change(two)
        shows(live, two.stat().st_size)


def test_the_link_is_made_and_written_before_anybody_looks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("12345")
    with watching(tmp_path, RECURSIVE) as live:
        with live.held():
            os.link(tmp_path / "a.txt", tmp_path / "b.txt")
            append(tmp_path / "b.txt")
        shows(live, 9, 9)


@pytest.mark.parametrize("way", ["unlink", "replace", "rename", "rename directory", "exchange"])
def test_the_name_goes_before_anybody_looks_at_the_change(tmp_path: Path, way: str) -> None:
    one, two = tmp_path / "a.txt", tmp_path / "sub" / "b.txt"
    two.parent.mkdir()
    one.write_text("12345")
    with watching(tmp_path, RECURSIVE) as live:
        os.link(one, two)
        shows(live, 5, 5)
        with live.held():
            append(two)
            if way == "unlink":
                two.unlink()
            elif way == "replace":
                (tmp_path / "new.txt").write_text("12")
                (tmp_path / "new.txt").rename(two)
            elif way == "rename":
                two.rename(tmp_path / "sub" / "c.txt")
            elif way == "rename directory":
                two.parent.rename(tmp_path / "bus")
            else:
                (tmp_path / "new.txt").write_text("12")
                exchange(os.fsencode(two), os.fsencode(tmp_path / "new.txt"))
        rest = {"unlink": [], "replace": [2], "exchange": [9, 2]}.get(way, [9])
        shows(live, 9, *rest)


def test_a_written_link_comes_with_a_directory(tmp_path: Path) -> None:
    """Nobody watches the new directory yet: its listing finds a file that has another name here."""
    (tmp_path / "root").mkdir()
    (tmp_path / "out").mkdir()
    one = tmp_path / "root" / "a.txt"
    one.write_text("12345")
    with watching(tmp_path / "root", RECURSIVE) as live:
        os.link(one, tmp_path / "out" / "b.txt")
        append(tmp_path / "out" / "b.txt")
        (tmp_path / "out").rename(tmp_path / "root" / "in")
        shows(live, 9, 9)


def test_names_in_two_folders(tmp_path: Path) -> None:
    """Also where the other folder does not count what lies beside it."""
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.mkdir()
    (first / "a").write_text("12345")
    folders = [Folder(os.fsencode(path), path.name, Selection()) for path in (first, second)]
    engine = Engine(folders, EngineSettings(backend=Backend.INOTIFY))
    engine.start()
    try:
        assert engine.flush(PATIENCE_SECONDS)
        os.link(first / "a", second / "b")
        for path, size in ((second / "b", 9), (first / "a", 13)):
            append(path)
            assert engine.flush(PATIENCE_SECONDS)
            assert [one.groups[0].size_bytes for one in engine.snapshot().folders] == [size, size]
        engine.set_folders(folders[:1])
        append(second / "b")
        append(first / "a")
        assert engine.flush(PATIENCE_SECONDS)
        assert [one.groups[0].size_bytes for one in engine.snapshot().folders] == [21]
        (names,) = engine._hard_links._names_of.values()
        assert {name for _, name in names} == {b"a"}
    finally:
        engine.stop()


def test_a_name_of_a_folder_that_is_gone_is_not_looked_at(tmp_path: Path) -> None:
    """What departs with its folder comes back with it: nothing may depart meanwhile."""
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.mkdir()
    (first / "a").write_text("12345")
    os.link(first / "a", second / "b")
    folders = [Folder(os.fsencode(path), path.name, Selection()) for path in (first, second)]
    engine = Engine(folders, EngineSettings(backend=Backend.INOTIFY))
    engine.start()
    try:
        assert engine.flush(PATIENCE_SECONDS)
        second.rename(tmp_path / "away")
        assert engine.flush(PATIENCE_SECONDS)
        assert [one.up for one in engine.snapshot().folders] == [True, False]
        append(first / "a")
        assert engine.flush(PATIENCE_SECONDS)
        (tmp_path / "away").rename(second)
        assert engine.flush(PATIENCE_SECONDS)
        found = engine.snapshot().folders[1]
        assert found.up
        flow = found.groups[0].flow
        assert flow is not None
        assert (found.groups[0].size_bytes, flow.arrivals, flow.departures, flow.modifications) == (9, 0, 0, 1)
    finally:
        engine.stop()


def test_names_where_nobody_watches_and_where_somebody_does(tmp_path: Path) -> None:
    """A change that the poll of one directory finds shows in the others, too."""
    one, two = tmp_path / "a.txt", tmp_path / "sub" / "b.txt"
    two.parent.mkdir()
    one.write_text("12345")
    with watching(tmp_path, RECURSIVE, poll_interval_seconds=0.02) as live:
        os.link(one, two)
        live.quiet()
        (folder,) = live.engine._folders
        (sub,) = folder.tree.root.children.values()
        source = live.engine._source
        assert source is not None

        def lose_the_watch() -> None:
            source.disarm(sub)
            folder.tree.arming.polled.add(sub)
            live.engine._agenda.touch([folder])

        for size in (9, 13):
            with live.held():
                live.engine._queue.put((None, lose_the_watch))
                append(two)
            live.until(lambda folder, total=2 * size: folder.groups[0].size_bytes == total)  # type: ignore[misc]


def test_a_link_that_a_timed_look_sees_first_is_no_drift(tmp_path: Path) -> None:
    one, two = tmp_path / "a.txt", tmp_path / "b.txt"
    one.write_text("12345")
    os.link(one, two)
    with watching(tmp_path, RECURSIVE, rescan_seconds=0.001) as live:
        for _ in range(50):
            append(two)
            live.quiet()
        assert live.quiet().drift_files == 0


def test_a_spool_that_delivers_by_link_and_unlink(tmp_path: Path) -> None:
    """Each file is delivered once, and nothing is remembered of those that left."""
    spool, inbox = tmp_path / "spool", tmp_path / "inbox"
    for path in (spool, inbox):
        path.mkdir()
    paths = [os.fsencode(path) + b"/" for path in (spool, inbox)]

    def deliver(first: int, count: int) -> None:
        for number in range(first, first + count):
            source, target = (path + b"%d.txt" % number for path in paths)
            os.close(os.open(source, os.O_CREAT | os.O_WRONLY))
            os.link(source, target)
            if number % 8 == 0:
                live.quiet()  # both names are seen
            os.unlink(source)
            os.unlink(target)

    with watching(tmp_path, RECURSIVE) as live:
        deliver(0, 3_000)
        flow = live.pattern().flow
        assert flow is not None
        assert flow.arrivals == flow.departures == 6_000
        links = live.engine._hard_links
        assert len(links._names_of) <= 1100
        assert len(links._searched) <= len(links._names_of)


def test_names_of_one_file_that_come_and_go_are_forgotten(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.touch()
    with watching(tmp_path, RECURSIVE) as live:
        for number in range(3000):
            os.link(base, tmp_path / f"{number}")
            if number % 2:
                live.quiet()
            os.unlink(tmp_path / f"{number}")
        live.quiet()
        assert sum(len(names) for names in live.engine._hard_links._names_of.values()) <= 1100


def test_an_inode_that_another_file_has_now(tmp_path: Path) -> None:
    """What is known of an inode ends with its file."""
    with watching(tmp_path, RECURSIVE) as live:
        for _ in range(20):
            one, two = tmp_path / "a.txt", tmp_path / "b.txt"
            one.write_text("12345")
            live.quiet()
            os.link(one, two)
            live.quiet()
            append(two)
            shows(live, 9, 9)
            one.unlink()
            two.unlink()
            live.quiet()


def test_what_was_forgotten_is_searched_for_again() -> None:
    links, root = HardLinks(), WatchedDirectory.of_folder(b"/root")
    table = Table(0)
    root.tables = (table,)

    def put(name: bytes, inode: int) -> FileColumns:
        table.fill(KnownFiles([name], [1], [1.0], [inode], [1.0]))
        return FileColumns([name], [1], [1.0], [1.0], [inode])

    def other_names() -> set[bytes]:
        links.changed([7])
        if links.needs_search:
            links.search([root])
        return set(links.take().get(root, ()))

    put(b"a", 7)
    links.record(root, put(b"b", 7), [(b"b", 7)])
    assert other_names() == {b"a", b"b"}
    links.record(root, put(b"c", 7), [])
    assert not links.needs_search
    assert other_names() == {b"a", b"b", b"c"}
    table.remove([b"a", b"c"])
    links.sweep()
    put(b"d", 7)
    assert other_names() == {b"b", b"d"}
    table.remove([b"d"])
    links.changed([7])
    links.sweep()
    links.search([root])
    assert links.take() == {root: {b"b"}}, "what waits is not forgotten"
    root.has_left = True
    assert other_names() == set()


def test_files_with_one_name_cost_no_look_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bytes] = []
    look_at = scan.look_at

    def count(directory: bytes, names: list[bytes], **options: bool) -> scan.Found:
        looks.extend(names)
        return look_at(directory, names, **options)

    monkeypatch.setattr(scan, "look_at", count)
    for name in ("a.txt", "b.txt", "alone.txt"):
        (tmp_path / name).write_text(name)
    os.link(tmp_path / "a.txt", tmp_path / "c.txt")
    with watching(tmp_path, RECURSIVE) as live:
        append(tmp_path / "alone.txt")
        live.quiet()
        assert set(looks) == {b"alone.txt"}
        looks.clear()
        append(tmp_path / "c.txt")
        live.quiet()
        assert set(looks) == {b"a.txt", b"c.txt"}
        looks.clear()
        os.link(tmp_path / "a.txt", tmp_path / "d.txt")
        live.quiet()
        assert set(looks) == {b"d.txt"}, "a name more is no change of the file"


@pytest.mark.parametrize("place", ["", "sub"])
@pytest.mark.parametrize("selection", [RECURSIVE, Selection(("*.txt", "n*"), recursive=True)])
def test_a_file_that_was_made_without_a_name(tmp_path: Path, selection: Selection, place: str) -> None:
    """Events of its writer call it ``#`` and its inode for ever."""
    target = tmp_path / place / "named.txt"
    target.parent.mkdir(exist_ok=True)
    with watching(tmp_path, selection) as live:
        try:
            descriptor = os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY)
        except OSError as error:
            pytest.skip(f"no O_TMPFILE here: {error}")
        try:
            os.write(descriptor, b"12345")
            assert live.pattern().files == 0
            path = f"/proc/self/fd/{descriptor}".encode()
            assert not _libc.linkat(_AT_FDCWD, path, _AT_FDCWD, os.fsencode(target), _AT_SYMLINK_FOLLOW)
            for size in (10, 15, 20):
                os.write(descriptor, b"12345")
                shows(live, size)
            target.rename(tmp_path / "n2.txt")
            os.write(descriptor, b"12345")
            shows(live, 25)
            os.link(tmp_path / "n2.txt", tmp_path / "n3.txt")
            os.write(descriptor, b"12345")
            shows(live, 30, 30)
        finally:
            os.close(descriptor)


def test_files_that_never_get_a_name_are_not_remembered(tmp_path: Path) -> None:
    with watching(tmp_path, RECURSIVE) as live:
        for _ in range(3000):
            descriptor = os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY)
            os.write(descriptor, b"1")
            os.close(descriptor)
            live.quiet()
        assert len(live.engine._hard_links._names_of) <= 1100
        assert live.pattern().files == 0
