"""A decoder of remote write requests that owes nothing to what writes them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Series = tuple[tuple[tuple[str, str], ...], int, bytes]


def fields(message: bytes) -> Iterator[tuple[int, int, Any]]:
    """Take a protobuf message apart by the wire format's rules: number, wire type, content."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, 0, varint()
        elif tag & 7 == 1:
            yield tag >> 3, 1, message[position : position + 8]
            position += 8
        else:
            assert tag & 7 == 2
            length = varint()
            assert position + length <= len(message)
            yield tag >> 3, 2, message[position : position + length]
            position += length


def decode(request: bytes) -> list[Series]:
    """Read a WriteRequest, sample by sample: labels, milliseconds, the value's bytes."""
    found = []
    for number, _, series in fields(request):
        assert number == 1
        parts = list(fields(series))
        labels = []
        for part_number, _, label in parts:
            if part_number == 1:
                (_, _, name), (_, _, value) = fields(label)
                labels.append((name.decode(), value.decode()))
        for sample in [content for part_number, _, content in parts if part_number == 2]:
            values = {part_number: content for part_number, _, content in fields(sample)}
            (at_ms,) = struct.unpack("<q", struct.pack("<Q", values[2]))
            found.append((tuple(labels), at_ms, values[1]))
    return found
