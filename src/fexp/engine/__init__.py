"""The engine: one thread that owns the state. It takes hints, looks, folds and publishes changes.

    source --hint--> queue --> look --> fold --> snapshot
    events/          loop      looker   state    watched

Events only say where to look; a look says what is true. So a lost, late, doubled or misleading event costs time, never
truth. Order at the start: arm the watch of a directory, then list it; events that come meanwhile are folded afterwards.
"""

from fexp.config.settings import EngineSettings
from fexp.engine.loop import Engine

__all__ = ["Engine", "EngineSettings"]
