"""Row 1: how long after a create it shows, in fexp by HTTP and in its peers, plain and with move-outs."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from tests.benchmarks.peers import PROBE, inotifywait, observer
from tests.benchmarks.processes import BenchmarkError, fexp_watch, number, pause, running
from tests.benchmarks.rows import Row, p50, p99

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.peers import Peer
    from tests.benchmarks.processes import Fexp

MOVES_PER_SECOND = 1000
_PATTERN = PROBE + "*"
_PAUSE_SECONDS = 0.01
_PROBE_NAME = re.compile(rb"probe-\d{6}")


def rows(bench: Bench) -> Iterator[Row]:
    """Measure each by itself, in turn; fexp by its numbers and by its event stream."""
    probes = 100 if bench.quick else 500
    for moving in (False, True):
        how = f"{MOVES_PER_SECOND} move-outs/s" if moving else "plain"
        fexp_ms, scrape_ms = _fexp(bench, probes, moving=moving)
        waits_ms = _waiting(bench, probes, moving=moving)
        peers_ms = _observed(bench, probes, moving=moving)
        told_ms = _told(bench, probes, moving=moving)
        for name, pick in (("p50", p50), ("p99", p99)):
            mine = pick(fexp_ms)
            yield Row(
                f"create → visible through HTTP, {how}, {name}",
                mine,
                "ms",
                peer="plain watchdog observer",
                peer_figure=pick(peers_ms),
                goal=_goal(name, moving=moving),
                at_most=10.0 if name == "p99" else None,
                ratio_at_most=0.02 if moving else None,
                note=f"{probes} probes; a scrape alone takes {pick(scrape_ms):.2f} ms ({name})",
            )
            if not waits_ms:
                continue
            yield Row(
                f"create → visible through HTTP, {how}, {name}",
                mine,
                "ms",
                peer="inotifywait -m, pipe",
                peer_figure=pick(waits_ms),
                goal="≤ 4 x",
                ratio_at_most=4.0,
                note="no answer can be younger than its request: a scrape alone is the floor",
            )
            yield Row(
                f"create → told by /api/v1/events, {how}, {name}",
                pick(told_ms),
                "ms",
                peer="inotifywait -m, pipe",
                peer_figure=pick(waits_ms),
                note="stream beside stream",
            )


def _goal(name: str, *, moving: bool) -> str:
    return "; ".join(["p99 ≤ 10 ms"] * (name == "p99") + ["≤ 0.02 x"] * moving)


@contextmanager
def _moving(bench: Bench, folder: str, *, moving: bool) -> Iterator[None]:
    with ExitStack() as stack:
        if moving:
            other = bench.folder("moved")
            stack.enter_context(running([bench.burst, "churn", folder, other, str(MOVES_PER_SECOND)]))
            pause(0.5)
        yield


def _probe(folder: str, index: int) -> tuple[str, int]:
    """Create a probe; give its name and when the create returned."""
    name = f"{PROBE}{index:06d}"
    os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return name, time.monotonic_ns()


def _fexp(bench: Bench, probes: int, *, moving: bool) -> tuple[list[float], list[float]]:
    """Return the latencies, and how long the scrapes took meanwhile, in milliseconds."""
    folder = bench.folder("latency")
    with (
        fexp_watch(folder, "--match", "*", "--match", _PATTERN) as fexp,
        _moving(bench, folder, moving=moving),
    ):
        latencies: list[float] = []
        scrapes: list[float] = []
        for index in range(probes):
            _poll_for(fexp, _PAUSE_SECONDS, scrapes)
            _, created_ns = _probe(folder, index)
            until_ns = created_ns + 5_000_000_000
            while number(fexp.client.get()[1], "fexp_files", _PATTERN) != index + 1:
                if time.monotonic_ns() > until_ns:
                    raise BenchmarkError(
                        f"WRONG NUMBERS: {index + 1} probes are there, /metrics does not say so after 5 s"
                    )
            latencies.append((time.monotonic_ns() - created_ns) / 1e6)
    return latencies, scrapes


def _poll_for(fexp: Fexp, seconds: float, scrapes: list[float]) -> None:
    """Poll for a while, as between any two probes."""
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        fexp.client.get()
        scrapes.append((time.monotonic() - began) * 1e3)


def _latencies_ms(peer: Peer, created: dict[str, int]) -> list[float]:
    return [(peer.seen[name] - at_ns) / 1e6 for name, at_ns in created.items() if name in peer.seen]


def _probes(folder: str, probes: int) -> dict[str, int]:
    created = {}
    for index in range(probes):
        pause(_PAUSE_SECONDS)
        name, created_ns = _probe(folder, index)
        created[name] = created_ns
    return created


def _observed(bench: Bench, probes: int, *, moving: bool) -> list[float]:
    folder = bench.folder("latency")
    with observer(folder) as peer, _moving(bench, folder, moving=moving):
        created = _probes(folder, probes)
        pause(1.0)
        peer.counts()
        return _latencies_ms(peer, created)


def _waiting(bench: Bench, probes: int, *, moving: bool) -> list[float]:
    folder = bench.folder("latency")
    with inotifywait(folder) as peer, _moving(bench, folder, moving=moving):
        if peer is None:
            return []
        created = _probes(folder, probes)
        pause(0.2)
        return _latencies_ms(peer, created)


def _told(bench: Bench, probes: int, *, moving: bool) -> list[float]:
    """Return the latencies of fexp's event stream, in milliseconds."""
    folder = bench.folder("latency")
    with ExitStack() as stack:
        fexp = stack.enter_context(fexp_watch(folder))
        stack.enter_context(_moving(bench, folder, moving=moving))
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", fexp.port)))
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seen: dict[str, int] = {}
        threading.Thread(target=_read_stream, args=(stream, seen), daemon=True).start()
        _wait_until_followed(folder, seen)
        created = _probes(folder, probes)
        until = time.monotonic() + 5.0
        while not created.keys() <= seen.keys():
            if time.monotonic() > until:
                raise BenchmarkError(f"WRONG: {len(created.keys() - seen.keys())} of {probes} probes not told")
            pause(0.05)
        stream.shutdown(socket.SHUT_RDWR)
        return [(seen[name] - at_ns) / 1e6 for name, at_ns in created.items()]


def _read_stream(stream: socket.socket, seen: dict[str, int]) -> None:
    tail = b""
    with suppress(OSError):  # the other side went first
        while part := stream.recv(1 << 16):
            now_ns = time.monotonic_ns()
            tail += part
            for name in _PROBE_NAME.findall(tail):
                seen.setdefault(name.decode(), now_ns)
            tail = tail[-len(PROBE) - 5 :]


def _wait_until_followed(folder: str, seen: dict[str, int]) -> None:
    """Make files until the first is told: fexp tells events only while somebody follows."""
    for index in range(999_000, 999_500):
        _probe(folder, index)
        if seen:
            return
        pause(0.02)
    raise BenchmarkError("/api/v1/events tells nothing")
