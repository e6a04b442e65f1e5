"""Looks that are shared with other processes on any machine and in any tree, and what those processes may do wrong."""

from __future__ import annotations

import os
import socket
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fexp.disk import listers
from fexp.engine import Engine, listings
from tests.servers import poll
from tests.test_scan import make

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = listers._PROGRAM
_BEFORE = """
import os, random, select, signal, sys
sys.path.insert(0, sys.argv[1])
from fexp.disk import lister, scan

list_directory = scan.list_directory


def changed(path, below, selection, progressed):
    {}


scan.list_directory = changed
lister.main()
"""

SLOW = _BEFORE.format(
    """listing = list_directory(path, below, selection, progressed)
    select.select([], [], [], random.choice((0, 0, 0.002, 0.02)))
    return listing"""
)
"""What it finds is often old when it answers."""
DIES = _BEFORE.format(
    """if random.random() < 0.1: os.kill(os.getpid(), signal.SIGKILL)
    return list_directory(path, below, selection, progressed)"""
)
"""It dies soon."""
DIES_IN_ITS_ANSWER = _BEFORE.format(
    """os.write(1, lister.LENGTH.pack(1000) + bytes(500))
    os.kill(os.getpid(), signal.SIGKILL)"""
)
"""What it writes is cut off."""
HANGS = _BEFORE.format("select.select([], [], [])")
"""It never answers."""
GOES_ON = _BEFORE.format(
    """while True:
        select.select([], [], [], 0.01)
        progressed()"""
)
"""It never comes to an end, but it is at work."""
DENIES = _BEFORE.format(
    """if below.endswith(b"denied/"): raise PermissionError(13, "Permission denied")
    return list_directory(path, below, selection, progressed)"""
)
"""To whoever lists it, the directory ``denied`` is."""
_GATED = _BEFORE.format(
    """listing = list_directory(path, below, selection, progressed)
    gate = os.environ["LISTER_GATE"]
    if below == b"gated/":
        open(gate + "/listed", "x").close()
        while not os.path.exists(gate + "/opened"): select.select([], [], [], 0.002)
    return listing"""
)


class Gate:
    """Holds back what another process found in the directory ``gated`` of a folder."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def wait(self) -> None:
        """Wait until it has looked."""
        poll((self._place / "listed").exists)

    def open(self) -> None:
        """Let it answer."""
        (self._place / "opened").touch()


@contextmanager
def gated(place: Path) -> Iterator[Gate]:
    """Have looks of engines that begin in the block shared with one process, which holds back one answer."""
    place.mkdir()
    gate = Gate(place)
    with pytest.MonkeyPatch.context() as patch, shared(1, _GATED):
        patch.setenv("LISTER_GATE", str(place))
        try:
            yield gate
        finally:
            gate.open()


@contextmanager
def shared(processes: int, program: str = PROGRAM, *, lasting: bool = False) -> Iterator[None]:
    """Have urgent looks of engines that begin in the block shared with so many processes, however small they are.

    ``lasting``: the processes stay for the next look, which need not wait for them to begin.
    """
    with pytest.MonkeyPatch.context() as patch:
        if lasting:
            patch.setattr(Engine, "_dismiss_listers", lambda _: None)
        patch.setattr(listings, "SHARE_FROM", 1)
        patch.setattr(listers, "other_cores", lambda: processes)
        patch.setattr(listers, "_PROGRAM", program)
        yield


def children() -> set[int]:
    """Return the listers that this process has started and that are there, be it as zombies.

    Each leads a session of its own. Other tests' servers do not, and may be there for longer.
    """
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[3] == stat.parent.name:
                found.add(int(stat.parent.name))
    return found


def descriptors() -> int:
    """Return how many descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


def fill(directory: Path, *names: str) -> Path:
    """Make a directory and files in it, of different sizes and times."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(name * len(directory.parts))
        os.utime(directory / name, (1e9, 1e9 + len(name)))
    return directory


def odd_tree(root: Path) -> Path:
    """Make a tree of what is rare: links, names that are no text, directories that nobody can reach by their path."""
    for number in range(30):
        deep = fill(root / f"d{number}" / "deep", *(f"{file}.txt" for file in range(number % 7)))
        os.link(deep.parent / "one", deep / "two.txt") if number % 3 == 0 and fill(deep.parent, "one") else None
        (deep / "link.txt").symlink_to(root / f"d{number // 2}" / "deep" / "1.txt")  # of which some dangle
    odd = os.fsencode(fill(root / "odd"))
    for number, name in enumerate(
        (b"new\nline.txt", b"\xff\xfe.txt", b"\xed\xa0\x80", b" ", b"-rf", b"n" * 255, b"[a].txt")
    ):
        directory = b"%s/\xff%d/\n" % (odd, number)
        os.makedirs(directory)
        for path in (odd, directory):
            os.close(os.open(path + b"/" + name, os.O_CREAT | os.O_WRONLY))
    os.mkfifo(odd + b"/fifo.txt")
    with chdir(odd), socket.socket(socket.AF_UNIX) as one:  # its path may be too long for an address
        one.bind("socket.txt")
    fill(root / "denied", "unseen.txt")
    fill(root / ".hidden", "hidden.txt")
    for length in (3839, 3840, 4096, 9000):
        fill(root / f"l{length}")
        make(root / f"l{length}", length)
    return root
