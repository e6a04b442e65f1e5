"""What a metric of the catalogue is: a row, and how the kinds of rows read a snapshot."""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate, zip_longest
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from fexp.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fexp.counting.aggregates import Aggregate, Number
    from fexp.counting.distributions import Distribution
    from fexp.model import (
        DeliverySnapshot,
        Example,
        FlowSnapshot,
        FolderSnapshot,
        GroupSnapshot,
        Histogram,
        InotifySnapshot,
        ProbeSnapshot,
        ReloadSnapshot,
        SingleFile,
        Snapshot,
    )

    Reader = Callable[[Snapshot], Iterator["Sample"]]

_FILE = "file"
_EXEMPLAR_LENGTH = 128
"""All names and values of an exemplar's labels have so many characters at most: OpenMetrics 1.0.

Prometheus 2.42 counts those that the exposition escapes twice.
"""


class Kind(StrEnum):
    """The TYPE of a family, as the exposition formats spell it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gaugehistogram"


_SUFFIXES = {
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.GAUGE_HISTOGRAM: ("_bucket", "_gcount", "_gsum", "_count", "_sum"),
}
"""Of the samples in any format."""


class Scope(StrEnum):
    """What a row is about. Outputs choose their rows by it."""

    STATE = "state"
    """The files of a folder: labels folder, pattern and the user's own."""
    FOLDER = "folder"
    """The watching of a folder: label folder, the user's own, and the row's."""
    JOB = "job"
    """A batch job: label job_name, and the row's."""
    JOB_FOLDER = "job_folder"
    """What a batch job did to a folder: labels job_name, folder, pattern and the user's own."""
    PROBE = "probe"
    """A probe: label probe. Also what it yields."""
    SELF = "self"
    """fexp itself. Not for textfiles, where the series of several fexp on one host would collide."""


_SCOPE_LABELS: dict[Scope, tuple[str, ...]] = {
    Scope.STATE: ("folder", "pattern"),
    Scope.FOLDER: ("folder",),
    Scope.JOB: ("job_name",),
    Scope.JOB_FOLDER: ("job_name", "folder", "pattern"),
    Scope.PROBE: ("probe",),
    Scope.SELF: (),
}


class Sample(NamedTuple):
    """One line of exposition. ``suffix`` follows the family's name: it is empty but in histograms."""

    labels: dict[str, str]
    value: float
    suffix: str = ""
    example: Example | None = None
    """What OpenMetrics shows as its exemplar."""


class Row(NamedTuple):
    """One family of the catalogue."""

    name: str
    """The name as queries use it: a counter's ends in ``_total``."""
    kind: Kind
    scope: Scope
    own_labels: tuple[str, ...]
    """Label names in addition to the scope's."""
    help: str
    read: Reader
    aggregate: type[Aggregate] | None = None
    """What a state or a survey keeps for it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All label names but the user's own."""
        return _SCOPE_LABELS[self.scope] + self.own_labels

    @property
    def names(self) -> frozenset[str]:
        """The names of the family and of its samples."""
        suffixes = _SUFFIXES.get(self.kind, ("",))
        return frozenset({self._base_name, *(self.name + suffix for suffix in suffixes)})

    @property
    def _base_name(self) -> str:
        return self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name

    def family(self, snapshot: Snapshot | None = None) -> Metric:
        """Return the family, with the snapshot's samples or with none."""
        family = Metric(self._base_name, self.help, self.kind)
        if snapshot is not None:
            for sample in self.read(snapshot):
                name, exemplar = self.name + sample.suffix, _exemplar(sample.example)
                family.add_sample(name, sample.labels, sample.value, exemplar=exemplar)
        return family


def _group_labels(folder: FolderSnapshot, group: GroupSnapshot) -> dict[str, str]:
    return {"folder": folder.folder, **group.labels, **folder.labels}


def state_row(name: str, text: str, aggregate: type[Number]) -> Row:
    """Return a row for a number about the files that are there."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups if folder.up else ():
                number = group.values[aggregate.name]
                if number is not None:
                    yield Sample(_group_labels(folder, group), number)

    return Row(name, Kind.GAUGE, Scope.STATE, (), text, read, aggregate)


def asked_row(name: str, text: str, value: str) -> Row:
    """Return a row for a number that only folders have that were asked for it; ``value`` is its name in snapshots."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups if folder.up else ():
                number = group.values.get(value)
                if number is not None:
                    yield Sample(_group_labels(folder, group), number)

    return Row(name, Kind.GAUGE, Scope.STATE, (), text, read)


def _exemplar(example: Example | None) -> Exemplar | None:
    if example is None:
        return None
    return Exemplar({_FILE: cut(example.path, _EXEMPLAR_LENGTH - len(_FILE))}, example.value, example.at)


def flow_row(
    name: str,
    kind: Kind,
    text: str,
    value: Callable[[FlowSnapshot], float | None],
    example: Callable[[FlowSnapshot], Example | None] = lambda _: None,
) -> Row:
    """Return a row for a number about what came and went."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups:
                number = value(group.flow) if group.flow else None
                if group.flow and number is not None:
                    shown = None if folder.hides_names else example(group.flow)
                    yield Sample(_group_labels(folder, group), number, example=shown)

    return Row(name, kind, Scope.STATE, (), text, read)


def histogram_samples(
    labels: dict[str, str],
    histogram: Histogram,
    count_and_sum: Iterable[str],
    examples: Sequence[Example | None] = (),
) -> Iterator[Sample]:
    """Yield the lines of a histogram; the sum only if it has a name. ``examples``: of the buckets."""
    cumulative = list(accumulate(histogram.counts))
    buckets = zip((*histogram.bounds, inf), cumulative, strict=True)
    for (bound, count), example in zip_longest(buckets, examples):
        le: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the spelling every client uses
        yield Sample({**labels, "le": le}, count, "_bucket", example)
    for number, suffix in zip((cumulative[-1], histogram.sum), count_and_sum, strict=False):
        yield Sample(labels, number, suffix)


def dwell_row(name: str, text: str) -> Row:
    """Return a row for the histogram of dwell times."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups:
                if group.flow and group.flow.dwell.bounds:
                    labels = _group_labels(folder, group)
                    examples = () if folder.hides_names else group.flow.dwell_examples
                    yield from histogram_samples(labels, group.flow.dwell, ("_count", "_sum"), examples)

    return Row(name, Kind.HISTOGRAM, Scope.STATE, (), text, read)


def distribution_row(name: str, text: str, aggregate: type[Distribution]) -> Row:
    """Return a row for a histogram of the files that are there."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups if folder.up else ():
                histogram = group.distributions.get(aggregate.name)
                if histogram is not None:
                    yield from histogram_samples(_group_labels(folder, group), histogram, ("_gcount", "_gsum"))

    return Row(name, Kind.GAUGE_HISTOGRAM, Scope.STATE, (), text, read, aggregate)


def single_row(name: str, text: str, value: Callable[[SingleFile], float]) -> Row:
    """Return a row for a number about one file."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for file in folder.single_files if folder.up else ():
                yield Sample({"folder": folder.folder, **file.labels, **folder.labels}, value(file))

    return Row(name, Kind.GAUGE, Scope.STATE, ("file",), text, read)


def folder_row(
    name: str,
    kind: Kind,
    text: str,
    values: Callable[[FolderSnapshot], Iterable[tuple[tuple[str, ...], float | None]]],
    own_labels: tuple[str, ...] = (),
) -> Row:
    """Return a row for numbers about the watching of a folder; ``values`` gives the row's own labels and the number."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for own_values, number in values(folder):
                if number is not None:
                    own = dict(zip(own_labels, own_values, strict=True))
                    yield Sample({"folder": folder.folder, **folder.labels, **own}, number)

    return Row(name, kind, Scope.FOLDER, own_labels, text, read)


def watched_row(name: str, kind: Kind, text: str, value: Callable[[FolderSnapshot], float | None]) -> Row:
    """Return a row for a folder's number that only a watcher has."""
    return folder_row(name, kind, text, lambda folder: [((), value(folder) if folder.backend else None)])


def delivery_row(name: str, kind: Kind, text: str, value: Callable[[DeliverySnapshot], float | None]) -> Row:
    """Return a row for a number about deliveries."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for delivery in snapshot.deliveries:
            number = value(delivery)
            if number is not None:
                yield Sample({"output": delivery.output}, number)

    return Row(name, kind, Scope.SELF, ("output",), text, read)


def inotify_row(name: str, text: str, value: Callable[[InotifySnapshot], float | None]) -> Row:
    """Return a row for a number about inotify."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        number = value(snapshot.inotify) if snapshot.inotify is not None else None
        if number is not None:
            yield Sample({}, number)

    return Row(name, Kind.GAUGE, Scope.SELF, (), text, read)


def reload_row(name: str, text: str, value: Callable[[ReloadSnapshot], float]) -> Row:
    """Return a row for a number about the latest reading of the config."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        if snapshot.reload is not None:
            yield Sample({}, value(snapshot.reload))

    return Row(name, Kind.GAUGE, Scope.SELF, (), text, read)


def job_row(name: str, text: str, scope: Scope = Scope.JOB) -> Row:
    """Return a row for a number about a batch job."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        if snapshot.job is not None:
            for labels, number in snapshot.job.samples.get(name, ()):
                yield Sample({"job_name": snapshot.job.name, **labels}, number)

    return Row(name, Kind.GAUGE, scope, (), text, read)


def probe_row(name: str, kind: Kind, text: str, value: Callable[[ProbeSnapshot], float | None]) -> Row:
    """Return a row for a number about a probe."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for probe in snapshot.probes:
            number = value(probe)
            if number is not None:
                yield Sample({"probe": probe.probe}, number)

    return Row(name, kind, Scope.PROBE, (), text, read)
