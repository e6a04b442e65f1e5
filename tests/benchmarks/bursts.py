"""Row 2: a C program creates and deletes files as fast as it can, beside fexp and the plain observer."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.benchmarks.peers import observer
from tests.benchmarks.processes import BenchmarkError, Client, fexp_watch, kernel_seconds, number
from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.processes import Fexp

_POLL_SECONDS = 0.1


class _Poller:
    """Polls /metrics at a steady pace, as Prometheus and people do, and notes the longest answer."""

    def __init__(self, port: int) -> None:
        self.longest_seconds = 0.0
        self.answers = 0
        self._client = Client(port)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def _poll(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            began = time.monotonic()
            self._client.get()
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
            self.answers += 1

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        self._client.close()


@contextmanager
def _polled(fexp: Fexp) -> Iterator[_Poller]:
    poller = _Poller(fexp.port)
    poller.start()
    try:
        yield poller
    finally:
        poller.stop()


def rows(bench: Bench) -> Iterator[Row]:
    """Run the burst with a wait between creates and deletes, then without, then for the observer."""
    files = 100_000 if bench.quick else 300_000
    yield from _in_two_steps(bench, files)
    yield from _at_once(bench, files)
    folder = bench.folder("burst")
    with observer(folder) as peer:
        bench.burst_run("both", folder, files, 0)
        counts = peer.settled()
        yield Row(
            f"burst of {files:,}: events that the plain observer saw",
            float(counts.created),
            "creates",
            peer="what happened",
            peer_figure=float(files),
            note=f"{counts.deleted:,} deletes seen; {peer.cpu_seconds() / files * 1e6:.1f} µs of CPU a file",
        )


def _in_two_steps(bench: Bench, files: int) -> Iterator[Row]:
    folder = bench.folder("burst")
    with fexp_watch(folder) as fexp, _polled(fexp) as poller:
        before_seconds = fexp.cpu_seconds()
        made = bench.burst_run("make", folder, files, 0)
        settled_made = _settle(fexp, files=files, arrivals_total=files, departures_total=0) - made["made"]
        made_seconds = fexp.cpu_seconds() - before_seconds
        unmade = bench.burst_run("unmake", folder, files, 0)
        settled_unmade = _settle(fexp, files=0, arrivals_total=files, departures_total=files) - unmade["unmade"]
        spent_seconds = fexp.cpu_seconds() - before_seconds
        kernel_us = kernel_seconds(fexp.pid) / files * 1e6
        overflows = fexp.client.number("fexp_overflows_total")
    rate = files / (made["made"] - made["began"])
    made_us, unmade_us = (seconds / files * 1e6 for seconds in (made_seconds, spent_seconds - made_seconds))
    yield Row(
        f"burst of {files:,} creates, then deletes: CPU a file",
        spent_seconds / files * 1e6,
        "µs",
        goal="exact; ≤ 12 µs",
        at_most=12.0,
        right=True,
        note=f"creates {made_us:.1f} µs, deletes {unmade_us:.1f} µs; "
        f"{kernel_us:.1f} µs of it in the kernel; "
        f"the C program made {rate / 1e3:.0f}k/s; {overflows:g} overflows; numbers exact",
    )
    yield Row(
        "… settled after the last write",
        max(settled_made, settled_unmade),
        "s",
        goal="≤ 1 s",
        at_most=1.0,
        note=f"{settled_made:.2f} s after the creates, {settled_unmade:.2f} s after the deletes",
    )
    yield Row(
        "… longest answer of /metrics meanwhile",
        poller.longest_seconds * 1e3,
        "ms",
        note=f"{poller.answers} answers, 10 a second",
    )


def _at_once(bench: Bench, files: int) -> Iterator[Row]:
    folder = bench.folder("burst")
    with fexp_watch(folder) as fexp, _polled(fexp) as poller:
        before_seconds = fexp.cpu_seconds()
        ended = bench.burst_run("both", folder, files, 0)["unmade"]
        settled = _settle(fexp, files=0) - ended
        spent_seconds = fexp.cpu_seconds() - before_seconds
        body = fexp.client.get()[1]
    arrivals, departures, overflows = (
        number(body, f"fexp_{family}_total") for family in ("arrivals", "departures", "overflows")
    )
    if arrivals != departures or arrivals > files:
        raise BenchmarkError(
            f"WRONG NUMBERS: {arrivals:g} arrivals, {departures:g} departures, no files, {files} at most"
        )
    yield Row(
        f"burst of {files:,} creates and deletes at once: CPU a file",
        spent_seconds / files * 1e6,
        "µs",
        goal="exact; ≤ 12 µs",
        at_most=12.0,
        right=True,
        note=f"{arrivals:,.0f} arrivals = departures; {overflows:g} overflows; "
        f"longest answer {poller.longest_seconds * 1e3:.0f} ms",
    )
    yield Row("… at once: settled after the last write", settled, "s", goal="≤ 1 s", at_most=1.0)


def _settle(fexp: Fexp, **numbers: int) -> float:
    """Wait for the truth, and that it is still the truth a moment later."""
    at = fexp.wait_for(60.0, every=0.01, **_floats(numbers))
    fexp.wait_for(0.0, **_floats(numbers))
    return at


def _floats(numbers: dict[str, int]) -> dict[str, float]:
    return {name: float(number) for name, number in numbers.items()}
