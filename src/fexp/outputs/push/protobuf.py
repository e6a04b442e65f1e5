"""Samples as remote write 1.0 has them in protobuf.

https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fexp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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


def encode_sample(labels: bytes, value: bytes) -> bytes:
    """Return a ``prometheus.TimeSeries`` with one sample, up to the time: that comes last and differs every time.

    The value comes as the eight bytes of a little-endian double.
    """
    sample_bytes = 1 + _VALUE_BYTES + _TIME_BYTES
    middle = b"\x12" + _varint(sample_bytes) + b"\x09"
    return b"\x0a" + _varint(len(labels) + len(middle) - 1 + sample_bytes) + labels + middle + value


def labels_of(sample: bytes) -> bytes:
    """Return the encoded labels."""
    begin = 1
    while sample[begin] & 0x80:
        begin += 1
    return sample[begin + 1 : -_MIDDLE_BYTES - _VALUE_BYTES]


def encode_series(samples: Sequence[bytes], timestamps: Sequence[bytes]) -> bytes:
    """Return the ``prometheus.TimeSeries`` of samples that are the same at each of these times, in their order."""
    if len(timestamps) == 1 and len(timestamps[0]) == _TIME_BYTES:
        return timestamps[0].join([*samples, b""])
    heads = [b"\x12" + _varint(1 + _VALUE_BYTES + len(one)) + b"\x09" for one in timestamps]
    between = [heads[0], *map(bytes.__add__, timestamps, heads[1:]), timestamps[-1]]
    tails: dict[bytes, bytes] = {}  # many series have one value
    encoded: list[bytes] = []
    for sample in samples:
        labels, value = labels_of(sample), sample[-_VALUE_BYTES:]
        tail = tails.get(value)
        if tail is None:
            tail = tails[value] = value.join(between)
        encoded += b"\x0a", _varint(len(labels) + len(tail)), labels, tail
    return b"".join(encoded)


def bytes_of_times(times: int) -> int:
    """Return about how much longer than an encoded sample its series is at so many times; exactly for one."""
    return _TIME_BYTES + (times - 1) * (_MIDDLE_BYTES + _VALUE_BYTES + _TIME_BYTES)


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
