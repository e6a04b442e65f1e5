"""fexp beside the systems of ``tests/parity``: freshness, a scrape, the start, memory, with few and many files."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.peers import aioexporter
from tests.benchmarks.processes import FEXP, BenchmarkError, cpu_seconds, memory_bytes, pause, running
from tests.benchmarks.rows import Row, p50, p99

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.bench import Bench

_ORIGINALS = Path(__file__).parents[1] / "parity" / "originals"
_COUNTER = "folder counter, every 10 s"
_COUNTER_SECONDS = 10.0
_GIVE_UP_SECONDS = 60.0
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class _System(NamedTuple):
    """What counts the files of a folder and shows their number."""

    name: str
    command: Callable[[int, str], list[str]]
    """Returns the command for a port and a folder."""
    files: re.Pattern[bytes]
    """The line with their number."""


class _Exporter(NamedTuple):
    """A system at work."""

    system: _System
    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float
    """From its start to the first answer with the right number."""

    def files(self) -> float | None:
        """Scrape it, on a connection of its own as curl does; give the number of files."""
        found = self.system.files.search(_scraped(self.port))
        return float(found[1]) if found else None

    def shown_after(self, files: int) -> float:
        """Scrape it until it shows this number; give how long that took."""
        began = time.perf_counter()
        while self.files() != files:
            if time.perf_counter() > began + _GIVE_UP_SECONDS:
                raise BenchmarkError(f"WRONG NUMBERS: {self.system.name} shows {self.files()} and not {files} files")
            pause(0.001)
        return time.perf_counter() - began


def rows(bench: Bench) -> Iterator[Row]:
    """Run all of them on the same folder, few files in it and then many."""
    few, many = (100, 10_000) if bench.quick else (1_000, 100_000)
    python, said = aioexporter(bench.work)
    systems = [_fexp(), _folder_counter()]
    if python is None:
        yield Row("beside prometheus-aioexporter", None, "", note=f"NOT MEASURED: {said}")
    else:
        systems.append(_aioexporter(python, said))
    for files in (few, many):
        yield from _rows(bench, systems, bench.tree(f"parity-{files}", files, 0), files, is_many=files == many)


def _rows(bench: Bench, systems: Sequence[_System], folder: str, files: int, *, is_many: bool) -> Iterator[Row]:
    starts = 2 if bench.quick else 5
    started: dict[str, list[float]] = {system.name: [] for system in systems}
    for _ in range(starts):
        for system in systems:
            with _working(system, folder, files) as exporter:
                started[system.name].append(exporter.ready_seconds * 1e3)
    with ExitStack() as stack:
        exporters = [stack.enter_context(_working(system, folder, files)) for system in systems]
        told = [one for one in exporters if not (is_many and one.system.name == _COUNTER)]  # it waits as long
        fresh = {one.system.name: _freshness(bench, one, folder) for one in told}
        scrapes, cpu = _scrapes(exporters, rounds=20 if bench.quick else 100)
        memory = {one.system.name: [memory_bytes(one.process.pid) / 2**20] for one in exporters}
    than_listing = None if not is_many or bench.quick else 0.5
    goals: dict[str, float | None] = {_COUNTER: 0.01}
    for system in systems:
        goals.setdefault(system.name, than_listing)
    yield from _beside(f"touch → visible in /metrics, {files:,} files, p50", "ms", fresh, goals)
    yield from _beside(f"scrape, {files:,} files, p50", "ms", scrapes, {**goals, _COUNTER: None})
    yield from _beside(f"CPU of a scrape, {files:,} files", "ms", cpu, {**goals, _COUNTER: None})
    yield from _beside(f"start → the right number in /metrics, {files:,} files, p50", "ms", started)
    yield from _beside(f"resident memory, {files:,} files", "MiB", memory)


def _beside(
    what: str, unit: str, values: dict[str, list[float]], goals: dict[str, float | None] | None = None
) -> Iterator[Row]:
    """Yield fexp's figure beside that of each other; ``goals``: what the ratio may be at most."""
    mine = values.pop("fexp")
    for peer, theirs in values.items():
        spread = f"p99 {p99(mine):.1f} {unit} to {p99(theirs):.1f} {unit}" if len(mine) > 5 < len(theirs) else ""
        most = (goals or {}).get(peer)
        goal = f"≤ {most} x" if most else ""
        yield Row(what, p50(mine), unit, peer, p50(theirs), goal, ratio_at_most=most, note=spread)


def _freshness(bench: Bench, exporter: _Exporter, folder: str) -> list[float]:
    """Create files, evenly spread over what the folder counter sleeps; give how long until each shows, in ms."""
    is_slow = exporter.system.name == _COUNTER
    probes = (2 if bench.quick else 6) if is_slow else (20 if bench.quick else 100)
    took = []
    for probe in range(probes):
        pause(_COUNTER_SECONDS * (probe + 0.5) / probes if is_slow else 0.02)
        Path(folder, f"{exporter.port}-{probe}.txt").touch()
        took.append(exporter.shown_after(len(os.listdir(folder))) * 1e3)
    return took


def _scrapes(exporters: Sequence[_Exporter], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Scrape them turn about; give how long each scrape took, and the mean of its CPU time, in ms."""
    took: dict[str, list[float]] = {one.system.name: [] for one in exporters}
    spent = {one.system.name: 0.0 for one in exporters}
    for _ in range(rounds):
        for one in exporters:
            before, began = cpu_seconds(one.process.pid), time.perf_counter()
            _scraped(one.port)
            took[one.system.name].append((time.perf_counter() - began) * 1e3)
            pause(0.002)  # what it does after its answer is part of the price
            spent[one.system.name] += cpu_seconds(one.process.pid) - before
    return took, {name: [seconds / rounds * 1e3] for name, seconds in spent.items()}


@contextmanager
def _working(system: _System, folder: str, files: int) -> Iterator[_Exporter]:
    """Run a system until the block ends, and wait until it shows the right number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    began = time.perf_counter()
    with running(system.command(port, folder)) as process:
        while not _listens(port):
            if process.poll() is not None or time.perf_counter() > began + _GIVE_UP_SECONDS:
                raise BenchmarkError(f"{system.name} does not listen")
            pause(0.005)
        exporter = _Exporter(system, process, port, 0.0)
        exporter.shown_after(files)
        yield exporter._replace(ready_seconds=time.perf_counter() - began)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _scraped(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=_GIVE_UP_SECONDS) as client:
        client.sendall(_REQUEST)
        parts = []
        while part := client.recv(1 << 17):
            parts.append(part)
        return b"".join(parts)


def _fexp() -> _System:
    def command(port: int, folder: str) -> list[str]:
        return [FEXP, "watch", folder, "--ext", "txt", "--listen", f"127.0.0.1:{port}"]

    return _System("fexp", command, re.compile(rb"^fexp_files\{.*\} (\S+)$", re.MULTILINE))


def _folder_counter() -> _System:
    """Return the reconstructed one, on a port of its own."""
    text = (_ORIGINALS / "folder_counter.py").read_text()

    def command(port: int, folder: str) -> list[str]:
        return [sys.executable, "-c", text.replace("9877", str(port)), folder]

    return _System(_COUNTER, command, re.compile(rb"^folder_files (\S+)$", re.MULTILINE))


def _aioexporter(python: str, name: str) -> _System:
    """Return the real one, with a script that lists the folder when it is asked."""
    script = str(_ORIGINALS / "exporter_script.py")

    def command(port: int, folder: str) -> list[str]:
        return [python, script, "--host", "127.0.0.1", "--port", str(port), "--spool-path", folder]

    return _System(name, command, re.compile(rb"^spool_files (\S+)$", re.MULTILINE))
