"""Text in pieces that are kept, and gzip made of pieces that were compressed before."""

from __future__ import annotations

import struct
import zlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVEL = 5
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""Deflate, no flags, no time, unknown system: RFC 1952."""
_LAST_BLOCK = b"\x03\x00"
"""An empty block of deflate with the final bit: RFC 1951."""


class Piece:
    """A part of a text, which is compressed at most once."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    @cached_property
    def deflated(self) -> bytes:
        """The text as blocks of raw deflate that end on a byte and refer to nothing before them."""
        if not self.text:
            return b""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(self.text) + compressor.flush(zlib.Z_FULL_FLUSH)


def join(pieces: Sequence[Piece]) -> bytes:
    """Return the whole text."""
    return b"".join([piece.text for piece in pieces])


def join_gzip(pieces: Sequence[Piece]) -> bytes:
    """Return the whole text as one member of gzip."""
    crc, length = 0, 0
    for piece in pieces:
        crc = zlib.crc32(piece.text, crc)
        length += len(piece.text)
    trailer = struct.pack("<LL", crc, length & 0xFFFFFFFF)
    return b"".join([_GZIP_HEADER, *[piece.deflated for piece in pieces], _LAST_BLOCK, trailer])
