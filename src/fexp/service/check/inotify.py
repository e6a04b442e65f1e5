"""The limits of inotify, which are a user's: against what fexp needs and what others of the user have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.model import Backend
from fexp.service.check.events import by_kind, kinds_of
from fexp.service.check.finding import Finding, error, ok
from fexp.service.check.processes import inotify_use
from fexp.service.check.running import running
from fexp.service.check.walk import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup

_LIMITS = "/proc/sys/fs/inotify/"
_INSTANCES = 2
"""One for the files, one for the ways to the folders."""
_LEAST_WATCHES = 65536


def check(setup: Setup) -> Iterator[Finding]:
    """Yield whether there is room for all directories."""
    if setup.settings.engine.backend not in (None, Backend.INOTIFY) or not setup.folders:
        return
    limits = {name: _limit(name) for name in ("max_user_watches", "max_user_instances")}
    needs = {
        "max_user_watches": watches_needed(setup),
        "max_user_instances": _INSTANCES + bool(setup.settings.templates),
    }
    used = inotify_use(without=running(setup.arguments))
    in_use = {"max_user_watches": used.watches, "max_user_instances": used.instances}
    is_cut = any(one.outcome is not Outcome.DONE for one in setup.walked)
    for name, limit in limits.items():
        if limit is None:
            continue
        at_least = "at least " if is_cut and name == "max_user_watches" else ""
        line = f"{name} {limit:,}: {at_least}{needs[name]:,} needed, {in_use[name]:,} in use by user {setup.user}"
        if needs[name] + in_use[name] <= limit:
            yield ok(line)
            continue
        yield error(
            line,
            "What gets no watch is polled: later, and at a cost that grows with the files. The numbers stay right.",
            f"sysctl -w fs.inotify.{name}={_enough(name, needs[name] + in_use[name])}"
            f" (to keep it: a line in /etc/sysctl.d/60-fexp.conf)",
        )


def watches_needed(setup: Setup) -> int:
    """Return about how many: one a directory, and some on the way."""
    walked = {one.folder.path: one.directories or 1 for one in setup.walked}
    silent, _ = by_kind(kinds_of(path for path in walked))
    polled = {path for paths in silent.values() for path in paths}
    ways = {step for path in walked for step in _steps(path)}
    return sum(number for path, number in walked.items() if path not in polled) + len(ways)


def _steps(path: bytes) -> Iterator[bytes]:
    names = path.split(b"/")
    yield from (b"/".join(names[:depth]) for depth in range(1, len(names)))


def _enough(name: str, number: int) -> int:
    """Return the next power of two that leaves as much room again."""
    least = _LEAST_WATCHES if name == "max_user_watches" else 512
    return max(least, 1 << (2 * number - 1).bit_length())


def _limit(name: str) -> int | None:
    try:
        with open(_LIMITS + name, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
