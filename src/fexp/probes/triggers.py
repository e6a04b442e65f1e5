"""When a probe runs, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fexp.counting.globs import name_matcher, path_matcher
from fexp.errors import SettingsError
from fexp.text import LONGEST_SECONDS, duration_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.counting.globs import Matches

    Duration = str | float


class Scrape(NamedTuple):
    """When somebody asks for the numbers: a scrape, or a delivery. Those who ask at once share a run."""

    timeout_seconds: float
    max_age_seconds: float
    """What is not older is not asked for again."""


class Every(NamedTuple):
    """At the start, and then after each interval."""

    timeout_seconds: float
    interval_seconds: float


class Cron(NamedTuple):
    """When a cron expression says so, in local time."""

    timeout_seconds: float
    expression: str

    def times(self, after: object) -> Iterator[float]:
        """Yield the Unix times to run at, after a moment (``datetime``)."""
        from cronsim import CronSim

        for at in CronSim(self.expression, after):  # type: ignore[arg-type]  # only the clock knows of datetime
            yield at.timestamp()


class Files(NamedTuple):
    """For each file that matches and is new or changed. Its samples go with it."""

    timeout_seconds: float
    glob: str
    settled_seconds: float
    """How long it must not have changed; 0 for at once."""

    @property
    def matches(self) -> Matches:
        """What says whether a path below the folder matches. A glob without a ``/`` is one on the name."""
        if "/" in self.glob:
            return path_matcher(self.glob, ignore_case=False)
        on_name = name_matcher(self.glob, ignore_case=False)
        return lambda path: on_name(path.rpartition(b"/")[2])


Trigger = Scrape | Every | Cron | Files


def scrape(*, max_age: Duration = 0, timeout: Duration = "5s") -> Scrape:
    """Run when somebody asks. ``max_age``: unless the latest samples are not older. Raise SettingsError."""
    return Scrape(_seconds("timeout", timeout), _seconds("max_age", max_age, zero=True))


def every(interval: Duration, *, timeout: Duration = "1m") -> Every:
    """Run at the start and after each interval. Raise SettingsError."""
    return Every(_seconds("timeout", timeout), _seconds("every", interval))


def cron(expression: str, *, timeout: Duration = "1m") -> Cron:
    """Run when a cron expression says so, in local time. Raise SettingsError."""
    from cronsim import CronSim, CronSimError

    from fexp.clock import local_time

    try:
        CronSim(expression, local_time(0))
    except (CronSimError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"cron {expression!r} is not a cron expression ({error}); write minute, hour, day, month, weekday"
        ) from None
    return Cron(_seconds("timeout", timeout), expression)


def files(glob: str = "*", *, settled: Duration = 0, timeout: Duration = "1m") -> Files:
    """Run for each file of the watched folders that matches, when it is new or changed.

    ``glob``: on the name, or with a ``/`` on the path below the folder. ``settled``: only once it has not changed for
    so long. Raise SettingsError.
    """
    if not isinstance(glob, str) or not glob.strip("/"):
        raise SettingsError(f"files {glob!r} matches nothing: give a glob on names, or with a / on paths")
    return Files(_seconds("timeout", timeout), glob, _seconds("settled", settled, zero=True))


def _seconds(what: str, given: Duration, *, zero: bool = False) -> float:
    seconds = duration_seconds(given) if isinstance(given, str) else given
    if not isinstance(seconds, int | float) or not (seconds > 0 or (zero and seconds == 0)):
        raise SettingsError(f"{what} {given!r} is not a duration: write 30s, 5m, 1h30m, 7d")
    if seconds > LONGEST_SECONDS:
        raise SettingsError(f"{what} {given!r} is more than 100 years: write a shorter time")
    return float(seconds)
