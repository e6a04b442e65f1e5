"""The exposition formats, as prometheus_client renders them."""

from __future__ import annotations

from copy import copy
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from fexp.outputs import Collects


class Format(Enum):
    """An exposition format: its media type and version."""

    TEXT = ("text/plain", "0.0.4")
    """Strict: every textfile collector and every Pushgateway reads it."""
    OPENMETRICS = ("application/openmetrics-text", "1.0.0")

    @property
    def content_type(self) -> str:
        """Return the value of Content-Type."""
        media_type, version = self.value
        return f"{media_type}; version={version}; charset=utf-8"

    @property
    def end(self) -> bytes:
        """Return what follows the last family."""
        return b"# EOF\n" if self is Format.OPENMETRICS else b""

    def families(self, family: Metric) -> list[Metric]:
        """Return what this format makes of a family. Text 0.0.4 knows no gauge histogram.

        There it is a histogram, whole, so that what parses it and passes it on invents no count and no sum; and gauges,
        so that all its series have the same names as in OpenMetrics.
        """
        if self is Format.OPENMETRICS or family.type != "gaugehistogram":
            return [family]
        from prometheus_client.metrics_core import Metric

        histogram = Metric(family.name, family.documentation, "histogram")
        gauges = [Metric(family.name + suffix, family.documentation, "gauge") for suffix in ("_gcount", "_gsum")]
        for sample in family.samples:
            suffix = sample.name.removeprefix(family.name).replace("_g", "_", 1)
            histogram.samples.append(sample._replace(name=family.name + suffix))
            for gauge in gauges:
                if gauge.name == sample.name:
                    gauge.samples.append(sample)
        return [histogram, *gauges]

    def render(self, source: Collects) -> bytes:
        """Return the families as they are now, rendered by prometheus_client, without the end."""
        if self is Format.OPENMETRICS:
            from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

            text: bytes = generate_openmetrics(source)  # type: ignore[no-untyped-call]
            return text.removesuffix(self.end)
        from prometheus_client import generate_latest

        shown = Families(one for family in source.collect() for one in self.families(family))
        return generate_latest(shown, escaping="underscores")


class Families(list["Metric"]):
    """A source of given families."""

    def collect(self) -> list[Metric]:
        """Return them."""
        return self


def labelled(family: Metric, labels: Mapping[str, str]) -> Metric:
    """Return a family whose samples carry some more labels."""
    if not labels:
        return family
    changed = copy(family)
    changed.samples = [sample._replace(labels={**sample.labels, **labels}) for sample in family.samples]
    return changed


class Labelled:
    """Families whose samples all carry some more labels."""

    def __init__(self, source: Collects, labels: Mapping[str, str]) -> None:
        self._source = source
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now."""
        for family in self._source.collect():
            yield labelled(family, self._labels)
