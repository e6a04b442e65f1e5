"""Reports a run of a job: that it runs, and how it went. No output can delay or stop the job."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from fexp import clock as clocks
from fexp.config.settings import DeliverySettings
from fexp.errors import FexpError, OutputError
from fexp.metrics import TEXTFILE_SCOPES, FexpCollector
from fexp.metrics.parsing import parse_text
from fexp.model import JobSnapshot, Snapshot
from fexp.outputs.kinds import build_output
from fexp.outputs.publisher import Publisher
from fexp.service.job.folders import Folders
from fexp.service.job.memory import Memory, Remembered
from fexp.service.job.samples import OwnSamples
from fexp.service.locks import alone
from fexp.service.oneshot import find_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.config.job import JobSettings
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder
    from fexp.metrics import Scope
    from fexp.outputs import Output
    from fexp.service.job.memory import Samples
    from fexp.service.job.process import Ended

_LOCAL_SECONDS = 5.0
"""So long the job waits for a file to say that it runs. It waits for no other machine."""
_LAST_DELIVERY_SECONDS = 15.0
_LAST_SUCCESS = "fexp_job_last_success_timestamp_seconds"
_OF_THIS_RUN = ("fexp_job_running", "fexp_job_start_timestamp_seconds")


class _State(NamedTuple):
    """What is told now."""

    job: JobSnapshot
    own: tuple[Metric, ...]


class _Source:
    """The families of the job: fexp's, then its own."""

    def __init__(self, take: Callable[[], _State], scopes: Collection[Scope]) -> None:
        self._take = take
        self._scopes = scopes

    def collect(self) -> Iterator[Metric]:
        """Yield them as they are now."""
        state = self._take()
        yield from FexpCollector(lambda: Snapshot((), job=state.job), self._scopes).collect()
        yield from state.own


class Report:
    """Tells the outputs of one run, from ``begin`` to ``end``. ``say`` is given a line for each thing that fails."""

    def __init__(self, job: JobSettings, settings: Settings, say: Callable[[str], object]) -> None:
        """Build the outputs. Raise SettingsError."""
        self._name = job.job_name
        self._settings = settings
        self._say = say
        self.outputs = tuple(map(build_output, settings.outputs))
        self._memory = Memory(self._name, settings.outputs)
        self.folders = self._find_folders()
        self._folders = Folders(self.folders, self._find_folders if settings.templates else tuple)
        self._own_samples = OwnSamples(job.metrics_file) if job.metrics_file else None
        self._locks = ExitStack()
        self._publishers: list[Publisher] = []
        self._all_delivered = True
        self._began = clocks.now()
        self._last = Remembered({}, ())
        self._state = _State(JobSnapshot(self._name, {}), ())

    def _find_folders(self) -> Sequence[Folder]:
        folders, unlisted = find_folders(self._settings, clocks.now().wall)
        for line in unlisted:
            self._say(line)
        return folders

    def begin(self) -> None:
        """Look into the folders, tell that the job runs, and go on: only files are waited for."""
        self._folders.begin()
        if self._own_samples is not None and (problem := self._own_samples.begin()):
            self._say(problem)
        self._last = self._memory.recall()
        self._began = clocks.now()
        now: Samples = {name: [({}, value)] for name, value in zip(_OF_THIS_RUN, (1.0, self._began.wall), strict=True)}
        self._state = _State(JobSnapshot(self._name, {**self._last.samples, **now}), self._last.own)
        local = []
        for output in self.outputs:
            publisher = self._started(output)
            if publisher is not None and output.files:
                local.append(publisher)
        patience_until = time.monotonic() + _LOCAL_SECONDS
        for publisher in local:
            publisher.wait_for_attempt(patience_until - time.monotonic())

    def end(self, ended: Ended) -> bool:
        """Report how it went. Return whether all was delivered, after the outputs' patience at the latest."""
        self._state = self._final_state(ended)
        for publisher in self._publishers:
            publisher.stop(retract=False)
        try:
            self._memory.keep(_Source(lambda: self._state, TEXTFILE_SCOPES))
        except OutputError as error:
            self._say(f"the latest success cannot be kept for the next run: {error}")
        patience_until = time.monotonic() + self._patience_seconds()
        for publisher in self._publishers:
            is_done = publisher.join(patience_until - time.monotonic())
            self._all_delivered &= is_done and not publisher.snapshot().is_failing
        self._locks.close()
        return self._all_delivered

    def _started(self, output: Output) -> Publisher | None:
        try:
            self._locks.enter_context(alone(output.place, shown=output.target))
            publisher = Publisher(output, _Source(lambda: self._state, output.scopes), DeliverySettings())
            publisher.start()
        except (FexpError, OSError) as error:
            self._say(f"{output.name}: {error}")
            self._all_delivered = False
            return None
        self._publishers.append(publisher)
        return publisher

    def _patience_seconds(self) -> float:
        """Return how long one delivery to each output may take."""
        given = [getattr(output, "deadline_seconds", 0.0) for output in self._settings.outputs]
        return max(given, default=0.0) or _LAST_DELIVERY_SECONDS

    def _final_state(self, ended: Ended) -> _State:
        now = clocks.now()
        numbers = {
            "fexp_job_running": 0.0,
            "fexp_job_start_timestamp_seconds": self._began.wall,
            "fexp_job_end_timestamp_seconds": now.wall,
            "fexp_job_duration_seconds": now.steady - self._began.steady,
            "fexp_job_exit_code": ended.exit_code,
            "fexp_job_timed_out": ended.timed_out,
            "fexp_job_cpu_seconds": ended.cpu_seconds,
            "fexp_job_max_rss_bytes": ended.max_rss_bytes,
        }
        if ended.succeeded:
            numbers[_LAST_SUCCESS] = now.wall
        families, rejected = self._read_own_samples()
        if rejected is not None:
            numbers["fexp_job_rejected_samples"] = rejected
        last = {name: self._last.samples[name] for name in (_LAST_SUCCESS,) if name in self._last.samples}
        found = self._folders.samples()
        for problem in self._folders.problems:
            self._say(problem)
        samples: Samples = {**last, **found, **{name: [({}, float(value))] for name, value in numbers.items()}}
        return _State(JobSnapshot(self._name, samples), families)

    def _read_own_samples(self) -> tuple[tuple[Metric, ...], int | None]:
        """Return the job's own families, and how many lines are left out."""
        if self._own_samples is None:
            return (), None
        text, problem = self._own_samples.finish()
        if problem is not None:
            self._say(problem)
            return (), 1
        if text is None:
            return (), 0
        reserved = {label for output in self._settings.outputs for label in output.added_labels}
        parsed = parse_text(text, {"job_name": self._name}, reserved, own_prefix="fexp_")
        if parsed.rejected:
            self._say(f"{parsed.rejected} of the job's own samples are left out: {parsed.reason}")
        return parsed.families, parsed.rejected
