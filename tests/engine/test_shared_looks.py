"""Looks that other processes share: exact whatever happens meanwhile, and whatever becomes of those processes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Folder, Selection
from fexp.disk import listers, scan
from fexp.disk.sharing import SHARE_FROM
from fexp.engine import Engine, EngineSettings, listings
from fexp.model import Backend, Fault, Reason
from tests.chaos.driver import folder_watches, known_files, selection_of
from tests.chaos.oracle import Rules, files_on_disk
from tests.chaos.world import exchange
from tests.engine.live import PATIENCE_SECONDS, Live, watching
from tests.engine.sharing import (
    DENIES,
    DIES,
    DIES_IN_ITS_ANSWER,
    GOES_ON,
    HANGS,
    SLOW,
    Gate,
    children,
    descriptors,
    fill,
    gated,
    odd_tree,
    shared,
)
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
ALL = Rules(("*.txt", "*"))


def all_known(live: Live) -> dict[str, object]:
    """Return what an engine knows, in a form that two of them can be compared by."""
    shown = live.quiet()
    (watch,) = folder_watches(live.engine)
    directories = {directory.below: directory.inode for directory in watch.tree.root.subtree()}
    names_of = watch._context.hard_links._names_of
    return {
        "files": known_files(watch),
        "numbers": [{**group.values, "oldest_arrived_at": None} for group in shown.groups],
        "faults": shown.faults,
        "scans": shown.scans,
        "directories": directories,
        "links": {one.below: names for one, names in watch.tree._followed_links._links.items()},
        "shared": {inode: {(one.below, name) for one, name in names} for inode, names in names_of.items()},
        "unwatched": [one.below for one in watch.tree.root.subtree() if one.watch is None],
    }


def is_exact(live: Live, rules: Rules = ALL) -> bool:
    """Return whether the engine agrees with the disk, path by path."""
    live.quiet()
    (watch,) = folder_watches(live.engine)
    return known_files(watch) == files_on_disk(live.path, rules)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count listings by who made them."""
    counts = dict.fromkeys(("other process", "thread"), 0)
    following = listings.Listings.next

    def counting(
        self: listings.Listings,
    ) -> tuple[listings.WantedListing, bytearray | None] | None:
        step = following(self)
        if step is not None:
            counts["thread" if step[1] is None else "other process"] += 1
        return step

    monkeypatch.setattr(listings.Listings, "next", counting)
    return counts


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Assert that no process and no descriptor is left behind."""
    before = children(), descriptors()
    yield
    assert (children(), descriptors()) == before


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("processes", [1, 3])
def test_other_processes_find_what_the_thread_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, int], processes: int, *, follow: bool
) -> None:
    root, rules = odd_tree(tmp_path / "root"), Rules(("*.txt", "*"), follow_symlinks=follow)
    list_directory = scan.list_directory

    def deny(path: bytes, below: bytes, *arguments: object) -> scan.Listing:
        if below.endswith(b"denied/"):
            raise PermissionError(13, "Permission denied")
        return list_directory(path, below, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "list_directory", deny)
    with watching(root, selection_of(rules)) as live:
        alone = all_known(live)
    assert answers["other process"] == 0
    with shared(processes, DENIES), watching(root, selection_of(rules)) as live:
        together = all_known(live)
    assert answers["other process"] > 0
    assert together == alone
    assert alone["faults"] == {fault: int(fault is Fault.PERMISSION) for fault in Fault}


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("reason", [Reason.OVERFLOW, Reason.REAPPEARED])
def test_later_looks_are_shared_too(tmp_path: Path, answers: dict[str, int], reason: Reason) -> None:
    root = odd_tree(tmp_path / "root")
    with shared(2), watching(root, selection_of(ALL)) as live:
        before = answers["other process"]
        if reason is Reason.OVERFLOW:
            live.engine._queue.put((None, live.engine._lost_events))
        else:
            root.rename(tmp_path / "away")
            assert not live.pulsed().up
            fill(tmp_path / "away" / "new", "new.txt")
            (tmp_path / "away").rename(root)
            live.pulsed()
        live.until(lambda folder: folder.scans[reason] == 1)
        assert answers["other process"] > before
        shutil.rmtree(root / "denied")
        for length in (3839, 3840, 4096, 9000):
            shutil.rmtree(root / f"l{length}")  # where the oracle does not come to
        assert is_exact(live)
        assert live.quiet().drift_files == 0
        poll(lambda: not children())


def test_timed_looks_and_small_trees_are_the_threads(tmp_path: Path, answers: dict[str, int]) -> None:
    for number in range(SHARE_FROM - 1):
        fill(tmp_path / f"d{number}", "a.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listers, "other_cores", lambda: 2)
        with watching(tmp_path, selection_of(ALL)) as live:
            assert answers["other process"] == 0
            fill(tmp_path / "one-more", "a.txt")
            assert is_exact(live)
            for reason in (Reason.INTERVAL, Reason.RELOAD):
                live.engine.look_again(reason)
                live.until(lambda folder, reason=reason: folder.scans[reason] == 1)  # type: ignore[misc]
            assert answers["other process"] == 0
            live.engine._queue.put((None, live.engine._lost_events))
            live.until(lambda folder: folder.scans[Reason.OVERFLOW] == 1)
            assert answers["other process"] > 0
            poll(lambda: not children())


# What becomes of the processes -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("program", [DIES, DIES_IN_ITS_ANSWER, "nonsense", SLOW])
def test_processes_that_die_are_done_without(tmp_path: Path, program: str) -> None:
    root = odd_tree(tmp_path / "root")
    with watching(root, selection_of(ALL)) as live:
        alone = all_known(live)
    with shared(3, program), watching(root, selection_of(ALL)) as live:
        assert all_known(live) == alone
        poll(lambda: not children())


@pytest.mark.usefixtures("nothing_left")
def test_processes_that_hang_are_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, int]
) -> None:
    root = odd_tree(tmp_path / "root")
    monkeypatch.setattr(listers, "_SILENT_SECONDS", 0.2)
    with shared(3, HANGS), watching(root, selection_of(ALL)) as live:
        assert answers["other process"] == 0
        with watching(root, selection_of(ALL)) as other:
            assert all_known(live)["files"] == all_known(other)["files"]
        poll(lambda: not children())


@contextmanager
def begun(root: Path, program: str) -> Iterator[Live]:
    """Run an engine whose first look does not end by itself, from when nothing is left to do but to wait."""
    with shared(2, program):
        folder = Folder(os.fsencode(root), "root", selection_of(ALL))
        engine = Engine([folder], EngineSettings(backend=Backend.INOTIFY))
        engine.start()
        try:
            poll(lambda: engine._agenda.awaits_others)
            yield Live(engine, folder)
        finally:
            engine.stop()


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("program", [HANGS, GOES_ON])
def test_a_stop_in_the_middle_is_one_at_once(tmp_path: Path, program: str) -> None:
    with begun(odd_tree(tmp_path / "root"), program) as live:
        assert live.engine.unready()
        live.engine.stop()
        assert not live.engine.is_alive()
        assert not children()


@pytest.mark.usefixtures("nothing_left")
def test_the_folder_goes_in_the_middle(tmp_path: Path) -> None:
    """The processes are ended with the look, and the folder's next look has its own."""
    root = odd_tree(tmp_path / "root")
    with begun(root, HANGS) as live:
        root.rename(tmp_path / "away")
        assert not live.pulsed().up
        poll(lambda: not children())
        shutil.rmtree(tmp_path / "away" / "odd")
        with shared(2):
            (tmp_path / "away").rename(root)
            assert live.pulsed().up
        shutil.rmtree(root / "denied")
        for length in (3839, 3840, 4096, 9000):
            shutil.rmtree(root / f"l{length}")
        assert is_exact(live)


@pytest.mark.usefixtures("nothing_left")
def test_a_folder_is_watched_no_more_in_the_middle(tmp_path: Path) -> None:
    fill(tmp_path / "other", "a.txt")
    other = Folder(os.fsencode(tmp_path / "other"), "other", Selection())
    with begun(odd_tree(tmp_path / "root"), HANGS) as live:
        live.engine.set_folders([other])
        assert live.quiet().groups[0].files == 1
        poll(lambda: not children())


def test_the_engine_goes_on_while_others_look(tmp_path: Path) -> None:
    root = odd_tree(tmp_path / "root")
    with begun(root, GOES_ON) as live:
        assert live.engine.has_progressed()
        poll(live.engine.has_progressed)
        fill(root, "seen.txt")
        live.until_shown(lambda folder: folder.groups[0].flow is not None and folder.groups[0].flow.arrivals == 1)


ORPHANS = """
import os, sys, threading
from pathlib import Path
from fexp.engine import Engine, EngineSettings
from fexp.counting.selection import Folder, Selection
from tests.engine.sharing import GOES_ON, children, shared
from tests.servers import poll

with shared(2, GOES_ON):
    engine = Engine([Folder(os.fsencode(sys.argv[1]), "root", Selection(recursive=True))], EngineSettings())
    engine.start()
    poll(lambda: engine._agenda.awaits_others)
    print(*children(), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.usefixtures("nothing_left")
def test_no_process_outlives_the_one_that_asks(tmp_path: Path) -> None:
    root = odd_tree(tmp_path / "root")
    ended = subprocess.run(
        [sys.executable, "-c", ORPHANS, root], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    orphans = ended.stdout.split()
    assert len(orphans) == 2, ended.stderr
    poll(lambda: not any(os.path.exists(f"/proc/{orphan}") for orphan in orphans))


@pytest.mark.parametrize("spare", [12, 20, 24, 30, 36])
def test_with_few_descriptors_the_numbers_are_the_same(tmp_path: Path, spare: int) -> None:
    root = odd_tree(tmp_path / "root")
    with watching(root, Selection(recursive=True)) as live:
        files = live.pattern().files
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + spare, hard))
    try:
        with shared(3), watching(root, Selection(recursive=True)) as live:
            assert live.pattern().files == files
            assert live.quiet().backend is Backend.INOTIFY
            assert not any(live.quiet().faults.values())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("allowed", [0, 1])
def test_who_gets_no_process_looks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, int], allowed: int
) -> None:
    root, started = odd_tree(tmp_path / "root"), list[object]()
    start = subprocess.Popen

    def few(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        if len(started) == allowed:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(arguments)
        return start(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", few)
    with shared(3), watching(root, selection_of(ALL)) as live:
        assert live.quiet().up
        assert bool(answers["other process"]) is bool(allowed)


# What happens while another process has looked and not answered ----------------------------------------------------


def folded(live: Live) -> None:
    """Wait until all that has happened is folded, but for what is still to be listed."""
    live.drain_the_kernel()
    for _ in range(2):
        turned = threading.Event()
        live.engine._queue.put((None, turned.set))
        assert turned.wait(PATIENCE_SECONDS)


def _replace_subdirectory(root: Path) -> None:
    (root / "gated" / "sub").rename(root.parent / "away")
    (root / "other" / "sub").rename(root / "gated" / "sub")


def _directory_for_file(root: Path) -> None:
    (root / "gated" / "old.txt").unlink()
    fill(root / "gated" / "old.txt", "new.txt")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file comes": lambda root: fill(root / "gated", "new.txt"),
    "a file goes": lambda root: (root / "gated" / "old.txt").unlink(),
    "a file is written": lambda root: (root / "gated" / "old.txt").write_text("longer than it was before"),
    "a file is renamed": lambda root: (root / "gated" / "old.txt").rename(root / "gated" / "older.txt"),
    "a file moves away": lambda root: (root / "gated" / "old.txt").rename(root / "other" / "new.txt"),
    "a directory takes a file's place": _directory_for_file,
    "a directory comes": lambda root: fill(root / "gated" / "new" / "deep", "new.txt"),
    "a directory goes": lambda root: shutil.rmtree(root / "gated" / "sub"),
    "a directory moves away": lambda root: (root / "gated" / "sub").rename(root / "other" / "new"),
    "another directory takes its place": _replace_subdirectory,
    "a link comes": lambda root: (root / "gated" / "link.txt").symlink_to(root / "other" / "old.txt"),
    "another name is written": lambda root: (root / "other" / "linked.txt").write_text("longer than it was before"),
    "it goes itself": lambda root: shutil.rmtree(root / "gated"),
    "it moves": lambda root: (root / "gated").rename(root / "moved"),
    "another takes its own place": lambda root: exchange(os.fsencode(root / "gated"), os.fsencode(root / "other")),
}


@contextmanager
def answer_held_back(root: Path, reason: Reason, rules: Rules = ALL) -> Iterator[tuple[Live, Gate]]:
    """Run an engine up to when another process has looked into the directory ``gated``, but not answered."""
    with ExitStack() as stack:
        if reason is Reason.OVERFLOW:
            live = stack.enter_context(watching(root, selection_of(rules)))
        gate = stack.enter_context(gated(root.parent / "gate"))
        if reason is Reason.OVERFLOW:
            live.engine._queue.put((None, live.engine._lost_events))
        else:
            folder = Folder(os.fsencode(root), "root", selection_of(rules))
            live = Live(Engine([folder], EngineSettings(backend=Backend.INOTIFY)), folder)
            stack.callback(live.engine.stop)
            live.engine.start()
        gate.wait()
        yield live, gate


@pytest.fixture
def small_root(tmp_path: Path) -> Path:
    """Return a folder so small that one process is asked for all of it."""
    root = tmp_path / "root"
    for name in ("gated", "other"):
        fill(root / name, "old.txt", "kept.txt")
        fill(root / name / "sub" / "deep", f"{name}.txt", "deep.txt")
    for name in ("gated", "other"):
        os.link(root / "other" / "old.txt", root / name / "linked.txt")
    return root


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("reason", [Reason.START, Reason.OVERFLOW])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_old_answer_undoes_nothing(small_root: Path, change: Callable[[Path], object], reason: Reason) -> None:
    rules = Rules(("*.txt", "*"), follow_symlinks=True)
    with answer_held_back(small_root, reason, rules) as (live, gate):
        change(small_root)
        folded(live)
        gate.open()
        live.until(lambda folder: folder.scans[reason] == 1)
        assert is_exact(live, rules)
        for group in live.quiet().groups:
            assert group.flow is not None
            at_start = group.files - group.flow.arrivals + group.flow.departures
            assert at_start == 10 if reason is Reason.OVERFLOW else 0 <= at_start <= 10
        if (small_root / "other" / "old.txt").exists():  # its other names are still known
            (small_root / "other" / "old.txt").write_text("through one of its names")
            assert is_exact(live, rules)


def in_the_engine(live: Live, do: Callable[[], object]) -> None:
    """Have something done in the engine's thread."""
    live.engine._queue.put((None, do))
    folded(live)


def without_events(live: Live, name: bytes) -> Callable[[], None]:
    """Return what makes the engine hear nothing of a directory, until it is listed anew."""
    (watch,) = folder_watches(live.engine)
    directory, source = watch.tree.root.children[name], live.engine._source
    assert source is not None
    return lambda: source.disarm(directory)


def test_an_old_answer_hides_no_change_by_another_name(small_root: Path) -> None:
    """A link that nobody reported, of a file whose names are all thought to be known."""
    only = small_root / "other" / "kept.txt"
    os.link(only, small_root.parent / "elsewhere")
    with watching(small_root, selection_of(ALL)) as live:
        only.write_text("written")
        assert is_exact(live)
        in_the_engine(live, without_events(live, b"gated"))
        os.link(only, small_root / "gated" / "new.txt")
        with gated(small_root.parent / "gate") as gate:
            live.engine._queue.put((None, live.engine._lost_events))
            gate.wait()
            only.write_text("written once more")
            folded(live)
        live.until(lambda folder: folder.scans[Reason.OVERFLOW] == 1)
        assert is_exact(live)


def test_an_old_answer_is_doubted_when_something_was_mounted(small_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answer_held_back(small_root, Reason.OVERFLOW) as (live, gate):
        in_the_engine(live, without_events(live, b"gated"))
        (small_root / "gated" / "old.txt").write_text("as if it were on what was mounted for a moment")
        monkeypatch.setattr(live.engine._mounts, "changed_points", set)
        live.engine._queue.put((None, lambda: setattr(live.engine, "_pulse_at", float("-inf"))))
        folded(live)
        monkeypatch.undo()
        gate.open()
        live.until(lambda folder: folder.scans[Reason.OVERFLOW] == 1)
        assert is_exact(live)
