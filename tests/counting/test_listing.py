"""Which files come first: what is picked without sorting all, beside what sorting all of them gives."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.grouping import ByPattern
from fexp.counting.listing import ARRIVING, FirstFiles
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.counting.state import Directory, FolderState
from fexp.listed import Listed
from fexp.metrics import makers
from fexp.model import FileColumns, FileInfo, Instant, KnownFiles
from tests.counting.columns import columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.counting.listing import Entry

NOW = Instant(1000.0, 1000.0)
BY_TABLES = tuple(listed for listed in Listed if listed not in ARRIVING)
RANKS: dict[Listed, Callable[[int, float], float | None]] = {
    Listed.OLDEST: lambda _, modified_at: modified_at,
    Listed.NEWEST: lambda _, modified_at: -modified_at,
    Listed.LARGEST: lambda size, _: -size,
    Listed.SMALLEST: lambda size, _: size,
    Listed.EMPTY: lambda size, modified_at: None if size else modified_at,
    Listed.FUTURE: lambda _, modified_at: -modified_at if modified_at > 1060.0 else None,
}

Files = dict[bytes, tuple[int, float]]
"""Size and modification time by path."""


def expected(files: Files, listed: Listed, files_max: int) -> list[tuple[float, bytes]]:
    ranked = [(RANKS[listed](*one), path) for path, one in files.items()]
    return sorted((rank, path) for rank, path in ranked if rank is not None)[:files_max]


def found(entries: list[Entry]) -> list[tuple[float, bytes]]:
    return [(rank, path) for rank, path, *_ in entries]


def state_with(files: Files, *patterns: str) -> FolderState:
    """Return the state after files were found, in a random order."""
    state = FolderState(ByPattern(Selection(patterns or ("*",), recursive=True)), makers(Measures()), ())
    directories: dict[bytes, Directory] = {}
    for path, (size, modified_at) in files.items():
        below, slash, name = path.rpartition(b"/")
        directory = directories.setdefault(below + slash, Directory(below + slash))
        found_now = FileColumns([name], [size], [modified_at], [modified_at], [1])
        state.take_in(directory, found_now, NOW, 0.0, is_start=False)
    for path in [path for path in files if path.endswith(b"7")]:
        below, slash, name = path.rpartition(b"/")
        state.let_go(directories[below + slash], [name], NOW)
        del files[path]
    return state


def random_files(seed: int, count: int, directories: int) -> Files:
    rng = random.Random(seed)
    kinds = rng.choice([3, 10**6])
    return {
        b"%s%d" % (b"%d/" % (number % directories) if number % directories else b"", number): (
            rng.choice([0, rng.randrange(kinds)]), float(rng.randrange(900, 900 + rng.choice([2, 200])))
        )
        for number in range(count)
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0, 5, 300, 700]), st.sampled_from([1, 2, 40]), st.integers(1, 30))
def test_tables_pick_what_sorting_all_gives(seed: int, count: int, directories: int, files_max: int) -> None:
    files = random_files(seed, count, directories)
    state = state_with(files, "*", "*1*")
    for listed in BY_TABLES:
        first = FirstFiles(listed, files_max, NOW.wall)
        state.pick(first, "/f", lambda _: True)
        picked, wanted = found(first.entries), expected(files, listed, files_max)
        assert [rank for rank, _ in picked] == [rank for rank, _ in wanted], listed
        assert picked == sorted(set(picked)), "each file once, in order"
        assert all((RANKS[listed](*files[path]), path) == (rank, path) for rank, path in picked)
        for rank, path, _, size, modified_at, _ in first.entries:
            assert (size, modified_at) == files[path], rank


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0, 5, 100]), st.integers(1, 30))
def test_one_look_picks_exactly_the_first_by_path_too(seed: int, count: int, files_max: int) -> None:
    files = random_files(seed, count, 3)
    for listed in BY_TABLES:
        one, other = (FirstFiles(listed, files_max, NOW.wall) for _ in range(2))
        for below in (b"", b"1/", b"2/"):
            here = {path: seen for path, seen in files.items() if path.rpartition(b"/")[0] == below.rstrip(b"/")}
            names = [path.rpartition(b"/")[2] for path in here]
            sizes, times = [size for size, _ in here.values()], [at for _, at in here.values()]
            (one if below else other).add("/f", below, KnownFiles(names, sizes, times, [1] * len(names), times))
        one.merge(other.entries, other.count)
        assert found(one.entries) == expected(files, listed, files_max)
        assert one.count == len(expected(files, listed, len(files)))


def test_only_groups_that_are_wanted_are_picked_from() -> None:
    state = state_with({b"a.csv": (1, 1.0), b"b.txt": (2, 2.0)}, "*.csv", "*.txt")
    first = FirstFiles(Listed.OLDEST, 9, NOW.wall)
    state.pick(first, "/f", lambda labels: labels["pattern"] == "*.txt")
    assert found(first.entries) == [(2.0, b"b.txt")]


@pytest.mark.parametrize("listed", BY_TABLES)
def test_few_of_many_runs_are_looked_into(listed: Listed) -> None:
    files = {b"%05d" % number: (number % 8191 + 1, 500.0 + number / 16) for number in range(30_000)}
    files.update({b"empty": (0, 600.0), b"future": (5, 5000.0)})
    state, seen = state_with({}), 0
    infos = {name: FileInfo(size, modified_at, modified_at, 1) for name, (size, modified_at) in files.items()}
    state.take_in(Directory(b""), columns(infos), NOW, 0.0, is_start=False)

    class Counting(FirstFiles):
        def add(self, folder: str, below: bytes, files: KnownFiles) -> None:
            nonlocal seen
            seen += len(files.names)
            super().add(folder, below, files)

    state.pick(Counting(listed, 5, NOW.wall), "/f", lambda _: True)
    assert 0 < seen <= 8 * 256
