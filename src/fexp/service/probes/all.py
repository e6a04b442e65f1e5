"""All probes of one fexp, for the daemon and the one-shots."""

from __future__ import annotations

import logging
import threading
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.disk.scan import list_directory
from fexp.metrics.yielded import merged
from fexp.model import Change, Happening
from fexp.probes.triggers import Scrape
from fexp.service.probes.budget import Budget
from fexp.service.probes.files import FilesRunner
from fexp.service.probes.runner import Runner, Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from prometheus_client.metrics_core import Metric as Family

    from fexp.clock import Clock
    from fexp.config.probes import Selected
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder
    from fexp.engine.feed import Subscription
    from fexp.model import Snapshot

_log = logging.getLogger("fexp")

_STOP_SECONDS = 2.0
"""How long a stop waits for what probes tear down."""


class Probes:
    """Runs the probes of the settings, and adds to snapshots what they yield."""

    def __init__(
        self,
        settings: Settings,
        folders: Sequence[Folder],
        *,
        changed: Callable[[], None] = lambda: None,
        clock: Clock = clocks.now,
        once: bool = False,
    ) -> None:
        """``once``: they run when ``run_once`` says so."""
        self._folders = folders
        self._once = once
        self._clock = clock
        self._lock = threading.Lock()
        self._names = _declared(settings)
        """By the name of a family or a sample: whose it is; none's if it is declared."""
        self._parts: Sequence[Family] = ()
        self._families: tuple[Family, ...] = ()
        self._budget = Budget(settings.probing.read_bytes_per_second, clock)
        self._changed = changed
        self._subscribe: Callable[[], Subscription] | None = None
        self._runners = [self._runner(one, settings) for one in settings.probes]

    def _runner(self, selected: Selected, settings: Settings) -> Runner:
        reserved = frozenset(label for output in settings.outputs for label in output.added_labels)
        shared = Shared(self._clock, self._budget, self._claim, reserved, self._changed, self._once)
        if selected.probe.wants_folders:
            return FilesRunner(selected, shared, self._folders)
        return Runner(selected, shared)

    def start(self, subscribe: Callable[[], Subscription] | None = None) -> None:
        """Begin; those that run for files take them from a feed. Raise OSError when a thread cannot be had."""
        self._subscribe = subscribe
        for runner in self._runners:
            self._start(runner)

    def _start(self, runner: Runner) -> None:
        if isinstance(runner, FilesRunner) and self._subscribe is not None:
            runner.follow(self._subscribe)
        runner.start()

    def replaced(self, settings: Settings) -> Probes:
        """Run the probes of these settings instead. Those that are the same, with the same settings, go on."""
        self._budget.bytes_per_second = settings.probing.read_bytes_per_second
        before = list(self._runners)
        going_on = [runner for runner in before if runner.selected in settings.probes]
        ended = [runner for runner in before if runner not in going_on]
        self._end(ended)
        with self._lock:
            kept = {runner.probe.name for runner in going_on}
            claimed = {name: probe for name, probe in self._names.items() if probe in kept}
            self._names = {**claimed, **_declared(settings)}
        runners = []
        for selected in settings.probes:
            same = next((runner for runner in going_on if runner.selected == selected), None)
            runners.append(same or self._begun(selected, settings))
        self._runners = runners
        if ended or len(runners) > len(going_on):
            self._changed()
        return self

    def _begun(self, selected: Selected, settings: Settings) -> Runner:
        runner = self._runner(selected, settings)
        try:
            self._start(runner)
        except OSError as error:  # the others go on
            _log.error("probe %s does not run: %s", selected.probe.name, error)
        return runner

    def _end(self, runners: Sequence[Runner]) -> None:
        """End runners. One that hangs is left behind."""
        for runner in runners:
            runner.stop()
        until = self._clock().steady + _STOP_SECONDS
        for runner in runners:
            runner.join(until - self._clock().steady)

    def refresh(self) -> None:
        """Have those run that run when they are asked, and wait for them."""
        self._wait_for([(one, one.ask()) for one in self._runners if isinstance(one.probe.on, Scrape)])

    def run_once(self) -> list[str]:
        """Have all of them run once. Return a line for each thing that failed."""
        for runner in self._runners:
            if isinstance(runner, FilesRunner):
                for folder in self._folders:
                    runner.learn(_present(folder))
        self.start()
        self._wait_for([(one, one.ask()) for one in self._runners])
        return [problem for runner in self._runners for problem in runner.problems]

    def shown_in(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the probes, and what they yielded."""
        hidden = frozenset(folder.folder for folder in snapshot.folders if not folder.up)
        fares = tuple(runner.snapshot() for runner in self._runners)
        if self._once:
            fares = tuple(one._replace(runs=None, failures=None) for one in fares)
        flat = tuple(chain.from_iterable(runner.families(hidden) for runner in self._runners))
        with self._lock:
            if len(flat) != len(self._parts) or not all(map(is_, flat, self._parts)):
                self._parts, self._families = flat, merged(flat)
            return snapshot._replace(probes=fares, families=self._families)

    def unready(self) -> list[str]:
        """Return a line for each whose thread has ended though nobody stopped it: a bug."""
        return [f"the thread of probe {one.probe.name} is dead" for one in self._runners if one.has_died()]

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Run for files of these folders from now on. Called before a feed tells of them."""
        self._folders = folders
        for runner in self._runners:
            if isinstance(runner, FilesRunner):
                runner.set_folders(folders)

    def stop(self) -> None:
        """End them. One that hangs is left behind."""
        self._budget.end()
        self._end(self._runners)

    def _wait_for(self, asked: Collection[tuple[Runner, int]]) -> None:
        for runner, run in asked:
            runner.wait(run)

    def _claim(self, probe: str, names: Collection[str]) -> bool:
        with self._lock:
            if any(self._names.get(name, probe) != probe for name in names):
                return False
            self._names.update(dict.fromkeys(names, probe))
            return True


def _declared(settings: Settings) -> dict[str, str]:
    return {name: "" for one in settings.probes for metric in one.probe.metrics for name in metric.names}


def run_once(settings: Settings, folders: Sequence[Folder], snapshot: Snapshot) -> tuple[Snapshot, list[str]]:
    """Run all probes once. Return the snapshot with them, and a line for each thing that failed."""
    probes = Probes(settings, folders, once=True)
    problems = probes.run_once()
    whole = probes.shown_in(snapshot)
    probes.stop()
    return whole, problems


def _present(folder: Folder) -> Iterator[Change]:
    """Yield the files of a folder that count. What cannot be read, the look at the folder tells of."""
    prefix = folder.path.rstrip(b"/") + b"/"
    at = clocks.now().wall
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        try:
            listing = list_directory(prefix + below, below, folder.selection)
        except OSError:
            continue
        columns = listing.files
        for name, size_bytes, modified_at, inode in zip(
            columns.names, columns.sizes, columns.modified_at, columns.inodes, strict=True
        ):
            yield Change(Happening.PRESENT, folder.label, (), below + name, size_bytes, modified_at, inode, at)
        waiting += [below + name + b"/" for name in listing.subdirectories]
