"""Holds a scrape load on a server while idle and hostile clients sit beside it.

    python -m tests.load.http_load [--seconds 10] [--rate 400] [--idle 200] [--hostile 20]

The server runs in a process of its own. Prints how many scrapes were answered and
lost, and how long they took. Exits 1 when one was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.http.serving import MemoryServed, make_event, make_folder, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

_TIMEOUT_SECONDS = 10.0
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n"


class Tally(NamedTuple):
    """What one scraper saw."""

    latencies_seconds: list[float]
    lost: list[str]


def serve(pipe: Connection, folders: int) -> None:
    """Serve until the other end of the pipe is closed; answer each message with the CPU seconds used."""
    served = MemoryServed(folders=tuple(make_folder(f"/data/{number:04}") for number in range(folders)))
    with running(served) as server:
        pipe.send(server.addresses[0])
        with contextlib.suppress(EOFError):
            while pipe.recv() is not None:
                server.events.publish([make_event(str(number)) for number in range(100)])
                used = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send(used.ru_utime + used.ru_stime)


async def scrape(port: int, interval_seconds: float, stop_at: float, tally: Tally) -> None:
    """Scrape on one kept connection at a steady pace, as Prometheus does.

    The latency of a late scrape counts from when it was due.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due_at = time.monotonic()
    while due_at < stop_at:
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        try:
            writer.write(REQUEST)
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                header = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
            if not header.startswith(b"http/1.1 200 ") or not body.endswith(b"# EOF\n"):
                tally.lost.append(header.partition(b"\r\n")[0].decode())
        except (OSError, EOFError, ValueError) as error:  # a time-out is an OSError
            tally.lost.append(repr(error))
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        tally.latencies_seconds.append(time.monotonic() - due_at)
        due_at += interval_seconds
    writer.close()


async def idle(port: int) -> None:
    """Connect and say nothing, again and again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.read()
    finally:
        writer.close()


async def drip(port: int) -> None:
    """Send a header that never ends, a line at a time."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        while not writer.is_closing():
            writer.write(b"X-Drip: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
    finally:
        writer.close()


async def never_read(port: int) -> None:
    """Ask for everything many times and read nothing."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        await asyncio.sleep(5)
    finally:
        client.close()


async def talk_nonsense(port: int) -> None:
    """Send what is no HTTP and leave without a word."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01" + bytes(range(256)) * 4 + b"\r\n\r\n")
    writer.close()
    await asyncio.sleep(0.05)


async def follow_without_reading(port: int) -> None:
    """Follow the events and read none."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(5)
    finally:
        client.close()


HOSTILE: tuple[Callable[[int], Awaitable[None]], ...] = (
    drip,
    never_read,
    talk_nonsense,
    follow_without_reading,
)


async def again(behave: Callable[[int], Awaitable[None]], port: int) -> None:
    """Behave like that for ever, reconnecting when cut."""
    while True:
        try:
            await behave(port)
        except OSError:
            await asyncio.sleep(0.05)


async def annoy(port: int, idle_clients: int, hostile_clients: int, seconds: float) -> None:
    """Keep that many idle and hostile clients beside the load."""
    behaviours = [idle] * idle_clients + [HOSTILE[number % len(HOSTILE)] for number in range(hostile_clients)]
    tasks = [asyncio.create_task(again(behave, port)) for behave in behaviours]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run_annoyers(port: int, idle_clients: int, hostile_clients: int, seconds: float) -> None:
    """Run them, in a process of their own: they must not slow the clock of the scrapers."""
    asyncio.run(annoy(port, idle_clients, hostile_clients, seconds))


async def scrape_all(port: int, rate: float, seconds: float, tallies: list[Tally]) -> None:
    """Run the scrapers, their scrapes spread evenly."""
    stop_at = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for tally in tallies:
            group.create_task(scrape(port, len(tallies) / rate, stop_at, tally))
            await asyncio.sleep(1 / rate)


def report(tallies: list[Tally], seconds: float) -> int:
    """Print what came of it; give the number of lost scrapes."""
    latencies = sorted(latency for tally in tallies for latency in tally.latencies_seconds)
    lost = [reason for tally in tallies for reason in tally.lost]
    answered = len(latencies) - len(lost)
    print(f"answered {answered} ({answered / seconds:.0f}/s), lost {len(lost)}")
    for percent in (50, 90, 99, 100):
        at = min(len(latencies) - 1, len(latencies) * percent // 100)
        print(f"p{percent} {latencies[at] * 1000:.1f} ms")
    for reason in sorted(set(lost)):
        print(f"lost: {reason} x{lost.count(reason)}")
    return len(lost)


def main() -> int:
    """Run the load and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=400.0, help="scrapes a second")
    parser.add_argument("--scrapers", type=int, default=8)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--hostile", type=int, default=20)
    parser.add_argument("--folders", type=int, default=2)
    asked = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    pipe, other_end = context.Pipe()
    server = context.Process(target=serve, args=(other_end, asked.folders), daemon=True)
    server.start()
    other_end.close()
    port = urlsplit(pipe.recv()).port or 0
    annoyers = context.Process(
        target=run_annoyers, args=(port, asked.idle, asked.hostile, asked.seconds + 2), daemon=True
    )
    annoyers.start()
    threading.Event().wait(2)  # until they are all there

    def cpu_seconds() -> float:
        pipe.send("cpu")
        return float(pipe.recv())

    cpu_before = cpu_seconds()
    tallies = [Tally([], []) for _ in range(asked.scrapers)]
    started_at = time.monotonic()
    asyncio.run(scrape_all(port, asked.rate, asked.seconds, tallies))
    took_seconds = time.monotonic() - started_at
    cpu = cpu_seconds() - cpu_before
    pipe.send(None)
    annoyers.join(10)
    server.join(10)

    print(f"{asked.idle} idle and {asked.hostile} hostile clients beside {asked.scrapers} scrapers")
    lost = report(tallies, took_seconds)
    print(f"server CPU {cpu / took_seconds * 100:.0f} % of a core")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
