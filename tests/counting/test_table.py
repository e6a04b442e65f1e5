"""``Table`` against a dict."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fexp.counting.aggregates import Extreme
from fexp.counting.table import Table
from fexp.metrics import AGGREGATES
from fexp.model import FileInfo, KnownFiles
from tests.counting.columns import arrays, columns, known

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.model import FileColumns

Names = st.binary(min_size=1, max_size=2)
Infos = st.builds(
    FileInfo,
    size_bytes=st.integers(0, 5) | st.integers(0, 2**63 - 1),
    modified_at=st.integers(-3, 3).map(float) | st.floats(-1e10, 1e10),
    changed_at=st.just(0.0),
    inode=st.integers(0, 3) | st.integers(0, 2**64 - 1),
)


WANTED = [aggregate.extremum for aggregate in AGGREGATES if issubclass(aggregate, Extreme)]
ARRIVED_AT = 7.0


def extremes_of(files: dict[bytes, FileInfo]) -> tuple[float, ...]:
    """Find the extremes the slow way."""
    columns_of = known(files, ARRIVED_AT)
    return tuple(extremum.pick(getattr(columns_of, extremum.column)) for extremum in WANTED)


def differs(old: FileInfo, new: FileInfo) -> bool:
    return (old.size_bytes, old.modified_at, old.inode) != (new.size_bytes, new.modified_at, new.inode)


def lists(files: KnownFiles) -> KnownFiles:
    return KnownFiles(*map(list, files))  # type: ignore[arg-type]  # a list for each column


class TableMachine(RuleBasedStateMachine):
    """A table and a dict that go through the same."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(0)
        self.files: dict[bytes, FileInfo] = {}
        self.asks = True

    @initialize(start=st.sampled_from([0, 3, 4090, 4200]), seed=st.integers(0, 9))
    def fill(self, start: int, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(start):
            info = FileInfo(chance.randrange(1000), float(chance.randrange(1000)), 0.0, number)
            self._put(b"%07d" % number, info)

    def _put(self, name: bytes, info: FileInfo) -> None:
        old = self.files.get(name)
        if old is None:
            self.table.fill(known({name: info}, ARRIVED_AT))
        else:
            is_new, before, after = self.table.update(columns({name: info}))
            assert is_new == [False]
            assert lists(before) == known({name: old} if differs(old, info) else {}, ARRIVED_AT)
            assert lists(after) == known({name: info} if differs(old, info) else {}, ARRIVED_AT)
        self.files[name] = info

    @rule(name=Names, info=Infos)
    def put(self, name: bytes, info: FileInfo) -> None:
        self._put(name, info)

    @rule(data=st.data(), info=Infos)
    def change_one(self, data: st.DataObject, info: FileInfo) -> None:
        if self.files:
            self._put(self._some(data), info)

    @rule(data=st.data())
    def remove_one(self, data: st.DataObject) -> None:
        if self.files:
            name = self._some(data)
            removed, info = self.table.remove([name, b"unknown", name]), self.files.pop(name)
            assert lists(removed) == known({name: info}, ARRIVED_AT)

    @rule()
    def remove_an_extreme(self) -> None:
        if self.files:
            name = max(self.files, key=lambda one: self.files[one].size_bytes)
            self.table.remove([name])
            del self.files[name]

    @rule(count=st.integers(1, 300))
    def remove_many(self, count: int) -> None:
        names = list(self.files)[:count]
        infos = [self.files.pop(name) for name in names]
        removed = lists(self.table.remove(names))
        assert removed.names == names
        assert removed.sizes == [info.size_bytes for info in infos]
        assert removed.modified_at == [info.modified_at for info in infos]

    @rule(files=st.dictionaries(Names, Infos, min_size=1, max_size=300))
    def fill_many(self, files: dict[bytes, FileInfo]) -> None:
        is_new, before, after = self.table.update(columns(files))
        assert is_new == [name not in self.files for name in files]
        changed = {name: info for name, info in files.items() if name in self.files and differs(self.files[name], info)}
        assert lists(before) == known({name: self.files[name] for name in changed}, ARRIVED_AT)
        assert lists(after) == known(changed, ARRIVED_AT)
        new = {name: info for name, info in files.items() if name not in self.files}
        self.table.fill(known(new, ARRIVED_AT))
        self.files.update(files)

    @rule(asks=st.booleans())
    def ask_for_the_extremes(self, asks: bool) -> None:
        self.asks = asks

    def _some(self, data: st.DataObject) -> bytes:
        names = list(self.files)
        return names[data.draw(st.integers(0, len(names) - 1))]

    @invariant()
    def same_numbers(self) -> None:
        assert len(self.table) == len(self.files)
        assert self.table.size_bytes == sum(info.size_bytes for info in self.files.values())
        if self.asks and self.files:
            assert self.table.extremes(WANTED) == extremes_of(self.files)

    def teardown(self) -> None:
        assert set(self.table.names) == set(self.files)
        assert all(name in self.table for name in self.files)
        if self.files:
            assert self.table.extremes(WANTED) == extremes_of(self.files)
        kept = self.table.copy()
        assert {name: info for name, *info in zip(*kept, strict=True)} == {
            name: [info.size_bytes, info.modified_at, info.inode, ARRIVED_AT] for name, info in self.files.items()
        }


TestTable = pytest.mark.timeout(300)(TableMachine.TestCase)
TestTable.settings = settings(max_examples=15, stateful_step_count=30)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spread", [50, 1 << 60])
def test_a_large_table_keeps_its_extremes_through_every_kind_of_change(seed: int, spread: int) -> None:
    chance = random.Random(seed)
    table, files = Table(0), {}
    for number in range(20_000):
        name = b"%d" % chance.randrange(9000)
        info = FileInfo(chance.randrange(spread), float(chance.randrange(spread)), 0.0, number)
        if name not in files:
            table.fill(known({name: info}, ARRIVED_AT))
            files[name] = info
        elif chance.random() < 0.5:
            table.update(columns({name: info}))
            files[name] = info
        else:
            table.remove([name])
            del files[name]
        if files and number % 397 == 0:
            assert table.extremes(WANTED) == extremes_of(files)
    for name in list(files):
        table.remove([name])
        del files[name]
        if files and len(files) % 811 == 0:
            assert table.extremes(WANTED) == extremes_of(files)
    assert not len(table)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [257, 300, 512, 513, 4097, 5000])
def test_an_extreme_that_moves_into_a_gap_and_goes_is_forgotten(count: int, sign: int) -> None:
    """The last file of a table, which has the extremes, fills the gap that another leaves, and then goes itself."""
    table, files = numbered_table(count, sign)
    for gap in (0, 1, 100, 200, 201, 202, 203):
        last = table.names[-1]
        for name in (b"%d" % gap, last):
            table.remove([name])
            del files[name]
            assert table.extremes(WANTED) == extremes_of(files)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("together", [1, 2, 256, 600])
@pytest.mark.parametrize("count", [257, 511, 512, 4097])
def test_an_extreme_that_comes_last_is_seen(count: int, together: int, sign: int) -> None:
    table, files = numbered_table(count, sign)
    assert table.extremes(WANTED) == extremes_of(files)
    for first in range(count, count + 2 * together, together):
        new = {b"%d" % number: numbered(number, sign) for number in range(first, first + together)}
        table.fill(known(new, ARRIVED_AT))
        files.update(new)
        assert table.extremes(WANTED) == extremes_of(files)


def numbered(number: int, sign: int) -> FileInfo:
    """Return a file whose values no other one has: each later one is an extreme."""
    return FileInfo(10**6 + sign * number, float(sign * number), 0.0, number)


def numbered_table(count: int, sign: int) -> tuple[Table, dict[bytes, FileInfo]]:
    table = Table(0)
    files = {b"%d" % number: numbered(number, sign) for number in range(count)}
    table.fill(known(files, ARRIVED_AT))
    assert table.extremes(WANTED) == extremes_of(files)
    return table, files


@pytest.mark.parametrize("count", [300, 4097, 5000])
def test_an_extreme_that_changes_is_seen(count: int) -> None:
    table, files = numbered_table(count, 1)
    for number in (0, 255, 256, count - 1, count // 2):
        for info in (FileInfo(1 << 40, 1e9, 0.0, 1), FileInfo(0, -1.0, 0.0, 1), numbered(number, 1)):
            files[b"%d" % number] = info
            table.update(columns({b"%d" % number: info}))
            assert table.extremes(WANTED) == extremes_of(files)


def test_names_are_found_by_inode() -> None:
    table = Table(0)
    table.fill(known({b"a": FileInfo(1, 1.0, 0.0, 7), b"b": FileInfo(1, 1.0, 0.0, 8)}, ARRIVED_AT))
    table.fill(known({b"c": FileInfo(1, 1.0, 0.0, 7)}, ARRIVED_AT))
    assert sorted(table.with_inodes({7, 9})) == [(b"a", 7), (b"c", 7)]
    assert table.with_inodes({9, 1 << 70}) == []
    table.remove([b"a"])
    assert table.with_inodes({7, 8}) == [(b"c", 7), (b"b", 8)]
    assert (table.inode_of(b"b"), table.inode_of(b"a")) == (8, None)


@pytest.mark.parametrize("listed", [columns, arrays])
@pytest.mark.parametrize("change", [{"size_bytes": 99}, {"modified_at": 99.0}, {"inode": 99}])
def test_one_number_that_differs_is_found_in_a_listing(
    listed: Callable[[dict[bytes, FileInfo]], FileColumns], change: dict[str, Any]
) -> None:
    files = {b"%d" % number: FileInfo(1, 1.0, 1.0, number) for number in range(20)}
    table = Table(0)
    table.fill(known(files, ARRIVED_AT))
    before = files[b"7"]
    files[b"7"] = before._replace(**change)
    is_new, were, are = table.update(listed(files))
    assert not any(is_new)
    assert (lists(were), lists(are)) == (known({b"7": before}, ARRIVED_AT), known({b"7": files[b"7"]}, ARRIVED_AT))
    assert not table.update(listed(files))[2].names
