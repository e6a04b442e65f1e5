"""What every group of rows is given: where to work, how long, and the compiled programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.peers import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

RAM_DISK = "/dev/shm"
TREE_DIRECTORIES = 1000


@dataclass
class Bench:
    """A place to work in, removed with the block of ``bench``."""

    work: str
    quick: bool
    _trees: dict[str, int] = field(default_factory=dict)

    @cached_property
    def burst(self) -> str:
        """The compiled burst.c."""
        return compile_c("burst", self.work)

    @cached_property
    def walk(self) -> str:
        """The compiled walk.c."""
        return compile_c("walk", self.work)

    def folder(self, name: str) -> str:
        """Return an own empty folder."""
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.work)

    @property
    def look_files(self) -> int:
        """How many files the big tree has for the first look and the idle row."""
        return 100_000 if self.quick else 500_000

    def tree(self, name: str, files: int, directories: int = TREE_DIRECTORIES) -> str:
        """Return a tree with so many files, made or grown if it is not there yet."""
        path = os.path.join(self.work, name)
        Path(path).mkdir(exist_ok=True)
        there = self._trees.get(name, 0)
        if there < files:
            self.burst_run("make", path, files - there, directories, there)
            self._trees[name] = files
        return path

    def burst_run(self, *words: object) -> dict[str, float]:
        """Run burst.c to its end; give its time stamps in seconds of the monotonic clock."""
        done = subprocess.run([self.burst, *map(str, words)], check=True, capture_output=True, text=True)
        return stamps(done.stdout)


def stamps(text: str) -> dict[str, float]:
    """Read what burst.c printed."""
    return {what: int(at_ns) / 1e9 for at_ns, what in (line.split() for line in text.splitlines())}


def is_ram_disk() -> bool:
    """Return whether there is a RAM disk to work on."""
    return os.path.isdir(RAM_DISK) and os.access(RAM_DISK, os.W_OK)


@contextmanager
def bench(*, quick: bool) -> Iterator[Bench]:
    """Yield a place to work in, on the RAM disk where there is one, and remove it at the end."""
    work = tempfile.mkdtemp(prefix="fexp-bench-", dir=RAM_DISK if is_ram_disk() else None)
    try:
        yield Bench(work, quick)
    finally:
        shutil.rmtree(work, ignore_errors=True)
