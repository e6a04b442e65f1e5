"""The one-shots' look: what several processes add up together is what is there, and none outlives the look."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fexp.config.origin import Origin
from fexp.counting.group_by import GroupBy
from fexp.counting.grouping import ByPattern
from fexp.counting.measures import Measures
from fexp.counting.selection import Folder, Selection
from fexp.disk import scan
from fexp.disk import survey as survey_module
from fexp.disk.survey import Survey
from fexp.metrics import makers
from fexp.model import Fault, Instant
from fexp.service.deadline import deadline
from fexp.service.oneshot import look_at

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORIES = 200
"""More than enough to be shared."""
FILES = sum(number % 5 for number in range(_DIRECTORIES))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree whose directories hold different numbers of files of different sizes."""
    for number in range(_DIRECTORIES):
        directory = tmp_path / f"d{number}" / "deep"
        directory.mkdir(parents=True)
        for file in range(number % 5):
            path = directory / f"{file}.{'txt' if file % 2 else 'csv'}"
            path.write_bytes(b"x" * (number + file))
            os.utime(path, (1e9 + number, 1e9 + number + file / 4))
    return tmp_path


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the look shared by three processes on any machine; gives the ids of those that help."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    helpers: list[int] = []
    fork = os.fork

    def noting_fork() -> int:
        process = fork()
        if process:
            helpers.append(process)
        return process

    monkeypatch.setattr(os, "fork", noting_fork)
    return helpers


def survey_of(path: bytes, selection: Selection) -> Survey:
    return Survey(
        Folder(path, "", selection), ByPattern(selection), makers(Measures((1e9,), (10.0,))), Instant(1e9, 1.0)
    )


@pytest.mark.parametrize("patterns", [("*",), ("*.txt", "*", "1.*")])
def test_a_shared_look_finds_what_is_there(tree: Path, shared: list[int], patterns: tuple[str, ...]) -> None:
    (tree / "d7" / "deep" / ("n" * 200)).mkdir()
    survey = survey_of(os.fsencode(tree), Selection(patterns, recursive=True))
    survey.run()
    assert len(shared) == 2
    for index, pattern in enumerate(patterns):
        stats = [path.stat() for path in tree.rglob(pattern) if path.is_file()]
        early = survey.values(index, Instant(1e9 - 10, 1.0))
        assert early["future_files"] == sum(s.st_mtime > 1e9 + 50 for s in stats) > 0
        ages, sizes = survey.distributions(index, Instant(1e9 + 1e9 + 50, 1.0)).values()
        young, small = sum(s.st_mtime >= 1e9 + 50 for s in stats), sum(s.st_size <= 10 for s in stats)
        assert (ages.counts, sizes.counts) == ((young, len(stats) - young), (small, len(stats) - small))
        values = survey.values(index, Instant(2e9, 1.0))
        assert values == {
            "files": len(stats),
            "size_bytes": sum(s.st_size for s in stats),
            "oldest_modified_at": min(s.st_mtime for s in stats),
            "newest_modified_at": max(s.st_mtime for s in stats),
            "largest_bytes": max(s.st_size for s in stats),
            "smallest_bytes": min(s.st_size for s in stats),
            "future_files": 0,
            "empty_files": sum(s.st_size == 0 for s in stats),
            "oldest_arrived_at": min(s.st_ctime for s in stats),
        }
    with pytest.raises(ChildProcessError):
        os.waitpid(shared[0], 0)  # nobody is left to wait for


@pytest.mark.parametrize("counts_settled", [False, True])
def test_more_groups_than_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, counts_settled: bool) -> None:
    monkeypatch.setattr(survey_module, "GROUPS_MAX", 3)
    for number in range(9):
        (tmp_path / f"a.{number}").write_text("x")
    measures = Measures(settle_seconds=3600.0, counts_settled=counts_settled, disk_usage=True)
    selection = Selection(disk_usage=True)
    folder = Folder(os.fsencode(tmp_path), "", selection, measures=measures, group_by=GroupBy(extensions_max=9))
    snapshot, _ = look_at(folder)
    sums = {name: sum(group.values[name] or 0 for group in snapshot.groups) for name in snapshot.groups[0].values}
    used_bytes = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert (sums["files"], sums["unsettled_files"]) == (0 if counts_settled else 9, 9)
    assert sums["disk_usage_bytes"] == (0 if counts_settled else used_bytes)
    assert len(snapshot.groups) == 3


def test_the_smallest_pipe_holds_all_tasks(tmp_path: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with many open pipes gets new ones of a page, pipe(7): a longer list would block its only reader."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        pytest.skip("pipes have a fixed size here")
    pipe = os.pipe

    def small_pipe() -> tuple[int, int]:
        reading, writing = pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        return reading, writing

    monkeypatch.setattr(os, "pipe", small_pipe)
    for number in range(3000):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").touch()
    survey = survey_of(os.fsencode(tmp_path), Selection(("*",), recursive=True))
    with deadline(20, Origin("deadline"), print):
        survey.run()
    assert shared
    assert survey.values(0, Instant(2e9, 1.0))["files"] == 3000


def test_what_cannot_be_read_is_counted_by_whoever_meets_it(
    tree: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_directory = scan.list_directory

    def deny(path: bytes, below: bytes, selection: Selection) -> scan.Listing:
        if below.endswith(b"3/deep/"):
            raise PermissionError(13, "Permission denied")
        return list_directory(path, below, selection)

    monkeypatch.setattr(scan, "list_directory", deny)
    survey = survey_of(os.fsencode(tree), Selection(recursive=True))
    survey.run()
    assert shared
    assert survey.faults[Fault.PERMISSION] == _DIRECTORIES // 10


def test_a_look_that_is_given_up_leaves_nobody_at_work(
    tree: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs in a dead file system must neither hold the terminal nor live on after the deadline."""
    whole, list_directory = os.getpid(), scan.list_directory

    def hang(path: bytes, below: bytes, selection: Selection) -> scan.Listing:
        if shared or os.getpid() != whole:
            if os.getpid() == whole:
                raise TimeoutError("the deadline")
            signal.pause()
        return list_directory(path, below, selection)

    monkeypatch.setattr(scan, "list_directory", hang)
    monkeypatch.setattr(Survey, "_enter", lambda self, below: self._measure(self._prefix + below, below))
    with pytest.raises(TimeoutError):
        survey_of(os.fsencode(tree), Selection(recursive=True)).run()
    assert [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in shared] == [-signal.SIGKILL] * 2


def test_a_helper_that_dies_is_an_error_and_no_smaller_number(
    tree: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, list_directory = os.getpid(), scan.list_directory

    def die(path: bytes, below: bytes, selection: Selection) -> scan.Listing:
        if os.getpid() != whole:
            os.kill(os.getpid(), signal.SIGKILL)
        for process in shared:
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # leave it some work to die of
        return list_directory(path, below, selection)

    monkeypatch.setattr(scan, "list_directory", die)
    with pytest.raises(OSError, match="ended before its time"):
        survey_of(os.fsencode(tree), Selection(recursive=True)).run()
    assert shared


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("allowed", [0, 1])
def test_who_gets_no_helper_looks_alone(
    tree: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch, allowed: int, number: int
) -> None:
    fork = os.fork

    def few() -> int:
        if len(shared) == allowed:
            raise OSError(number, os.strerror(number))
        return fork()

    monkeypatch.setattr(os, "fork", few)
    before = _descriptors()
    survey = survey_of(os.fsencode(tree), Selection(recursive=True))
    survey.run()
    assert survey.values(0, Instant(2e9, 1.0))["files"] == FILES
    assert not +survey.faults
    assert len(shared) == allowed
    assert _descriptors() == before


AT_A_LIMIT = """
import os, resource, sys
from fexp.disk.survey import Survey
from fexp.counting.grouping import ByPattern
from fexp.counting.selection import Folder, Selection
from fexp.metrics import AGGREGATES
from fexp.model import Instant

os.sched_getaffinity = lambda _: {0, 1, 2}
os.chdir(sys.argv[1])
selection = Selection(recursive=True)


def look():
    survey = Survey(Folder(b".", "", selection), ByPattern(selection), AGGREGATES, Instant(2e9, 1.0))
    survey.run()
    return survey.values(0, Instant(2e9, 1.0))["files"], survey.faults.total()


def open_files(spare):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 + spare, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def processes():
    if os.geteuid() == 0:  # whom no limit holds
        os.setgroups([])
        os.setgid(61234)
        os.setuid(61234)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        if os.fork() == 0:
            os._exit(0)
    except BlockingIOError:
        return
    sys.exit("there is no limit here")
"""


def at_a_limit(tree: Path, code: str) -> list[str]:
    tree.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", AT_A_LIMIT + code, tree], capture_output=True, text=True, check=False)
    if "there is no limit here" in done.stderr:
        pytest.skip("the number of processes is not limited here")
    assert not done.stderr
    return done.stdout.splitlines()


def test_with_few_descriptors_the_numbers_are_the_same(tree: Path) -> None:
    """Pipes must not take the last descriptors from the look itself: then directories would be missing."""
    told = at_a_limit(tree, "for spare in range(1, 14): open_files(spare); print(*look())")
    assert told == [f"{FILES} 0"] * 13


def test_with_no_process_to_spare_the_numbers_are_the_same(tree: Path) -> None:
    assert at_a_limit(tree, "processes(); print(*look())") == [f"{FILES} 0"]
