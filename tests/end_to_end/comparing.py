"""What /metrics shows of fexp, beside what a receiver was told: as two sets of series that must be the same."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import cramjam

from fexp.outputs.push.protobuf import STALE
from tests.end_to_end.running import samples
from tests.outputs.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.end_to_end.running import Watching
    from tests.servers import Server

    Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

_OF_THE_DELIVERY_BEFORE = {
    "fexp_deliveries_total",
    "fexp_last_delivery_timestamp_seconds",
    "fexp_delivery_duration_seconds",
}


def shown(fexp: Watching, **common: str) -> Series:
    """Return all series of fexp that /metrics shows, with the labels that an output adds to each."""
    series = samples(fexp.get("/metrics").text)
    return _of_fexp({(name, labels.union(common.items())): value for (name, labels), value in series.items()})


def pushed(text: str) -> Series:
    """Return the series of a push, or of a Pushgateway's /metrics."""
    return _of_fexp(samples(text))


def written(body: bytes) -> Series:
    """Return the series of a remote write request that live."""
    return _of_fexp(
        {
            (dict(labels)["__name__"], frozenset(label for label in labels if label[0] != "__name__")): number
            for labels, _, value in decode(bytes(cramjam.snappy.decompress_raw(body)))
            if value != STALE
            for (number,) in [struct.unpack("<d", value)]
        }
    )


def told(receiver: Server, job: str) -> Series:
    """Return all series of a job that live, as the receiver's query API tells them."""
    receiver.get("/internal/force_flush")  # has VictoriaMetrics show what it was sent; Prometheus knows no such path
    return _of_fexp(
        {
            (one["metric"].pop("__name__"), frozenset(one["metric"].items())): float(one["value"][1])
            for one in receiver.query(f'{{job="{job}"}}')
        }
    )


def value_of(series: Series, name: str, **labels: str) -> float | None:
    """Return the one value of that name and, among others, those labels; None if there is none."""
    found = [value for (own, all_labels), value in series.items() if own == name and labels.items() <= all_labels]
    assert len(found) <= 1, found
    return found[0] if found else None


def _of_fexp(series: Series) -> Series:
    """Of what a delivery cannot tell of itself, keep that it is there; the value is the one of the delivery before."""
    return {
        (name, frozenset(_spelled_alike(labels))): math.inf if name in _OF_THE_DELIVERY_BEFORE else value
        for (name, labels), value in series.items()
        if name.startswith("fexp_") and name != "fexp_unrendered_samples_total"
    }


def _spelled_alike(labels: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A Pushgateway writes le="60" for le="60.0"."""
    for name, value in labels:
        yield name, str(float(value)) if name == "le" else value
