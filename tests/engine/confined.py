"""Cases that need a world of their own (few watches, mounts, no privileges), each a process of its own:

``unshare … python -m tests.engine.confined CASE DIRECTORY``. A case that fails ends with a traceback.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import fexp.events.inotify  # loaded before the privileges are gone, with which Python itself may be
import fexp.events.paths  # noqa: F401 - the same
from fexp.counting.selection import Folder, Selection
from fexp.engine import loop
from fexp.model import Backend, Fault, Reason
from fexp.service.oneshot import look_at
from tests.chaos.driver import folder_watches, known_files, selection_of
from tests.chaos.oracle import Rules, files_on_disk
from tests.engine.live import NEVER, Live, watching

if TYPE_CHECKING:
    from fexp.model import FolderSnapshot

ALL = Rules(("*.txt",))
NOBODY = 65534
WARNINGS: list[str] = []


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        WARNINGS.append(record.getMessage())


def is_exact(live: Live, root: Path, rules: Rules = ALL) -> bool:
    """Return whether the engine agrees with the disk, path by path."""
    (watch,) = folder_watches(live.engine)
    return live.quiet().up and known_files(watch) == files_on_disk(os.fsencode(root), rules)


def has_files(files: int, folder: FolderSnapshot) -> bool:
    """Return whether a folder has so many files."""
    return folder.groups[0].files == files


def is_watched_by(backend: Backend, folder: FolderSnapshot) -> bool:
    """Return whether a folder is watched so."""
    return folder.backend is backend


def fill(directory: Path, *names: str) -> None:
    """Make a directory and files in it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(name)


def _limit(what: str, number: int) -> None:
    Path(f"/proc/sys/user/max_inotify_{what}").write_text(str(number))


def few_watches(root: Path) -> None:
    """What cannot be watched is polled: said once, shown always, and exact."""
    for number in range(30):
        fill(root / f"d{number}" / "deep", "a.txt")
    _limit("watches", 12)
    with watching(root, selection_of(ALL), poll_interval_seconds=0.05) as live:
        assert is_exact(live, root)
        assert live.quiet().backend is Backend.POLLING
        for number in range(0, 30, 3):
            fill(root / f"d{number}" / "deep", "b.txt")
            (root / f"d{number}" / "deep" / "a.txt").write_text("longer than it was")
            fill(root / f"d{number}" / "deep" / "deeper", "c.txt")
        (root / "d1" / "deep").rename(root / "d2" / "other")
        shutil.rmtree(root / "d4")
        (root / "d5").rename(root / "d6" / "d5")
        fill(root / "d5", "new.txt")
        live.until(lambda _: is_exact(live, root))
        assert live.pattern().files == 29 + 20 + 1
        assert live.quiet().backend is Backend.POLLING
        assert len(WARNINGS) == 1, WARNINGS
        for number in range(30):
            shutil.rmtree(root / f"d{number}", ignore_errors=True)
        live.until(lambda folder: folder.groups[0].files == 0)
        live.until(lambda folder: folder.backend is Backend.INOTIFY)


def many_unwatched(root: Path) -> None:
    """Polling more often than can be is no reason to do nothing else."""
    for number in range(200):
        fill(root / f"d{number}", "a.txt")
    _limit("watches", 10)
    with watching(root, selection_of(ALL), poll_interval_seconds=0.001) as live:
        for files in (201, 202, 203):
            fill(root / f"d{files % 200}", "b.txt")
            live.until(partial(has_files, files))
            (watch,) = folder_watches(live.engine)
            assert len(watch.tree.listings) <= 400
        assert is_exact(live, root)


def no_watches(root: Path) -> None:
    """Not even the folder itself can be watched."""
    fill(root / "sub", "a.txt")
    _limit("watches", 0)
    with watching(root, selection_of(ALL), poll_interval_seconds=0.05) as live:
        assert is_exact(live, root)
        fill(root / "sub", "b.txt")
        live.until(lambda _: is_exact(live, root))
        assert live.quiet().backend is Backend.POLLING
        assert len(WARNINGS) == 1, WARNINGS
        _limit("watches", 100)
        live.until(lambda folder: folder.backend is Backend.INOTIFY)
        fill(root / "sub", "c.txt")
        assert is_exact(live, root)


def no_instances(root: Path) -> None:
    """The user has no inotify instance left."""
    fill(root, "a.txt")
    _limit("instances", 0)
    for backend in (None, Backend.INOTIFY, Backend.OBSERVER):
        WARNINGS.clear()
        with watching(root, selection_of(ALL), backend=backend, poll_interval_seconds=0.05) as live:
            fill(root, f"{backend}.txt")
            live.until(lambda _: is_exact(live, root))
            assert live.quiet().backend is Backend.POLLING
            assert not live.engine.unready()
        assert len(WARNINGS) == 1, WARNINGS


def no_descriptors(root: Path) -> None:
    """The process has no file descriptor left to list a directory with, and has one again."""
    fill(root, "a.txt")
    fill(root.parent / "other" / "deep", "b.txt")
    with watching(root, selection_of(ALL), poll_interval_seconds=0.05) as live:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(lowest := os.open("/", os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        (root.parent / "other").rename(root / "other")
        for _ in range(10):
            assert live.pulsed().groups[0].files == 1
        assert live.quiet().backend is Backend.POLLING
        assert live.quiet().faults[Fault.IO] >= 1
        assert len(WARNINGS) == 1, WARNINGS
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        live.until(lambda folder: folder.groups[0].files == 2)
        live.until(lambda folder: folder.backend is Backend.INOTIFY)
        assert is_exact(live, root)
        fill(root / "other" / "deep", "c.txt")
        assert is_exact(live, root)


def unreadable_subtree(root: Path) -> None:
    """chmod 000 on a subtree and back, as somebody to whom it matters."""
    fill(root / "sub" / "deep", "a.txt")
    fill(root, "b.txt")
    with watching(root, selection_of(ALL)) as live:
        assert live.pattern().files == 2
        (root / "sub").chmod(0)
        assert live.pattern().files == 1
        assert live.quiet().faults[Fault.PERMISSION] >= 1
        assert live.quiet().directories == look_at(live.folder)[0].directories
        (root / "sub").chmod(0o755)
        assert live.pattern().files == 2
        fill(root / "sub" / "deep", "c.txt")
        assert is_exact(live, root)
        assert live.pattern().files == 3
        assert live.quiet().backend is Backend.INOTIFY
        flow = live.pattern().flow
        assert flow is not None
        assert flow.arrivals - flow.departures == 1


def unreadable_root(root: Path) -> None:
    """chmod 000 on the folder itself: down, one log line, and back."""
    fill(root, "a.txt")
    with watching(root, selection_of(ALL), poll_interval_seconds=0.02) as live:
        root.chmod(0)
        live.until(lambda folder: not folder.up)
        for _ in range(20):
            assert not live.pulsed().up
        assert len(WARNINGS) == 1, WARNINGS
        root.chmod(0o755)
        fill(root, "b.txt")
        live.until(lambda folder: folder.up and is_exact(live, root))
        assert live.pattern().files == 2


def unreadable_from_the_start(root: Path) -> None:
    """The folder cannot be read when fexp starts."""
    fill(root, "a.txt")
    root.chmod(0)
    with watching(root, selection_of(ALL), poll_interval_seconds=0.02) as live:
        for _ in range(20):
            assert not live.pulsed().up
        assert not live.engine.unready()
        assert len(WARNINGS) == 1, WARNINGS
        root.chmod(0o755)
        live.until(lambda folder: folder.up and is_exact(live, root))


def no_entry_to_a_subtree(root: Path) -> None:
    """A directory whose names can be listed but not entered holds nothing that counts, and neither does all below."""
    fill(root / "sub" / "deep" / "deeper", "a.txt")
    fill(root / "sub", "b.txt")
    fill(root, "c.txt")
    with watching(root, selection_of(ALL)) as live:
        for mode in (0o600, 0o644, 0o000):
            (root / "sub").chmod(mode)
            assert live.pattern().files == one_shot_files(root) == 1
            (root / "sub").chmod(0o755)
            assert live.pattern().files == one_shot_files(root) == 3
            fill(root / "sub" / "deep" / "deeper", f"{mode}.txt")
            assert live.pattern().files == 4
            (root / "sub" / "deep" / "deeper" / f"{mode}.txt").unlink()
        assert live.quiet().faults[Fault.PERMISSION] >= 3
        flow = live.pattern().flow
        assert flow is not None
        assert flow.arrivals == flow.departures == 3 * 3
        assert live.quiet().backend is Backend.INOTIFY


def no_entry_to_the_folder(root: Path) -> None:
    """The same for the folder itself: it is down, and back as soon as it can be entered."""
    fill(root / "sub", "a.txt", "b.txt")
    with watching(root, selection_of(ALL)) as live:
        for mode in (0o600, 0o644, 0o200):
            root.chmod(mode)
            assert not live.quiet().up
            assert one_shot_files(root) is None
            root.chmod(0o755)
            assert live.quiet().up
            assert live.pattern().files == one_shot_files(root) == 2
            fill(root / "sub", "c.txt")
            assert live.pattern().files == 3
            (root / "sub" / "c.txt").unlink()


def unreadable_ancestor(root: Path) -> None:
    """chmod 000 on a directory on the way and back: both are noticed by event."""
    folder = root / "p" / "q" / "folder"
    fill(folder, "a.txt")
    loop._PULSE_SECONDS = NEVER
    with watching(folder, selection_of(ALL)) as live:
        for ancestor in (root / "p", root / "p" / "q", root):
            for mode in (0o000, 0o600):
                ancestor.chmod(mode)
                assert not live.quiet().up
                ancestor.chmod(0o755)
                assert live.quiet().up
                assert is_exact(live, folder)
        fill(folder, "b.txt")
        assert live.pattern().files == 2


def one_shot_files(root: Path) -> int | None:
    """Return how many files a one-shot finds; None when the folder is down."""
    folder, _ = look_at(Folder(os.fsencode(root), "root", selection_of(ALL)))
    return folder.groups[0].files if folder.up else None


def exchanged_without_watches(root: Path) -> None:
    """Directories that nobody watches change places: the next poll sees it, whatever is watched below them."""
    for name, files in (("c1", ("a.txt", "b.txt", "c.txt")), ("c1.new", ("d.txt",))):
        fill(root / "p" / name / "g" / "h", *files)
        fill(root / "p" / name, *files)
    fill(root / "q", "q.txt")
    _limit("watches", 3)
    with watching(root, selection_of(ALL), poll_interval_seconds=0.05) as live:
        assert is_exact(live, root)
        for _ in range(3):
            (root / "p" / "c1").rename(root / "p" / "c1.old")
            (root / "p" / "c1.new").rename(root / "p" / "c1")
            (root / "p" / "c1.old").rename(root / "p" / "c1.new")
            live.until(lambda _: is_exact(live, root))
        (root / "p" / "c1").rename(root / "p" / "c1.old")
        (root / "p" / "c1.new").rename(root / "p" / "c1")
        live.until(lambda _: is_exact(live, root))
        shutil.rmtree(root / "p" / "c1.old")
        live.until(lambda _: is_exact(live, root))
        assert live.quiet().backend is Backend.POLLING


def exchanged_above_watches(root: Path) -> None:
    """A directory that is not watched is exchanged with the watches of its children still there."""
    for name, files in (("c1", ("a.txt", "b.txt", "c.txt")), ("c1.new", ("d.txt",))):
        fill(root / "p" / name / "g" / "h", *files)
    fill(root / "elsewhere", "e.txt")
    with watching(root, selection_of(ALL), poll_interval_seconds=0.05) as live:
        (watch,) = folder_watches(live.engine)
        source = live.engine._source
        assert source is not None
        _limit("watches", 1)

        def lose_watches() -> None:
            (p,) = [one for one in watch.tree.root.subtree() if one.below == b"p/"]
            for directory in (p, *p.children.values()):
                source.disarm(directory)
                watch.tree.arming.poll(directory, "of a test")
            live.engine._agenda.touch([watch])

        live.engine._queue.put((None, lose_watches))
        live.quiet()
        for _ in range(5):
            (root / "p" / "c1").rename(root / "p" / "c1.old")
            (root / "p" / "c1.new").rename(root / "p" / "c1")
            (root / "p" / "c1.old").rename(root / "p" / "c1.new")
            live.until(lambda _: is_exact(live, root))
            fill(root / "p" / "c1" / "g" / "h", "later.txt")
            live.until(lambda _: is_exact(live, root))
        watched = {one for holders in getattr(source, "_watched").values() for one in holders}  # noqa: B009
        assert watched <= set(watch.tree.root.subtree())


def instances_later(root: Path) -> None:
    """Another process holds all inotify instances at the start, and frees them: the source opens by itself."""
    fill(root / "sub", "a.txt", "b.txt")
    for backend in (None, Backend.INOTIFY, Backend.OBSERVER):
        _limit("instances", 0)
        WARNINGS.clear()
        with watching(root, selection_of(ALL), backend=backend, poll_interval_seconds=0.02) as live:
            assert live.quiet().backend is Backend.POLLING
            fill(root / "sub", "c.txt")
            live.until(lambda _: is_exact(live, root))
            threads = threading.active_count()
            descriptors = len(os.listdir("/proc/self/fd"))
            for _ in range(20):
                live.pulsed()
            assert threading.active_count() == threads
            assert len(os.listdir("/proc/self/fd")) == descriptors
            assert len(logging.getLogger("watchdog.observers.inotify_c").handlers) == 0
            _limit("instances", 10)
            live.until(partial(is_watched_by, backend or Backend.INOTIFY))
            for number in range(20):
                fill(root / "sub", f"{number}.txt")
                (root / "sub" / f"{number}.txt").unlink()
            fill(root / "new", "d.txt")
            live.until(lambda _: is_exact(live, root))
            flow = live.pattern().flow
            assert flow is not None
            assert flow.arrivals - flow.departures == 4 - 2
            assert live.quiet().scans[Reason.START] == 1
            assert live.quiet().drift_files == 0
            assert not live.engine.unready()
        assert len(WARNINGS) == 1, WARNINGS
        shutil.rmtree(root / "new")
        (root / "sub" / "c.txt").unlink()


def one_instance(root: Path) -> None:
    """There is an instance for the events of files and none for the way there: it is checked, and watched later."""
    folder = root / "p" / "folder"
    fill(folder, "a.txt")
    _limit("instances", 1)
    with watching(folder, selection_of(ALL), poll_interval_seconds=0.02) as live:
        assert live.quiet().backend is Backend.INOTIFY
        (root / "p").rename(root / "q")
        live.until(lambda folder: not folder.up)
        (root / "q").rename(root / "p")
        live.until(lambda folder: folder.up)
        _limit("instances", 2)
        live.until(lambda _: live.engine._paths.watch is not None and not live.engine._paths._unreported)
        (root / "p").rename(root / "q")
        live.until(lambda folder: not folder.up)
        flow = live.pattern().flow
        assert flow is not None
        assert (flow.arrivals, flow.departures) == (0, 0)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def mount_over_subdirectory(root: Path) -> None:
    """No event tells of a mount; the timed look sees it, and what happens on it is told from then on."""
    fill(root / "sub" / "deep", "below.txt")
    with watching(root, selection_of(ALL), rescan_seconds=0.05, poll_interval_seconds=0.05) as live:
        _mount("-t", "tmpfs", "none", str(root / "sub"))
        fill(root / "sub" / "deep", "above.txt", "more.txt")
        live.until(lambda _: is_exact(live, root))
        assert live.pattern().files == 2
        fill(root / "sub" / "deep", "third.txt")
        assert is_exact(live, root)
        subprocess.run(["umount", str(root / "sub")], check=True)
        live.until(lambda _: is_exact(live, root))
        fill(root / "sub" / "deep", "below2.txt")
        assert is_exact(live, root)
        assert live.pattern().files == 2


def bind_over_subdirectory(root: Path) -> None:
    """The same, with a directory of the same file system."""
    fill(root / "sub", "below.txt")
    other = root.parent / "other"
    fill(other / "deep", "above.txt")
    with watching(root, selection_of(ALL), rescan_seconds=0.05, poll_interval_seconds=0.05) as live:
        _mount("--bind", str(other), str(root / "sub"))
        live.until(lambda _: is_exact(live, root))
        fill(other / "deep", "through the other name.txt")
        assert is_exact(live, root)
        subprocess.run(["umount", "--lazy", str(root / "sub")], check=True)
        live.until(lambda _: is_exact(live, root))


def mount_over_root(root: Path) -> None:
    """A share that is mounted late and goes away again: seen within a pulse."""
    fill(root, "below.txt")
    with watching(root, selection_of(ALL)) as live:
        _mount("-t", "tmpfs", "none", str(root))
        fill(root, "a.txt", "b.txt")
        assert live.pulsed().groups[0].files == 2
        assert is_exact(live, root)
        fill(root / "sub", "c.txt")
        assert is_exact(live, root)
        subprocess.run(["umount", str(root)], check=True)
        live.pulsed()
        assert is_exact(live, root)
        assert live.quiet().scans[Reason.REAPPEARED] == 2


def mount_over_ancestor(root: Path) -> None:
    """Something is mounted on a directory on the way to the folder."""
    folder = root / "p" / "folder"
    fill(folder, "below.txt")
    with watching(folder, selection_of(ALL)) as live:
        for _ in range(3):
            _mount("-t", "tmpfs", "none", str(root / "p"))
            live.engine._queue.put((None, partial(setattr, live.engine, "_pulse_at", float("-inf"))))
            assert not live.quiet().up, "no event tells of a mount: the next pulse sees it"
            fill(folder, "a.txt", "b.txt")
            assert live.quiet().up, "the way leads over the mount, and is watched there"
            assert is_exact(live, folder)
            fill(folder, "c.txt")
            assert live.pattern().files == 3
            subprocess.run(["umount", "--lazy", str(root / "p")], check=True)
            live.engine._queue.put((None, partial(setattr, live.engine, "_pulse_at", float("-inf"))))
            assert is_exact(live, folder)
            assert live.pattern().files == 1


def mount_that_came_and_went(root: Path) -> None:
    """A look passes a mount that is gone before anybody sees it in the mount table: it is not believed."""
    fill(root / "sub", "a.txt")
    loop._PULSE_SECONDS = NEVER
    with watching(root, selection_of(ALL)) as live:
        with live.held():
            (root / "sub" / "a.txt").write_text("longer than it was")
            fill(root / "sub", "b.txt")
            live.drain_the_kernel()
            _mount("-t", "tmpfs", "none", str(root / "sub"))
        assert live.pattern().files == 0, "the look went over the mount"
        subprocess.run(["umount", str(root / "sub")], check=True)
        live.engine._queue.put((None, partial(setattr, live.engine, "_pulse_at", float("-inf"))))
        assert is_exact(live, root)
        assert live.pattern().files == 2


def longer_than_path_max(root: Path) -> None:
    """Directories so deep that no path reaches them."""
    fill(root, "a.txt")
    here = os.getcwd()
    os.chdir(root)
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY))
    deepest = os.open(".", os.O_RDONLY)
    os.chdir(here)
    with watching(root, Selection(recursive=True)) as live:
        assert live.pattern().files == 2
        os.chdir(deepest)
        os.close(os.open("deeper.txt", os.O_CREAT | os.O_WRONLY))
        os.mkdir("e" * 200)
        os.close(os.open("e" * 200 + "/deepest.txt", os.O_CREAT | os.O_WRONLY))
        assert live.pattern().files == 4
        os.unlink("deep.txt")
        assert live.pattern().files == 3
        assert not any(live.quiet().faults.values())
        os.chdir(here)
        (root / ("d" * 200)).rename(root.parent / "out")
        assert live.pattern().files == 1


UNPRIVILEGED = {
    "unreadable_subtree", "unreadable_root", "unreadable_from_the_start", "no_entry_to_a_subtree",
    "no_entry_to_the_folder", "unreadable_ancestor",
}  # fmt: skip
CASES = {
    case.__name__: case
    for case in (
        few_watches, many_unwatched, no_watches, no_instances, no_descriptors, unreadable_subtree,
        unreadable_root,
        unreadable_from_the_start,
        mount_over_subdirectory, bind_over_subdirectory, mount_over_root, longer_than_path_max,
        no_entry_to_a_subtree, no_entry_to_the_folder, unreadable_ancestor, exchanged_without_watches,
        exchanged_above_watches, mount_that_came_and_went, instances_later, one_instance, mount_over_ancestor,
    )
}  # fmt: skip


def main(case: str, directory: str) -> None:
    """Run one case in a directory that is there for it."""
    root = Path(directory) / "root"
    root.mkdir()
    logging.getLogger("fexp").addHandler(_Listener(logging.WARNING))
    if case in UNPRIVILEGED and os.getuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
        os.chown(root, NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    CASES[case](root)


if __name__ == "__main__":
    main(*sys.argv[1:])
