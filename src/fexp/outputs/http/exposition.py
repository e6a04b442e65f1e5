"""The families of ``/metrics``: fexp's own and those of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily

from fexp.metrics import EVERYWHERE
from fexp.outputs.pieces import join
from fexp.outputs.rendering import KeptCollector

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterator

    from prometheus_client.metrics_core import Metric

    from fexp.model import Snapshot
    from fexp.outputs.formats import Format
    from fexp.outputs.pieces import Piece
    from fexp.outputs.rendering import Renderers


class Exposition:
    """What ``/metrics`` shows. One thread at a time."""

    def __init__(
        self, take: Callable[[], Snapshot], log: logging.Logger, *, renderers: Renderers | None = None
    ) -> None:
        self._collector = KeptCollector(take, EVERYWHERE, self._leave_out, renderers=renderers)
        self._log = log
        self._unrendered = 0
        self._logged: set[str] = set()
        self._process = CollectorRegistry()
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)
        ProcessCollector(registry=self._process)

    def render(self, form: Format, names: Collection[str] = ()) -> bytes:
        """Return the families, all or those whose own name or a sample's name is among ``names``."""
        return join(self.pieces(form, names))

    def pieces(self, form: Format, names: Collection[str] = ()) -> list[Piece]:
        """Return the same in pieces."""
        return self._collector.render(form, others=self._others(), names=names)

    def _others(self) -> Iterator[Metric]:
        """Yield what follows fexp's catalogue. The last counts what was left out before it."""
        yield from self._process.collect()
        unrendered = CounterMetricFamily(
            "fexp_unrendered_samples", "Samples that could not be rendered and were left out of a scrape."
        )
        unrendered.add_metric([], self._unrendered)
        yield unrendered

    def _leave_out(self, name: str, error: Exception, samples: int) -> None:
        self._unrendered += samples
        if name not in self._logged:
            self._logged.add(name)
            self._log.error("left out of /metrics: a value of %s does not render (%s)", name, type(error).__name__)
