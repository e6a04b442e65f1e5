"""What processes that list directories find, and what becomes of them. How the engine uses them: tests/engine."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.counting.selection import Selection
from fexp.disk import lister, listers, scan
from fexp.model import DiskUse, Fault, FileColumns
from tests.engine.sharing import GOES_ON, children, descriptors, odd_tree, shared
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def processes() -> Iterator[listers.Listers]:
    """Yield two processes, of which nothing is left afterwards."""
    before = children(), descriptors()
    with shared(2):
        processes = listers.Listers()
        processes.open()
        yield processes
        processes.close()
        processes.reap(10.0)
    assert (children(), descriptors()) == before


def everything_below(path: bytes, selection: Selection) -> dict[bytes, scan.Listing | int]:
    """List a directory and all below, by their paths below; what cannot be listed has the error's number."""
    found: dict[bytes, scan.Listing | int] = {}
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        try:
            listing = scan.list_directory(path + b"/" + below[:-1], below, selection)
        except OSError as error:
            found[below] = error.errno or 0
            continue
        found[below] = listing
        waiting.extend(below + name + b"/" for name in listing.subdirectories)
    return found


def listed(answer: bytearray | None) -> scan.Listing | int:
    assert answer is not None
    try:
        return lister.read_answer(answer)
    except OSError as error:
        return error.errno or 0


def plain(listing: scan.Listing | int) -> object:
    return listing if isinstance(listing, int) else ([list(column) for column in listing.files], *listing[1:])


@pytest.mark.parametrize(
    "selection",
    [
        Selection(recursive=True),
        Selection(("*.txt",), recursive=True),
        Selection(("*.txt", "[!a]*", "one"), ("two*", "d1/deep"), recursive=True, hidden=True, follow_symlinks=True),
        Selection(("*.TXT", "*"), recursive=True, max_depth=2, ignore_case=True, own_patterns=frozenset(["*"])),
        Selection(),
    ],
)
def test_other_processes_list_what_this_one_lists(
    tmp_path: Path, processes: listers.Listers, selection: Selection
) -> None:
    root = os.fsencode(odd_tree(tmp_path / "root"))
    found = everything_below(root, selection)
    found[b"gone/"], found[b"odd/fifo.txt/"] = 2, 20
    answers: dict[bytes, bytearray | None] = {}
    for below in found:
        path, answered = root + b"/" + below[:-1], partial(answers.__setitem__, below)
        while not processes.ask(path, below, selection, answered, now=0.0):
            processes.collect(0.0)

    def are_there() -> bool:
        processes.collect(0.0)
        return len(answers) == len(found)

    poll(are_there, every_seconds=0.001)
    assert {below: plain(listed(answer)) for below, answer in answers.items()} == {
        below: plain(listing) for below, listing in found.items()
    }


NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name)
ROWS = st.tuples(
    NAMES, st.integers(0, 2**63 - 1), st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.integers(0, 2**64 - 1)
)


@given(
    st.lists(ROWS, max_size=20),
    st.dictionaries(NAMES, st.integers(0, 2**64 - 1), max_size=5),
    st.lists(st.sampled_from(list(Fault)), max_size=5),
    st.lists(NAMES, max_size=5),
    st.lists(st.tuples(NAMES, st.integers(0, 2**64 - 1)), max_size=5),
)
def test_an_answer_says_all_that_a_listing_does(
    rows: list[tuple[bytes, int, float, float, int]],
    subdirectories: dict[bytes, int],
    faults: list[Fault],
    links: list[bytes],
    several: list[tuple[bytes, int]],
) -> None:
    files = FileColumns([], [], [], [], [])
    files.extend(zip(*rows, strict=True))
    disk_use = {name: DiskUse(512, (1, inode) if inode % 2 else None) for name, inode in several}
    listing = scan.Listing(files, subdirectories, faults, scan.SeenElsewhere(links, several), disk_use)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lister, "_FILES_AT_ONCE", 3)
        answered = lister.read_answer(lister._answer(listing))
    assert list(zip(*answered.files, strict=True)) == rows
    assert answered[1:] == listing[1:]


def test_a_slow_process_says_that_it_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listers, "_SILENT_SECONDS", 10.0)
    answers: list[bytearray | None] = []
    with shared(1, GOES_ON):
        processes = listers.Listers()
        processes.open()
        assert processes.ask(os.fsencode(tmp_path), b"", Selection(), answers.append, now=0.0)
        (process,) = processes._listers

        def is_heard() -> bool:
            processes.collect(9.0)
            return process._heard_at == 9.0

        poll(is_heard)
        processes.collect(18.0)
        assert not answers
        processes.close()
        assert answers == [None]
        processes.reap(10.0)
