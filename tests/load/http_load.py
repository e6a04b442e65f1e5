"""Holds a scrape load on a ``fexp watch`` while files come and go, and idle and hostile clients sit beside it.

    python -m tests.load.http_load [--tls] [--seconds 10] [--rate 400] [--idle 200] [--hostile 20]

It writes a textfile too. Prints how many scrapes were answered and lost, and how long they took. A scrape whose numbers
are not the folders' is lost as well. Exits 1 when one was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import multiprocessing
import os
import re
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.end_to_end.running import samples, watching
from tests.http.certificates import make_pair
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from multiprocessing.connection import Connection

_TIMEOUT_SECONDS = 10.0
_STAYING_FILES = 100
_PASSING_FILES = 10
"""As many come at once into one folder, and leave before the next come."""
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n"
_NUMBERS = re.compile(
    r'^fexp_(files|arrivals_total|departures_total)\{folder="([^"]+)",pattern="\*\.txt"\} (\S+)(?: # .*)?$',
    re.MULTILINE,
)
_FIRST_BYTES_OF_A_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class Target(NamedTuple):
    """What the load is held on."""

    port: int
    folders: tuple[str, ...]
    authority: str | None
    """File with the certificate that signs the server's; without one it speaks plain HTTP."""


class Tally(NamedTuple):
    """What one scraper saw."""

    latencies_seconds: list[float]
    lost: list[str]


@functools.cache
def trusting(authority: str) -> ssl.SSLContext:
    """Make it once: reading certificates for each connection would cost more than the connection."""
    return ssl.create_default_context(cafile=authority)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(target: Target, *, handshake: bool = True) -> AsyncIterator[Streams]:
    """Connect, with TLS where it is spoken; leave without a word."""
    tls = trusting(target.authority) if target.authority and handshake else None
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def wrong_numbers(text: str, folders: Sequence[str]) -> str:
    """Return what is wrong with the numbers of an answer, if anything: each folder always holds what stays in it."""
    found = {(name, folder): float(value) for name, folder, value in _NUMBERS.findall(text)}
    for folder in folders:
        try:
            passing = found["files", folder] - _STAYING_FILES
            flow = found["arrivals_total", folder] - found["departures_total", folder]
        except KeyError as missing:
            return f"no {missing}"
        if not 0 <= passing <= _PASSING_FILES or flow != passing:
            return f"{passing:+g} files after {flow:+g} arrivals"
    return ""


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Scrape once. Raises ValueError for an answer that is none."""
    writer.write(REQUEST)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        header = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
    if not header.startswith(b"http/1.1 200 ") or not body.endswith(b"# EOF\n"):
        raise ValueError(header.partition(b"\r\n")[0].decode())
    return body.decode()


async def scrape(target: Target, interval_seconds: float, stop_at: float, tally: Tally) -> None:
    """Scrape on one kept connection at a steady pace, as Prometheus does.

    The latency of a late scrape counts from when it was due.
    """
    due_at = time.monotonic()
    while due_at < stop_at:
        try:
            async with connected(target) as (reader, writer):
                while due_at < stop_at:
                    await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                    text = await ask(reader, writer)
                    tally.latencies_seconds.append(time.monotonic() - due_at)
                    if wrong := wrong_numbers(text, target.folders):
                        tally.lost.append(wrong)
                    due_at += interval_seconds
        except (OSError, EOFError, ValueError) as error:  # a time-out is an OSError
            tally.lost.append(repr(error))
            tally.latencies_seconds.append(time.monotonic() - due_at)
            due_at += interval_seconds


async def idle(target: Target, here: asyncio.Semaphore) -> None:
    """Connect and say nothing, again and again."""
    async with connected(target) as (reader, _):
        here.release()
        await reader.read()


async def drip(target: Target) -> None:
    """Send a header that never ends, a line at a time."""
    async with connected(target) as (_, writer):
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        while not writer.is_closing():
            writer.write(b"X-Drip: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)


async def never_read(target: Target) -> None:
    """Ask for everything many times and read nothing."""
    async with connected(target) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of one that reads and writes
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        await asyncio.sleep(5)


async def talk_nonsense(target: Target) -> None:
    """Send what is no HTTP and no TLS, and leave."""
    async with connected(target, handshake=False) as (_, writer):
        writer.write(b"\x16\x03\x01" + bytes(range(256)) * 4 + b"\r\n\r\n")
        await asyncio.sleep(0.05)


async def follow_without_reading(target: Target) -> None:
    """Follow the events and read none."""
    async with connected(target) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of one that reads and writes
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(5)


async def begin_a_handshake(target: Target) -> None:
    """Begin a TLS handshake and never go on."""
    async with connected(target, handshake=False) as (reader, writer):
        writer.write(_FIRST_BYTES_OF_A_HANDSHAKE)
        await reader.read()


HOSTILE: tuple[Callable[[Target], Awaitable[None]], ...] = (
    drip,
    never_read,
    talk_nonsense,
    follow_without_reading,
    begin_a_handshake,
)


async def again(behave: Callable[[], Awaitable[None]]) -> None:
    """Behave like that for ever, reconnecting when cut."""
    while True:
        try:
            await behave()
        except OSError:
            await asyncio.sleep(0.05)


async def come_and_go(folders: Sequence[str]) -> None:
    """Have files arrive and depart, some hundred a second. Those of the moment in which it ends stay."""
    number = 0
    while True:
        for folder in folders:
            number += 1
            paths = [f"{folder}/passing-{number}-{one}.txt" for one in range(_PASSING_FILES)]
            for path in paths:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
            await asyncio.sleep(0.02)
            for path in paths:
                os.unlink(path)


async def annoy(target: Target, idle_clients: int, hostile_clients: int, pipe: Connection) -> None:
    """Keep that many idle and hostile clients beside the load, and files in motion, until the pipe says stop."""
    here = asyncio.Semaphore(0)
    behaviours: list[Callable[[], Awaitable[None]]] = [functools.partial(idle, target, here)] * idle_clients
    behaviours += [functools.partial(HOSTILE[number % len(HOSTILE)], target) for number in range(hostile_clients)]
    tasks = [asyncio.create_task(again(behave)) for behave in behaviours]
    tasks.append(asyncio.create_task(come_and_go(target.folders)))
    for _ in range(idle_clients):
        await here.acquire()
    pipe.send("all there")
    with contextlib.suppress(EOFError):
        await asyncio.to_thread(pipe.recv)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run_annoyers(target: Target, idle_clients: int, hostile_clients: int, pipe: Connection) -> None:
    """Run them, in a process of their own: they must not slow the clock of the scrapers."""
    asyncio.run(annoy(target, idle_clients, hostile_clients, pipe))


async def scrape_all(target: Target, rate: float, seconds: float, tallies: list[Tally]) -> None:
    """Run the scrapers, their scrapes spread evenly."""
    stop_at = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for tally in tallies:
            group.create_task(scrape(target, len(tallies) / rate, stop_at, tally))
            await asyncio.sleep(1 / rate)


async def scrape_once(target: Target) -> str:
    """Scrape on a connection of its own."""
    async with connected(target) as (reader, writer):
        return await ask(reader, writer)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_folders(directory: Path, count: int) -> tuple[str, ...]:
    """Make folders with what stays in them."""
    folders = [directory / f"in{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
        for number in range(_STAYING_FILES):
            (folder / f"staying-{number}.txt").touch()
    return tuple(map(str, folders))


def make_web_config(directory: Path) -> tuple[str, str]:
    """Make a web config with a certificate; give its path and the certificate's."""
    make_pair("load").write(directory, "load")
    (directory / "web.yml").write_text("tls_server_config: {cert_file: load.crt, key_file: load.key}\n")
    return str(directory / "web.yml"), str(directory / "load.crt")


def files_told(text: str) -> dict[str, float]:
    """How many files an exposition tells of, by folder."""
    return {dict(labels)["folder"]: value for (name, labels), value in samples(text).items() if name == "fexp_files"}


def is_settled(target: Target, textfile: Path) -> bool:
    """Return whether a scrape and the textfile tell what the disk tells."""
    on_disk = {folder: len(os.listdir(folder)) for folder in target.folders}
    scraped = asyncio.run(scrape_once(target))
    return files_told(scraped.removesuffix("# EOF\n")) == files_told(textfile.read_text()) == on_disk


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=400.0, help="scrapes a second")
    parser.add_argument("--scrapers", type=int, default=8)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--hostile", type=int, default=20)
    parser.add_argument("--folders", type=int, default=2)
    parser.add_argument("--tls", action="store_true", help="with a certificate made for this run")
    asked = parser.parse_args(arguments)

    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fexp-load-")))
        textfile = directory / "load.prom"
        folders = make_folders(directory, asked.folders)
        options = ["--ext", "txt", "--listen", "127.0.0.1:0", "--textfile", str(textfile), "--min-interval", "100ms"]
        web_config, authority = make_web_config(directory) if asked.tls else ("", None)
        if web_config:
            options += ["--web-config", web_config]
        fexp = stack.enter_context(watching(*folders, *options))
        target = Target(urlsplit(fexp.url).port or 0, folders, authority)

        context = multiprocessing.get_context("spawn")
        pipe, other_end = context.Pipe()
        annoyers = context.Process(
            target=run_annoyers, args=(target, asked.idle, asked.hostile, other_end), daemon=True
        )
        annoyers.start()
        stack.callback(annoyers.join, 10)
        stack.enter_context(pipe)
        other_end.close()
        pipe.recv()

        cpu_before = cpu_seconds(fexp.process.pid)
        tallies = [Tally([], []) for _ in range(asked.scrapers)]
        started_at = time.monotonic()
        asyncio.run(scrape_all(target, asked.rate, asked.seconds, tallies))
        took_seconds = time.monotonic() - started_at
        cpu = cpu_seconds(fexp.process.pid) - cpu_before
        pipe.send("stop")
        annoyers.join(10)
        poll(lambda: is_settled(target, textfile))
        status = fexp.stop()

    print(f"{asked.idle} idle and {asked.hostile} hostile clients beside {asked.scrapers} scrapers")
    lost = report(tallies, took_seconds)
    print(f"server CPU {cpu / took_seconds * 100:.0f} % of a core")
    return 1 if lost or status else 0


if __name__ == "__main__":
    sys.exit(main())
