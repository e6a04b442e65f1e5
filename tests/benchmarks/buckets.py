"""What distributions of ages and sizes cost: the first look, a scrape, memory, a large directory that leaves."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.bench import TREE_DIRECTORIES
from tests.benchmarks.processes import fexp_watch, memory_bytes
from tests.benchmarks.rows import Row, p50

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench

_BUCKETS = ("--age-buckets", "1m,5m,15m,1h,4h,12h,1d,7d,30d,365d", "--size-buckets", "0,1k,10k,100k,1M,10M,100M")


def rows(bench: Bench) -> Iterator[Row]:
    """Look at the same tree with and without, turn about."""
    files = 100_000 if bench.quick else 1_000_000
    tree = bench.tree("big", files)
    ready: dict[str, list[float]] = {"with": [], "without": []}
    scrapes: dict[str, list[float]] = {"with": [], "without": []}
    memory = {}
    rounds = 1 if bench.quick else 3
    for _ in range(rounds):
        for name, options in (("with", _BUCKETS), ("without", ())):
            with fexp_watch("-r", *options, tree) as fexp:
                fexp.wait_for(0.0, files=files)
                ready[name].append(fexp.ready_seconds)
                memory[name] = memory_bytes(fexp.pid)
                for _ in range(100):
                    began = time.perf_counter()
                    fexp.client.get()
                    scrapes[name].append((time.perf_counter() - began) * 1e3)
    what = f"age and size buckets, {files:,} files in {TREE_DIRECTORIES:,} directories"
    peer = "itself without"
    yield Row(
        f"{what}: first look", p50(ready["with"]), "s", peer=peer, peer_figure=p50(ready["without"]),
        goal="≤ 1.5 x", ratio_at_most=1.5,
    )  # fmt: skip
    yield Row(f"{what}: scrape", p50(scrapes["with"]), "ms", peer=peer, peer_figure=p50(scrapes["without"]))
    more = memory["with"] - memory["without"]
    yield Row(f"{what}: memory, a file", more / files, "bytes", note="in addition to what it takes without")
    yield from _leaving_rows(bench)


def _leaving_rows(bench: Bench) -> Iterator[Row]:
    """Have a large directory leave; the slowest scrape from then on is what held the lock for longest."""
    files = 50_000 if bench.quick else 400_000
    slowest: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        for shape, directories in (("one directory", 0), ("1,000 directories", TREE_DIRECTORIES)):
            for name, options in (("with", _BUCKETS), ("without", ())):
                folder, outside = bench.folder("leaving"), bench.folder("left")
                inside = os.path.join(folder, "sub")
                os.mkdir(inside)
                bench.burst_run("make", inside, files, directories)
                fexp = stack.enter_context(fexp_watch("-r", *options, folder))
                fexp.wait_for(0.0, files=files)
                os.rename(inside, os.path.join(outside, "sub"))
                slowest[name, shape] = took = []
                began = time.perf_counter()
                while time.perf_counter() - began < 2.0:
                    asked = time.perf_counter()
                    fexp.client.get()
                    took.append((time.perf_counter() - asked) * 1e3)
                fexp.wait_for(30.0, files=0)
            yield Row(
                f"age and size buckets: slowest scrape while {files:,} files in {shape} leave",
                max(slowest["with", shape]),
                "ms",
                peer="itself without",
                peer_figure=max(slowest["without", shape]),
                goal="30 ms more",
                at_most=max(slowest["without", shape]) + 30.0,
            )
