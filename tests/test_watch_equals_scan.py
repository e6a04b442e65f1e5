"""``fexp watch`` and the one-shots show the same state numbers, whatever befell the files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.metrics import AGGREGATES
from fexp.model import Backend, GroupSnapshot
from fexp.service.oneshot import look_at
from tests.engine.live import watching

Step = tuple[str, str, int]
NAMES = st.sampled_from(["a.txt", "b.txt", "c.csv", "sub/a.txt", "sub/deep/b.txt", "other/c.txt"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("age"), NAMES, st.integers(0, 2_000_000_000)),
    st.tuples(st.just("remove"), NAMES, st.just(0)),
    st.tuples(st.just("remove tree"), st.sampled_from(["sub", "sub/deep", "other"]), st.just(0)),
)


MEASURES = Measures((86400.0, 3e8, 1e9), (0.0, 1.0, 2.0))
"""Ages that nothing of what is tried passes in the time that the test takes."""


def do(root: Path, step: Step) -> None:
    what, name, number = step
    path = root / name
    if what == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    elif what == "age" and path.exists():
        os.utime(path, (number, number))
    elif what == "remove":
        path.unlink(missing_ok=True)
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


@pytest.mark.parametrize("backend", [Backend.INOTIFY, Backend.POLLING])
@given(before=st.lists(STEPS, max_size=6), after=st.lists(STEPS, max_size=12))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_watch_equals_scan(
    backend: Backend, before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    selection = Selection(("*.txt", "*", "a*"), recursive=True)
    with TemporaryDirectory() as directory:
        root = Path(directory)
        for step in before:
            do(root, step)
        with watching(root, selection, MEASURES, backend=backend, poll_interval_seconds=0.001) as live:
            at_start = live.quiet()
            scanned, _ = look_at(live.folder)
            assert [group.values.keys() for group in scanned.groups] == [{one.name for one in AGGREGATES}] * 3
            assert state_of(at_start.groups) == state_of(scanned.groups)
            for watched, looked in zip(at_start.groups, scanned.groups, strict=True):
                arrived_at = looked.values["oldest_arrived_at"]
                expected = None if arrived_at is None else pytest.approx(arrived_at, abs=0.01)
                assert watched.values["oldest_arrived_at"] == expected
            for step in after:
                do(root, step)
            live.until(lambda one: state_of(one.groups) == state_of(look_at(live.folder)[0].groups))


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
