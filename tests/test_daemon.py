"""What ``fexp watch`` does when a part of it fails that must not, and at each tick."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fexp.disk import scan
from fexp.engine import EngineSettings
from fexp.errors import FexpError
from fexp.files.selection import Folder, Selection
from fexp.model import Instant
from fexp.outputs.textfile import TextfileOutput
from fexp.service.daemon import Daemon, WatchSettings, _Command
from tests.engine.live import Live
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Play = Callable[[Daemon, Iterator[None]], list[float]]

PATIENCE_SECONDS = 60.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_engine_ends_the_process(tmp_path: Path) -> None:
    """Numbers that nobody keeps any more must not be served for ever: whoever started fexp can start it again."""
    folder = Folder(os.fsencode(tmp_path), str(tmp_path), Selection())
    daemon = daemon_of(folder)

    def die() -> None:
        raise RuntimeError("a bug")

    daemon._engine._queue.put((None, die))
    with pytest.raises(FexpError, match="engine has died"):
        daemon.run()


def test_a_reload_before_the_first_look_is_done_is_not_told_as_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd would start what waits for fexp, with no number there yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon = Daemon(WatchSettings((Folder(os.fsencode(tmp_path), str(tmp_path), Selection()),), EngineSettings()))
        daemon.reload()
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_reloads_that_wait_are_one_and_a_stop_waits_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files may hang: neither systemd's watchdog nor a stop is to hang with them."""
    daemon = daemon_of(folder_of(tmp_path / "data"))
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    reloads = itertools.count(1)
    done: list[int] = []

    def reload() -> None:
        number = next(reloads)
        begun.release()
        if go_on.acquire(timeout=PATIENCE_SECONDS):
            done.append(number)

    monkeypatch.setattr(daemon, "reload", reload)
    running = threading.Thread(target=daemon._watch_over, daemon=True)
    daemon._engine.start()
    running.start()
    daemon._commands.put(_Command.RELOAD)
    assert begun.acquire(timeout=PATIENCE_SECONDS)
    for _ in range(5):
        daemon._commands.put(_Command.RELOAD)
    poll(lambda: daemon._reload_asked)
    go_on.release()
    assert begun.acquire(timeout=PATIENCE_SECONDS)
    assert not daemon._reload_asked
    daemon._commands.put(_Command.RELOAD)
    daemon._commands.put(_Command.STOP)
    running.join(PATIENCE_SECONDS)
    assert not running.is_alive()
    assert done == [1]
    go_on.release()
    daemon._end()
    assert next(reloads) == 3


def test_a_reload_that_fails_is_told_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, play: Play
) -> None:
    daemon = daemon_of(folder_of(tmp_path / "data"))
    failures = [FexpError("gone")]
    reloaded = threading.Event()

    def reload() -> None:
        if failures:
            raise failures.pop()
        reloaded.set()

    monkeypatch.setattr(daemon, "reload", reload)

    def script() -> Iterator[None]:
        daemon._reload_asked = True
        yield
        poll(lambda: "not reloaded, the old config stays in force: gone" in caplog.text)
        poll(lambda: not (daemon._reloading and daemon._reloading.is_alive()))
        daemon._reload_asked = True
        yield
        assert reloaded.wait(PATIENCE_SECONDS)

    play(daemon, script())


def test_systemd_hears_of_no_reload_once_the_stop_has_begun(tmp_path: Path, manager: Manager, play: Play) -> None:
    """READY=1 after STOPPING=1 would be a service that is both."""
    daemon = daemon_of(folder_of(tmp_path / "data"))

    def script() -> Iterator[None]:
        wait_until_looked(daemon)
        yield
        assert manager.heard("READY=1") == 1

    play(daemon, script())
    daemon.reload()
    assert (manager.heard("STOPPING=1"), manager.heard("READY=1"), manager.heard("RELOADING=1")) == (1, 1, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_publisher_is_not_ready(tmp_path: Path) -> None:
    """A textfile that nobody writes any more must not look alive."""
    output = TextfileOutput(str(tmp_path / "x.prom"))
    folder = Folder(os.fsencode(tmp_path), str(tmp_path), Selection(("*.txt",)))
    daemon = Daemon(WatchSettings((folder,), EngineSettings(), outputs=(output,)))
    publisher = daemon._publishers[0]
    assert not publisher.has_died()
    publisher._clock = lambda: 1 / 0  # a bug
    publisher.start()
    publisher._thread.join()
    assert "the textfile publisher is dead" in daemon.unready()


class Manager:
    """The receiving end of sd_notify, in the process that notifies: what was sent is here."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._lines: list[str] = []

    def heard(self, start: str) -> int:
        """Count what was told so far that begins so."""
        try:
            while True:
                self._lines += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return sum(line.startswith(start) for line in self._lines)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """Give a manager, whom every daemon made from now on will notify."""
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Give a function that runs a daemon with a script in place of its waiting, a tick for each yield, and stops it.

    It gives how long the daemon would have waited each time.
    """

    def play(daemon: Daemon, script: Iterator[None]) -> list[float]:
        waits: list[float] = []

        def commands_within(patience_seconds: float) -> set[_Command]:
            waits.append(patience_seconds)
            return {_Command.STOP} if next(script, "over") == "over" else set()

        monkeypatch.setattr(daemon, "_commands_within", commands_within)
        daemon.run()
        return waits

    return play


def folder_of(path: Path, *, recursive: bool = False) -> Folder:
    path.mkdir(exist_ok=True)
    return Folder(os.fsencode(path), str(path), Selection(recursive=recursive))


def wait_until_looked(daemon: Daemon) -> None:
    poll(lambda: all(status.looked for status in daemon.statuses()), every_seconds=0.005)


class TurnedSteady:
    """A clock that only a test turns."""

    steady = 1000.0

    def __call__(self) -> Instant:
        return Instant(time.time(), self.steady)


class Gate:
    """Stands before each listing until a test lets it through, which then takes so long by the clock."""

    def __init__(self, clock: TurnedSteady, listing_seconds: float) -> None:
        self._clock = clock
        self._listing_seconds = listing_seconds
        self._list = scan.list_directory
        self._arrived, self._passes = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> scan.Listing:
        self._arrived.release()
        assert self._passes.acquire(timeout=PATIENCE_SECONDS)
        self._clock.steady += self._listing_seconds
        return self._list(path, below, selection, progressed)

    def wait_for_one(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE_SECONDS)

    def let_through(self, count: int = 1) -> None:
        self._passes.release(count)


def test_more_time_is_asked_for_while_the_first_look_goes_on_and_not_while_it_hangs(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """A mount that never answers would else keep the unit activating for ever, with no failure and no restart."""
    folder = folder_of(tmp_path / "data", recursive=True)
    for number in range(24):
        (tmp_path / "data" / str(number)).mkdir()
    clock = TurnedSteady()
    gate = Gate(clock, 0.125)
    monkeypatch.setattr(scan, "list_directory", gate)
    daemon = daemon_of(folder, clock=clock)
    asked_at: list[float] = []

    def tick() -> Iterator[None]:
        yield
        asked_at.extend([clock.steady] * (manager.heard("EXTEND_TIMEOUT_USEC=30000000") - len(asked_at)))

    def script() -> Iterator[None]:
        try:
            for number in range(25):
                if number:
                    gate.let_through()
                gate.wait_for_one()
                yield from tick()
                yield from tick()
            assert asked_at == [1000.0, 1001.0, 1002.0, 1003.0]
            for _ in range(5):
                clock.steady += 10.0
                yield from tick()
            assert manager.heard("READY=1") == 0
        finally:
            gate.let_through(100)
        wait_until_looked(daemon)
        yield from tick()
        assert manager.heard("READY=1") == 1
        assert len(asked_at) == 4

    play(daemon, script())


def test_no_more_time_is_asked_for_once_the_first_look_is_done(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """What is not ready all the same, as its watcher has died, becomes so by no waiting."""
    daemon = daemon_of(folder_of(tmp_path / "data"))
    monkeypatch.setattr(daemon._engine._source, "alive", lambda: False)

    def script() -> Iterator[None]:
        wait_until_looked(daemon)
        yield
        assert manager.heard("STATUS=the inotify watcher is dead") == 1
        assert (manager.heard("READY=1"), manager.heard("EXTEND_TIMEOUT_USEC")) == (0, 0)

    play(daemon, script())


def test_an_engine_that_hangs_is_not_told_to_be_alive(tmp_path: Path, manager: Manager, play: Play) -> None:
    """Mistake 23c: the ticks go on in a thread of their own, which proves nothing."""
    daemon = daemon_of(folder_of(tmp_path / "data"))

    def script() -> Iterator[None]:
        wait_until_looked(daemon)
        yield
        with Live(daemon._engine, b"").held():
            yield
            heard = manager.heard("WATCHDOG=1")
            assert heard >= 1
            for _ in range(3):
                yield
            assert manager.heard("WATCHDOG=1") == heard
            assert manager.heard("STATUS=0 files in 1 of 1 folders") >= 5
            steps = daemon._engine._steps
        poll(lambda: daemon._engine._steps > steps, every_seconds=0.005)
        yield
        assert manager.heard("WATCHDOG=1") == heard + 1

    play(daemon, script())


def test_a_large_directory_that_is_listed_slowly_is_no_hanging(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """At a millisecond a file, as over a network, 60,000 files would outlast WatchdogSec=60s, at each start anew."""
    folder, list_directory = folder_of(tmp_path / "data"), scan.list_directory
    for number in range(3 * scan._ENTRIES_AT_ONCE):
        (tmp_path / "data" / str(number)).touch()
    reached, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def list_in_steps(path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> scan.Listing:
        def step() -> None:
            progressed()
            reached.release()
            assert go_on.acquire(timeout=PATIENCE_SECONDS)

        return list_directory(path, below, selection, step)

    monkeypatch.setattr(scan, "list_directory", list_in_steps)
    daemon = daemon_of(folder)

    def script() -> Iterator[None]:
        try:
            for number in range(3):
                assert reached.acquire(timeout=PATIENCE_SECONDS)
                yield
                heard = manager.heard("WATCHDOG=1")
                yield
                assert manager.heard("WATCHDOG=1") == heard == number + 1
                go_on.release()
        finally:
            go_on.release(100)
        wait_until_looked(daemon)

    play(daemon, script())


@pytest.mark.parametrize(("usec", "seconds"), [("400000", 0.2), ("60000000", 1.0), ("", 1.0)])
def test_a_tick_is_as_short_as_the_watchdog_needs_it(
    usec: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """Mistake 23c: told once a second, a service with WatchdogSec=400ms would be killed though it is well."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    daemon = daemon_of(folder_of(tmp_path / "data"))

    def script() -> Iterator[None]:
        wait_until_looked(daemon)
        yield
        yield

    assert play(daemon, script())[1:] == [seconds, seconds]


def test_nothing_is_delivered_before_all_folders_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """Mistake 23b: a healthy folder would be told to be down, and alerts would fire at each start."""
    fast, slow, target = folder_of(tmp_path / "fast"), folder_of(tmp_path / "slow"), tmp_path / "x.prom"
    list_directory, go_on = scan.list_directory, threading.Event()

    def list_slowly(path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> scan.Listing:
        if path == slow.path:
            go_on.wait(PATIENCE_SECONDS)
        return list_directory(path, below, selection, progressed)

    monkeypatch.setattr(scan, "list_directory", list_slowly)
    output = TextfileOutput(str(target))
    daemon = Daemon(WatchSettings((fast, slow), EngineSettings(), outputs=(output,)))

    def is_delivering() -> bool:
        return "fexp-textfile" in [thread.name for thread in threading.enumerate()]

    def script() -> Iterator[None]:
        try:
            poll(lambda: any(status.looked for status in daemon.statuses()), every_seconds=0.005)
            yield
            yield
            assert not is_delivering()
        finally:
            go_on.set()
        wait_until_looked(daemon)
        yield
        assert is_delivering()
        text = poll(lambda: target.exists() and target.read_text())
        for folder in (fast, slow):
            assert f'fexp_folder_up{{folder="{folder.label}"}} 1.0' in text

    play(daemon, script())


def test_what_happened_just_before_the_stop_is_in_the_last_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    """The clock makes each listing a turn of the engine of its own: without waiting, the stop would come between."""
    monkeypatch.setattr("fexp.service.daemon._FLUSH_SECONDS", PATIENCE_SECONDS)
    folder, target = folder_of(tmp_path / "data", recursive=True), tmp_path / "x.prom"
    for number in range(200):
        (tmp_path / "elsewhere" / str(number)).mkdir(parents=True)
        (tmp_path / "elsewhere" / str(number) / "file").touch()
    reads = itertools.count()
    settings = WatchSettings((folder,), EngineSettings(), outputs=(TextfileOutput(str(target)),), keep_on_exit=True)
    daemon = Daemon(settings, clock=lambda: Instant(time.time(), 1000.0 + 0.01 * next(reads)))

    def script() -> Iterator[None]:
        wait_until_looked(daemon)
        yield
        (tmp_path / "elsewhere").rename(tmp_path / "data" / "here")

    play(daemon, script())
    assert f'fexp_files{{folder="{folder.label}",pattern="*"}} 200.0' in target.read_text()
