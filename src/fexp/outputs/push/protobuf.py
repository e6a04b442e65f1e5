"""Samples as remote write 1.0 has them in protobuf.

https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fexp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    Labels = tuple[tuple[str, str], ...]

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""The NaN that says: this series ended. As bytes: a float may lose what tells it from other NaNs."""
_TIME_BYTES = 7
"""Of an encoded timestamp from 1971 to 2109."""
_MIDDLE_BYTES = 3
"""Between the labels and the value."""
_VALUE_BYTES = 8


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


def encode_sample(labels: bytes, value: bytes, time_bytes: int = _TIME_BYTES) -> bytes:
    """Return a ``prometheus.TimeSeries`` with one sample, up to the time: that comes last and differs every time.

    The value comes as the eight bytes of a little-endian double.
    """
    sample_bytes = 1 + _VALUE_BYTES + time_bytes
    middle = b"\x12" + _varint(sample_bytes) + b"\x09"
    return b"\x0a" + _varint(len(labels) + len(middle) - 1 + sample_bytes) + labels + middle + value


def labels_of(sample: bytes) -> bytes:
    """Return the encoded labels."""
    begin = 1
    while sample[begin] & 0x80:
        begin += 1
    return sample[begin + 1 : -_MIDDLE_BYTES - _VALUE_BYTES]


def encode_request(samples: Iterable[bytes], timestamp: bytes, enough_bytes: int) -> tuple[bytes, int]:
    """Return a ``prometheus.WriteRequest`` with the first so many samples as are enough, and their number."""
    if len(timestamp) != _TIME_BYTES:  # a clock that was never set
        samples = (encode_sample(labels_of(one), one[-_VALUE_BYTES:], len(timestamp)) for one in samples)
    taken, request_bytes = [], 0
    for sample in samples:
        taken.append(sample)
        request_bytes += len(sample) + len(timestamp)
        if request_bytes >= enough_bytes:
            break
    return timestamp.join([*taken, b""]), len(taken)


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
