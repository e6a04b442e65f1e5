"""What the parts of the engine share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fexp.clock import Clock, WallTime
    from fexp.config.settings import EngineSettings
    from fexp.disk.listers import Listers
    from fexp.disk.mounts import Mounts
    from fexp.engine.feed import Feed
    from fexp.engine.seen_elsewhere import HardLinks
    from fexp.model import Instant

log = logging.getLogger("fexp")


@dataclass(frozen=True, eq=False)
class Context:
    """Handed to every part. ``lock`` is held for a fold or a copy, never across I/O or somebody else's code."""

    settings: EngineSettings
    clock: Clock
    wall: WallTime
    lock: threading.Lock
    mounts: Mounts
    feed: Feed
    hard_links: HardLinks
    listers: Listers
    changed: Callable[[], None]
    """To be called when a number changed."""
    progressed: Callable[[], None]
    """To be called on the way through long work: what is silent for long is taken to hang."""

    def now(self) -> Instant:
        """Return the time as readers see it."""
        return self.wall.settled(self.clock())
