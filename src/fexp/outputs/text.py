"""Text as receivers read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.errors import OutputError
from fexp.outputs.formats import Format, Labelled
from fexp.outputs.pieces import Piece, join

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.outputs import Collects


def text_pieces(source: Collects, labels: Mapping[str, str] | None = None) -> list[Piece]:
    """Return text 0.0.4 in pieces, all series with some more labels.

    A source that keeps what it rendered (``fexp.outputs.rendering``) renders only what changed.
    """
    from fexp.outputs.rendering import KeptCollector

    if isinstance(source, KeptCollector):
        return source.render(Format.TEXT, labels=labels or {})
    try:
        return [Piece(Format.TEXT.render(Labelled(source, labels) if labels else source))]
    except UnicodeEncodeError as error:
        raise OutputError("cannot render the metrics: a label value is not valid text", final=True) from error


def render_text(source: Collects) -> bytes:
    """Return text 0.0.4."""
    return join(text_pieces(source))
