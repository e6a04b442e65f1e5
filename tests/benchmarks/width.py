"""What many folders cost: a scrape after one change, outputs that deliver every second, a change, and idleness."""

from __future__ import annotations

import gzip
import os
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.processes import AS_PROMETHEUS, BenchmarkError, Fexp, fexp_watch, pause
from tests.benchmarks.rows import Row, p50, p99
from tests.outputs.scripted import ScriptedServer, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from tests.benchmarks.bench import Bench

_CHANGES_PER_SECOND = 4
_SETTLE_SECONDS = 0.3
"""A change is folded by then, so that what is timed is the scrape."""
_PEER = "generate_latest of its samples"
_FILES = b"/metrics?name[]=fexp_files"


class _Families(list["Metric"]):
    def collect(self) -> list[Metric]:
        return self


class _Folders:
    """Empty folders, and files that come into them one after another."""

    def __init__(self, bench: Bench, folders: int) -> None:
        home = bench.folder(f"width-{folders}")
        self.paths = [os.path.join(home, f"customer-{number:05d}") for number in range(folders)]
        self._files = [0] * folders
        self._turns = count()
        for path in self.paths:
            os.mkdir(path)

    def change(self) -> bytes:
        """Create a file in a folder; give the line that tells of it."""
        place = next(self._turns) * 997 % len(self.paths)
        self._files[place] += 1
        path = self.paths[place]
        os.close(os.open(f"{path}/{self._files[place]}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return b'fexp_files{folder="%b",pattern="*"} %.1f\n' % (path.encode(), self._files[place])


def rows(bench: Bench) -> Iterator[Row]:
    """Measure at the widths of the goals; a quick run is as wide as it has time for."""
    some, most = (200, 500) if bench.quick else (2_000, 5_000)
    folders = _Folders(bench, some)
    with fexp_watch(*folders.paths) as fexp:
        peer_seconds = _render_seconds(fexp.client.get()[1])
        yield _scrape_row(fexp, folders, peer_seconds, rounds=10)
    yield from _output_rows(bench, some, peer_seconds)
    folders = _Folders(bench, most)
    with fexp_watch(*folders.paths, "--textfile", os.path.join(bench.folder("textfile"), "x.prom")) as fexp:
        yield _prometheus_row(fexp, folders, rounds=10)
    with fexp_watch(*folders.paths) as fexp:
        yield _visible_row(fexp, folders, probes=20 if bench.quick else 100)
    yield from _change_rows(bench, most)


def _render_seconds(body: bytes) -> float:
    """Return how long prometheus_client takes for the samples of a scrape."""
    families = _Families(text_string_to_metric_families(body.decode()))
    took = []
    for _ in range(3):
        began = time.process_time()
        generate_latest(families)
        took.append(time.process_time() - began)
    return min(took)


def _scrape_row(fexp: Fexp, folders: _Folders, peer_seconds: float, rounds: int) -> Row:
    took = []
    for _ in range(rounds):
        line = folders.change()
        pause(_SETTLE_SECONDS)
        began = time.perf_counter()
        body = fexp.client.get()[1]
        took.append((time.perf_counter() - began) * 1e3)
        if line not in body:
            raise BenchmarkError("WRONG NUMBERS: a scrape does not show a change")
    return Row(
        f"scrape after one change, {len(folders.paths):,} folders",
        p50(took),
        "ms",
        peer=_PEER,
        peer_figure=peer_seconds * 1e3,
        goal="≤ 0.15 x",
        ratio_at_most=0.15,
        note=f"{body.count(b'}'):,} samples, p99 {p99(took):.1f} ms",
    )


def _prometheus_row(fexp: Fexp, folders: _Folders, rounds: int) -> Row:
    fexp.client.get(fields=AS_PROMETHEUS)
    took = []
    for _ in range(rounds):
        line = folders.change()
        pause(_SETTLE_SECONDS)
        began = time.perf_counter()
        body = fexp.client.get(fields=AS_PROMETHEUS)[1]
        took.append((time.perf_counter() - began) * 1e3)
        if line not in gzip.decompress(body):
            raise BenchmarkError("WRONG NUMBERS: a scrape does not show a change")
    return Row(
        f"scrape after one change as Prometheus asks, {len(folders.paths):,} folders",
        p50(took),
        "ms",
        goal="≤ 100 ms",
        at_most=100.0,
        note=f"OpenMetrics, gzip of {len(body) / 2**20:.1f} MiB, a textfile beside; p99 {p99(took):.1f} ms",
    )


def _visible_row(fexp: Fexp, folders: _Folders, probes: int) -> Row:
    fexp.client.get(_FILES)
    took = []
    for _ in range(probes):
        pause(0.05)
        began = time.perf_counter()
        line = folders.change()
        while line not in fexp.client.get(_FILES)[1]:
            if time.perf_counter() > began + 30.0:
                raise BenchmarkError("WRONG NUMBERS: a file is not shown after 30 s")
        took.append((time.perf_counter() - began) * 1e3)
    return Row(
        f"create → visible in /metrics?name[]=fexp_files, {len(folders.paths):,} folders, p50",
        p50(took),
        "ms",
        goal="≤ 15 ms",
        at_most=15.0,
        note=f"p99 {p99(took):.1f} ms",
    )


@contextmanager
def _delivering(bench: Bench, kind: str) -> Iterator[Sequence[str]]:
    """Yield the options of an output whose other side takes all."""
    if kind == "textfile":
        yield "--textfile", os.path.join(bench.folder("textfile"), "x.prom")
        return
    with ScriptedServer(*[answer(200)] * 10_000) as server:
        if kind == "gateway":
            yield "--gateway", server.url, "--instance", "here"
        else:
            yield "--remote-write", server.url, "--instance", "here"


def _output_rows(bench: Bench, width: int, peer_seconds: float) -> Iterator[Row]:
    seconds = 5 if bench.quick else 20
    for kind in ("textfile", "gateway", "remote write"):
        folders = _Folders(bench, width)
        with _delivering(bench, kind) as options, fexp_watch(*options, *folders.paths) as fexp:
            _change_for(folders, 3.0)  # the first delivery renders all
            spent, began = fexp.cpu_seconds(), time.monotonic()
            _change_for(folders, seconds)
            share = (fexp.cpu_seconds() - spent) / (time.monotonic() - began)
        yield Row(
            f"{kind} once a second, {_CHANGES_PER_SECOND} changes/s, {width:,} folders",
            share * 1e3,
            "ms/s",
            peer=f"{_PEER} a second",
            peer_figure=peer_seconds * 1e3,
            goal="≤ 0.2 x",
            ratio_at_most=0.2,
            note="CPU",
        )


def _change_for(folders: _Folders, seconds: float, per_second: float = _CHANGES_PER_SECOND) -> int:
    changes, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        folders.change()
        changes += 1
        pause(1 / per_second)
    return changes


def _change_rows(bench: Bench, most: int) -> Iterator[Row]:
    """Let a fexp with one folder and one with many stand idle, then change files below both."""
    seconds = 5 if bench.quick else 20
    change_us, idle = {}, {}
    for width in (1, most):
        folders = _Folders(bench, width)
        with fexp_watch(*folders.paths) as fexp:
            pause(2.0)
            spent, began = fexp.cpu_seconds(), time.monotonic()
            pause(seconds)
            idle[width] = (fexp.cpu_seconds() - spent) / (time.monotonic() - began)
            spent, began = fexp.cpu_seconds(), time.monotonic()
            changes = _change_for(folders, seconds, 50)
            pause(_SETTLE_SECONDS)
            busy = fexp.cpu_seconds() - spent - idle[width] * (time.monotonic() - began)
            change_us[width] = busy / changes * 1e6
    yield Row(
        f"CPU of one change, nobody scraping, {most:,} folders",
        change_us[most],
        "µs",
        peer="itself with 1 folder",
        peer_figure=change_us[1],
        goal="≤ 1.5 x",
        ratio_at_most=1.5,
    )
    yield Row(
        f"CPU while nothing happens, {most:,} folders",
        idle[most] * 1e3,
        "ms/s",
        goal="≤ 5 ms/s",
        at_most=5.0,
        note=f"with 1 folder {idle[1] * 1e3:.1f} ms/s",
    )
