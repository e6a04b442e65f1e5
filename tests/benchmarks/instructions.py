"""Instructions a file: a count that a busy machine does not change, to compare versions of fexp.

The program that is counted is counted.py. Two runs, with few and with many files, differ only in the files,
so that start and imports cancel out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import watchdog

from tests.benchmarks.processes import REPOSITORY, BenchmarkError
from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench

_FEW, _MANY = 10, 1010
_COUNTED = re.compile(r"Collected : (\d+)")
_WHATS = {
    "fold": "folded in and out of FolderState",
    "engine": "created and deleted: events, look and folds in the running engine",
}


def rows(bench: Bench) -> Iterator[Row]:
    """Count by callgrind: it needs no counters of the processor, which virtual machines often hide."""
    valgrind = shutil.which("valgrind")
    for name, what in _WHATS.items():
        if valgrind is None:
            yield Row(f"instructions: a file {what}", None, "k", note="skipped: valgrind is not installed")
        elif not (bench.quick and name == "engine"):
            few, many = _count_both(valgrind, name, bench)
            yield Row(
                f"instructions: a file {what}",
                (many - few) / (_MANY - _FEW) / 1e3,
                "k",
                note="thousands, by callgrind, the kernel's not counted",
            )


def _count_both(valgrind: str, name: str, bench: Bench) -> list[int]:
    """Count with few and with many files, at the same time."""
    paths = [str(REPOSITORY / "src"), str(Path(watchdog.__file__).parents[1])]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(paths)}
    program = [sys.executable, "-S", str(Path(__file__).with_name("counted.py"))]
    processes = [
        subprocess.Popen(
            [
                *(valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"),
                *(*program, name, bench.folder("counted"), str(files)),
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for files in (_FEW, _MANY)
    ]
    try:
        return [_counted(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _counted(process: subprocess.Popen[str]) -> int:
    said = process.communicate(timeout=120)[1]
    found = _COUNTED.search(said)
    if found is None or process.returncode != 0:
        raise BenchmarkError(f"callgrind counted nothing: {said[-500:]}")
    return int(found[1])
