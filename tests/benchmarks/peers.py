"""The peers: what other people use for the same job, run as processes of their own.

``python -m tests.benchmarks.peers DIRECTORY`` is the plain watchdog observer. For each line that it reads it
tells how many files its handler was told of as created and as deleted, and when it was told of new probes.
"""

from __future__ import annotations

import glob
import importlib.util
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tests.benchmarks.processes import REPOSITORY, cpu_seconds, pause, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBE = "probe-"
_AIOEXPORTER = "prometheus-aioexporter"
_SCANDIR_RS = """
import sys
sys.path.insert(0, sys.argv[2])
from scandir_rs import ReturnType, Scandir
files = size = 0
for entry in Scandir(sys.argv[1], return_type=ReturnType.Base):
    if entry.is_file:
        files += 1
        size += entry.st_size
"""


class Counts(NamedTuple):
    """What the plain observer's handler was told of."""

    created: int
    deleted: int


class Peer:
    """A process that reports when it saw which probe."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.seen: dict[str, int] = {}
        """When it saw a probe, in nanoseconds of the monotonic clock."""
        self._process = process

    def cpu_seconds(self) -> float:
        """Return its CPU time until now."""
        return cpu_seconds(self.pid)


class ObserverPeer(Peer):
    """The plain observer; its counts come with a line of its standard output each time it is asked."""

    def __init__(self, process: subprocess.Popen[bytes], asks: IO[bytes], answers: IO[bytes]) -> None:
        super().__init__(process)
        self._asks, self._answers = asks, answers

    def counts(self) -> Counts:
        """Ask what it was told of, and take over the probes that it saw."""
        self._asks.write(b"\n")
        self._asks.flush()
        created, deleted, probes = (int(word) for word in self._answers.readline().split())
        for _ in range(probes):
            name, seen_ns = self._answers.readline().split()
            self.seen[name.decode()] = int(seen_ns)
        return Counts(created, deleted)

    def settled(self, quiet_seconds: float = 1.0, most_seconds: float = 60.0) -> Counts:
        """Wait until it is told of nothing more."""
        until = time.monotonic() + most_seconds
        before = self.counts()
        while time.monotonic() < until:
            pause(quiet_seconds)
            now = self.counts()
            if now == before:
                break
            before = now
        return before


@contextmanager
def observer(directory: str) -> Iterator[ObserverPeer]:
    """Run the usual program: watchdog's Observer with a FileSystemEventHandler that counts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.peers", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        peer = ObserverPeer(process, process.stdin, process.stdout)
        peer.counts()
        yield peer
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()


@contextmanager
def inotifywait(directory: str) -> Iterator[Peer | None]:
    """Run ``inotifywait -m`` and note when the lines of its pipe arrive; None when it is not installed."""
    program = shutil.which("inotifywait")
    if program is None:
        yield None
        return
    command = [program, "-m", "-e", "create", "-e", "delete", "-e", "move", "--format", "%e %f", directory]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            if b"Watches established" in line:
                break
        peer = Peer(process)
        threading.Thread(target=_read_lines, args=(process.stdout, peer.seen), daemon=True).start()
        yield peer


def _read_lines(lines: IO[bytes], seen: dict[str, int]) -> None:
    with suppress(ValueError, OSError):
        for line in lines:
            if line.startswith(b"CREATE " + PROBE.encode()):
                seen[line[7:-1].decode()] = time.monotonic_ns()


class FileCount(NamedTuple):
    """What stands for collectd's filecount plugin."""

    name: str
    process: subprocess.Popen[bytes]


@contextmanager
def filecount(directory: str, work: str, walk: str, interval_seconds: int) -> Iterator[FileCount]:
    """Run collectd with nothing but filecount, or a C loop that does its work where it is not installed."""
    program = shutil.which("collectd") or shutil.which("collectd", path="/usr/sbin:/usr/local/sbin")
    plugins = glob.glob("/usr/lib*/collectd/filecount.so") + glob.glob("/usr/lib/*/collectd/filecount.so")
    if program is None or not plugins:
        with running([walk, directory, str(interval_seconds)]) as process:
            yield FileCount(f"C loop for collectd filecount, every {interval_seconds} s", process)
        return
    config = Path(work) / "collectd.conf"
    config.write_text(
        f'BaseDir "{work}"\nPIDFile "{work}/collectd.pid"\nPluginDir "{Path(plugins[0]).parent}"\n'
        f'TypesDB "/usr/share/collectd/types.db"\nHostname "localhost"\nFQDNLookup false\n'
        f"Interval {interval_seconds}\nReadThreads 1\nWriteThreads 1\nLoadPlugin filecount\n"
        f'<Plugin filecount>\n  <Directory "{directory}">\n    Instance "bench"\n  </Directory>\n</Plugin>\n'
    )
    with running([program, "-f", "-C", str(config)]) as process:
        yield FileCount(f"collectd filecount, every {interval_seconds} s", process)


def compile_c(name: str, work: str) -> str:
    """Compile a C program of this directory; give its path. Raises FileNotFoundError without a compiler."""
    program = str(Path(work) / name)
    source = str(Path(__file__).with_name(f"{name}.c"))
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, source], check=True)
    return program


def scandir_rs(directory: str, work: str) -> list[str] | None:
    """Return a command that walks with scandir-rs, fetched from PyPI for this run; None without it."""
    target = str(Path(work) / "peers")
    if importlib.util.find_spec("scandir_rs") is None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            target,
            "scandir-rs",
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        except (subprocess.SubprocessError, OSError):
            return None
    return [sys.executable, "-c", _SCANDIR_RS, directory, target]


def aioexporter(work: str) -> tuple[str | None, str]:
    """Install prometheus-aioexporter from PyPI for this run.

    Return the Python that has it, and its version; or None, and why it cannot be had.
    """
    venv = Path(work) / "aioexporter"
    python = str(venv / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", _AIOEXPORTER]
    version = f"from importlib.metadata import version; print(version({_AIOEXPORTER!r}))"
    try:
        for command in ([sys.executable, "-m", "venv", str(venv)], install, [python, "-c", version]):
            ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        return None, f"{_AIOEXPORTER} cannot be installed: {said[-200:]}"
    return python, f"{_AIOEXPORTER} {ended.stdout.strip()}"


def main(directory: str) -> None:
    """Be the plain watchdog observer."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        created = deleted = 0
        probes: list[tuple[str, int]] = []  # noqa: RUF012  # there is one handler

        def on_created(self, event: FileSystemEvent) -> None:
            self.created += 1
            name = str(event.src_path).rpartition("/")[2]
            if name.startswith(PROBE):
                self.probes.append((name, time.monotonic_ns()))

        def on_deleted(self, event: FileSystemEvent) -> None:
            self.deleted += 1

    handler = Handler()
    watcher = Observer()
    watcher.schedule(handler, directory)
    watcher.start()
    for _ in sys.stdin.buffer:
        probes, handler.probes = handler.probes, []
        answer = f"{handler.created} {handler.deleted} {len(probes)}\n"
        sys.stdout.write(answer + "".join(f"{name} {seen_ns}\n" for name, seen_ns in probes))
        sys.stdout.flush()
    watcher.stop()


if __name__ == "__main__":
    main(sys.argv[1])
