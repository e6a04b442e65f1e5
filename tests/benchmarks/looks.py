"""Row 6: whole looks at a big tree, the first and one after an overflow. Row 7: a big directory moved in and out."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.bench import TREE_DIRECTORIES
from tests.benchmarks.peers import scandir_rs
from tests.benchmarks.processes import (
    FEXP,
    GIVE_UP_SECONDS,
    BenchmarkError,
    ended_children_cpu_seconds,
    fexp_watch,
    pause,
    run,
)
from tests.benchmarks.rows import Row, p50

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.processes import Spent

_OVERFLOWING_FILES = 20_000
"""Made and unmade they are more events than the kernel keeps, see inotify(7)."""
_OVERFLOW_LOOK = re.compile(rb'^fexp_scans_total\{.*reason="overflow".*\} [1-9]', re.MULTILINE)


def rows(bench: Bench) -> Iterator[Row]:
    """Look at the tree with fexp and with everybody else, turn about."""
    files, cores = bench.look_files, len(os.sched_getaffinity(0))
    tree, empty = bench.tree("big", files), bench.folder("empty")
    quoted = shlex.quote(tree)
    commands: dict[str, list[str] | str] = {
        "fexp scan": [FEXP, "scan", "-r", tree],
        "find -printf '%s %T@'": ["find", tree, "-type", "f", "-printf", "%s %T@\\n"],
        "find | wc -l": f"find {quoted} -type f | wc -l",
        "C walk": [bench.walk, tree],
    }
    rust = scandir_rs(tree, bench.work)
    if rust is not None:
        commands["scandir-rs"] = rust
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    bare = [sys.executable, "-I", "-S", str(Path(__file__).with_name("bare_look.py")), tree, str(cores)]
    floors: list[float] = []
    starts: list[float] = []
    looks: list[tuple[float, float, str]] = []
    for _ in range(1 if bench.quick else 3):
        for name, command in commands.items():
            spent[name].append(run(command))
        floors.append(run(bare).wall_seconds)
        with fexp_watch("-r", empty) as fexp:
            starts.append(fexp.ready_seconds)
        looks.append(_watch(bench, tree, files))
    wall = {name: p50([one.wall_seconds for one in runs]) for name, runs in spent.items()}
    cpu = {name: p50([one.cpu_seconds for one in runs]) for name, runs in spent.items()}
    what = f"first look at {files:,} files in {TREE_DIRECTORIES:,} directories"
    for name in commands:
        if name == "fexp scan":
            continue
        is_goal = name.startswith("find -printf")
        yield Row(
            f"{what}, fexp scan -r",
            wall["fexp scan"],
            "s",
            peer=name,
            peer_figure=wall[name],
            goal="≤ 1.0 x" if is_goal else "",
            ratio_at_most=1.0 if is_goal else None,
            note=f"CPU {cpu['fexp scan']:.2f} s to {cpu[name]:.2f} s",
        )
    peer = "find -printf '%s %T@'"
    for look, seconds in (
        (f"{what}, fexp watch until ready", p50([first for first, _, _ in looks])),
        ("the look after an overflow there", p50([again for _, again, _ in looks])),
    ):
        yield Row(
            look,
            seconds,
            "s",
            peer=peer,
            peer_figure=wall[peer],
            goal="≤ 1.5 x on 2 cores",
            ratio_at_most=1.5,
            note=f"{cores} cores; until ready {looks[0][2]}; with an empty folder {p50(starts):.2f} s",
        )
    yield Row(
        "the floor of such a look: os.scandir and stat alone, in Python",
        p50(floors),
        "s",
        peer=peer,
        peer_figure=wall[peer],
        note=f"in {cores} processes that keep nothing",
    )


def _watch(bench: Bench, tree: str, files: int) -> tuple[float, float, str]:
    """Return the seconds of the first look, those of one after an overflow, and the CPU time of the first."""
    with fexp_watch("-r", tree) as fexp:
        cpu = f"CPU {fexp.cpu_seconds():.2f} s and {ended_children_cpu_seconds(fexp.pid):.2f} s in its listers"
        fexp.wait_for(0.0, files=files)
        os.kill(fexp.pid, signal.SIGSTOP)  # so that it cannot keep up with what follows
        try:
            bench.burst_run("both", tree, _OVERFLOWING_FILES, 0)
        finally:
            os.kill(fexp.pid, signal.SIGCONT)
        until = time.monotonic() + GIVE_UP_SECONDS
        while not _OVERFLOW_LOOK.search(fexp.client.get(b"/metrics?name[]=fexp_scans_total")[1]):
            if time.monotonic() > until:
                raise BenchmarkError("no look after an overflow")
            pause(0.05)
        fexp.wait_for(files=files)
        return fexp.ready_seconds, fexp.client.number("fexp_scan_duration_seconds"), cpu


def move_rows(bench: Bench) -> Iterator[Row]:
    """Move a big and a small directory in and out, turn about."""
    many, few = (20_000 if bench.quick else 100_000), 100
    folder, outside = bench.folder("target"), bench.folder("outside")
    counts = {"big": many, "small": few}
    for name, files in counts.items():
        os.mkdir(os.path.join(outside, name))
        bench.burst_run("make", os.path.join(outside, name), files, 0)
    took: dict[str, list[float]] = {f"{name} {way}": [] for name in counts for way in ("in", "out")}
    walks: list[float] = []
    with fexp_watch("-r", folder) as fexp:
        for _ in range(3 if bench.quick else 11):
            for name, files in counts.items():
                home, away = os.path.join(outside, name), os.path.join(folder, name)
                walks.append(run(["find", home, "-printf", "%s %T@\\n"]).wall_seconds if name == "big" else 0.0)
                for way, source, target, truth in (("in", home, away, files), ("out", away, home, 0)):
                    began = fexp.wait_for(1.0, files=files - truth)
                    os.rename(source, target)
                    # Asking takes the time that the walk needs: not too often while it goes on.
                    every = 0.01 if truth == many else 0.0
                    took[f"{name} {way}"].append(fexp.wait_for(30.0, every=every, files=truth) - began)
    walk_ms = p50([walk for walk in walks if walk]) * 1e3
    ms = {name: p50(times) * 1e3 for name, times in took.items()}
    yield Row(
        f"move a directory with {many:,} files out → visible",
        ms["big out"],
        "ms",
        peer=f"itself with {few} files",
        peer_figure=ms["small out"],
        goal="flat: ≤ 1.2 x",
        ratio_at_most=1.2,
    )
    yield Row(
        f"move a directory with {many:,} files in → exact",
        ms["big in"],
        "ms",
        peer="the walk: find -printf '%s %T@' of it",
        peer_figure=walk_ms,
        goal="the walk",
        note=f"with {few} files {ms['small in']:.1f} ms",
    )
