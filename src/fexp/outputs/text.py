"""The text format that receivers read."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from fexp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from fexp.outputs import Collects

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render_text(source: Collects) -> bytes:
    """Return strict Prometheus text 0.0.4: every textfile collector and every Pushgateway reads it."""
    from prometheus_client import generate_latest

    try:
        return generate_latest(source, escaping="underscores")
    except UnicodeEncodeError as error:
        raise OutputError("cannot render the metrics: a label value is not valid text", final=True) from error


class Labelled:
    """Families whose samples all carry some more labels."""

    def __init__(self, source: Collects, labels: Mapping[str, str]) -> None:
        self._source = source
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now."""
        for family in self._source.collect():
            labelled = copy(family)
            labelled.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in family.samples]
            yield labelled
