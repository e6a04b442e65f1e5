"""fexp as its user runs it: a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.fork_server import ForkedProcess, fork_server
from tests.servers import Reply, fetch, poll

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COMMAND = [sys.executable, "-m", "fexp"]
_LISTENING = re.compile(r"listening on (http\S+?)\"")


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without what would change fexp's mind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FEXP_", "COVERAGE"))}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "120", **extra}


def _needs_an_interpreter(extra: dict[str, str]) -> bool:
    """Return whether these variables are read when Python starts."""
    return any(name.startswith("PYTHON") for name in extra)


def run(*arguments: str, timeout_seconds: float = 30, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    if not _needs_an_interpreter(extra):
        return fork_server().run(list(arguments), environment(**extra), timeout_seconds)
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout_seconds,
        env=environment(**extra),
        check=False,
    )


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read an exposition."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Watching:
    """A running ``fexp watch``."""

    def __init__(self, process: subprocess.Popen[str] | ForkedProcess) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def url(self) -> str:
        """Where it serves."""
        found = poll(lambda: _LISTENING.search("\n".join(self.lines)))
        return str(found[1])

    def wait_until_ready(self) -> None:
        """Wait for the first look to be done."""
        poll(
            lambda: any("ready:" in line for line in self.lines) or self.process.poll() is not None, every_seconds=0.01
        )
        assert self.process.poll() is None, self.lines

    def get(self, path: str) -> Reply:
        """Ask it for a path."""
        return fetch(self.url + path)

    def value(self, name: str, **labels: str) -> float | None:
        """Return one sample of its /metrics."""
        wanted = set(labels.items())
        found = [v for (n, own), v in samples(self.get("/metrics").text).items() if n == name and wanted <= own]
        assert len(found) <= 1, found
        return found[0] if found else None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it with a signal; give its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(20)
        self._reader.join(5)
        return status


def _start(
    arguments: list[str], launcher: Sequence[str], cwd: Path | None, extra: dict[str, str]
) -> subprocess.Popen[str] | ForkedProcess:
    if not launcher and not _needs_an_interpreter(extra):
        return fork_server().start(arguments, environment(**extra), os.fspath(cwd or os.getcwd()))
    return subprocess.Popen(
        [*launcher, *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        env=environment(**extra),
        cwd=cwd,
    )


@contextmanager
def watching(
    *arguments: str, ready: bool = True, cwd: Path | None = None, launcher: Sequence[str] = (), **extra: str
) -> Iterator[Watching]:
    """Run ``fexp watch`` until the block ends; ``launcher`` is a program that starts it."""
    running = Watching(_start(["watch", *arguments], launcher, cwd, extra))
    process = running.process
    try:
        if ready:
            running.wait_until_ready()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        running._reader.join(5)
        assert process.stderr is not None
        process.stderr.close()
