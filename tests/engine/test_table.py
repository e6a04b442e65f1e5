"""``Table`` against a dict."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fexp.files.table import Extremes, Table
from fexp.model import FileInfo
from tests.engine.columns import columns

Names = st.binary(min_size=1, max_size=2)
Infos = st.builds(
    FileInfo,
    size_bytes=st.integers(0, 5) | st.integers(0, 2**63 - 1),
    modified_at=st.integers(-3, 3).map(float) | st.floats(-1e10, 1e10),
    changed_at=st.just(0.0),
    inode=st.integers(0, 3) | st.integers(0, 2**64 - 1),
)


def extremes_of(files: dict[bytes, FileInfo]) -> Extremes | None:
    """Find the extremes the slow way."""
    if not files:
        return None
    times = [info.modified_at for info in files.values()]
    return Extremes(min(times), max(times), max(info.size_bytes for info in files.values()))


class TableMachine(RuleBasedStateMachine):
    """A table and a dict that go through the same."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
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
            self.table.fill(columns({name: info}), [7.0])
        else:
            grown = self.table.change(name, info)
            same = (old.size_bytes, old.modified_at, old.inode) == (
                info.size_bytes,
                info.modified_at,
                info.inode,
            )
            assert grown == (None if same else info.size_bytes - old.size_bytes)
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
            assert removed == ([name], [info.size_bytes], [info.modified_at], [7.0])

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
        removed = self.table.remove(names)
        assert removed.names == names
        assert removed.sizes == [info.size_bytes for info in infos]
        assert removed.modified_at == [info.modified_at for info in infos]

    @rule(files=st.dictionaries(Names, Infos, min_size=1, max_size=300))
    def fill_many(self, files: dict[bytes, FileInfo]) -> None:
        is_new, changed = self.table.sift(columns(files))
        assert is_new == [name not in self.files for name in files]
        assert changed == [
            index for index, (name, info) in enumerate(files.items()) if name in self.files and self.files[name] != info
        ]
        new = {name: info for name, info in files.items() if name not in self.files}
        if new:
            self.table.fill(columns(new), [7.0] * len(new))
            self.files.update(new)

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
        if self.asks:
            assert self.table.extremes() == extremes_of(self.files)

    def teardown(self) -> None:
        assert self.table.names() == set(self.files)
        assert self.table.extremes() == extremes_of(self.files)
        assert set(self.table.files()) == {(name, *info[:2]) for name, info in self.files.items()}
        assert self.table.sift(columns(self.files)) == ([False] * len(self.files), [])


TestTable = pytest.mark.timeout(300)(TableMachine.TestCase)
TestTable.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_large_table_keeps_its_extremes_through_every_kind_of_change(seed: int) -> None:
    chance = random.Random(seed)
    table, files = Table(), {}
    for number in range(20_000):
        name = b"%d" % chance.randrange(9000)
        info = FileInfo(chance.randrange(50), float(chance.randrange(50)), 0.0, number)
        if name not in files:
            table.fill(columns({name: info}), [0.0])
            files[name] = info
        elif chance.random() < 0.5:
            table.change(name, info)
            files[name] = info
        else:
            table.remove([name])
            del files[name]
        if number % 97 == 0:
            assert table.extremes() == extremes_of(files)
    for name in list(files):
        table.remove([name])
        del files[name]
        if len(files) % 211 == 0:
            assert table.extremes() == extremes_of(files)
    assert table.extremes() is None
    assert not len(table)
