"""What paths match, who may read it, and what gives no events."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import pytest

from fexp.config.origin import Origin
from fexp.counting.selection import Folder, Selection
from fexp.disk import scan
from fexp.errors import FexpError, SettingsError
from fexp.service.check import clock, inotify, processes, walk
from fexp.service.check.patience import HangsError, within
from fexp.service.check.user import become

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.check.reports import Check

NOBODY = 61234


def config(directory: Path, text: str) -> Path:
    path = directory / "fexp.yml"
    path.write_text(text + '\noutputs: {listen: ["127.0.0.1:0"]}\n')
    return path


def folder(path: object, *, recursive: bool = True) -> Folder:
    return Folder(os.fsencode(str(path)), str(path), Selection(recursive=recursive))


def test_all_is_well_and_each_folder_says_what_it_holds(check: Check, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.csv", "deep/b.csv", "deep/c.txt"):
        (tmp_path / "in" / name).touch()
    report = check(tmp_path / "in", "-r", "--ext", "csv")
    assert (report.status, report.bad(), report.complaint) == (0, [], "")
    assert report.only("folders").what == f"{tmp_path / 'in'}: 2 files in 2 directories (*.csv)"


def test_a_folder_that_is_not_there_or_is_none_fails(check: Check, tmp_path: Path) -> None:
    report = check(tmp_path / "no such")
    assert report.status == 1
    assert report.only("folders").level == "error"
    assert report.only("folders").mend == f"mkdir -p '{tmp_path}/no such'"
    os.mkfifo(tmp_path / "fifo")
    assert "is not a directory" in check(tmp_path / "fifo").only("folders").what
    (tmp_path / "loop").symlink_to("loop")
    found = check(tmp_path / "loop").only("folders")
    assert (found.level, "cannot be read: Too many levels of symbolic links" in found.what) == ("error", True)


def test_globs_dates_and_subfolders_say_what_they_match_now(check: Check, tmp_path: Path) -> None:
    for name in ("acme/inbox", "bmw/inbox", f"{time.strftime('%Y', time.gmtime())}/in"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.csv").touch()
    report = check(
        "--config",
        config(
            tmp_path,
            "folders: ['*/inbox', 'acme/none*', '{now:%Y}/in', '{now-20d:%Y%m%d}', {path: acme, per_subfolder: true}]",
        ),
    )
    whats = {one.what.partition(": path ")[2].removeprefix(f"{tmp_path}/"): one for one in report.of("folders")}
    assert report.status == 0
    (glob,) = [one for what, one in whats.items() if what.startswith("*/inbox")]
    assert f"matches 2 folders, such as {tmp_path}/acme/inbox: 2 files in 2 directories" in glob.what
    assert glob.what.startswith(f"{tmp_path}/fexp.yml:1:11: path ")
    (nothing,) = [one for what, one in whats.items() if what.startswith("acme/none*")]
    assert (nothing.level, "matches nothing now" in nothing.what) == ("warning", True)
    assert any(
        f"(now {tmp_path}/{time.strftime('%Y', time.gmtime())}/in) matches 1 folder: 1 file" in one.what
        for one in report.of("folders")
    )
    (missing,) = [one for one in report.of("folders") if one.what.endswith("is not there")]
    assert missing.level == "warning"  # a date's folder may be yet to come
    assert any(f"path {tmp_path}/acme/* matches 1 folder, such as" in one.what for one in report.of("folders"))
    assert any(f"{tmp_path}/acme/inbox is a folder already" in one.what for one in report.of("folders"))
    report = check("--config", config(tmp_path, "folders: ['nowhere/*']"))
    assert (report.status, report.only("folders").mend) == (1, f"mkdir -p {tmp_path}/nowhere")


def test_many_folders_are_added_up(check: Check, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").touch()
    assert check(*tmp_path.iterdir()).only("folders").what == "12 folders: 12 files in 12 directories"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Give what has a directory hang until the test ends, as on a dead mount."""
    release = threading.Event()
    hung: set[bytes] = set()
    really = scan.try_to_open

    def open_or_hang(path: bytes) -> None:
        if path in hung:
            release.wait()
        really(path)

    monkeypatch.setattr(scan, "try_to_open", open_or_hang)
    yield lambda path: hung.add(os.fsencode(path))
    release.set()


def test_a_folder_that_hangs_is_left_behind_and_the_others_are_looked_at(
    tmp_path: Path, hanging: Callable[[Path], None]
) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    hanging(tmp_path / "b")
    found = walk.walk([folder(tmp_path / name) for name in "abc"], time.time(), hangs_seconds=0.05)
    done = (walk.Outcome.DONE, 1)
    assert [(one.outcome, one.files) for one in found] == [done, (walk.Outcome.HANGS, 0), done]


def test_a_hanging_folder_is_an_error(
    check: Check, tmp_path: Path, hanging: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk.walk, "__kwdefaults__", {"all_seconds": 5.0, "hangs_seconds": 0.05})
    hanging(tmp_path)
    report = check(tmp_path)
    assert report.status == 1
    assert report.only("folders").what == f"{tmp_path} hangs: its file system does not answer"
    assert report.only("folders").mend == f"findmnt -T {tmp_path}"


def test_what_there_is_no_time_for_is_not_taken_for_counted(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = walk.walk([folder(tmp_path)], time.time(), all_seconds=0.0)
    assert found.outcome is walk.Outcome.WAITING
    monkeypatch.setattr(walk.walk, "__kwdefaults__", {"all_seconds": 0.0, "hangs_seconds": 1.0})
    cut, _ = check(tmp_path).of("folders")[::-1]
    assert (cut.level, cut.what.startswith(f"1 folder not looked at to the end, such as {tmp_path}:")) == (
        "warning",
        True,
    )


def test_patience_ends_and_errors_come_through() -> None:
    release = threading.Event()
    with pytest.raises(HangsError):
        within(0.01, release.wait)
    release.set()
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


# Permissions --------------------------------------------------------------------------------------------------------


def as_somebody(act: Callable[[], str]) -> str:
    """Return what this returns in a process of a user who has no rights."""
    read, write = os.pipe()
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # there are threads; the child uses none of their locks
        child = os.fork()
    if child == 0:
        answer = "it raised"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            answer = act()
        finally:
            os.write(write, answer.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def open_path(tmp_path: Path) -> Iterator[Path]:
    """Give a directory that everybody reaches."""
    ways = [way for way in (tmp_path, *tmp_path.parents) if way.stat().st_uid == os.geteuid() and len(way.parts) > 2]
    modes = {way: way.stat().st_mode for way in ways}
    for way in ways:
        way.chmod(modes[way] | 0o055)
    yield tmp_path
    for way in reversed(ways):
        way.chmod(modes[way] & 0o7777)


@pytest.mark.parametrize(
    ("closed", "mode", "what", "mend"),
    [
        ("in", 0o700, "may not list {}/in", "setfacl -m u:{user}:rx {}/in"),
        (".", 0o700, "may not reach {}/in: {} is closed", "setfacl -m u:{user}:x {}"),
        ("in", 0o744, "may not list {}/in", "setfacl -m u:{user}:rx {}/in"),
        (
            "in/below",
            0o700,
            "one directory below cannot be read: {}/in/below (",
            "setfacl -R -m u:{user}:rX {}/in/below",
        ),
    ],
    ids=["list", "reach", "enter", "below"],
)
def test_what_the_user_may_not_read_is_named_with_the_command_that_opens_it(
    check: Check, open_path: Path, closed: str, mode: int, what: str, mend: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    zone = open_path / "zone"
    (zone / "in" / "below").mkdir(parents=True)
    assert check(zone / "in", "-r").status == 0  # and all modules are there: somebody may not read them
    (zone / closed).chmod(mode)

    def by_somebody() -> str:
        report = check(zone / "in", "-r")
        (found,) = report.of("permissions")
        return f"{report.status} {found.what}\n{found.mend}"

    said, command = as_somebody(by_somebody).split("\n")
    assert said.startswith("0" if closed == "in/below" else "1")
    assert what.format(zone, zone) in said
    assert command == mend.format(zone, user=NOBODY)


def test_what_a_glob_may_not_look_into_is_no_silent_miss(check: Check, open_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for name in ("acme", "bmw"):
        (open_path / "zone" / name / "inbox").mkdir(parents=True)
    path = config(open_path, "folders: ['zone/*/inbox']")
    assert check("--config", path).status == 0
    (open_path / "zone" / "bmw").chmod(0o700)

    def by_somebody() -> str:
        (found,) = check("--config", path).of("permissions")
        return f"{found.what}\n{found.mend}"

    what, command = as_somebody(by_somebody).split("\n")
    bmw = open_path / "zone" / "bmw"
    assert what == f"user {NOBODY} may not see whether {bmw}/inbox is a folder: {bmw} is closed"
    assert command == f"setfacl -m u:{NOBODY}:x {bmw}"


def test_only_users_that_there_are_can_be_become() -> None:
    origin = Origin("--user")
    with pytest.raises(SettingsError, match=r"--user nosuchuser: there is no such user"):
        become("nosuchuser", origin)
    if os.geteuid() != 0:
        return

    def refused() -> str:
        try:
            become("root", origin)
        except SettingsError as error:
            return str(error)
        return "it worked"

    assert as_somebody(refused) == "--user root: only root can check for another user; run it with sudo"


def test_whoever_cannot_read_fexp_cannot_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    program = tmp_path / "python3"
    program.touch(mode=0o700)
    monkeypatch.setattr("sys.executable", str(program))
    read, write = os.pipe()
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            become("nobody", Origin("--user"))
            os.write(write, b"it worked")
        except FexpError as error:
            os.write(write, f"{os.getresuid()[0] != 0} {os.getgroups() != [0]} {error}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read().startswith(f"True True nobody cannot run fexp: it may not read {program};")
    os.waitpid(child, 0)


# Events, inotify, the clock -----------------------------------------------------------------------------------------


def test_a_file_system_without_events_is_named_with_how_often_fexp_looks(check: Check) -> None:
    found = check("/proc/sys/kernel", "--poll-interval", "7s").only("events")
    assert (found.level, found.what) == (
        "warning", "/proc/sys/kernel: proc gives no events of what other machines or the kernel change",
    )  # fmt: skip
    assert "every 7 s" in found.why
    assert found.mend.endswith("--poll-interval")
    assert check("/proc/sys/kernel", "--backend", "polling").only("events").level == "ok"


def test_layers_are_told_from_what_gives_events(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, is_layered in ((b"overlay", True), (b"fuse.bindfs", True), (b"ext4", False), (b"fuseblk", False)):
        monkeypatch.setattr("fexp.disk.mounts.Mounts.kind", lambda _, path, kind=kind: kind)
        found = check(tmp_path).only("events")
        assert (found.level == "warning") is is_layered
        assert kind.decode() in found.what


def limits(monkeypatch: pytest.MonkeyPatch, directory: Path, watches: int, instances: int) -> None:
    (directory / "max_user_watches").write_text(f"{watches}\n")
    (directory / "max_user_instances").write_text(f"{instances}\n")
    monkeypatch.setattr(inotify, "_LIMITS", f"{directory}/")
    monkeypatch.setattr(inotify, "inotify_use", lambda without: processes.InotifyUse(1, 10))


def test_directories_are_held_against_the_limits_and_what_is_in_use(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limits").mkdir()
    tree = tmp_path / "tree"
    for number in range(20):
        (tree / f"{number}").mkdir(parents=True)
    needed = 21 + len(tree.parts) - 1  # and the directories on the way
    limits(monkeypatch, tmp_path / "limits", watches=needed + 10, instances=3)
    report = check(tree, "-r")
    assert [one.level for one in report.of("inotify")] == ["ok", "ok"]
    limits(monkeypatch, tmp_path / "limits", watches=needed + 9, instances=2)
    report = check(tree, "-r")
    assert report.status == 1
    watches, instances = report.of("inotify")
    assert f"{needed} needed, 10 in use by user" in watches.what
    assert watches.mend.startswith("sysctl -w fs.inotify.max_user_watches=65536 ")
    assert instances.mend.startswith("sysctl -w fs.inotify.max_user_instances=512 ")
    assert check(tree, "-r", "--backend", "polling").of("inotify") == []
    monkeypatch.setattr("fexp.disk.mounts.Mounts.kind", lambda _, path: b"nfs4")
    assert f" {len(tree.parts) - 1} needed" in check(tree, "-r").of("inotify")[0].what  # the rest is polled


def test_as_much_as_is_needed_is_granted_twice_over() -> None:
    assert inotify._enough("max_user_watches", 65536) == 131072
    assert inotify._enough("max_user_watches", 1_000_000) == 2**21
    assert inotify._enough("max_user_instances", 130) == 512


def test_what_this_user_has_of_inotify_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from watchdog.observers.inotify_c import Mask, inotify_add_watch, inotify_init

    monkeypatch.setattr(processes, "processes", lambda: iter([os.getpid()]))
    before = processes.inotify_use()
    instance = inotify_init()
    try:
        for name in "ab":
            (tmp_path / name).mkdir()
            inotify_add_watch(instance, os.fsencode(tmp_path / name), Mask(2))
        assert processes.inotify_use() == (before.instances + 1, before.watches + 2)
        assert processes.inotify_use(without=os.getpid()) == (0, 0)
    finally:
        os.close(instance)


def test_files_of_the_future_and_a_clock_that_nobody_sets_are_named(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clock.synchronized() in (True, False, None)
    future = tmp_path / "it's tomorrow"
    for name in ("it's tomorrow", "now"):
        (tmp_path / name).touch()
    os.utime(future, (time.time() + 86400 * 3, time.time() + 86400 * 3))
    monkeypatch.setattr(clock, "synchronized", lambda: True)
    synchronized, ahead = check(tmp_path).of("clock")
    assert (synchronized.level, ahead.level) == ("ok", "warning")
    assert ahead.what.startswith(f"1 file modified in the future: {future} (in 2d 23h")
    assert ahead.mend == f"""touch '{tmp_path}/it'"'"'s tomorrow'"""
    future.unlink()
    monkeypatch.setattr(clock, "synchronized", lambda: False)
    assert check(tmp_path).only("clock").mend == "timedatectl set-ntp true"
    monkeypatch.setattr(clock, "synchronized", lambda: None)
    assert check(tmp_path).of("clock") == []


def test_dates_in_another_zone_than_the_systems_are_pointed_out(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = check("--config", config(tmp_path, "folders: ['{now:%Y}']")).only("time zones")
        assert (found.level, found.mend) == ("warning", "say where: time_zone Asia/Tokyo")
        given = config(tmp_path, "folders: [{path: '{now:%Y}', time_zone: UTC}]")
        found = check("--config", given).only("time zones")
        assert (found.level, found.what.endswith("now, in UTC")) == ("ok", True)
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert check("--config", config(tmp_path, "folders: ['{now:%Y}']")).only("time zones").level == "ok"
    finally:
        monkeypatch.undo()
        time.tzset()
