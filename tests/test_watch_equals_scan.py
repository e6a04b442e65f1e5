"""``fexp watch`` and the one-shots show the same state numbers, whatever befell the files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.group_by import GroupBy
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.metrics import AGGREGATES
from fexp.model import Backend, FolderSnapshot, GroupSnapshot
from fexp.service.oneshot import look_at
from tests.engine.live import watching

Step = tuple[str, str, int]
NAMES = st.sampled_from(["a.txt", "b.txt", "c.csv.part", "sub/a.txt", "sub/deep/b.txt", "other/c.txt"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("age"), NAMES, st.integers(0, 2_000_000_000)),
    st.tuples(st.just("remove"), NAMES, st.just(0)),
    st.tuples(st.just("link"), NAMES, st.integers(0, 2)),
    st.tuples(st.just("remove tree"), st.sampled_from(["sub", "sub/deep", "other"]), st.just(0)),
    st.tuples(st.just("rename"), NAMES, st.integers(0, 5)),
)


MEASURES = Measures(
    (86400.0, 3e8, 1e9), (0.0, 1.0, 2.0), settle_seconds=3600.0, stall_after_seconds=1e-6, disk_usage=True
)
"""Ages that nothing of what is tried passes in the time that the test takes."""
OTHERS = {"unsettled_files", "stalled_files", "disk_usage_bytes"}


def do(root: Path, step: Step) -> None:
    what, name, number = step
    path = root / name
    if what == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    elif what == "age" and path.exists():
        os.utime(path, (number, number))
    elif what == "rename" and path.exists():
        path.rename(root / f"r{number}{path.suffixes[0] if number % 2 else '.r'}")
    elif what == "remove":
        path.unlink(missing_ok=True)
    elif what == "link" and path.exists():
        other = root / f"link-{number}"
        other.unlink(missing_ok=True)
        os.link(path, other)
    elif what == "remove tree":
        shutil.rmtree(path, ignore_errors=True)


def state_of(groups: tuple[GroupSnapshot, ...]) -> list[dict[str, object]]:
    """Return what both know alike. When a file arrived, only who was there then knows better than its inode."""
    return [
        {
            **group.labels, **group.values, "oldest_arrived_at": None,
            **{name: (one.bounds, one.counts) for name, one in group.distributions.items()},
            "summed": group.distributions["file_size_bytes"].sum,
        }
        for group in groups
    ]  # fmt: skip


def numbers_of(folder: FolderSnapshot) -> tuple[list[dict[str, object]], int | None]:
    return state_of(folder.groups), folder.directories


@pytest.mark.parametrize("backend", [Backend.INOTIFY, Backend.POLLING])
@given(before=st.lists(STEPS, max_size=6), after=st.lists(STEPS, max_size=12))
@settings(max_examples=25)
def test_watch_equals_scan(
    backend: Backend, before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    selection = Selection(("*.txt", "*", "a*"), recursive=True, partials=("*.part",), disk_usage=True)
    with TemporaryDirectory() as directory:
        root = Path(directory)
        for step in before:
            do(root, step)
        with watching(root, selection, MEASURES, backend=backend, poll_interval_seconds=0.001) as live:
            at_start = live.quiet()
            scanned, _ = look_at(live.folder)
            assert [group.values.keys() for group in scanned.groups] == [{one.name for one in AGGREGATES} | OTHERS] * 3
            assert state_of(at_start.groups) == state_of(scanned.groups)
            assert at_start.directories == scanned.directories
            for watched, looked in zip(at_start.groups, scanned.groups, strict=True):
                arrived_at = looked.values["oldest_arrived_at"]
                expected = None if arrived_at is None else pytest.approx(arrived_at, abs=0.01)
                assert watched.values["oldest_arrived_at"] == expected
            for step in after:
                do(root, step)
            live.until(lambda one: numbers_of(one) == numbers_of(look_at(live.folder)[0]))


COUNTERS = ("arrivals", "departures", "modifications", "arrived_bytes", "departed_bytes")
GROUPINGS = {
    "extensions": GroupBy(extensions_max=1),
    "groups": GroupBy(regex=r"(?:^|/)(?P<first>[^/.])", label_names=("first",), groups_max=2),
    "both": GroupBy(2, (), r"(?:^|/)(?P<first>[^/.])", ("first",), 1),
}
SHOWN_ALONE = ("files", "unsettled_files", "stalled_files")


@pytest.mark.parametrize("counts_settled", [False, True])
@pytest.mark.parametrize("group_by", GROUPINGS.values(), ids=GROUPINGS)
@given(before=st.lists(STEPS, max_size=6), after=st.lists(st.lists(STEPS, max_size=6), max_size=3))
@settings(max_examples=10)
def test_groups_too(
    group_by: GroupBy,
    before: list[tuple[str, str, int]],
    after: list[list[tuple[str, str, int]]],
    *,
    counts_settled: bool,
) -> None:
    """Files move from group to group, and groups into and out of the top; what came and went never goes back."""

    def named(one: FolderSnapshot) -> list[dict[str, object]]:
        groups = tuple(group for group in one.groups if any(group.values[name] for name in SHOWN_ALONE))
        return sorted(state_of(groups), key=lambda values: str([values[name] for name in one.groups[0].labels]))

    with TemporaryDirectory() as directory:
        root = Path(directory)
        for step in before:
            do(root, step)
        selection = Selection(recursive=True, partials=("*.part",), disk_usage=True)
        measures = MEASURES._replace(single_files_max=2, counts_settled=counts_settled)
        with watching(root, selection, measures, group_by=group_by) as live:
            seen = live.quiet()
            files_at_start = sum(group.files for group in seen.groups)
            for steps in after:
                for step in steps:
                    do(root, step)
                now = live.until(lambda one: named(one) == named(look_at(live.folder)[0]))
                looked, _ = look_at(live.folder)
                assert (now.single_files, now.series_dropped) == (looked.single_files, looked.series_dropped)
                counted = {tuple(group.labels.values()): group.flow for group in now.groups}
                for group in seen.groups:
                    flow = counted.get(tuple(group.labels.values()))
                    for name in COUNTERS if flow else ():
                        assert getattr(flow, name) >= getattr(group.flow, name)
                came = sum(flow.arrivals - flow.departures for flow in counted.values() if flow)
                assert came == sum(group.files for group in now.groups) - files_at_start
                seen = now


def test_the_oldest_arrival_is_not_the_oldest_modification(tmp_path: Path) -> None:
    """A file that was copied in with its old times has been waiting since it came."""
    with watching(tmp_path) as live:
        (tmp_path / "new").touch()
        first = live.pattern().values["oldest_arrived_at"]
        assert first == pytest.approx((tmp_path / "new").stat().st_ctime, abs=60)
        old = tmp_path.parent / (tmp_path.name + "-old")
        old.touch()
        os.utime(old, (1e9, 1e9))
        old.rename(tmp_path / "old")
        values = live.pattern().values
        assert (values["oldest_modified_at"], values["oldest_arrived_at"]) == (1e9, first)
        (tmp_path / "new").unlink()
        later = live.pattern().values["oldest_arrived_at"]
        assert later is not None
        assert first is not None
        assert later >= first
