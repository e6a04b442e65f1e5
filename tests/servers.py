"""The real servers that fexp delivers to, each on a free loopback port and ended by its own process id.

A server that is not installed skips its tests loudly; where ``CI=true`` it fails them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fexp.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from pathlib import Path

READY_SECONDS = 30.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str) -> str:
    """Find a server's program, or skip the test."""
    path = shutil.which(name)
    if path is None:
        complaint = f"{name} IS NOT INSTALLED: what fexp does to a real one is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return path


def poll(ask: Any, *, seconds: float = 30.0, every_seconds: float = 0.05) -> Any:
    """Ask until the answer is true, and give it; fail the test when that takes too long."""
    return wait_for(ask, timeout_seconds=seconds, every_seconds=every_seconds)


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    text: str
    headers: Message[str, str]

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.text)


def fetch(url: str, *, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    """Ask a loopback server, never through a proxy; an error status is an answer too."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with _NO_PROXY.open(request, timeout=10) as response:
            return Reply(response.status, response.read().decode(), response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read().decode(), error.headers)


class Server:
    """One running server."""

    def __init__(self, command: list[str], port: int, log_path: Path, scheme: str = "http") -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path: str) -> Reply:
        """Ask for a path, such as ``/metrics``."""
        return fetch(self.url + path)

    def wait_until_ready(self, path: str | None) -> None:
        """Wait until it listens, and until this path answers with 200."""

        def answers() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"{self.process.args!r} ended: {self.log_path.read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return path is None or self.get(path).status == 200
            except OSError:
                return False

        poll(answers, seconds=READY_SECONDS)

    def stop(self) -> None:
        """End this process and no other."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """Ask a server that speaks PromQL for the series now, or at another time."""
        question = {"query": expression} | ({} if at is None else {"time": repr(at)})
        reply = self.get("/api/v1/query?" + urllib.parse.urlencode(question))
        result: list[dict[str, Any]] = reply.json()["data"]["result"]
        return result


@contextmanager
def _running(
    name: str, arguments: list[str], directory: Path, ready_path: str | None, *, port: int | None = None
) -> Iterator[Server]:
    """Run a server; ``{port}`` in an argument becomes its port."""
    port = free_port() if port is None else port
    directory.mkdir(parents=True, exist_ok=True)
    command = [program(name), *(argument.replace("{port}", str(port)) for argument in arguments)]
    server = Server(command, port, directory / f"{name}-{port}.log")
    try:
        server.wait_until_ready(ready_path)
        yield server
    finally:
        server.stop()


@contextmanager
def running_prometheus(
    directory: Path,
    *,
    config: str = "global: {}\n",
    arguments: tuple[str, ...] = (),
    ready_path: str | None = "/-/ready",
    port: int | None = None,
) -> Iterator[Server]:
    """Run a Prometheus that also receives remote write; in the same directory it knows what it knew before."""
    directory.mkdir(parents=True, exist_ok=True)
    config_path = directory / "prometheus.yml"
    config_path.write_text(config)
    fixed = [
        f"--config.file={config_path}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--web.enable-lifecycle",
    ]
    with _running("prometheus", [*fixed, *arguments], directory, ready_path, port=port) as server:
        yield server


@contextmanager
def running_pushgateway(
    directory: Path, *, arguments: tuple[str, ...] = (), ready_path: str | None = "/-/ready", port: int | None = None
) -> Iterator[Server]:
    """Run a Pushgateway that forgets everything at its end."""
    # Debian's default for the file is a place that outlives the server.
    fixed = ["--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api", "--persistence.file="]
    with _running("prometheus-pushgateway", [*fixed, *arguments], directory, ready_path, port=port) as server:
        yield server


@contextmanager
def running_node_exporter(directory: Path, textfile_directory: Path) -> Iterator[Server]:
    """Run a node_exporter that does nothing but read textfiles."""
    fixed = [
        "--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={textfile_directory}",
    ]
    with _running("prometheus-node-exporter", fixed, directory, "/metrics") as server:
        yield server


@contextmanager
def running_victoria_metrics(directory: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a VictoriaMetrics whose fresh samples can be asked for at once; it keeps what it knows as Prometheus does."""
    fixed = [
        "-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={directory / 'data'}",
        "-search.latencyOffset=0s",
        "-memory.allowedBytes=64MB",
    ]
    with _running("victoria-metrics", fixed, directory, "/health", port=port) as server:
        yield server


def promtool(*arguments: str, input_text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool and give how it ended."""
    return subprocess.run(
        [program("promtool"), *arguments],
        input=input_text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a Prometheus that all tests share: use label values of your own."""
    with running_prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a Pushgateway that all tests share."""
    with running_pushgateway(tmp_path_factory.mktemp("pushgateway")) as server:
        yield server


@pytest.fixture
def pushgateway(shared_pushgateway: Server) -> Server:
    """Return an empty Pushgateway."""
    fetch(shared_pushgateway.url + "/api/v1/admin/wipe", method="PUT")
    poll(lambda: not shared_pushgateway.get("/api/v1/metrics").json()["data"])
    return shared_pushgateway


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a VictoriaMetrics that all tests share: use label values of your own."""
    with running_victoria_metrics(tmp_path_factory.mktemp("victoria-metrics")) as server:
        yield server


@dataclass(frozen=True)
class NodeExporter:
    """A node_exporter and the directory that it reads."""

    server: Server
    directory: Path

    def metrics(self) -> str:
        """Scrape it."""
        return self.server.get("/metrics").text


@pytest.fixture(scope="session")
def shared_node_exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeExporter]:
    """Yield a node_exporter that all tests share."""
    base = tmp_path_factory.mktemp("node-exporter")
    textfiles = base / "textfiles"
    textfiles.mkdir()
    with running_node_exporter(base, textfiles) as server:
        yield NodeExporter(server, textfiles)


@pytest.fixture
def node_exporter(shared_node_exporter: NodeExporter) -> Iterator[NodeExporter]:
    """Yield a node_exporter whose directory is empty."""
    yield shared_node_exporter
    for path in shared_node_exporter.directory.iterdir():
        path.unlink()
