"""fexp watches folders and shows Prometheus at once what waits in them.

What this module names is what a program may rely on. All else is private, and may change with any version.
"""

__version__ = "0.1.0"

_LOADED_WHEN_USED = {
    "Change": "fexp.api.changes",
    "ChangesLostError": "fexp.errors",
    "Exporter": "fexp.cli.exporter",
    "FexpError": "fexp.errors",
    "File": "fexp.probes.file",
    "FolderCollector": "fexp.api.collector",
    "FolderError": "fexp.errors",
    "FolderNumbers": "fexp.api.looking",
    "Happening": "fexp.model",
    "Option": "fexp.probes.parameters",
    "OutputError": "fexp.errors",
    "Probe": "fexp.probes.probe",
    "Sample": "fexp.metrics.declared",
    "SettingsError": "fexp.errors",
    "Watch": "fexp.api.changes",
    "adapt": "fexp.probes.probe",
    "asgi_app": "fexp.api.apps",
    "counter": "fexp.metrics.declared",
    "cron": "fexp.probes.triggers",
    "every": "fexp.probes.triggers",
    "files": "fexp.probes.triggers",
    "gauge": "fexp.metrics.declared",
    "histogram": "fexp.metrics.declared",
    "info": "fexp.metrics.declared",
    "job": "fexp.service.job.function",
    "look": "fexp.api.looking",
    "probe": "fexp.probes.probe",
    "push": "fexp.api.delivering",
    "scrape": "fexp.probes.triggers",
    "state_set": "fexp.metrics.declared",
    "summary": "fexp.metrics.declared",
    "watch": "fexp.api.changes",
    "write_textfile": "fexp.api.delivering",
    "wsgi_app": "fexp.api.apps",
}
"""What a program may import from here, and where it is. A one-shot pays for none of it."""


def __getattr__(name: str) -> object:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LOADED_WHEN_USED[name]), name)


def __dir__() -> list[str]:
    return ["__version__", *_LOADED_WHEN_USED]
