"""All probes of one fexp, for the daemon and the one-shots."""

from __future__ import annotations

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
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder
    from fexp.engine.feed import Subscription
    from fexp.model import Snapshot

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
        self._names = {name: "" for one in settings.probes for metric in one.probe.metrics for name in metric.names}
        """By the name of a family or a sample: whose it is; none's if it is declared."""
        self._parts: Sequence[Family] = ()
        self._families: tuple[Family, ...] = ()
        self._budget = Budget(settings.probing.read_bytes_per_second, clock)
        reserved = frozenset(label for output in settings.outputs for label in output.added_labels)
        shared = Shared(clock, self._budget, self._claim, reserved, changed, once)
        self._runners = [
            FilesRunner(one, shared, folders) if one.probe.wants_folders else Runner(one, shared)
            for one in settings.probes
        ]

    def start(self, subscribe: Callable[[], Subscription] | None = None) -> None:
        """Begin; those that run for files take them from a feed. Raise OSError when a thread cannot be had."""
        for runner in self._runners:
            if isinstance(runner, FilesRunner) and subscribe is not None:
                runner.follow(subscribe)
            runner.start()

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
        for runner in self._runners:
            if isinstance(runner, FilesRunner):
                runner.set_folders(folders)

    def stop(self) -> None:
        """End them. One that hangs is left behind."""
        self._budget.end()
        for runner in self._runners:
            runner.stop()
        until = self._clock().steady + _STOP_SECONDS
        for runner in self._runners:
            runner.join(until - self._clock().steady)

    def _wait_for(self, asked: Collection[tuple[Runner, int]]) -> None:
        for runner, run in asked:
            runner.wait(run)

    def _claim(self, probe: str, names: Collection[str]) -> bool:
        with self._lock:
            if any(self._names.get(name, probe) != probe for name in names):
                return False
            self._names.update(dict.fromkeys(names, probe))
            return True


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
