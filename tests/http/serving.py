"""A daemon in memory and clients that speak raw bytes, for the tests of the HTTP output."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from fexp.counting.state import Changed
from fexp.engine.feed import ChangeBatch, Subscription
from fexp.model import (
    Backend,
    DeliverySnapshot,
    FlowSnapshot,
    FolderSnapshot,
    FolderStatus,
    Happening,
    Histogram,
    KnownFiles,
    Reason,
    Snapshot,
)
from fexp.outputs.http import HttpServer, Limits, parse_listen
from tests.snapshots import group_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fexp.listed import FileQuery, ListedFile

PATIENCE_SECONDS = 60.0


def make_folder(folder: str = "/data/in", pattern: str = "*.txt", *, up: bool = True, files: int = 3) -> FolderSnapshot:
    flow = FlowSnapshot(
        arrivals=1234,
        departures=2,
        modifications=1,
        arrived_bytes=5000,
        departed_bytes=100,
        last_arrival_at=1_700_000_000.5,
        last_departure_at=None,
        dwell=Histogram((1.0, 60.0), (1, 1, 0), 12.5),
    )
    return FolderSnapshot(
        folder=folder,
        labels={"site": "north"},
        up=up,
        recursive=False,
        groups=(
            group_of(
                pattern,
                flow,
                files=files,
                size_bytes=4900,
                oldest_modified_at=1_700_000_000.0,
                newest_modified_at=1_700_000_100.0,
                largest_bytes=4000,
            ),
        ),
        backend=Backend.INOTIFY,
        scans={Reason.START: 1},
        scan_duration_seconds=0.01,
        last_scan_at=1_700_000_000.0,
    )


def arrivals(*names: str) -> ChangeBatch:
    """Return the arrival of some files of ten bytes, as the engine hands it over."""
    count = len(names)
    files = KnownFiles([os.fsencode(name) for name in names], [10] * count, [1.0] * count, [1] * count, [1.0] * count)
    changed = [Changed(Happening.ARRIVAL, 0, b"", files)]
    return ChangeBatch("/data/in", lambda _key: "*.txt", 1_700_000_000.0, changed)


@dataclass
class MemoryServed:
    """What a daemon would serve, settable by the test."""

    folders: tuple[FolderSnapshot, ...] = field(default_factory=lambda: (make_folder(),))
    folder_statuses: tuple[FolderStatus, ...] = ()
    reasons: tuple[str, ...] = ()
    reload_error: Exception | None = None
    reloads: int = 0
    hold: threading.Event | None = None
    """When set, a snapshot is not given before this event."""
    asked: threading.Event = field(default_factory=threading.Event)
    extra: Mapping[str, object] = field(default_factory=dict)
    listed: tuple[ListedFile, ...] = ()
    queries: list[FileQuery] = field(default_factory=list)
    followers: list[Subscription] = field(default_factory=list)

    def subscribe(self, capacity: int, notify: Callable[[], None]) -> Subscription:
        subscription = Subscription(capacity, present=False, notify=notify, end=self.followers.remove)
        self.followers.append(subscription)
        return subscription

    def publish(self, *names: str) -> None:
        """Have files arrive."""
        for follower in self.followers:
            follower.offer([arrivals(*names)])

    def snapshot(self) -> Snapshot:
        self.asked.set()
        if self.hold is not None:
            self.hold.wait(PATIENCE_SECONDS)
        return Snapshot(self.folders, (DeliverySnapshot("textfile", 4, 1, 1_700_000_000.0, 0.001),))

    def scrape(self) -> Snapshot:
        return self.snapshot()

    def statuses(self) -> Sequence[FolderStatus]:
        return self.folder_statuses or tuple(FolderStatus(f.folder, f.up, True, 3, None) for f in self.folders)

    def catch_up(self) -> None:
        """There is nothing to fold."""

    def unready(self) -> Sequence[str]:
        return self.reasons

    def reload(self) -> None:
        self.reloads += 1
        if self.reload_error:
            raise self.reload_error

    def list_files(self, query: FileQuery) -> Sequence[ListedFile]:
        self.queries.append(query)
        return self.listed

    def metadata(self) -> Mapping[str, object]:
        return {"config": {"rescan_seconds": 300}, "outputs": ["textfile"], **self.extra}


@contextmanager
def running(
    served: MemoryServed | None = None,
    *,
    limits: Limits | None = None,
    web_config: str | None = None,
    listen: str = "127.0.0.1:0",
) -> Iterator[HttpServer]:
    """Yield a server that answers, on a free port of 127.0.0.1."""
    server = HttpServer(
        [parse_listen(listen)],
        served or MemoryServed(),
        web_config=web_config,
        limits=limits,
        log=logging.getLogger("fexp.test.http"),
    )
    server.open()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def port_of(server: HttpServer) -> int:
    port = urlsplit(server.addresses[0]).port
    assert port is not None
    return port


def ask(
    server: HttpServer,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send one well-formed request on a connection of its own."""
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port_of(server), timeout=PATIENCE_SECONDS, context=tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        lowered = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, lowered, response.read())
    finally:
        connection.close()


def connect(server: HttpServer, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), PATIENCE_SECONDS, source_address=(source, 0))


def read_to_end(client: socket.socket) -> bytes:
    """Read until the server closes. A reset counts as an end; silence is a failure."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def send_raw(server: HttpServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        return read_to_end(client)


def need_promtool() -> str:
    """Find promtool; without it skip aloud, but fail where everything is meant to be there."""
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing in CI: install the package prometheus")
        pytest.skip("promtool is missing: install the package prometheus to check against the real thing")
    return found
