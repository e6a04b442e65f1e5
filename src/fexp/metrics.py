"""The catalogue: every metric fexp can show, one row each, and the collector that fills it from a snapshot.

Adding a metric is adding a row. HELP and TYPE of a name are constant text: receivers reject or drop a family whose HELP
or TYPE differs between two files or two pushes.
"""

from __future__ import annotations

import platform
from enum import StrEnum
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString
from watchdog.version import VERSION_STRING

from fexp import __version__
from fexp.files.aggregates import (
    EmptyFiles,
    Files,
    LargestFile,
    NewestModification,
    OldestArrival,
    OldestModification,
    SizeBytes,
    SmallestFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from prometheus_client.samples import Sample as FamilySample

    from fexp.files.aggregates import Aggregate
    from fexp.model import (
        DeliverySnapshot,
        DwellSnapshot,
        FlowSnapshot,
        FolderSnapshot,
        GroupSnapshot,
        ReloadSnapshot,
        Snapshot,
    )

    Reader = Callable[[Snapshot], Iterator["Sample"]]


class Kind(StrEnum):
    """The TYPE of a family, as the exposition formats spell it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Scope(StrEnum):
    """What a row is about. Outputs choose their rows by it."""

    STATE = "state"
    """The files of a folder: labels folder, pattern and the user's own."""
    FOLDER = "folder"
    """The watching of a folder: label folder, the user's own, and the row's."""
    SELF = "self"
    """fexp itself. Not for textfiles, where the series of several fexp on one host would collide."""


class Sample(NamedTuple):
    """One line of exposition. ``suffix`` follows the family's name: ``""``, ``_bucket``, ``_sum`` or ``_count``."""

    labels: dict[str, str]
    value: float
    suffix: str = ""


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
        return {Scope.STATE: ("folder", "pattern"), Scope.FOLDER: ("folder",), Scope.SELF: ()}[
            self.scope
        ] + self.own_labels

    def family(self, snapshot: Snapshot | None = None) -> Metric:
        """Build the family, with the snapshot's samples or with none."""
        base_name = self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name
        family = Metric(base_name, self.help, self.kind)
        if snapshot is not None:
            for sample in self.read(snapshot):
                family.add_sample(self.name + sample.suffix, sample.labels, sample.value)
        return family


def _group_labels(folder: FolderSnapshot, group: GroupSnapshot) -> dict[str, str]:
    return {"folder": folder.folder, **group.labels, **folder.labels}


def _state(name: str, text: str, aggregate: type[Aggregate]) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups if folder.up else ():
                number = group.values[aggregate.name]
                if number is not None:
                    yield Sample(_group_labels(folder, group), number)

    return Row(name, Kind.GAUGE, Scope.STATE, (), text, read, aggregate)


def _flow(name: str, kind: Kind, text: str, value: Callable[[FlowSnapshot], float | None]) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups:
                number = value(group.flow) if group.flow else None
                if number is not None:
                    yield Sample(_group_labels(folder, group), number)

    return Row(name, kind, Scope.STATE, (), text, read)


def _dwell_samples(labels: dict[str, str], dwell: DwellSnapshot) -> Iterator[Sample]:
    bounds = (*dwell.bounds_seconds, float("inf"))
    cumulative = list(accumulate(dwell.counts))
    for bound, count in zip(bounds, cumulative, strict=True):
        le: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the spelling every client uses
        yield Sample({**labels, "le": le}, count, "_bucket")
    yield Sample(labels, cumulative[-1], "_count")
    yield Sample(labels, dwell.sum_seconds, "_sum")


def _dwell(name: str, text: str) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for group in folder.groups:
                if group.flow:
                    yield from _dwell_samples(_group_labels(folder, group), group.flow.dwell)

    return Row(name, Kind.HISTOGRAM, Scope.STATE, (), text, read)


def _folder(
    name: str,
    kind: Kind,
    text: str,
    values: Callable[[FolderSnapshot], Iterable[tuple[tuple[str, ...], float | None]]],
    own_labels: tuple[str, ...] = (),
) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for folder in snapshot.folders:
            for own_values, number in values(folder):
                if number is not None:
                    own = dict(zip(own_labels, own_values, strict=True))
                    yield Sample({"folder": folder.folder, **folder.labels, **own}, number)

    return Row(name, kind, Scope.FOLDER, own_labels, text, read)


def _watched(name: str, kind: Kind, text: str, value: Callable[[FolderSnapshot], float | None]) -> Row:
    """A folder's number that only a watcher has."""
    return _folder(name, kind, text, lambda folder: [((), value(folder) if folder.backend else None)])


def _delivery(name: str, kind: Kind, text: str, value: Callable[[DeliverySnapshot], float | None]) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for delivery in snapshot.deliveries:
            number = value(delivery)
            if number is not None:
                yield Sample({"output": delivery.output}, number)

    return Row(name, kind, Scope.SELF, ("output",), text, read)


def _reload(name: str, text: str, value: Callable[[ReloadSnapshot], float]) -> Row:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        if snapshot.reload is not None:
            yield Sample({}, value(snapshot.reload))

    return Row(name, Kind.GAUGE, Scope.SELF, (), text, read)


@cache
def _build_labels() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version(), "watchdog": VERSION_STRING}


CATALOGUE: tuple[Row, ...] = (
    _state("fexp_files", "Matching files in the folder now.", Files),
    _state("fexp_size_bytes", "Sum of the sizes of the matching files.", SizeBytes),
    _state(
        "fexp_oldest_file_timestamp_seconds",
        "Smallest modification time among the matching files, as Unix time.",
        OldestModification,
    ),
    _state(
        "fexp_newest_file_timestamp_seconds",
        "Largest modification time among the matching files, as Unix time.",
        NewestModification,
    ),
    _state("fexp_largest_file_bytes", "Size of the largest matching file.", LargestFile),
    _state("fexp_smallest_file_bytes", "Size of the smallest matching file.", SmallestFile),
    _state("fexp_empty_files", "Matching files of no bytes.", EmptyFiles),
    _state(
        "fexp_oldest_arrival_timestamp_seconds",
        "Arrival of the file that has been waiting longest, as Unix time.",
        OldestArrival,
    ),
    _flow(
        "fexp_arrivals_total",
        Kind.COUNTER,
        "Matching files that arrived since fexp started: created, linked, moved or renamed in.",
        lambda f: f.arrivals,
    ),
    _flow(
        "fexp_departures_total",
        Kind.COUNTER,
        "Matching files that departed since fexp started: deleted, moved or renamed out.",
        lambda f: f.departures,
    ),
    _flow(
        "fexp_modifications_total",
        Kind.COUNTER,
        "Times a matching file was found rewritten since fexp started: other size, modification time or inode.",
        lambda f: f.modifications,
    ),
    _flow(
        "fexp_arrived_bytes_total",
        Kind.COUNTER,
        "Bytes that came in with arriving and growing files since fexp started.",
        lambda f: f.arrived_bytes,
    ),
    _flow(
        "fexp_departed_bytes_total",
        Kind.COUNTER,
        "Bytes that went out with departing and shrinking files since fexp started.",
        lambda f: f.departed_bytes,
    ),
    _flow(
        "fexp_last_arrival_timestamp_seconds",
        Kind.GAUGE,
        "When the latest matching file arrived, as Unix time.",
        lambda f: f.last_arrival_at,
    ),
    _flow(
        "fexp_last_departure_timestamp_seconds",
        Kind.GAUGE,
        "When the latest matching file departed, as Unix time.",
        lambda f: f.last_departure_at,
    ),
    _dwell("fexp_dwell_seconds", "How long departed files had stayed, from arrival to departure."),
    _folder(
        "fexp_folder_up",
        Kind.GAUGE,
        "1 while the folder can be read and is being watched, else 0.",
        lambda f: [((), f.up)] if f.looked else [],
    ),
    _folder(
        "fexp_folder_info",
        Kind.GAUGE,
        "How the folder is watched; always 1.",
        lambda f: [((f.backend, str(f.recursive).lower()), 1)] if f.backend else [],
        ("backend", "recursive"),
    ),
    _folder(
        "fexp_scans_total",
        Kind.COUNTER,
        "Whole looks at the folder.",
        lambda f: [((reason,), count) for reason, count in f.scans.items()],
        ("reason",),
    ),
    _folder(
        "fexp_scan_duration_seconds",
        Kind.GAUGE,
        "How long the latest whole look took.",
        lambda f: [((), f.scan_duration_seconds)],
    ),
    _folder(
        "fexp_last_scan_timestamp_seconds",
        Kind.GAUGE,
        "When the latest whole look ended, as Unix time.",
        lambda f: [((), f.last_scan_at)],
    ),
    _watched(
        "fexp_overflows_total",
        Kind.COUNTER,
        "Times the kernel said that file events were lost; each is followed by a whole look.",
        lambda f: f.overflows,
    ),
    _watched(
        "fexp_drift_files_total",
        Kind.COUNTER,
        "Files that a whole look found different from what events had told.",
        lambda f: f.drift_files,
    ),
    _folder(
        "fexp_errors_total",
        Kind.COUNTER,
        "Entries that could not be read.",
        lambda f: [((fault,), count) for fault, count in f.faults.items()],
        ("reason",),
    ),
    _delivery("fexp_deliveries_total", Kind.COUNTER, "Successful deliveries of an output.", lambda d: d.deliveries),
    _delivery("fexp_delivery_failures_total", Kind.COUNTER, "Failed deliveries of an output.", lambda d: d.failures),
    _delivery(
        "fexp_dropped_snapshots_total",
        Kind.COUNTER,
        "Snapshots that never reached an output's other side as a whole: given up while they waited, or refused.",
        lambda d: d.dropped,
    ),
    _delivery(
        "fexp_last_delivery_timestamp_seconds",
        Kind.GAUGE,
        "When an output's latest delivery succeeded, as Unix time.",
        lambda d: d.last_delivery_at,
    ),
    _delivery(
        "fexp_delivery_duration_seconds",
        Kind.GAUGE,
        "How long an output's latest successful delivery took.",
        lambda d: d.duration_seconds,
    ),
    _reload(
        "fexp_config_last_reload_successful",
        "Whether the config files, if any, were good when they were last read; a bad one leaves the old in force.",
        lambda r: r.successful,
    ),
    _reload(
        "fexp_config_last_reload_success_timestamp_seconds",
        "When good config files were last read, as Unix time.",
        lambda r: r.succeeded_at,
    ),
    Row(
        "fexp_build_info",
        Kind.GAUGE,
        Scope.SELF,
        ("version", "python", "watchdog"),
        "What this fexp is made of; always 1.",
        lambda _: iter([Sample(_build_labels(), 1)]),
    ),
)

AGGREGATES = tuple(row.aggregate for row in CATALOGUE if row.aggregate is not None)
"""What a folder's numbers are made of."""

EVERYWHERE = frozenset(Scope)
TEXTFILE_SCOPES = frozenset({Scope.STATE, Scope.FOLDER})
"""Series that carry a folder, so that the textfiles of several fexp on one host never collide."""


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
