"""``fexp watch``: joins the engine with the outputs and runs until a signal stops it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.config.options import changed_keys
from fexp.engine import Engine
from fexp.errors import FexpError, SettingsError
from fexp.limits import holding_descriptors, starting_threads
from fexp.model import Reason, ReloadSnapshot
from fexp.outputs.http import HttpServer
from fexp.outputs.kinds import build_output
from fexp.outputs.rendering import KeptCollector, Renderers
from fexp.service.deliveries import Deliveries
from fexp.service.following import FollowedFolders
from fexp.service.outputs import build_outputs, check_outputs, counting, listens_of, refuse_counting_itself
from fexp.service.probes import probes_of
from fexp.service.progress import Progress, first_looks
from fexp.service.signals import Command, Signals
from fexp.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fexp.clock import Clock
    from fexp.config.output import OutputSettings
    from fexp.config.settings import HttpSettings, Settings
    from fexp.counting.selection import Folder
    from fexp.engine.feed import Subscription
    from fexp.model import FolderStatus, Snapshot
    from fexp.outputs import Output
    from fexp.service.config_watch import ConfigWatch

_log = logging.getLogger("fexp")

_DESCRIPTORS = 40
"""So many are enough for the engine, all outputs and a handful of clients."""
_LAST_DESCRIPTORS = 8
"""So many are kept for the stop: for the last deliveries, when all others are taken."""
_TICK_SECONDS = 1.0
"""How often systemd is notified, once fexp is ready."""
_START_TICK_SECONDS = 0.05
_CATCH_UP_SECONDS = 0.005
"""A request waits so long for what happened before it; in a storm it gets what is known by then."""
_FLUSH_SECONDS = 1.0
"""How long a stop waits for what happened just before it."""
_LAST_DELIVERY_SECONDS = 12.0
"""How long a stop waits for the last delivery; the units allow 30 s for all of it."""
_EXTENSION_SECONDS = 30.0
"""What systemd is asked for while the first look goes on, from one directory to the next."""


def watch(settings: Settings, read_again: Callable[[], Settings] | None = None) -> None:
    """Watch until a signal says stop. ``read_again`` reads the config files for a reload.

    Raise SettingsError for what cannot begin, OSError when the system grants too little, FexpError when parts die.
    """
    with holding_descriptors(_DESCRIPTORS + 2 * len(settings.http.listen)):
        pass  # they are there
    outputs = build_outputs(settings)
    daemon = Daemon(settings, outputs, read_again=read_again)
    check_outputs(outputs, settings)
    daemon.hold_places()
    daemon.run()


class Daemon:
    """A watching fexp. It is what the HTTP server serves."""

    def __init__(
        self,
        settings: Settings,
        outputs: Sequence[Output],
        *,
        clock: Clock = clocks.now,
        signals: Signals | None = None,
        read_again: Callable[[], Settings] | None = None,
    ) -> None:
        """``outputs`` are those of the settings. Raise SettingsError for one whose file would count."""
        self._settings = settings
        self._read_again = read_again
        self._clock = clock
        self._started_at = clock().wall
        self._reload = ReloadSnapshot(successful=True, succeeded_at=self._started_at)
        self._reload_lock = threading.Lock()
        self._signals = signals or Signals()
        self._notifier = Notifier.from_environment(os.environ)
        self._renderers = Renderers()
        self._left_out: set[str] = set()
        """Families of which a sample could not be delivered: logged once each."""
        self._deliveries = Deliveries(settings, outputs, self._collector)
        self._folders = FollowedFolders(settings, self._set_folders, clock)
        refuse_counting_itself(outputs, settings, self._folders.folders)
        self._is_counting: dict[bytes, bool] = {}
        """By path of a folder, whether it is left out because an output's file would count there."""
        self._engine = Engine(self._folders.folders, settings.engine, changed=self._announce, clock=clock)
        self.list_files = self._engine.list_files
        self._config_watch = self._follow_config(settings) if settings.engine.watch_config else None
        self._probes = probes_of(settings, self._folders.folders, self._announce, clock)
        self._http = self._server(settings.http) if settings.http.listen else None
        self._ready = self._reload_asked = False
        self._extended_at = float("-inf")
        self._changes = 0
        self._status_line = (-1, "")
        """Which change it shows, and the line."""
        self._reloading: threading.Thread | None = None

    def _follow_config(self, settings: Settings) -> ConfigWatch:
        from fexp.service.config_watch import ConfigWatch

        return ConfigWatch(settings.config.files, self._obey_reload)

    def hold_places(self) -> None:
        """Keep the places of the outputs for this process. Raise FexpError if another one is at work there."""
        self._deliveries.hold(self._deliveries.outputs)

    def run(self) -> None:
        """Watch until a signal says stop. Raise SettingsError for a bad address, FexpError when parts die."""
        if self._http is not None:
            self._http.open()  # a stop ends the process at once meanwhile: names and files may be slow to answer
        with self._signals:
            try:
                with holding_descriptors(_LAST_DESCRIPTORS):
                    self._start()
                    self._watch_over()
                _log.info("stopping")
            finally:
                self._end()
            _log.info("stopped")

    def _collector(self, output: Output) -> KeptCollector:
        return KeptCollector(self.scrape, output.scopes, self._log_left_out, renderers=self._renderers)

    def _log_left_out(self, name: str, error: Exception, samples: int) -> None:  # noqa: ARG002  # once, however many
        if name not in self._left_out:
            self._left_out.add(name)
            _log.error("left out of what is delivered: a value of %s does not render (%s)", name, type(error).__name__)

    def _server(self, settings: HttpSettings) -> HttpServer:
        return HttpServer(listens_of(settings), self, web_config=settings.web_config, renderers=self._renderers)

    def _start(self) -> None:
        """Take all that the run and the stop need of the system: later it may have none."""
        if self._http is not None:
            self._http.start()
        self._engine.start()
        self._probes.start(partial(self._engine.subscribe, present=True))
        self._folders.start()
        self._deliveries.prepare()
        if self._config_watch is not None:
            self._config_watch.start()
        for address in self._http.addresses if self._http is not None else ():
            _log.info("listening on %s", address)

    def _watch_over(self) -> None:
        """Obey signals, start the deliveries when all is known, and report to systemd and the terminal."""
        publishing = False  # no delivery may call a healthy folder down that was not looked at yet
        progress = Progress(sys.stderr, self._clock().steady)
        tick_seconds = min(_TICK_SECONDS, self._notifier.watchdog_interval_seconds or _TICK_SECONDS)
        while True:
            commands = self._signals.within(tick_seconds if self._ready else _START_TICK_SECONDS)
            if Command.STOP in commands:
                break
            if not self._engine.is_alive():
                raise FexpError("the engine has died; its last words are above. Better no numbers than old ones")
            self._reload_asked |= Command.RELOAD in commands
            self._reload_if_asked()
            if not publishing and not self._engine.looking():
                publishing = True
                self._deliveries.start()
            now = self._clock().steady
            if not self._ready and progress.is_due(now):
                progress.show(first_looks(self._engine.statuses()), now)
            if not self._ready and not self._engine.unready():
                self._ready = True
                progress.end()
                self._notifier.ready(self._status())
                _log.info("ready: %s", self._status())
            if self._notifier.has_manager:
                self._notify_systemd()
        progress.end()

    def _reload_if_asked(self) -> None:
        """Reload in a thread of its own: files that hang must keep neither the watchdog nor a stop waiting."""
        if self._reload_asked and not (self._reloading and self._reloading.is_alive()):
            self._reload_asked = False
            self._reloading = threading.Thread(target=self._obey_reload, name="fexp-reload", daemon=True)
            with _logged_reload(), starting_threads():
                self._reloading.start()

    def _obey_reload(self) -> None:
        with _logged_reload():
            self.reload()

    def _notify_systemd(self) -> None:
        unready = self.unready()
        self._notifier.status(unready[0] if unready else self._status())
        if not self._engine.has_progressed():
            return  # it hangs in the file system, which may never answer: systemd shall judge that
        self._notifier.watchdog()
        now = self._clock().steady
        if self._engine.looking() and now >= self._extended_at + _TICK_SECONDS:
            self._extended_at = now
            self._notifier.extend_timeout(_EXTENSION_SECONDS)

    def _end(self) -> None:
        self._ready = False  # a reload under way notifies systemd no more
        self._notifier.stopping()
        if self._config_watch is not None:
            self._config_watch.stop()
        self._folders.stop()
        self._engine.flush(_FLUSH_SECONDS)
        self._deliveries.stop(lambda: self._clock().steady, _LAST_DELIVERY_SECONDS)
        if self._http is not None:
            self._http.stop()
        self._probes.stop()
        self._engine.stop()  # last: a number that is still served is still true
        self._notifier.close()

    def _announce(self) -> None:
        self._changes += 1
        self._deliveries.announce()

    def _set_folders(self, folders: Sequence[Folder]) -> None:
        """Watch these folders, but none that an output's file would count in: each writing would make the next."""
        before, self._is_counting = self._is_counting, {}
        for folder in folders:
            if folder.path not in before:
                files = counting(self._deliveries.outputs, folder)
                before[folder.path] = bool(files)
                if files:
                    _log.error("%s is left out: %s would count in it", folder.label, files[0])
            self._is_counting[folder.path] = before[folder.path]
        watched = [folder for folder in folders if not self._is_counting[folder.path]]
        self._probes.set_folders(watched)
        self._engine.set_folders(watched)

    def _status(self) -> str:
        """Return the numbers in one line; counted again when they have changed."""
        changes, line = self._status_line
        if changes != self._changes:
            changes = self._changes
            folders = self._engine.snapshot().folders
            files = sum(group.files for folder in folders if folder.up for group in folder.groups)
            line = f"{files} files in {sum(folder.up for folder in folders)} of {len(folders)} folders"
            self._status_line = (changes, line)
        return line

    # What the HTTP server serves -----------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Give what has happened until now a moment to be folded."""
        self._engine.catch_up(_CATCH_UP_SECONDS)

    def scrape(self) -> Snapshot:
        """Return the same as ``snapshot``, after the probes have run that run when somebody asks."""
        self._probes.refresh()
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """Return the numbers of the folders, the outputs and the probes as they are now."""
        snapshot = self._engine.snapshot()
        inotify = snapshot.inotify
        if inotify is not None:
            inotify = inotify._replace(watches=inotify.watches + self._folders.inotify_watches)
        deliveries, reload = self._deliveries.snapshots(), self._latest_reload()
        snapshot = snapshot._replace(deliveries=deliveries, reload=reload, inotify=inotify)
        return self._probes.shown_in(snapshot)

    def _latest_reload(self) -> ReloadSnapshot:
        """Return how the latest reading of all config files went."""
        web = self._http.latest_reload() if self._http is not None else None
        if web is None:
            return self._reload
        if self._read_again is None:
            return web
        successful = self._reload.successful and web.successful
        return ReloadSnapshot(successful, max(self._reload.succeeded_at, web.succeeded_at))

    def statuses(self) -> Sequence[FolderStatus]:
        """Return how far the watching of each folder is."""
        return self._engine.statuses()

    def unready(self) -> Sequence[str]:
        """Return the reasons why the numbers cannot be relied on."""
        dead = [f"the {name} publisher is dead" for name in self._deliveries.dead()]
        if self._folders.has_died():
            dead.append("what follows the folders is dead")
        dead += self._probes.unready()
        return self._engine.unready() + dead

    def reload(self) -> None:
        """Read the config files again. Raise FexpError, and keep the old config, when one of them does not do.

        Without any but the web config, everything is looked at again; else only what the files say otherwise now.
        During the first look systemd hears nothing of it: it would take it for ready.
        """
        if self._ready:
            self._notifier.reloading()
        try:
            with self._reload_lock:
                taken_up = self._read_config()
                if self._http is not None:
                    self._reload_web_config()
                if taken_up is None:
                    self._engine.look_again(Reason.RELOAD)
                else:
                    self._take_up(*taken_up)
                self._reload = ReloadSnapshot(successful=True, succeeded_at=self._clock().wall)
        finally:
            if self._ready:
                self._notifier.ready(self._status())

    def _read_config(self) -> tuple[Settings, list[tuple[OutputSettings, Output]]] | None:
        """Return what the config files say, and the outputs that are new; None if there are no files.

        Raise SettingsError when they do not do.
        """
        if self._read_again is None:
            return None
        from fexp.service.oneshot import find_folders  # most have no config files

        try:
            settings = self._read_again()
            built = [(one, build_output(one)) for one in self._deliveries.new_among(settings.outputs)]
            outputs = [output for _, output in built]
            of_built = replace(settings, outputs=tuple(one for one, _ in built))
            refuse_counting_itself(outputs, of_built, find_folders(settings, self._clock().wall)[0])
            check_outputs(outputs, settings)
            self._deliveries.hold(outputs)
        except FexpError as error:
            self._reload = self._reload._replace(successful=False)
            raise SettingsError(str(error)) from error
        return settings, built

    def _reload_web_config(self) -> None:
        assert self._http is not None
        try:
            self._http.reload()
        except FexpError:
            self._deliveries.release_unused()
            raise

    def _take_up(self, settings: Settings, built: Sequence[tuple[OutputSettings, Output]]) -> None:
        """Go on with other settings."""
        old = self._settings
        restart = [*changed_keys(old.http, settings.http), *changed_keys(old.engine, settings.engine)]
        self._settings = replace(settings, http=self._settings.http, engine=self._settings.engine)
        _log.setLevel(settings.logging.log_level.upper())
        self._deliveries.replace(self._settings, built)
        self._is_counting = {}
        self._probes = self._probes.replaced(self._settings)
        self._folders.replace(self._settings)
        if restart:
            _log.warning("reloaded, but for what needs a restart of fexp: %s", ", ".join(restart))
        else:
            _log.info("reloaded")

    def subscribe(self, capacity: int, notify: Callable[[], None]) -> Subscription:
        """Follow what happens to files."""
        return self._engine.subscribe(capacity=capacity, leave=True, notify=notify)

    def metadata(self) -> Mapping[str, object]:
        """Return when this fexp started and its settings, for tools. Holds no secret."""
        program = self._settings.program
        return {
            "exporter": {"name": program.name, "version": program.version},
            "started_at": self._started_at,
            "outputs": [{"output": one.name, "target": one.target} for one in self._deliveries.outputs],
            "probes": [selected.probe.name for selected in self._settings.probes],
            "metrics": [one for selected in self._settings.probes for one in selected.probe.catalogue],
            "config": {
                "rescan_seconds": self._settings.engine.rescan_seconds,
                "poll_interval_seconds": self._settings.engine.poll_interval_seconds,
                "heartbeat_seconds": self._settings.delivery.heartbeat_seconds,
                "min_interval_seconds": self._settings.delivery.min_interval_seconds,
            },
        }


@contextmanager
def _logged_reload() -> Iterator[None]:
    """Run the block; what keeps it from reloading is logged."""
    try:
        yield
    except (FexpError, OSError) as error:
        _log.error("not reloaded, the old config stays in force: %s", error)
