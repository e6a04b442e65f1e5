"""cron/fexp obeys cron's own rules: cron skips a file that does not, and says so only in the log."""

import itertools
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from fexp.config.values import parse_duration

from .contract import REPOSITORY, assert_valid

CRON_FILE = REPOSITORY / "cron" / "fexp"
LINES = CRON_FILE.read_text(encoding="ascii").split("\n")[:-1]
ASSIGNMENT = re.compile(r"[A-Z]+=")
GUARD = "test -e /run/systemd/system || "
FIELD_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

SETTINGS = dict(line.split("=", 1) for line in LINES if ASSIGNMENT.match(line))
JOBS = [line for line in LINES if line and not line.startswith("#") and not ASSIGNMENT.match(line)]


def job_command(job: str) -> str:
    return job.split(maxsplit=6)[6]


def is_schedule_field(field: str, lowest: int, highest: int) -> bool:
    """Return whether cron takes it: ``*``, ``N``, ``N-M``, lists of them, each with an optional ``/STEP``."""
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
        if not match:
            return False
        first, last, _step = match.groups()
        bounds = [int(bound) for bound in (first, last) if bound is not None]
        if any(not lowest <= bound <= highest for bound in bounds) or bounds != sorted(bounds):
            return False
    return True


def minutes(field: str) -> list[int]:
    """The minutes of an hour that such a field names."""
    named: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-59" if span == "*" else span).partition("-")
        named.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return sorted(named)


def test_cron_reads_a_file_of_this_name() -> None:
    """Mistake 24a."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", CRON_FILE.name)
    assert [path.name for path in CRON_FILE.parent.iterdir()] == [CRON_FILE.name]


def test_cron_trusts_the_file() -> None:
    mode = CRON_FILE.lstat().st_mode
    assert stat.S_ISREG(mode)
    assert not mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_the_last_line_ends_in_a_newline() -> None:
    """Mistake 24b."""
    content = CRON_FILE.read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    assert b"\0" not in content


def test_there_is_a_line_for_push_and_one_for_write() -> None:
    assert [job_command(job).removeprefix(GUARD).split()[:2] for job in JOBS] == [
        ["fexp", "push"],
        ["fexp", "write"],
    ]


@pytest.mark.parametrize("job", JOBS)
def test_the_schedule_has_five_fields_that_cron_takes(job: str) -> None:
    for field, (lowest, highest) in zip(job.split()[:5], FIELD_RANGES, strict=True):
        assert is_schedule_field(field, lowest, highest), field


@pytest.mark.parametrize("field", ["60", "*/0", "5-1", "", "1,", "a", "*/", "-3", "8.5"])
def test_the_test_knows_a_wrong_minute(field: str) -> None:
    assert not is_schedule_field(field, 0, 59)


@pytest.mark.parametrize("job", JOBS)
def test_the_sixth_column_is_the_user(job: str) -> None:
    assert job.split()[5] == "fexp"


@pytest.mark.parametrize("job", JOBS)
def test_no_percent_sign_ends_the_command(job: str) -> None:
    """Mistake 24d."""
    assert not re.search(r"(?<!\\)%", job)


@pytest.mark.parametrize("job", JOBS)
def test_systemd_comes_first_where_it_runs(job: str) -> None:
    assert job_command(job).startswith(GUARD)


@pytest.mark.parametrize("job", JOBS)
def test_the_options_exist(job: str) -> None:
    words = shlex.split(job_command(job).removeprefix(GUARD))
    assert words[0] == "fexp"
    assert_valid(words[1], words[2:])


@pytest.mark.parametrize("job", JOBS)
def test_nothing_hides_a_failure(job: str) -> None:
    assert not set(job_command(job).removeprefix(GUARD)) & set("|>&;")


def test_a_fleet_does_not_push_in_the_same_second() -> None:
    assert "--splay" in JOBS[0].split()


@pytest.mark.parametrize("job", JOBS)
def test_what_hangs_ends_before_the_next_run(job: str) -> None:
    """Its one line is mailed then; else the next run would find it still at work, and mail that for ever."""
    named = minutes(job.split(maxsplit=1)[0])
    interval_seconds = 60 * min(later - earlier for earlier, later in itertools.pairwise([*named, 60 + named[0]]))
    words = job.split()
    assert parse_duration("--deadline", words[words.index("--deadline") + 1]) < interval_seconds


@pytest.mark.parametrize(
    ("field", "named"), [("*/20", [0, 20, 40]), ("5", [5]), ("1-7/3,30", [1, 4, 7, 30]), ("*", list(range(60)))]
)
def test_the_test_knows_the_minutes(field: str, named: list[int]) -> None:
    assert minutes(field) == named


def test_the_path_finds_fexp() -> None:
    """Mistake 24c."""
    directories = SETTINGS["PATH"].split(":")
    assert {"/usr/local/bin", "/opt/fexp/bin", "/usr/bin"} <= set(directories)
    assert all(directory.startswith("/") for directory in directories), "cron expands no variable here"


def test_failures_are_mailed() -> None:
    assert SETTINGS["MAILTO"]


def test_each_line_that_a_person_edits_has_a_comment_above_it() -> None:
    for above, line in itertools.pairwise(LINES):
        if line in JOBS or line.startswith(("PATH=", "MAILTO=")):
            assert above.startswith("#"), line


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("exit_status", [0, 1])
def test_the_shell_runs_the_command_and_hands_on_its_exit_status(job: str, exit_status: int, tmp_path: Path) -> None:
    fexp = tmp_path / "fexp"
    fexp.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"$0.arguments"\nexit {exit_status}\n', encoding="ascii")
    fexp.chmod(0o755)
    command = job_command(job).replace("/run/systemd/system", str(tmp_path / "no-systemd"))
    environ = {"PATH": f"{tmp_path}{os.pathsep}{SETTINGS['PATH']}"}
    done = subprocess.run([SETTINGS["SHELL"], "-c", command], env=environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exit_status, b"", b"")
    arguments = (tmp_path / "fexp.arguments").read_text(encoding="ascii").splitlines()
    assert arguments == shlex.split(job_command(job).removeprefix(GUARD))[1:]


@pytest.mark.parametrize("job", JOBS)
def test_the_shell_runs_nothing_where_systemd_does(job: str, tmp_path: Path) -> None:
    command = job_command(job).replace("/run/systemd/system", str(tmp_path))
    done = subprocess.run([SETTINGS["SHELL"], "-c", command], env={"PATH": "/nowhere"}, check=False)
    assert done.returncode == 0
