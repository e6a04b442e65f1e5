"""Renders families to bytes. One value that cannot be rendered costs itself, never the scrape."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from fexp.metrics import CATALOGUE, FexpCollector
from fexp.outputs.http.negotiation import Format

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Iterator

    from fexp.model import Snapshot
    from fexp.outputs import Collects


class _Only:
    """A registry of given families."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _render(families: Iterable[Metric], form: Format) -> bytes:
    if form is Format.OPENMETRICS:
        body: bytes = openmetrics.generate_latest(_Only(families))  # type: ignore[no-untyped-call]
        return body
    return generate_latest(_Only(families))


class Exposition:
    """What ``/metrics`` shows: fexp's own families and those of the process. Safe for several threads."""

    def __init__(self, take: Callable[[], Snapshot], log: logging.Logger) -> None:
        self._take = take
        self._log = log
        self._lock = threading.Lock()
        self._left_out = 0
        self._told: set[str] = set()
        self._process = CollectorRegistry()
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)
        ProcessCollector(registry=self._process)

    def render(self, form: Format, names: Collection[str] = ()) -> bytes:
        """Render the families, all or those whose own name or a sample's name is among ``names``."""
        families = list(self._families())
        try:
            return _render(_named([*families, self._left_out_family()], names), form)
        except Exception:  # noqa: BLE001 - found out below, family by family
            kept = [self._without_bad_samples(family, form) for family in families]
            return _render(_named([*filter(None, kept), self._left_out_family()], names), form)

    def _families(self) -> Iterator[Metric]:
        snapshot = self._take()
        try:
            families = list(FexpCollector(lambda: snapshot).collect())
        except Exception as error:  # noqa: BLE001 - one row's fault must not take the other rows along
            self._leave_out("fexp", error, 0)
            families = list(self._row_by_row(snapshot))
        yield from families
        yield from self._guarded(self._process)

    def _row_by_row(self, snapshot: Snapshot) -> Iterator[Metric]:
        for row in CATALOGUE:
            try:
                family = row.family(snapshot)
            except Exception as error:  # noqa: BLE001 - as above
                self._leave_out(row.name, error, 1)
            else:
                if family.samples:
                    yield family

    def _guarded(self, source: Collects) -> Iterator[Metric]:
        try:
            yield from source.collect()
        except Exception as error:  # noqa: BLE001 - numbers about the process are worth less than the scrape
            self._leave_out("process", error, 1)

    def _without_bad_samples(self, family: Metric, form: Format) -> Metric | None:
        try:
            _render([family], form)
        except Exception:  # noqa: BLE001 - found out below, sample by sample
            kept = Metric(family.name, family.documentation, family.type)
        else:
            return family
        for sample in family.samples:
            alone = Metric(family.name, family.documentation, family.type)
            alone.samples = [sample]
            try:
                _render([alone], form)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is left out
                self._leave_out(family.name, error, 1)
            else:
                kept.samples.append(sample)
        return kept if kept.samples else None

    def _left_out_family(self) -> Metric:
        family = CounterMetricFamily(
            "fexp_unrendered_samples", "Samples that could not be rendered and were left out of a scrape."
        )
        family.add_metric([], self._left_out)
        return family

    def _leave_out(self, name: str, error: Exception, samples: int) -> None:
        with self._lock:
            self._left_out += samples
            first = name not in self._told
            self._told.add(name)
        if first:
            # The library appends the family to the arguments: only the kind of error fits a log line.
            self._log.error("left out of /metrics: a value of %s does not render (%s)", name, type(error).__name__)


def _named(families: list[Metric], names: Collection[str]) -> list[Metric]:
    """Give the families whose own name or a sample's name is among the names; all when there are no names."""
    if not names:
        return families
    return [
        family for family in families if family.name in names or any(sample.name in names for sample in family.samples)
    ]
