"""The text that other sides read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.errors import OutputError

if TYPE_CHECKING:
    from fexp.outputs import Collects

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render_text(source: Collects) -> bytes:
    """Render strict Prometheus text 0.0.4: every textfile collector and every Pushgateway reads it."""
    from prometheus_client import generate_latest

    try:
        return generate_latest(source, escaping="underscores")
    except UnicodeEncodeError as error:
        raise OutputError("cannot render the metrics: a label value is not valid text", final=True) from error
