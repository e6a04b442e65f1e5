"""Numbers as Prometheus knows them: the catalogue of all metrics, and the collector that fills it from a snapshot."""

from fexp.metrics.catalogue import AGGREGATES, CATALOGUE, EVERYWHERE, FOLDER_SCOPES, JOB_ROWS, TEXTFILE_SCOPES, makers
from fexp.metrics.collector import FexpCollector
from fexp.metrics.rows import Kind, Row, Sample, Scope

__all__ = [
    "AGGREGATES", "CATALOGUE", "EVERYWHERE", "FOLDER_SCOPES", "JOB_ROWS", "TEXTFILE_SCOPES", "FexpCollector", "Kind",
    "Row", "Sample", "Scope", "makers",
]  # fmt: skip
