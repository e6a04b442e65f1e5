"""Samples as remote write 1.0 has them in protobuf.

https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

from fexp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    Labels = tuple[tuple[str, str], ...]

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""The NaN that says: this series ended. As bytes: a float may lose what tells it from other NaNs."""


def series_of(families: Iterable[Metric], common: Mapping[str, str]) -> Iterator[tuple[Labels, float]]:
    """Yield each sample with all its labels: sorted, unique, none empty."""
    for family in families:
        for sample in family.samples:
            labels = {**sample.labels, **common, "__name__": sample.name}
            try:
                sorted_labels = tuple(sorted((name, value) for name, value in labels.items() if value))
                "".join(value for _, value in sorted_labels).encode()
            except UnicodeEncodeError as error:
                raise OutputError(f"{sample.name}: a label value is not valid text", final=True) from error
            yield sorted_labels, float(sample.value)


def encode_labels(labels: Labels) -> bytes:
    """Return the part of a ``prometheus.TimeSeries`` that is its labels."""
    encoded = bytearray()
    for name, text in labels:
        encoded += _bytes_field(1, _bytes_field(1, name.encode()) + _bytes_field(2, text.encode()))
    return bytes(encoded)


def encode_timestamp(at_ms: int) -> bytes:
    """Return the part of a ``prometheus.Sample`` that is its time."""
    return b"\x10" + _varint(at_ms & 0xFFFFFFFFFFFFFFFF)


def encode_request(samples: Iterable[tuple[bytes, bytes]], timestamp: bytes, enough_bytes: int) -> tuple[bytes, int]:
    """Return a ``prometheus.WriteRequest`` with the first so many samples as are enough, and their number.

    A sample is the encoded labels of a series and its value, the eight bytes of a little-endian double.
    """
    sample_bytes = 1 + 8 + len(timestamp)
    middle = b"\x12" + _varint(sample_bytes) + b"\x09"
    begins = _begins(len(middle) - 1 + sample_bytes)
    request, count = bytearray(), 0
    for labels, value in samples:
        request += b"%b%b%b%b%b" % (begins[len(labels)], labels, middle, value, timestamp)
        count += 1
        if len(request) >= enough_bytes:
            break
    return bytes(request), count


class _Begins(dict[int, bytes]):
    """What stands before the labels of a series, by the bytes of its labels."""

    def __init__(self, tail_bytes: int) -> None:
        self._tail_bytes = tail_bytes

    def __missing__(self, labels_bytes: int) -> bytes:
        begin = self[labels_bytes] = b"\x0a" + _varint(labels_bytes + self._tail_bytes)
        return begin


_begins = cache(_Begins)


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
