"""What ``fexp watch`` does when a part of it fails that must not, and at each tick."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fexp import clock as clocks
from fexp.config.probes import Selected
from fexp.config.settings import Settings
from fexp.disk import scan
from fexp.errors import FexpError
from fexp.events.inotify import InotifySource
from fexp.model import Instant
from fexp.outputs.textfile import TextfileOutput, TextfileSettings
from fexp.probes.shipped import line_count
from fexp.service.daemon import Daemon
from fexp.service.signals import Command
from tests.daemons import PATIENCE_SECONDS, Scripted, daemon_of, folder_of, ticks_until
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fexp.counting.selection import Selection
    from tests.daemons import Script


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_engine_ends_the_process(tmp_path: Path) -> None:
    """Numbers that nobody keeps any more must not be served for ever: whoever started fexp can start it again."""

    def clock() -> Instant:
        if threading.current_thread().name == "fexp-engine":
            raise RuntimeError("a bug")
        return clocks.now()

    daemon = daemon_of(folder_of(tmp_path), clock=clock)
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
        daemon = daemon_of(folder_of(tmp_path))
        daemon.reload()
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_reloads_that_wait_are_one_and_a_stop_waits_for_none(
    tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may hang: neither systemd's watchdog nor a stop is to hang with them."""
    daemon = daemon_of(folder_of(tmp_path / "data"), signals=scripted)
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    reloads = itertools.count(1)
    done: list[int] = []

    def reload() -> None:
        number = next(reloads)
        begun.release()
        if go_on.acquire(timeout=PATIENCE_SECONDS):
            done.append(number)

    monkeypatch.setattr(daemon, "reload", reload)

    def script() -> Script:
        yield {Command.RELOAD}
        assert begun.acquire(timeout=PATIENCE_SECONDS)
        for _ in range(5):
            yield {Command.RELOAD}
        go_on.release()
        yield from ticks_until(lambda: begun.acquire(blocking=False))
        yield None
        yield {Command.RELOAD}
        yield {Command.RELOAD, Command.STOP}

    scripted.script = script()
    daemon.run()
    assert done == [1]
    go_on.release()
    assert next(reloads) == 3


def test_a_reload_that_fails_is_told_and_the_next_one_works(
    tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = daemon_of(folder_of(tmp_path / "data"), signals=scripted)
    failures = [FexpError("gone")]
    reloaded = threading.Event()

    def reload() -> None:
        if failures:
            raise failures.pop()
        reloaded.set()

    monkeypatch.setattr(daemon, "reload", reload)

    def script() -> Script:
        yield {Command.RELOAD}
        poll(lambda: "not reloaded, the old config stays in force: gone" in caplog.text)
        yield {Command.RELOAD}
        yield from ticks_until(reloaded.is_set)

    scripted.script = script()
    daemon.run()
    assert reloaded.is_set()


def test_a_reload_takes_up_probes_and_what_is_there_for_them(tmp_path: Path, scripted: Scripted) -> None:
    folder = folder_of(tmp_path / "data")
    (tmp_path / "data" / "a").write_text("1\n2\n")
    without = Settings((folder,))
    with_probe = Settings((folder,), probes=(Selected(line_count, {}),))
    readings = iter([with_probe, with_probe, without])
    daemon = Daemon(without, (), signals=scripted, read_again=lambda: next(readings))
    runs: list[int | None] = []

    def lines() -> list[float]:
        return [sample.value for family in daemon.scrape().families for sample in family.samples]

    def script() -> Script:
        yield {Command.RELOAD}
        yield from ticks_until(lambda: lines() == [2])
        for _ in range(2):
            runs.extend(one.runs for one in daemon.scrape().probes)
            daemon.reload()
        runs.extend(one.runs for one in daemon.scrape().probes)

    scripted.script = script()
    daemon.run()
    assert (runs, lines()) == ([1, 1], [])


def test_systemd_hears_of_no_reload_once_the_stop_has_begun(
    tmp_path: Path, manager: Manager, scripted: Scripted
) -> None:
    """READY=1 after STOPPING=1 would be a service that is both."""
    daemon = daemon_of(folder_of(tmp_path / "data"), signals=scripted)

    def script() -> Script:
        wait_until_looked(daemon)
        yield None
        assert manager.heard("READY=1") == 1

    scripted.script = script()
    daemon.run()
    daemon.reload()
    assert (manager.heard("STOPPING=1"), manager.heard("READY=1"), manager.heard("RELOADING=1")) == (1, 1, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_publisher_is_not_ready(tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A textfile that nobody writes any more must not look alive."""

    def publish(*_: object) -> None:
        raise SystemExit  # nothing else ends a publisher

    monkeypatch.setattr(TextfileOutput, "publish", publish)
    outputs = (TextfileSettings(str(tmp_path / "x.prom")),)
    daemon = daemon_of(folder_of(tmp_path / "data"), outputs=outputs, signals=scripted)

    reason = "the textfile publisher is dead"

    def script() -> Script:
        yield from ticks_until(lambda: reason in daemon.unready())

    assert reason not in daemon.unready()
    scripted.script = script()
    daemon.run()


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
    """Yield a manager, whom every daemon made from now on will notify."""
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture
def scripted() -> Scripted:
    """Return signals that come from a script."""
    return Scripted()


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
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """A mount that never answers would else keep the unit activating for ever, with no failure and no restart."""
    folder = folder_of(tmp_path / "data", recursive=True)
    for number in range(24):
        (tmp_path / "data" / str(number)).mkdir()
    clock = TurnedSteady()
    gate = Gate(clock, 0.125)
    monkeypatch.setattr(scan, "list_directory", gate)
    daemon = daemon_of(folder, clock=clock, signals=scripted)
    asked_at: list[float] = []

    def tick() -> Script:
        yield None
        asked_at.extend([clock.steady] * (manager.heard("EXTEND_TIMEOUT_USEC=30000000") - len(asked_at)))

    def script() -> Script:
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

    scripted.script = script()
    daemon.run()


def test_no_more_time_is_asked_for_once_the_first_look_is_done(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """What is not ready all the same, as its watcher has died, becomes so by no waiting."""
    daemon = daemon_of(folder_of(tmp_path / "data"), signals=scripted)
    monkeypatch.setattr(InotifySource, "alive", lambda _: False)

    def script() -> Script:
        wait_until_looked(daemon)
        yield None
        assert manager.heard("STATUS=the inotify watcher is dead") == 1
        assert (manager.heard("READY=1"), manager.heard("EXTEND_TIMEOUT_USEC")) == (0, 0)

    scripted.script = script()
    daemon.run()


def test_an_engine_that_hangs_is_not_told_to_be_alive(
    tmp_path: Path, manager: Manager, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mistake 23c: the ticks go on in a thread of their own, which proves nothing."""
    gate = Gate(TurnedSteady(), 0.0)
    monkeypatch.setattr(scan, "list_directory", gate)
    daemon = daemon_of(folder_of(tmp_path / "data", recursive=True), signals=scripted)

    def beats() -> int:
        return manager.heard("WATCHDOG=1")

    def script() -> Script:
        try:
            gate.let_through()
            wait_until_looked(daemon)
            yield None
            gate.wait_for_one()
            (tmp_path / "data" / "sub").mkdir()
            gate.wait_for_one()
            yield None
            before = beats()
            assert before >= 1
            for _ in range(3):
                yield None
            assert beats() == before
            assert manager.heard("STATUS=0 files in 1 of 1 folders") >= 5
        finally:
            gate.let_through(100)
        yield from ticks_until(lambda: beats() > before)

    scripted.script = script()
    daemon.run()


def test_a_large_directory_that_is_listed_slowly_is_no_hanging(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
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
    daemon = daemon_of(folder, signals=scripted)

    def script() -> Script:
        try:
            for number in range(3):
                assert reached.acquire(timeout=PATIENCE_SECONDS)
                yield None
                heard = manager.heard("WATCHDOG=1")
                yield None
                assert manager.heard("WATCHDOG=1") == heard == number + 1
                go_on.release()
        finally:
            go_on.release(100)
        wait_until_looked(daemon)

    scripted.script = script()
    daemon.run()


@pytest.mark.parametrize(("usec", "seconds"), [("400000", 0.2), ("60000000", 1.0), ("", 1.0)])
def test_a_tick_is_as_short_as_the_watchdog_needs_it(
    usec: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """Mistake 23c: told once a second, a service with WatchdogSec=400ms would be killed though it is well."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    daemon = daemon_of(folder_of(tmp_path / "data"), signals=scripted)

    def script() -> Script:
        wait_until_looked(daemon)
        yield None
        yield None

    scripted.script = script()
    daemon.run()
    assert scripted.waits[1:] == [seconds, seconds]


def test_nothing_is_delivered_before_all_folders_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """Mistake 23b: a healthy folder would be told to be down, and alerts would fire at each start."""
    fast, slow, target = folder_of(tmp_path / "fast"), folder_of(tmp_path / "slow"), tmp_path / "x.prom"
    list_directory, go_on = scan.list_directory, threading.Event()

    def list_slowly(path: bytes, below: bytes, selection: Selection, progressed: Callable[[], None]) -> scan.Listing:
        if path == slow.path:
            go_on.wait(PATIENCE_SECONDS)
        return list_directory(path, below, selection, progressed)

    monkeypatch.setattr(scan, "list_directory", list_slowly)
    daemon = daemon_of(fast, slow, outputs=(TextfileSettings(str(target)),), signals=scripted)

    def is_delivering() -> bool:
        return any(publisher._started for publisher in daemon._deliveries.publishers)

    def script() -> Script:
        try:
            poll(lambda: any(status.looked for status in daemon.statuses()), every_seconds=0.005)
            yield None
            yield None
            assert not is_delivering()
        finally:
            go_on.set()
        wait_until_looked(daemon)
        yield None
        assert is_delivering()
        text = poll(lambda: target.exists() and target.read_text())
        for folder in (fast, slow):
            assert f'fexp_folder_up{{folder="{folder.label}"}} 1.0' in text

    scripted.script = script()
    daemon.run()


def test_what_happened_just_before_the_stop_is_in_the_last_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """The clock makes each listing a turn of the engine of its own: without waiting, the stop would come between."""
    monkeypatch.setattr("fexp.service.daemon._FLUSH_SECONDS", PATIENCE_SECONDS)
    folder, target = folder_of(tmp_path / "data", recursive=True), tmp_path / "x.prom"
    for number in range(200):
        (tmp_path / "elsewhere" / str(number)).mkdir(parents=True)
        (tmp_path / "elsewhere" / str(number) / "file").touch()
    reads = itertools.count()
    daemon = daemon_of(
        folder,
        outputs=(TextfileSettings(str(target)),),
        clock=lambda: Instant(time.time(), 1000.0 + 0.01 * next(reads)),
        signals=scripted,
        keep_on_exit=True,
    )

    def script() -> Script:
        wait_until_looked(daemon)
        yield None
        (tmp_path / "elsewhere").rename(tmp_path / "data" / "here")

    scripted.script = script()
    daemon.run()
    assert f'fexp_files{{folder="{folder.label}",pattern="*"}} 200.0' in target.read_text()
