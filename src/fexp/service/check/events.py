"""File systems that change without giving events."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from fexp.disk.mounts import Mounts
from fexp.model import Backend
from fexp.service.check.finding import Finding, ok, warning
from fexp.service.check.walk import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fexp.service.check.setup import Setup

_LAYERED = (b"overlay", b"aufs", b"fuse")
"""What lies below them may be changed by others, past this mount."""


def check(setup: Setup) -> Iterator[Finding]:
    """Yield the file systems that fexp has to look at in time, as nothing reports what happens there."""
    engine = setup.settings.engine
    if engine.backend is Backend.POLLING:
        yield ok(f"all folders are polled every {engine.poll_interval_seconds:g} s: {engine.origin('backend')} says so")
        return
    kinds = kinds_of(one.folder.path for one in setup.walked if one.outcome is not Outcome.HANGS)
    silent, layered = by_kind(kinds)
    for kind, paths in silent.items():
        yield warning(
            f"{_named(paths)}: {kind} gives no events of what other machines or the kernel change",
            f"fexp looks every {engine.poll_interval_seconds:g} s there, for at most a twentieth of the time.",
            f"watch where the files are written, or set how often: {engine.origin('poll_interval_seconds')}",
        )
    for kind, paths in layered.items():
        yield warning(
            f"{_named(paths)}: {kind} gives events only of what is changed through this mount",
            f"What others change below it shows at the timed look, every {engine.rescan_seconds:g} s.",
            "in a container, mount the directory itself as a volume",
        )
    if kinds and not silent and not layered:
        yield ok(f"file events on {', '.join(sorted({kind.decode() for kind in kinds.values()}))}")


def kinds_of(paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the type of the file system that each path lies in, where the system says."""
    mounts = Mounts()
    try:
        kinds = {path: mounts.kind(os.path.realpath(path)) for path in paths}
    finally:
        mounts.close()
    return {path: kind for path, kind in kinds.items() if kind is not None}


def by_kind(kinds: Mapping[bytes, bytes]) -> tuple[dict[str, list[bytes]], dict[str, list[bytes]]]:
    """Return the paths on file systems that may change without an event, and those on layered ones, by type."""
    from fexp.disk.mounts import is_silent

    silent, layered = defaultdict[str, list[bytes]](list), defaultdict[str, list[bytes]](list)
    for path, kind in kinds.items():
        if is_silent(kind):
            silent[kind.decode()].append(path)
        elif kind.partition(b".")[0] in _LAYERED:
            layered[kind.decode()].append(path)
    return silent, layered


def _named(paths: list[bytes]) -> str:
    first = os.fsdecode(paths[0])
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"
