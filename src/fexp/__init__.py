"""fexp watches folders and shows Prometheus at once what waits in them."""

__version__ = "0.1.0"

_LOADED_WHEN_USED = {"job": "fexp.service.job.function"}
"""What a program may import from here, and where it is. A one-shot pays for none of it."""


def __getattr__(name: str) -> object:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LOADED_WHEN_USED[name]), name)
