"""fexp watches folders and shows Prometheus at once what waits in them.

What this module names is what a program may rely on. All else is private, and may change with any version.
"""

__version__ = "0.1.0"

_LOADED_WHEN_USED = {
    "Change": "fexp.api.changes",
    "ChangesLostError": "fexp.errors",
    "FexpError": "fexp.errors",
    "FolderCollector": "fexp.api.collector",
    "FolderError": "fexp.errors",
    "FolderNumbers": "fexp.api.looking",
    "Happening": "fexp.model",
    "OutputError": "fexp.errors",
    "SettingsError": "fexp.errors",
    "Watch": "fexp.api.changes",
    "asgi_app": "fexp.api.apps",
    "job": "fexp.service.job.function",
    "look": "fexp.api.looking",
    "push": "fexp.api.delivering",
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
