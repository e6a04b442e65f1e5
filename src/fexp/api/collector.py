"""``fexp.FolderCollector``: the metrics of some folders for a program's own registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from fexp import clock as clocks
from fexp.api.arguments import read_collecting
from fexp.api.watcher import ClosedError, Watcher, refuse_dead
from fexp.errors import FexpError
from fexp.metrics import EVERYWHERE
from fexp.model import Snapshot
from fexp.outputs.rendering import KeptCollector, Renderers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import TracebackType
    from typing import Unpack

    from prometheus_client.metrics_core import Metric

    from fexp.api.arguments import Collecting, Folders
    from fexp.clock import Clock
    from fexp.metrics import Scope

_log = logging.getLogger("fexp")

_FIRST_LOOK_SECONDS = 5.0
"""How long the first collection waits for the first look: half of what Prometheus has patience for."""
_CATCH_UP_SECONDS = 0.005
"""A collection waits so long for what happened before it."""


class FolderCollector:
    """A prometheus_client collector of all metrics of some folders: ``registry.register(FolderCollector("/data"))``.

    The folders are watched, so a collection costs the same however many files there are. It begins with the first
    collection, or with ``with`` or ``start``, and the counters count from there; it ends with ``close``, and when
    nobody holds the collector any more. In a process that was forked it begins anew.

    One registry takes one of them: give it all folders. ``clock`` is for tests. Raise SettingsError for a wrong
    argument.
    """

    def __init__(self, folders: Folders, *, clock: Clock = clocks.now, **arguments: Unpack[Collecting]) -> None:
        own, settings = read_collecting(folders, arguments)
        self._watcher = Watcher(own, settings, clock=clock)
        self._renderers = Renderers()
        self._logged: set[str] = set()
        self._all = self.limited_to(EVERYWHERE)

    def start(self) -> Self:
        """Begin, and wait until the first look at all folders is done, 5 seconds at most. Raise FexpError."""
        self._watcher.looked(_FIRST_LOOK_SECONDS)
        return self

    def close(self) -> None:
        """End. A closed collector tells nothing of its folders."""
        self._watcher.close()

    def __enter__(self) -> Self:
        """Begin; see ``start``."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; see ``close``."""
        self.close()

    def describe(self) -> Iterator[Metric]:
        """Yield the families without looking at anything: a registry asks when it is registered."""
        return self._all.describe()

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now. Before the first look is done there is nothing to tell of a folder."""
        return self._all.collect()

    def limited_to(self, scopes: Collection[Scope]) -> KeptCollector:
        """Return the same with the families of some scopes alone, which keeps what it renders."""
        return KeptCollector(self._snapshot, scopes, self._leave_out, renderers=self._renderers)

    def _snapshot(self) -> Snapshot:
        try:
            engine = self._watcher.looked(_FIRST_LOOK_SECONDS)
            refuse_dead(engine)
        except ClosedError:
            return Snapshot(())
        except FexpError as error:  # it must not take the rest of a registry down
            self._log_once(str(error))
            return Snapshot(())
        engine.catch_up(_CATCH_UP_SECONDS)
        return engine.snapshot()

    def _leave_out(self, name: str, error: Exception, samples: int) -> None:  # noqa: ARG002  # once, however many
        self._log_once(f"left out of what is collected: a value of {name} does not render ({type(error).__name__})")

    def _log_once(self, line: str) -> None:
        if line not in self._logged:
            self._logged.add(line)
            _log.error("%s", line)
