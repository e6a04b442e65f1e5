"""Rows 3 to 5: what many known files cost when nothing happens: a scrape, memory, CPU time."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.benchmarks.bench import TREE_DIRECTORIES
from tests.benchmarks.peers import filecount
from tests.benchmarks.processes import cpu_seconds, fexp_watch, memory_bytes, pause, private_bytes
from tests.benchmarks.rows import Row, p50, p99

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench

_RESCAN_SECONDS = 300
_COLLECTD_SECONDS = 10
_GOAL_FILES = 1_000_000


def idle_rows(bench: Bench) -> Iterator[Row]:
    """Let fexp and collectd stand beside the same tree, where nothing happens."""
    files = bench.look_files
    tree = bench.tree("big", files)
    seconds = 20 if bench.quick else 30
    with ExitStack() as stack:
        peer = stack.enter_context(filecount(tree, bench.work, bench.walk, _COLLECTD_SECONDS))
        fexp = stack.enter_context(fexp_watch("-r", tree))
        pause(1.0)
        mine, theirs, began = fexp.cpu_seconds(), cpu_seconds(peer.process.pid), time.monotonic()
        pause(seconds)
        passed = time.monotonic() - began
        mine_share = (fexp.cpu_seconds() - mine) / passed
        their_share = (cpu_seconds(peer.process.pid) - theirs) / passed
        look_seconds = _cpu_of_a_look(fexp.pid, fexp)
    what = f"CPU while nothing happens, {files:,} files"
    yield Row(
        what,
        mine_share * 1e3,
        "ms/s",
        peer=peer.name,
        peer_figure=their_share * 1e3,
        goal="≤ 0.01 x",
        ratio_at_most=0.01,
        note=f"over {passed:.0f} s, no timed look among them",
    )
    yield Row(
        "… with its share of the timed look every 5 min",
        (mine_share + look_seconds / _RESCAN_SECONDS) * 1e3,
        "ms/s",
        peer=peer.name,
        peer_figure=their_share * 1e3,
        note=f"one whole look at them takes {look_seconds:.2f} s of CPU",
    )


def _cpu_of_a_look(pid: int, fexp: object) -> float:
    """Have it look at everything again; give the CPU time of that."""
    before = cpu_seconds(pid)
    os.kill(pid, signal.SIGHUP)
    quiet, last = 0, before
    while quiet < 3:
        pause(0.5)
        now = cpu_seconds(pid)
        quiet = quiet + 1 if now - last < 0.02 else 0
        last = now
    return last - before


def rows(bench: Bench) -> Iterator[Row]:
    """Scrape fexps that know few and many files turn about; then weigh the one that knows most."""
    sizes = [1_000, 10_000, 100_000] + ([] if bench.quick else [1_000_000])
    most = sizes[-1]
    with ExitStack() as stack:
        empty = stack.enter_context(fexp_watch("-r", bench.folder("empty")))
        fexps = {}
        for size in sizes:
            tree = bench.tree("big" if size == most else f"tree-{size}", size)
            fexps[size] = stack.enter_context(fexp_watch("-r", tree))
            fexps[size].wait_for(0.0, files=size)
        took: dict[int, list[float]] = {size: [] for size in sizes}
        spent = {size: -fexp.cpu_seconds() for size, fexp in fexps.items()}
        rounds = 100 if bench.quick else 400
        for _ in range(rounds):
            for size, fexp in fexps.items():
                began = time.perf_counter()
                fexp.client.get()
                took[size].append((time.perf_counter() - began) * 1e3)
        cpu_us = {size: (spent[size] + fexp.cpu_seconds()) / rounds * 1e6 for size, fexp in fexps.items()}
        for size in sizes[1:]:
            yield Row(
                f"scrape with {size:,} files known",
                p50(took[size]),
                "ms",
                peer=f"itself with {sizes[0]:,}",
                peer_figure=p50(took[sizes[0]]),
                goal="flat: ≤ 1.2 x" if size == _GOAL_FILES else "",
                ratio_at_most=1.2 if size == _GOAL_FILES else None,
                note=f"p99 {p99(took[size]):.2f} ms to {p99(took[sizes[0]]):.2f} ms; "
                f"CPU {cpu_us[size]:.0f} µs to {cpu_us[sizes[0]]:.0f} µs",
            )
        fexp = fexps[most]
        for _ in range(20):
            empty.client.get()
        resident = memory_bytes(fexp.pid) - memory_bytes(empty.pid)
        resident_mib, empty_mib = (memory_bytes(one.pid) / 2**20 for one in (fexp, empty))
        private = private_bytes(fexp.pid) - private_bytes(empty.pid)
        yield Row(
            f"memory at {most:,} files in {TREE_DIRECTORIES:,} directories, a file",
            resident / most,
            "bytes",
            peer="itself on an empty folder (taken off)",
            goal="≤ 160 bytes" if most == _GOAL_FILES else "",
            at_most=160.0 if most == _GOAL_FILES else None,
            note=f"RSS {resident_mib:.0f} MiB less {empty_mib:.0f} MiB; "
            f"private {private / most:.0f} bytes a file; 20-character names",
        )
