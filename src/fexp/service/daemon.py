"""``fexp watch``: joins the engine with the outputs and runs until it is told to stop."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.engine import Engine, EngineSettings
from fexp.errors import FexpError, SettingsError
from fexp.metrics import TEXTFILE_SCOPES, FexpCollector
from fexp.model import Reason, ReloadSnapshot
from fexp.outputs.http import HttpServer
from fexp.outputs.publisher import Publisher
from fexp.service.progress import Progress
from fexp.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from fexp.clock import Clock
    from fexp.engine.feed import Subscription
    from fexp.files.selection import Folder
    from fexp.model import FolderStatus, Snapshot
    from fexp.outputs import Output
    from fexp.outputs.http import Listen

_log = logging.getLogger("fexp")

_TICK_SECONDS = 1.0
"""How often systemd is told how it goes, once ready."""
_START_TICK_SECONDS = 0.05
_FLUSH_SECONDS = 1.0
"""How long a stop waits for what happened just before it."""
_LAST_DELIVERY_SECONDS = 12.0
"""How long a stop waits for the last delivery; the units allow 30 s for all of it."""
_EXTENSION_SECONDS = 30.0
"""What systemd is asked for while the first look goes on, from one directory to the next."""


class _Command(Enum):
    """What a signal asks for."""

    STOP = auto()
    RELOAD = auto()


@dataclass(frozen=True)
class WatchSettings:
    """Everything ``fexp watch`` was asked for."""

    folders: tuple[Folder, ...]
    engine: EngineSettings
    outputs: tuple[Output, ...] = ()
    listens: tuple[Listen, ...] = ()
    web_config: str | None = None
    heartbeat_seconds: float = 60.0
    min_interval_seconds: float = 1.0
    keep_on_exit: bool = False

    def __post_init__(self) -> None:
        if self.min_interval_seconds > self.heartbeat_seconds:
            raise SettingsError(
                f"--min-interval {self.min_interval_seconds:g}s is longer than --heartbeat {self.heartbeat_seconds:g}s:"
                " a delivery cannot be both due and forbidden; give a longer --heartbeat too"
            )


class Daemon:
    """A watching fexp. It is what the HTTP server serves."""

    def __init__(self, settings: WatchSettings, *, clock: Clock = clocks.now) -> None:
        self._settings = settings
        self._clock = clock
        self._started_at = self._reloaded_at = clock().wall
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._notifier = Notifier.from_environment(os.environ)
        self._publishers = [
            Publisher(
                output,
                FexpCollector(self.snapshot, TEXTFILE_SCOPES)
                if output.name == "textfile"
                else FexpCollector(self.snapshot),
                heartbeat_seconds=settings.heartbeat_seconds,
                min_interval_seconds=settings.min_interval_seconds,
            )
            for output in settings.outputs
        ]
        self._engine = Engine(settings.folders, settings.engine, changed=self._announce, clock=clock)
        self._http = HttpServer(settings.listens, self, web_config=settings.web_config) if settings.listens else None
        self._ready = False
        self._extended_at = float("-inf")
        self._reload_asked = False
        self._reloading: threading.Thread | None = None

    def run(self) -> None:
        """Watch until a signal says stop. Raises SettingsError for a bad address, FexpError when parts die."""
        if self._http is not None:
            self._http.open()  # a stop ends the process at once meanwhile: names and files may be slow to answer
        with self._signals():
            self._start()
            try:
                self._watch_over()
            finally:
                self._end()

    def _start(self) -> None:
        if self._http is not None:
            self._http.start()
            for address in self._http.addresses:
                _log.info("listening on %s", address)
        self._engine.start()

    def _watch_over(self) -> None:
        """Obey signals, start the deliveries when all is known, and keep systemd and the terminal told."""
        publishing = False  # what is not known yet is not delivered: a healthy folder is not told to be down
        progress = Progress(sys.stderr, self._clock().steady)
        tick_seconds = min(_TICK_SECONDS, self._notifier.watchdog_interval_seconds or _TICK_SECONDS)
        while True:
            commands = self._commands_within(tick_seconds if self._ready else _START_TICK_SECONDS)
            if _Command.STOP in commands:
                break
            if not self._engine.is_alive():
                raise FexpError("the engine has died; its last words are above. Better no numbers than old ones")
            self._reload_asked |= _Command.RELOAD in commands
            self._reload_if_asked()
            if not publishing and all(status.looked for status in self._engine.statuses()):
                publishing = True
                for publisher in self._publishers:
                    publisher.start()
            if not self._ready:
                progress.show(self._engine.statuses(), self._clock().steady)
            if not self._ready and not self._engine.unready():
                self._ready = True
                progress.end()
                self._notifier.ready(self._status())
                _log.info("ready: %s", self._status())
            if self._notifier.address is not None:
                self._tell_systemd()
        progress.end()

    def _reload_if_asked(self) -> None:
        """Reload in a thread of its own: files that hang must keep neither the watchdog nor a stop waiting."""
        if self._reload_asked and not (self._reloading and self._reloading.is_alive()):
            self._reload_asked = False
            self._reloading = threading.Thread(target=self._obey_reload, name="fexp-reload", daemon=True)
            self._reloading.start()

    def _obey_reload(self) -> None:
        try:
            self.reload()
        except FexpError as error:
            _log.error("not reloaded, the old config stays in force: %s", error)

    def _commands_within(self, patience_seconds: float) -> set[_Command]:
        """Wait for the next command, and take all that are there: of two reloads one will do."""
        commands = set()
        try:
            commands.add(self._commands.get(timeout=patience_seconds))
            while True:
                commands.add(self._commands.get_nowait())
        except queue.Empty:
            return commands

    def _tell_systemd(self) -> None:
        unready = self.unready()
        self._notifier.status(unready[0] if unready else self._status())
        if not self._engine.has_progressed():
            return  # it hangs in the file system, which may never answer: systemd shall judge that
        self._notifier.watchdog()
        looking = not all(status.looked for status in self._engine.statuses())
        now = self._clock().steady
        if looking and now >= self._extended_at + _TICK_SECONDS:
            self._extended_at = now
            self._notifier.extend_timeout(_EXTENSION_SECONDS)

    def _end(self) -> None:
        self._ready = False  # a reload under way tells systemd nothing more
        self._notifier.stopping()
        self._engine.flush(_FLUSH_SECONDS)
        self._stop_publishers()
        if self._http is not None:
            self._http.stop()
        self._engine.stop()  # last: a number that is still served is still true

    def _stop_publishers(self) -> None:
        """Stop all at once: what one hanging receiver takes, the others need not wait for."""
        stop = {"retract": not self._settings.keep_on_exit, "timeout_seconds": _LAST_DELIVERY_SECONDS}
        stoppers = [threading.Thread(target=publisher.stop, kwargs=stop) for publisher in self._publishers]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()

    def _announce(self) -> None:
        for publisher in self._publishers:
            publisher.announce()

    def _status(self) -> str:
        snapshot = self.snapshot()
        files = sum(group.files for folder in snapshot.folders if folder.up for group in folder.groups)
        up = sum(folder.up for folder in snapshot.folders)
        return f"{files} files in {up} of {len(snapshot.folders)} folders"

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def obey(command: _Command) -> Callable[[int, FrameType | None], None]:
            return lambda _number, _frame: self._commands.put(command)  # a SimpleQueue may be put to at any moment

        handlers = {
            signal.SIGTERM: obey(_Command.STOP),
            signal.SIGINT: obey(_Command.STOP),
            signal.SIGHUP: obey(_Command.RELOAD),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # What the HTTP server serves -----------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Give the numbers of the folders and of the outputs as they are now."""
        deliveries = tuple(publisher.snapshot() for publisher in self._publishers)
        reload = self._http.latest_reload() if self._http is not None else None
        reload = reload or ReloadSnapshot(successful=True, succeeded_at=self._reloaded_at)  # there is no file
        return self._engine.snapshot()._replace(deliveries=deliveries, reload=reload)

    def statuses(self) -> Sequence[FolderStatus]:
        """Give how far the watching of each folder is."""
        return self._engine.statuses()

    def unready(self) -> Sequence[str]:
        """Give the reasons why the numbers cannot be relied on."""
        dead = [f"the {publisher.name} publisher is dead" for publisher in self._publishers if publisher.has_died()]
        return self._engine.unready() + dead

    def reload(self) -> None:
        """Read the web config again, and look at everything again. Raises SettingsError and keeps the old config.

        During the first look systemd hears nothing of it: it would take it for ready.
        """
        if self._ready:
            self._notifier.reloading()
        try:
            if self._http is not None:
                self._http.reload()
            self._reloaded_at = self._clock().wall
            self._engine.look_again(Reason.RELOAD)
        finally:
            if self._ready:
                self._notifier.ready(self._status())

    def subscribe(self, capacity: int, notify: Callable[[], None]) -> Subscription:
        """Follow what happens to files."""
        return self._engine.subscribe(capacity=capacity, notify=notify)

    def metadata(self) -> Mapping[str, object]:
        """Tell tools when this fexp started and what it was told to do. Holds no secret."""
        return {
            "started_at": self._started_at,
            "outputs": [{"output": output.name, "target": output.target} for output in self._settings.outputs],
            "config": {
                "rescan_seconds": self._settings.engine.rescan_seconds,
                "poll_interval_seconds": self._settings.engine.poll_interval_seconds,
                "heartbeat_seconds": self._settings.heartbeat_seconds,
                "min_interval_seconds": self._settings.min_interval_seconds,
            },
        }
