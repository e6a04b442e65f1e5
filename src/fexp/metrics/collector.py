"""The collector that fills the catalogue from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.metrics.catalogue import CATALOGUE, EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample as FamilySample

    from fexp.metrics.rows import Scope
    from fexp.model import Snapshot


class FexpCollector:
    """Builds fresh families from a snapshot at each collection; nothing is stored, so what vanished is not shown.

    It is a prometheus_client ``Collector``: register it in an own registry, or give it to a renderer as it is.
    ``take`` is called once a collection, from the thread that collects. A sample that no format can hold, as its value
    is no number or a label no text, is left out: it costs itself, never an output. ``left_out`` hears of it: the
    family, the reason, and how many samples.
    """

    def __init__(
        self,
        take: Callable[[], Snapshot],
        scopes: Collection[Scope] = EVERYWHERE,
        left_out: Callable[[str, Exception, int], None] = lambda *_: None,
    ) -> None:
        self._take = take
        self._left_out = left_out
        self._rows = tuple(row for row in CATALOGUE if row.scope in scopes)

    def describe(self) -> Iterator[Metric]:
        """Yield the families without looking at anything."""
        for row in self._rows:
            yield row.family()

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have samples now."""
        snapshot = self._take()
        for row in self._rows:
            try:
                family = row.family(snapshot)
            except Exception as error:  # noqa: BLE001 - one row's fault must not take the other rows along
                self._left_out(row.name, error, 1)
                continue
            self._leave_out_bad_samples(family)
            if family.samples:
                yield family

    def _leave_out_bad_samples(self, family: Metric) -> None:
        try:
            _check(family.samples)
        except Exception:  # noqa: BLE001 - found out below, sample by sample
            good = []
            for sample in family.samples:
                try:
                    _check([sample])
                except Exception as error:  # noqa: BLE001 - whatever it is, it is left out
                    self._left_out(family.name, error, 1)
                else:
                    good.append(sample)
            family.samples = good


def _check(samples: Sequence[FamilySample]) -> None:
    """Raise some error for values that are no numbers and labels that are no text."""
    float(sum([sample.value for sample in samples]))
    "".join([text for sample in samples for text in sample.labels.values()]).encode()
