"""``fexp check``: says what would go wrong, and changes nothing.

A check is a function that yields findings. A new one is its module and one line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.service.check import (
    clock,
    config,
    events,
    folders,
    gateway,
    inotify,
    listening,
    node_exporter,
    permissions,
    probes,
    remote_write,
    rivals,
    textfile,
    time_zones,
)
from fexp.service.check.finding import Finding, Level, error, warning
from fexp.service.check.patience import HangsError, StillHangsError, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fexp.service.check.setup import Setup

    Check = Callable[[Setup], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    "config": config.check,
    "probes": probes.check,
    "folders": folders.check,
    "permissions": permissions.check,
    "events": events.check,
    "inotify": inotify.check,
    "clock": clock.check,
    "time zones": time_zones.check,
    "listening": listening.check,
    "textfile": textfile.check,
    "node_exporter": node_exporter.check,
    "gateway": gateway.check,
    "remote write": remote_write.check,
    "other fexp": rivals.check,
}
"""By the name that people see, in the order that they are done in."""

_SECONDS = 30.0
"""Each check is given up after this long; what it waits for answers nobody."""


def run_checks(
    setup: Setup, begins: Callable[[str], None] = lambda _: None, *, seconds: float = _SECONDS
) -> Iterator[tuple[str, Finding]]:
    """Yield what each check finds, with its name. ``begins`` is called before each."""
    for name, check in CHECKS.items():
        begins(name)
        for finding in _findings(check, setup, seconds):
            yield name, finding


def _findings(check: Check, setup: Setup, seconds: float) -> list[Finding]:
    try:
        return within(seconds, lambda: list(check(setup)))
    except HangsError:
        return [
            error(
                f"not done after {seconds:g} s: something on the way does not answer",
                "What it would have found is not known. fexp may hang there too.",
                "findmnt -t nfs,nfs4,cifs,fuse",
            )
        ]
    except StillHangsError:
        return []  # the first who waited for it has said so
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        return [warning(f"{where}{problem.strerror or problem}", "This could not be checked.", "check as root")]


__all__ = ["CHECKS", "Finding", "Level", "run_checks"]
