"""What each feature costs when it is on, beside the same fexp without it: an arrival, a scrape, the first look."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.processes import FEXP, BenchmarkError, fexp_watch, pause, run
from tests.benchmarks.rows import Row, p50

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.processes import Fexp

_SETTLE_SECONDS = 0.3
"""A change is folded by then, so that what is timed is the scrape."""
_AT_ONCE = 50
_GROUPS = 100
_SUBFOLDERS = 1_000
_BY_GROUP = ("--group", "^(?P<customer>[0-9]+)_")
_BUCKETS = ("--age-buckets", "1m,1h,1d,7d", "--size-buckets", "0,1k,1M")


class _Feature(NamedTuple):
    title: str
    options: Sequence[str]
    without: Sequence[str] = ()
    directories: int = 0
    """Files arrive in so many, or in the folder itself."""


_FEATURES = (
    _Feature(f"{_GROUPS} groups", _BY_GROUP),
    _Feature(f"{_GROUPS} extensions by name", ("--by-ext", "--top", str(_GROUPS))),
    _Feature(f"{_SUBFOLDERS:,} subfolders with --per-subfolder", ("--per-subfolder",), ("-r",), _SUBFOLDERS),
    _Feature("--settle and --stall-after", ("--settle", "1s", "--stall-after", "1m")),
    _Feature("--disk-usage", ("--disk-usage",)),
    _Feature("--per-file, 100 files", ("--per-file",)),
)


class _Costs(NamedTuple):
    arrival_us: float
    scrape_ms: float
    samples: int


def rows(bench: Bench) -> Iterator[Row]:
    """Let the same files arrive with and without each feature, then scan a tree with and without."""
    for feature in _FEATURES:
        on = _measured(bench, feature.directories, feature.options)
        off = _measured(bench, feature.directories, feature.without)
        peer = f"itself with {' '.join(feature.without)}" if feature.without else "itself without"
        yield Row(f"CPU of one arrival, {feature.title}", on.arrival_us, "µs", peer=peer, peer_figure=off.arrival_us)
        yield Row(
            f"scrape after one change, {feature.title}",
            on.scrape_ms,
            "ms",
            peer=peer,
            peer_figure=off.scrape_ms,
            note=f"{on.samples:,} samples to {off.samples:,}",
        )
    yield _new_subfolder_row(bench)
    yield from _scan_rows(bench)


def _measured(bench: Bench, directories: int, options: Sequence[str]) -> _Costs:
    """Return what arrivals cost, and a scrape after one of them."""
    folder = bench.folder("feature")
    paths = [os.path.join(folder, f"d{number}") for number in range(directories)] or [folder]
    for path in paths[:directories]:
        os.mkdir(path)
    with fexp_watch(folder, *options) as fexp:
        numbers = count()
        _arrive(paths, numbers, max(_GROUPS, directories))
        pause(_SETTLE_SECONDS)
        first, spent, until = next(numbers), fexp.cpu_seconds(), time.monotonic() + (3 if bench.quick else 8)
        while time.monotonic() < until:
            _arrive(paths, numbers, _AT_ONCE)
            pause(0.05)
        arrival_us = (fexp.cpu_seconds() - spent) / (next(numbers) - first - 1) * 1e6
        scrape_ms, body = _scrapes(fexp, paths, numbers)
    counted = sum(float(line.rpartition(b" ")[2]) for line in body.splitlines() if line.startswith(b"fexp_files{"))
    if counted != (truth := next(numbers) - 2):  # two numbers were drawn without a file
        raise BenchmarkError(f"WRONG NUMBERS: {counted} files with {options}, {truth} there")
    return _Costs(arrival_us, scrape_ms, body.count(b"}"))


def _scrapes(fexp: Fexp, paths: Sequence[str], numbers: Iterator[int]) -> tuple[float, bytes]:
    """Return how long a scrape takes after a change, in milliseconds, and the last one."""
    took = []
    for _ in range(10):
        _arrive(paths, numbers, 1)
        pause(_SETTLE_SECONDS)
        began = time.perf_counter()
        body = fexp.client.get()[1]
        took.append((time.perf_counter() - began) * 1e3)
    return p50(took), body


def _arrive(paths: Sequence[str], numbers: Iterator[int], files: int) -> None:
    for _ in range(files):
        number = next(numbers)
        path = f"{paths[number % len(paths)]}/{number % _GROUPS}_{number}.e{number % _GROUPS}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def _new_subfolder_row(bench: Bench) -> Row:
    folder, took = bench.folder("new-subfolders"), []
    for number in range(_SUBFOLDERS):
        os.mkdir(f"{folder}/d{number}")
    with fexp_watch(folder, "--per-subfolder") as fexp:
        for number in range(3 if bench.quick else 10):
            began = time.perf_counter()
            os.mkdir(f"{folder}/new{number}")
            line = f'fexp_files{{folder="{folder}/new{number}",pattern="*"}} 0.0'.encode()
            while line not in fexp.client.get(b"/metrics?name[]=fexp_files")[1]:
                if time.perf_counter() > began + 30.0:
                    raise BenchmarkError("WRONG NUMBERS: a new subfolder is not shown after 30 s")
            took.append((time.perf_counter() - began) * 1e3)
            pause(1.0)  # how often it looks for folders has a bound
    return Row(f"a new subfolder → its series in /metrics, {_SUBFOLDERS:,} subfolders", p50(took), "ms")


def _scan_rows(bench: Bench) -> Iterator[Row]:
    files = 20_000 if bench.quick else 200_000
    tree = bench.tree("scanned", files)
    kinds: dict[str, Sequence[str]] = {
        "": (),
        f"{_GROUPS} groups": ("--group", r"(?P<last>[0-9]{2})\.txt$"),
        "--by-ext": ("--by-ext",),
        "age and size buckets": _BUCKETS,
        "--disk-usage": ("--disk-usage",),
        "--settle and --stall-after": ("--settle", "1s", "--stall-after", "1m"),
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(1 if bench.quick else 3):
        for kind, options in kinds.items():
            took[kind].append(run([FEXP, "scan", "-r", *options, tree]).wall_seconds)
    for kind in filter(None, kinds):
        what = f"a scan of {files:,} files, {kind}"
        yield Row(what, p50(took[kind]), "s", peer="itself without", peer_figure=p50(took[""]))
