"""Whether the user that fexp runs as may list and enter each directory: tried, not guessed from modes."""

from __future__ import annotations

import errno
import os
import shlex
from typing import TYPE_CHECKING

from fexp.service.check.finding import Finding, error, ok, warning
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup
    from fexp.service.check.walk import Walked

_CLOSED_MAX = 5
"""Of paths that match by name and cannot be looked at: all homes but one's own may be so."""
_NOT_PERMITTED = frozenset({errno.EACCES, errno.EPERM})


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what may not be read, or that all may be."""
    is_fine = True
    for one in setup.walked:
        if one.problem is not None and one.problem.errno in _NOT_PERMITTED:
            is_fine = False
            yield _closed(one, setup.user)
        elif one.unreadable:
            is_fine = False
            yield _closed_below(one, setup.user)
    for path in sorted(setup.places.closed)[:_CLOSED_MAX]:
        is_fine = False
        yield _closed_to_glob(path, setup.user)
    if is_fine and any(one.problem is None for one in setup.walked):
        yield ok(f"user {setup.user} may list and enter all that is there")
    if os.geteuid() == 0 and not setup.asked.user:
        yield warning(
            "this is a check for root, who may do all",
            "A service that runs as another user may be refused what root is not.",
            f"say which: {setup.asked.origin('user')} NAME",
        )


def _closed_to_glob(path: bytes, user: str) -> Finding:
    way = _closed_way(path) or path
    what = f"user {user} may not see whether {visible(os.fsdecode(path))} is a folder"
    return warning(
        f"{what}: {visible(os.fsdecode(way))} is closed",
        "If it is one that is meant, nothing is counted there, and nothing else says so.",
        f"setfacl -m u:{user}:x {_quoted(way)}",
    )


def _closed(one: Walked, user: str) -> Finding:
    way = _closed_way(one.folder.path)
    what = f"user {user} may not list {one.folder.label}"
    path = one.folder.path if way is None else way
    if way is not None:
        what = f"user {user} may not reach {one.folder.label}: {visible(os.fsdecode(way))} is closed"
    rights = "rx" if way is None else "x"
    return error(
        what, "Nothing is counted there, and fexp_folder_up is 0.", f"setfacl -m u:{user}:{rights} {_quoted(path)}"
    )


def _closed_below(one: Walked, user: str) -> Finding:
    first, problem = next(iter(one.unreadable.items()))
    number = len(one.unreadable)
    return warning(
        f"{one.folder.label}: {'one directory' if number == 1 else f'{number} directories'} below cannot be read:"
        f" {visible(os.fsdecode(first)).rstrip('/')}{', …' if number > 1 else ''} ({problem.strerror})",
        "Files there do not count; fexp_errors_total says so.",
        f"setfacl -R -m u:{user}:rX {_quoted(first if number == 1 else one.folder.path)}",
    )


def _closed_way(path: bytes) -> bytes | None:
    """Return the first directory above a path that may not be entered."""
    names = path.split(b"/")[1:-1]
    ways = [b"/", *(b"/" + b"/".join(names[: depth + 1]) for depth in range(len(names)))]
    return next((way for way in ways if not os.access(way, os.X_OK, effective_ids=True)), None)


def _quoted(path: bytes) -> str:
    return shlex.quote(visible(os.fsdecode(path)).rstrip("/") or "/")
