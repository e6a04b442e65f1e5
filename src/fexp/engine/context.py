"""What the parts of the engine share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fexp.clock import Clock
    from fexp.config.settings import EngineSettings
    from fexp.disk.mounts import Mounts

log = logging.getLogger("fexp")


@dataclass(frozen=True, eq=False)
class Common:
    """Handed to every part. ``lock`` is held for a fold or a copy, never across I/O."""

    settings: EngineSettings
    clock: Clock
    lock: threading.Lock
    mounts: Mounts
    touched: Callable[[], None]
    """To be called when a number changed."""
    progressed: Callable[[], None]
    """To be called on the way through long work: what is silent for long is taken to hang."""
