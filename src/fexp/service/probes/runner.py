"""One probe at work: its thread, its runs, and what became of them."""

from __future__ import annotations

import logging
import re
import threading
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from fexp.clock import local_time
from fexp.limits import starting_threads
from fexp.metrics.yielded import FloodError, Series, Yielded, checked_families
from fexp.model import ProbeSnapshot
from fexp.probes.loading import place_of
from fexp.probes.triggers import Cron, Every, Scrape
from fexp.service.probes.calling import Caller
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from prometheus_client.metrics_core import Metric as Family

    from fexp.clock import Clock
    from fexp.config.probes import Selected
    from fexp.metrics.yielded import Labels, Owner
    from fexp.service.probes.budget import Budget

_log = logging.getLogger("fexp")

_MAX_REASONS = 20
"""How many different reasons of one probe are logged."""
_CLOCK_CHECK_SECONDS = 60.0
"""How often the clocks are compared: the one on the wall may be set."""


class _OverError(Exception):
    """Nobody waits for the run any more."""


class Shared(NamedTuple):
    """What the runners of all probes share."""

    clock: Clock
    budget: Budget
    claim: Callable[[str, Collection[str]], bool]
    """Returns whether names are that probe's own."""
    reserved: Collection[str]
    """Labels that outputs add."""
    changed: Callable[[], None]
    """To be called when what is shown changed by itself."""
    once: bool = False
    """It runs when it is asked, and only then."""


class _Run(NamedTuple):
    """A run under way."""

    owner: Owner
    labels: Labels
    what: str
    """Names the file, for the log."""
    began_at: float


class Runner:
    """Runs one probe in a thread of its own, from ``start`` to ``stop``. A run that hangs is never doubled."""

    def __init__(self, selected: Selected, shared: Shared) -> None:
        self.selected = selected
        self.probe = probe = selected.probe
        self.problems: list[str] = []
        """What was logged: a one-shot says it at its end."""
        self._shared = shared
        self._caller = Caller(probe, selected.settings)
        self._thread = threading.Thread(target=self._work, name=f"fexp-probe-{probe.name}", daemon=True)
        self._state = threading.Condition()  # guards all that follows
        self._series = Series(probe.metrics, probe.name, probe.max_series)
        self._stopping = False
        self._asked = False
        self._begun = self._ended = 0
        """Runs."""
        self._run: _Run | None = None
        self._sets_up = False
        """The run under way only begins the lifespan."""
        self._deadline_at = inf
        self._began_at = -inf
        self._planned_at = -inf
        """When a cron expression says so, as Unix time; and when it was asked."""
        self._planned_from = -inf
        self._ended_at: float | None = None
        """When the latest run ended, on the steady clock."""
        self._failing: set[Owner] = set()
        self._logged: set[str] = set()
        self._snapshot = ProbeSnapshot(probe.name, None, None, None, runs=0, failures=0)

    # For other threads ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. Raise OSError when no thread can be had."""
        with starting_threads():
            self._thread.start()

    def ask(self) -> int:
        """Have it run unless it does, or its samples are young enough. Return the run to wait for, 0 for none."""
        on = self.probe.on
        with self._state:
            self._judge()
            if self._hangs:
                return 0
            if self._run is not None and not self._sets_up:
                return self._begun
            max_age_seconds = on.max_age_seconds if isinstance(on, Scrape) else 0.0
            if self._ended_at is not None and self._now() - self._ended_at < max_age_seconds:
                return 0
            self._asked = True
            self._state.notify_all()
            will_run = self._thread.ident is None or self._thread.is_alive()  # it may be asked before it is started
            return self._begun + 1 if will_run else 0

    def wait(self, run: int) -> None:
        """Wait until this run is done, but no longer than the time that it has."""
        with self._state:
            until = self._now() + self.probe.on.timeout_seconds
            while self._ended < run and not self._hangs and not self._stopping and self._now() < until:
                self._state.wait(until - self._now() + 0.001)
                until = self._deadline_at if self._begun == run else until
                self._judge()

    def snapshot(self) -> ProbeSnapshot:
        """Return how it fares."""
        with self._state:
            self._judge()
            return self._snapshot

    def families(self, hidden: Collection[str]) -> Iterable[Family]:
        """Return what is to be shown; see ``Series.families``."""
        with self._state:
            self._series.hide(hidden)
            return tuple(self._series.families(self._now()))

    def has_died(self) -> bool:
        """Return whether the thread has ended though nobody stopped it."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stopping

    def stop(self) -> None:
        """Have it end. Its lifespan is torn down unless it hangs."""
        with self._state:
            self._stopping = True
            self._state.notify_all()

    def join(self, timeout_seconds: float) -> None:
        """Wait for that."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, timeout_seconds))

    @property
    def _hangs(self) -> bool:
        """Whether the run under way was taken for failed."""
        return self._run is not None and self._deadline_at == inf

    # The thread ----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        self._follow()
        try:
            self._caller.close()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, fexp stops without it
            self._log_once(f"at its end: {_reason(error)}")

    def _follow(self) -> None:
        """Run when it is time, until it stops."""
        if self.probe.set_up is not None and not self._shared.once:
            self._set_up()
        self._plan()
        while self._wait():
            self._run_once((), None, (), "")
            self._plan()

    def _due_at(self) -> float:
        """Return when it is to run next, on the steady clock."""
        on = self.probe.on
        if self._shared.once:
            return inf
        if isinstance(on, Every):
            return -inf if self._ended_at is None else self._began_at + on.interval_seconds
        if isinstance(on, Cron):
            now = self._shared.clock()
            if now.wall < self._planned_from:
                self._plan()  # the clock was set back
            return now.steady + self._planned_at - now.wall
        return inf

    def _plan(self) -> None:
        """Find out when a cron expression says so next."""
        on, now = self.probe.on, self._shared.clock().wall
        if isinstance(on, Cron):
            is_early = 0 <= self._planned_at - now < 1  # woken a moment before it was time
            self._planned_from = now
            self._planned_at = next(on.times(local_time(self._planned_at if is_early else now)), inf)

    def _wait(self) -> bool:
        """Wait until it is time, or somebody asks. Return False when it is time to stop."""
        with self._state:
            while not self._stopping and not self._asked and (wait_seconds := self._due_at() - self._now()) > 0:
                self._state.wait(min(wait_seconds, _CLOCK_CHECK_SECONDS))
            return not self._stopping

    def _set_up(self) -> None:
        """Begin the lifespan before anybody asks. If that fails it is tried again with the first run."""
        with self._state:
            self._begin_run(None, (), "")
            self._sets_up = True
        error: BaseException | None = None
        try:
            self._caller.set_up()
        except (Exception, SystemExit) as caught:  # noqa: BLE001 - as in a run
            error = caught
        with self._state:
            run = self._run
            assert run is not None
            self._judge()
            if error is not None and not self._hangs:
                self._end_run(run, Yielded((), 0), error)
            self._run, self._sets_up = None, False
            self._state.notify_all()

    def _begin_run(self, owner: Owner, labels: Labels, what: str) -> None:
        self._began_at = self._now()
        self._run = _Run(owner, labels, what, self._began_at)
        self._deadline_at = self._began_at + self.probe.on.timeout_seconds

    def _run_once(self, arguments: tuple[Any, ...], owner: Owner, labels: Labels, what: str) -> None:
        """Call the function once, and take in what it yields."""
        yielded = Yielded(self.probe.metrics, self.probe.max_series)
        timeout_seconds = self.probe.on.timeout_seconds
        with self._state:
            self._asked = False
            self._begun += 1
            self._begin_run(owner, labels, what)

        def take(found: object) -> None:
            if self._now() > self._deadline_at or self._stopping:
                raise _OverError
            yielded.take(found)

        error: BaseException | None = None
        try:
            self._caller.call(arguments, take, timeout_seconds)
        except FloodError:
            pass  # what there is room for is shown
        except (Exception, SystemExit) as caught:  # noqa: BLE001 - it costs the probe its samples
            error = caught
        self._take_in(yielded, None if error is not None and self._is_moot() else error)

    def _is_moot(self) -> bool:
        """Return whether what the latest run was about is gone: that it failed says nothing."""
        return False

    def spend(self, read_bytes: int) -> None:
        """Wait until what the probe has read is allowed: that is not its own time."""
        wait_seconds = self._shared.budget.spend(read_bytes)
        if wait_seconds:
            with self._state:
                self._deadline_at += wait_seconds
            self._shared.budget.wait(wait_seconds)

    def _take_in(self, yielded: Yielded, error: BaseException | None) -> None:
        with self._state:
            run, shown = self._run, self._shown()
            assert run is not None
            self._judge()
            if not self._hangs and not isinstance(error, _OverError):
                self._end_run(run, yielded, error)
            self._run, self._ended, self._ended_at = None, self._begun, self._now()
            is_news = shown is None or shown != self._shown()
            self._state.notify_all()
        if is_news and not isinstance(self.probe.on, Scrape):
            self._shared.changed()

    def _shown(self) -> object:
        """Return what a run by the clock may leave as it was. None for others: they run because something changed."""
        if not isinstance(self.probe.on, Every | Cron):
            return None
        return self._snapshot.success, tuple(self._series.families(self._now()))

    def _judge(self) -> None:
        """Take a run that takes too long for failed, once. ``_deadline_at`` is then infinite."""
        if self._run is not None and self._now() > self._deadline_at:
            late = TimeoutError(f"it takes longer than {self.probe.on.timeout_seconds:g} s")
            self._end_run(self._run, Yielded((), 0), late)
            self._deadline_at = inf

    def _end_run(self, run: _Run, yielded: Yielded, error: BaseException | None) -> None:
        now, probe = self._shared.clock(), self.probe
        if error is None:
            yielded.families = checked_families(
                yielded, probe.name, probe.max_series, lambda names: self._shared.claim(probe.name, names),
                self._shared.reserved,
            )  # fmt: skip
        else:
            yielded = Yielded((), 0)
        self._series.fold(run.owner, run.labels, yielded, now.steady)
        self._note_success(run, error)
        before = self._snapshot
        self._snapshot = before._replace(
            success=not self._failing,
            duration_seconds=now.steady - run.began_at,
            last_run_at=now.wall,
            runs=(before.runs or 0) + 1,
            failures=(before.failures or 0) + (error is not None),
            rejected_samples=before.rejected_samples + yielded.rejected,
        )
        if yielded.rejected:
            self._log_once(f"left out of its samples: {yielded.reason}")

    def _note_success(self, run: _Run, error: BaseException | None) -> None:
        if error is not None:
            self._failing.add(run.owner)
            self._log_once(f"{run.what}: {_reason(error)}" if run.what else _reason(error))
        elif run.owner in self._failing:
            self._failing.discard(run.owner)
            if not self._failing:
                self._logged.clear()
                _log.info("probe %s: works again", self.probe.name)

    def _excuse(self, owner: Owner) -> None:
        """Hold a failure against it no more."""
        if owner in self._failing:
            self._failing.discard(owner)
            self._snapshot = self._snapshot._replace(success=not self._failing)

    def _log_once(self, reason: str) -> None:
        kind = re.sub(r"\d+", "", reason)
        if kind not in self._logged and len(self._logged) < _MAX_REASONS:
            self._logged.add(kind)
            self.problems.append(f"probe {self.probe.name}: {one_line(reason, 400)}")
            if not self._shared.once:
                _log.warning("%s", self.problems[-1])

    def _now(self) -> float:
        return self._shared.clock().steady


def _reason(error: BaseException) -> str:
    """Return what happened and where, without the values of anything."""
    if isinstance(error, TimeoutError):
        return str(error) or "it took too long"
    place = place_of(error)
    return f"{type(error).__name__}: {error}{f' ({place})' if place else ''}"
