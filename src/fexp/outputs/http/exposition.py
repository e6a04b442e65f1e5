"""Renders the families of ``/metrics`` to bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from fexp.metrics import EVERYWHERE, FexpCollector
from fexp.outputs.http.negotiation import Format

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterator

    from fexp.model import Snapshot


class _Families(list[Metric]):
    """A registry of given families."""

    def collect(self) -> list[Metric]:
        return self


class Exposition:
    """What ``/metrics`` shows: fexp's own families and those of the process. One thread at a time."""

    def __init__(self, take: Callable[[], Snapshot], log: logging.Logger) -> None:
        self._collector = FexpCollector(take, EVERYWHERE, self._leave_out)
        self._log = log
        self._unrendered = 0
        self._logged: set[str] = set()
        self._process = CollectorRegistry()
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)
        ProcessCollector(registry=self._process)

    def render(self, form: Format, names: Collection[str] = ()) -> bytes:
        """Return the families, all or those whose own name or a sample's name is among ``names``."""
        families = _Families(
            family
            for family in self._families()
            if not names or family.name in names or any(sample.name in names for sample in family.samples)
        )
        if form is Format.OPENMETRICS:
            body: bytes = openmetrics.generate_latest(families)  # type: ignore[no-untyped-call]
            return body
        return generate_latest(families)

    def _families(self) -> Iterator[Metric]:
        yield from self._collector.collect()
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
