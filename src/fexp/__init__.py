"""fexp watches folders and shows Prometheus at once what waits in them."""

__version__ = "0.1.0"

_LOADED_WHEN_USED = {
    "Exporter": "fexp.cli.exporter",
    "File": "fexp.probes.file",
    "Option": "fexp.probes.parameters",
    "Probe": "fexp.probes.probe",
    "Sample": "fexp.metrics.declared",
    "adapt": "fexp.probes.probe",
    "counter": "fexp.metrics.declared",
    "cron": "fexp.probes.triggers",
    "every": "fexp.probes.triggers",
    "files": "fexp.probes.triggers",
    "gauge": "fexp.metrics.declared",
    "histogram": "fexp.metrics.declared",
    "info": "fexp.metrics.declared",
    "job": "fexp.service.job.function",
    "probe": "fexp.probes.probe",
    "scrape": "fexp.probes.triggers",
    "state_set": "fexp.metrics.declared",
    "summary": "fexp.metrics.declared",
}
"""What a program may import from here, and where it is. A one-shot pays for none of it."""


def __getattr__(name: str) -> object:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LOADED_WHEN_USED[name]), name)
