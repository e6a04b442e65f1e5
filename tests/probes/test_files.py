"""Probes that run for each file, on the engine's change feed."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import fexp
from fexp.counting.selection import Folder, Selection
from fexp.engine import feed
from fexp.model import Change, Happening
from fexp.service.probes.budget import Budget
from tests.engine.live import watching
from tests.probes.running import MovableClock, Running, running
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fexp import File, Probe, Sample
    from tests.engine.live import Live

SIZE = fexp.gauge("size", "Bytes read.", labels=("path",))
READS = fexp.counter("reads", "Reads of the file.", labels=("path",))
ALL = fexp.counter("all_reads", "Reads of all files.")


def reader(on: Any = None, **options: Any) -> Probe:
    @fexp.probe(metrics=[SIZE, READS, ALL], on=on or fexp.files(), **options)
    def reads(file: File) -> Iterator[Sample]:
        with file.open("rb") as content:
            yield SIZE(len(content.read()), path=file.relpath)
        yield READS.inc(path=file.relpath)
        yield ALL.inc()

    assert isinstance(reads, fexp.Probe)
    return reads


@contextmanager
def following(path: Path, *probes: Probe, recursive: bool = False, **options: Any) -> Iterator[tuple[Live, Running]]:
    with (
        watching(path, Selection(recursive=recursive)) as live,
        running(*probes, engine=live.engine, folders=(live.folder,), **options) as at_work,
    ):
        yield live, at_work


def test_samples_come_change_and_go_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    with following(tmp_path, reader()) as (_, probes):
        probes.until(lambda v: v == {"size a": 1, "reads_total a": 1, "all_reads_total": 1})
        (tmp_path / "b").write_text("22")
        probes.until(lambda v: v.get("size b") == 2)
        with (tmp_path / "a").open("a") as file:
            file.write("333")
        probes.until(lambda v: v.get("size a") == 4 and v["reads_total a"] >= 2)
        (tmp_path / "a").rename(tmp_path / "c")
        values = probes.until(lambda v: "size c" in v and "size a" not in v)
        assert "reads_total a" not in values
        (tmp_path / "b").unlink()
        (tmp_path / "c").unlink()
        left = probes.until(lambda v: v.keys() == {"all_reads_total"})
        assert left["all_reads_total"] >= 4
        assert probes.fares("reads").success


def test_labels_are_the_folders_and_the_probes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    with following(tmp_path, reader()) as (live, probes):
        probes.until(lambda v: "size a" in v)
        family = next(one for one in probes.snapshot().families if one.name == "size")
        assert family.samples[0].labels == {"probe": "reads", "folder": live.folder.label, "path": "a"}


@pytest.mark.parametrize(
    ("glob", "shown"),
    [("*.csv", {"a.csv", "sub/b.csv"}), ("sub/*.csv", {"sub/b.csv"}), ("**/b.*", {"sub/b.csv", "b.txt"})],
)
def test_a_glob_says_which(tmp_path: Path, glob: str, shown: set[str]) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "b.txt", "sub/b.csv", "sub/.h.csv"):
        (tmp_path / name).write_text("x")
    with following(tmp_path, reader(fexp.files(glob)), recursive=True) as (_, probes):
        probes.until(lambda v: {name.split()[1] for name in v if name.startswith("size ")} == shown)


def test_only_settled_files_if_asked(tmp_path: Path) -> None:
    clock = MovableClock()
    (tmp_path / "old").write_text("1")
    (tmp_path / "new").write_text("22")
    os.utime(tmp_path / "old", (clock.wall - 60, clock.wall - 60))
    os.utime(tmp_path / "new", (clock.wall - 20, clock.wall - 20))
    with following(tmp_path, reader(fexp.files(settled="30s")), clock=clock) as (live, probes):
        assert probes.until(lambda v: "size old" in v)["all_reads_total"] == 1
        clock.move(11)
        (tmp_path / "old").write_text("333")
        live.quiet()
        assert probes.until(lambda v: "size new" in v)["size old"] == 1

        def later() -> bool:
            clock.move(31)
            (tmp_path / "wakes").write_text("the thread, which waits on the real clock")
            return probes.values()["size old"] == 3

        poll(later, every_seconds=0.01)


def test_a_file_that_one_probe_deletes_is_no_failure_of_the_others(tmp_path: Path) -> None:
    eaten, read = threading.Event(), threading.Event()

    @fexp.probe(metrics=ALL, on=fexp.files(), name="eats")
    def eats(file: File) -> Sample:
        assert read.wait(30)
        os.unlink(file.path)
        eaten.set()
        return ALL.inc()

    @fexp.probe(metrics=SIZE, on=fexp.files(), name="late")
    def late(file: File) -> Sample:
        read.set()
        assert eaten.wait(30)
        with file.open("rb") as content:  # it is gone
            return SIZE(len(content.read()), path=file.relpath)

    (tmp_path / "a").write_text("1")
    with following(tmp_path, eats, late) as (live, probes):
        assert live.until(lambda folder: folder.groups[0].files == 0)
        probes.until(lambda v: v == {"all_reads_total": 1})
        poll(lambda: probes.fares("late").success is True, every_seconds=0.01)
        assert probes.fares("late").failures == 0


def test_one_bad_file_costs_its_own_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    @fexp.probe(metrics=SIZE, on=fexp.files())
    def numbers(file: File) -> Sample:
        with file.open() as content:
            return SIZE(int(content.read()), path=file.relpath)

    for name, text in (("good", "7"), ("bad", "x")):
        (tmp_path / name).write_text(text)
    with following(tmp_path, numbers) as (_, probes):
        poll(lambda: probes.fares("numbers").runs == 2, every_seconds=0.01)
        assert (probes.values(), probes.fares("numbers").success) == ({"size good": 7}, False)
        assert "probe numbers: bad: ValueError" in caplog.text
        (tmp_path / "bad").write_text("8")
        probes.until(lambda v: v == {"size good": 7, "size bad": 8})
        assert probes.fares("numbers").success
        (tmp_path / "bad").write_text("y")
        poll(lambda: probes.fares("numbers").success is False, every_seconds=0.01)
        (tmp_path / "bad").unlink()
        poll(lambda: probes.fares("numbers").success, every_seconds=0.01)


def test_what_is_no_regular_file_any_more_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("fifo", "link"):
        with pytest.raises(OSError):  # noqa: PT011  # whichever
            fexp.File("f", os.fsencode(tmp_path / name), name.encode(), 0, 0.0).open()


def test_a_subscriber_that_fell_behind_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "DEFAULT_CAPACITY", 1)
    go_on, begun = threading.Event(), threading.Event()

    @fexp.probe(metrics=SIZE, on=fexp.files())
    def slow(file: File) -> Sample:
        begun.set()
        assert go_on.wait(30)
        return SIZE(file.size_bytes, path=file.relpath)

    (tmp_path / "a").write_text("1")
    with watching(tmp_path) as live:
        subscribe = live.engine.subscribe
        monkeypatch.setattr(live.engine, "subscribe", lambda **options: subscribe(capacity=1, **options))
        with running(slow, engine=live.engine, folders=(live.folder,)) as probes:
            assert begun.wait(30)
            for number in range(20):
                (tmp_path / f"b{number}").write_text("22")
                live.quiet()
            (tmp_path / "a").unlink()
            live.quiet()
            go_on.set()
            probes.until(lambda v: v == {f"size b{number}": 2 for number in range(20)})


def test_reading_keeps_to_the_budget() -> None:
    clock = MovableClock()
    budget = Budget(100_000, clock)
    assert [budget.spend(50_000) for _ in range(6)] == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    clock.move(10)
    assert budget.spend(20_000) == 0


def test_what_the_budget_takes_is_not_the_probes_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)  # 0.75 s at this rate
    probe = reader(fexp.files(timeout="500ms"))
    with following(tmp_path, probe, read_bytes_per_second=1_000_000) as (_, probes):
        probes.until(lambda v: v.get("size a") == 1_000_000)
        assert (probes.fares("reads").duration_seconds or 0) > 0.5
        assert probes.fares("reads").failures == 0


def test_folders_come_and_go(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("x")
        folders.append(Folder(os.fsencode(tmp_path / name), name, Selection()))
    with watching(tmp_path / "one") as live, running(reader(), engine=live.engine, folders=(live.folder,)) as probes:
        probes.until(lambda v: "size one" in v)
        for now in (folders, folders[1:]):
            probes.probes.set_folders(now)
            live.engine.set_folders(now)
            shown = {f"size {folder.label}" for folder in now}
            probes.until(lambda v, shown=shown: {name for name in v if name.startswith("size ")} == shown)  # type: ignore[misc]


def test_an_unknown_folder_is_no_ones(tmp_path: Path) -> None:
    with following(tmp_path, reader()) as (_, probes):
        (runner,) = probes.probes._runners
        runner.learn([Change(Happening.ARRIVAL, "/elsewhere", (), b"a", 1, 0.0, 1, 0.0)])  # type: ignore[attr-defined]
        assert not runner._pending  # type: ignore[attr-defined]
