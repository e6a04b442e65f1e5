"""``@fexp.job("name")``: a Python function reported as ``fexp run`` reports a command."""

from __future__ import annotations

import inspect
import logging
import os
import resource
from functools import wraps
from threading import Event
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from fexp.config.job import JobSettings, Overlap
from fexp.config.keywords import written_by_keywords
from fexp.config.selection import CountingSettings
from fexp.config.settings import read_job_settings
from fexp.errors import FexpError, SettingsError
from fexp.outputs.kinds import settings_types
from fexp.service.job.command import place_of
from fexp.service.job.process import RSS_UNIT_BYTES, Ended
from fexp.service.job.report import Report
from fexp.service.locks import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.config.options import Group
    from fexp.config.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("fexp")

_OF_COMMANDS_ALONE = frozenset({"timeout", "kill_after"})
_INTERRUPTED = 130


def job(name: str, **options: object) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Return a decorator that reports each call of a function as a run of this job.

    ``options`` are those of ``fexp run``, with underscores: ``textfile``, ``gateway``, ``folder``, ``retries`` and so
    on. Durations are text (``"5m"``) or seconds, and what may be repeated is a list. No ``timeout``: nothing can end a
    function from outside. Raise SettingsError.

    A call returns and raises what the function does; None when it is skipped, as another run is at work. What fails
    beside it is logged as a warning of the logger ``fexp``, and raises FexpError only with ``strict``.
    """
    groups: tuple[type[Group], ...] = (JobSettings, *settings_types(), CountingSettings)
    written = written_by_keywords(groups, {"job": name, **options}, refused=_OF_COMMANDS_ALONE)
    settings, all_settings = read_job_settings(written, settings_types())

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise SettingsError(
                f"job {name}: {function.__qualname__} only begins when it is called; wrap what awaits it"
            )

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with one_at_a_time(place_of(name), waits=settings.overlap is Overlap.WAIT) as is_alone:
                if is_alone:
                    return _reported(lambda: function(*args, **kwargs), settings, all_settings)
            _logger.warning("job %s: another run of it is at work; this one is skipped", name)
            return None

        return call

    return decorate


def _reported(act: Callable[[], R], job: JobSettings, settings: Settings) -> R:
    report = Report(job, settings, lambda line: _logger.warning("%s", line))
    report.begin()
    cpu_before = _cpu_seconds()
    exit_code = 1
    try:
        result = _tries(act, job)
        exit_code = 0
    except BaseException as error:
        exit_code = _exit_code(error)
        raise
    finally:
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES
        is_delivered = report.end(Ended(exit_code, False, _cpu_seconds() - cpu_before, peak_bytes))
    if job.strict and not is_delivered:
        raise FexpError(f"job {job.job_name}: it succeeded, but not all was delivered")
    return result


def _tries(act: Callable[[], R], job: JobSettings) -> R:
    """Call until it succeeds, but only so often."""
    for _ in range(job.retries):
        try:
            return act()
        except Exception:  # whatever it is, the next try may do without
            _logger.warning("job %s: tried again after an error", job.job_name, exc_info=True)
            Event().wait(job.retry_delay_seconds)
    return act()


def _exit_code(error: BaseException) -> int:
    """Return the exit status of a process that this error ends."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _cpu_seconds() -> float:
    return sum(os.times()[:4])
