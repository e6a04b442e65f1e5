"""Runs a command as a job, with its retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.config.job import Overlap
from fexp.service.job.process import Ended, Runner
from fexp.service.job.report import Report
from fexp.service.locks import one_at_a_time
from fexp.service.outputs import refuse_counting_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.config.job import JobSettings
    from fexp.config.settings import Settings


def place_of(job_name: str) -> str:
    """Return what only one run of a job may hold."""
    return f"job {job_name}"


def run(command: Sequence[str], job: JobSettings, settings: Settings, say: Callable[[str], object]) -> int:
    """Run a command, report it, and return the exit status. Raise SettingsError before anything is started.

    ``say`` is given a line for each thing that fails.
    """
    report = Report(job, settings, say)
    refuse_counting_itself(report.outputs, settings, report.folders)
    with one_at_a_time(place_of(job.job_name), waits=job.overlap is Overlap.WAIT) as is_alone:
        if not is_alone:
            say(f"job {job.job_name}: another run of it is at work; this one is skipped")
            return 0
        with Runner(job.timeout_seconds, job.kill_after_seconds) as runner:
            report.begin()
            ended = _tries(command, job, runner)
            if ended.problem is not None:
                say(ended.problem)
            is_delivered = report.end(ended)
    return 1 if ended.exit_code == 0 and job.strict and not is_delivered else ended.exit_code


def _tries(command: Sequence[str], job: JobSettings, runner: Runner) -> Ended:
    """Run the command until it succeeds, but only so often. CPU time adds up, the largest memory stays."""
    cpu_seconds, max_rss_bytes = 0.0, 0
    for left in range(job.retries, -1, -1):
        if runner.stopped_by is not None:
            return Ended(128 + runner.stopped_by, False, cpu_seconds, max_rss_bytes)
        ended = runner.run(command)
        cpu_seconds += ended.cpu_seconds
        max_rss_bytes = max(max_rss_bytes, ended.max_rss_bytes)
        is_over = ended.succeeded or ended.problem is not None or not left
        if is_over or not runner.pause(job.retry_delay_seconds):
            break
    return ended._replace(cpu_seconds=cpu_seconds, max_rss_bytes=max_rss_bytes)
