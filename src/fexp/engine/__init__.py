"""The engine: one thread that owns the state. Takes hints, looks, folds, and tells who wants to know.

    source --hint--> queue --> look --> fold --> snapshot
    watch/           loop      looker   state    watched

Events only say where to look; a look says what is true. So a lost, late, doubled or misleading event costs time, never
truth. Order at the start: arm the watch of a directory, then list it; what happens meanwhile is told and folded after.
"""

from fexp.config.settings import EngineSettings
from fexp.engine.loop import Engine

__all__ = ["Engine", "EngineSettings"]
