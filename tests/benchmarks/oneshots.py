"""Row 8: what a cron job pays, start to exit. Row 9: what an idle fexp holds."""

from __future__ import annotations

import compileall
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from tests.benchmarks.processes import FEXP, REPOSITORY, fexp_watch, memory_bytes, pause, private_bytes, run, running
from tests.benchmarks.rows import Row, p50

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench

_MIB = 1 << 20
_ARTICLE_MIB = 24.0
_BARE_COMMAND = "import prometheus_client, typer; typer.run(lambda: None)"
"""A command that does nothing: typer loads the larger part of itself, pydantic since 0.29, when it runs one."""
_SAME_IMPORTS = """
import contextlib, threading, typer
with contextlib.suppress(SystemExit):
    typer.run(lambda: None)
import fexp.cli.commands, fexp.service.daemon, uvicorn, uvicorn.protocols.http.h11_impl
print(flush=True)
threading.Event().wait()
"""


class _Gateway(BaseHTTPRequestHandler):
    """A Pushgateway that takes everything."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        pass


@contextmanager
def _gateway() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rows(bench: Bench) -> Iterator[Row]:
    """Run the commands and their bare imports turn about."""
    rounds = 6 if bench.quick else 21
    compileall.compile_dir(REPOSITORY / "src", quiet=1)  # as pip does when it installs
    with _gateway() as port:
        commands = {
            "push": [FEXP, "push", bench.folder("empty"), "--gateway", f"http://127.0.0.1:{port}"],
            "bare push": [sys.executable, "-c", _BARE_COMMAND],
            "help": [FEXP, "--help"],
            "bare help": [sys.executable, "-c", "import typer"],
        }
        spent = {name: [run(command)] for name, command in commands.items()}
        for _ in range(rounds):
            for name, command in commands.items():
                spent[name].append(run(command))
    wall = {name: p50([one.wall_seconds for one in runs[1:]]) for name, runs in spent.items()}
    cpu = {name: p50([one.cpu_seconds for one in runs[1:]]) for name, runs in spent.items()}
    for name, what, peer, goal in (
        ("push", "fexp push of an empty folder, start to exit", _BARE_COMMAND, 1.3),
        ("help", "fexp --help", "import typer", 1.5),
    ):
        mine, bare = cpu[name] * 1e3, cpu[f"bare {name}"] * 1e3
        yield Row(
            what,
            wall[name] * 1e3,
            "ms",
            peer=f"python -c '{peer}'",
            peer_figure=wall[f"bare {name}"] * 1e3,
            goal=f"≤ {goal} x",
            ratio_at_most=goal,
            note=f"medians of {rounds}; CPU {mine:.0f} ms to {bare:.0f} ms: {mine / bare:.2f}",
        )


def resident_rows(bench: Bench) -> Iterator[Row]:
    """Weigh a fexp that has been scraped and has nothing to do."""
    with fexp_watch(bench.folder("empty")) as fexp:
        for _ in range(20):
            fexp.client.get()
        pause(1.0)
        with running([sys.executable, "-c", _SAME_IMPORTS], stdout=subprocess.PIPE) as bare:
            assert bare.stdout is not None
            bare.stdout.readline()
            bare_mib = memory_bytes(bare.pid) / _MIB
        yield Row(
            "resident memory, idle, one folder, HTTP",
            memory_bytes(fexp.pid) / _MIB,
            "MiB",
            peer="the seed article's exporter (as it says)",
            peer_figure=_ARTICLE_MIB,
            goal="≤ 50 MiB",
            at_most=50.0,  # 40 without pydantic
            note=f"private (USS) {private_bytes(fexp.pid) / _MIB:.1f} MiB, "
            f"proportional (PSS) {memory_bytes(fexp.pid, 'Pss') / _MIB:.1f} MiB; "
            f"the interpreter with the same imports {bare_mib:.1f} MiB",
        )
