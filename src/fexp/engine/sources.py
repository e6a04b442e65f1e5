"""Opens what tells the engine where to look, as well as this system can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.engine.context import log
from fexp.model import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.watch import Source
    from fexp.watch.paths import PathWatch


def open_source(wanted: Backend | None, deliver: Callable[[Source, object], None], *, again: bool) -> Source | None:
    """Open the source that is wanted; without one, the folders are polled. ``again``: it could not be opened before."""
    if wanted is Backend.POLLING:
        return None
    try:
        source = _open(wanted or Backend.INOTIFY, deliver)
    except (OSError, ImportError) as error:
        if not again:
            log.warning("no %s watcher (%s); all folders are polled until there is one", wanted or "file event", error)
        return None
    if again:
        log.info("there is a %s watcher now: the folders are watched", source.backend)
    return source


def _open(backend: Backend, deliver: Callable[[Source, object], None]) -> Source:
    if backend is Backend.OBSERVER:
        from fexp.watch.observer import ObserverSource

        return ObserverSource(deliver)
    from fexp.watch.inotify import InotifySource

    return InotifySource(deliver)


def open_path_watch(source: Source | None, deliver: Callable[[bytes], None]) -> PathWatch | None:
    """Have events report where paths lead, if there are events."""
    if source is None or source.backend is not Backend.INOTIFY:
        return None
    from fexp.watch.paths import PathWatch

    try:
        return PathWatch(deliver)
    except OSError:
        return None
