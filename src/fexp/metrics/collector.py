"""The collector that fills the catalogue from a snapshot."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from fexp.metrics.catalogue import CATALOGUE, EVERYWHERE, FOLDER_SCOPES
from fexp.metrics.rows import Scope
from fexp.model import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample as FamilySample

    from fexp.metrics.rows import Row
    from fexp.model import FolderSnapshot

    LeftOut = Callable[[str, Exception, int], None]


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
        left_out: LeftOut = lambda *_: None,
    ) -> None:
        self.take = take
        self.left_out = left_out
        self.rows = tuple(row for row in CATALOGUE if row.scope in scopes)
        self.shows_probes = Scope.PROBE in scopes

    def describe(self) -> Iterator[Metric]:
        """Yield the families without looking at anything."""
        for row in self.rows:
            yield row.family()

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have samples now."""
        snapshot = self.take()
        yield from self._families(self.rows, snapshot)
        yield from self.of_probes(snapshot)

    def of_probes(self, snapshot: Snapshot) -> Sequence[Metric]:
        """Return what the probes yielded."""
        return snapshot.families if self.shows_probes else ()

    def by_folder(self) -> Iterator[tuple[FolderSnapshot | None, Iterator[Metric]]]:
        """Yield each folder with its families, then None with those of fexp itself. They are built when they are read.

        A folder in which nothing changed is the same object as at the last time.
        """
        snapshot = self.take()
        rows = [row for row in self.rows if row.scope in FOLDER_SCOPES]
        for folder in snapshot.folders:
            for part in folder.parts or (folder,):
                yield part, self._families(rows, Snapshot((part,)))
        yield None, chain(self._families(self.rows, snapshot._replace(folders=())), self.of_probes(snapshot))

    def _families(self, rows: Iterable[Row], snapshot: Snapshot) -> Iterator[Metric]:
        for row in rows:
            family = good_family(row, snapshot, self.left_out)
            if family.samples:
                yield family


def good_family(row: Row, snapshot: Snapshot, left_out: LeftOut) -> Metric:
    """Return a row's family with the samples that every format can hold."""
    try:
        family = row.family(snapshot)
    except Exception as error:  # noqa: BLE001 - one folder's fault must not take the others along
        return _good_parts(row, snapshot, error, left_out)
    try:
        _check(family.samples)
    except Exception:  # noqa: BLE001 - found out below, sample by sample
        good = []
        for sample in family.samples:
            try:
                _check([sample])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is left out
                left_out(family.name, error, 1)
            else:
                good.append(sample)
        family.samples = good
    return family


def _good_parts(row: Row, snapshot: Snapshot, error: Exception, left_out: LeftOut) -> Metric:
    """Return a row's family as far as it can be read."""
    family = row.family()
    if len(snapshot.folders) <= 1:
        left_out(row.name, error, 1)
        return family
    for part in (*(Snapshot((folder,)) for folder in snapshot.folders), snapshot._replace(folders=())):
        family.samples += good_family(row, part, left_out).samples
    return family


def _check(samples: Sequence[FamilySample]) -> None:
    """Raise some error for values that are no numbers and labels that are no text."""
    float(sum([sample.value for sample in samples]))
    "".join([text for sample in samples for text in sample.labels.values()]).encode()
