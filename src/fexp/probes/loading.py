"""Finds probes by name: installed ones, one of a module, those of a file. Only what was asked for is imported."""

from __future__ import annotations

import os
import sys
import traceback
from difflib import get_close_matches
from functools import cache
from importlib import import_module, util
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from fexp.errors import FexpError, SettingsError
from fexp.probes.probe import Probe, adapt
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

GROUP = "fexp.probes"
_SHIPPED = "fexp.probes.shipped"
_SHIPPED_NAMES = ("checksum", "csv_header", "line_count", "marker_file")


def installed_probes() -> dict[str, EntryPoint]:
    """Return the probes that come with fexp and those that installed packages offer. None of them is imported."""
    shipped = [EntryPoint(name, f"{_SHIPPED}:{name}", GROUP) for name in _SHIPPED_NAMES]
    return {point.name: point for point in (*entry_points(group=GROUP), *shipped)}


@cache
def load_probes(asked: str) -> tuple[Probe, ...]:
    """Return the probes of an installed name, of ``module:name`` or of a ``.py`` file. Raise SettingsError."""
    shown = one_line(asked)
    if asked.endswith(".py") or "/" in asked:
        return _probes_of_file(asked, shown)
    module, colon, name = asked.partition(":")
    if colon:
        found = _imported(shown, lambda: import_module(module))
        for part in name.split("."):
            if not hasattr(found, part):
                raise SettingsError(f"{shown}: {module} has no {part}{_nearest(part, dir(found))}")
            found = getattr(found, part)
        return _probes_in(found, shown, name.rpartition(".")[2].lower())
    installed = installed_probes()
    if asked not in installed:
        raise SettingsError(
            f"{shown}: no such probe is installed{_nearest(asked, list(installed)) or '.'}"
            f" There are {', '.join(sorted(installed)) or 'none'}; or name module:probe, or a file.py"
        )
    return _probes_in(_imported(shown, installed[asked].load), shown, asked)


def as_probes(found: Any, name: str) -> tuple[Probe, ...]:
    """Return a probe, a collector of prometheus_client or several of them as probes. Raise SettingsError."""
    if isinstance(found, Probe):
        return (found,)
    if isinstance(found, list | tuple):
        return tuple(probe for number, one in enumerate(found) for probe in as_probes(one, f"{name}_{number}"))
    return (adapt(found, name),)


def _probes_in(found: Any, shown: str, name: str) -> tuple[Probe, ...]:
    probes: tuple[Probe, ...] = _imported(shown, lambda: as_probes(found, name))
    for probe in probes:
        _imported(shown, probe.check_ready)
    return probes


def _probes_of_file(path: str, shown: str) -> tuple[Probe, ...]:
    if not os.path.isfile(path):
        raise SettingsError(f"{shown}: there is no such file")
    found = [(name, one) for name, one in vars(_imported(shown, lambda: _module_of(path))).items() if name[:1] != "_"]
    probes = [one for _, one in found if isinstance(one, Probe)]
    if not probes:
        collectors = [(name, one) for name, one in found if _is_collector(one)]
        registries = [(name, one) for name, one in collectors if hasattr(one, "register")]
        probes = [adapt(one, name.lower()) for name, one in registries or collectors]
    if not probes:
        raise SettingsError(f"{path}:1: no probe is in it: decorate a function with @fexp.probe")
    return _probes_in(list(dict.fromkeys(probes)), shown, "")


def _is_collector(one: object) -> bool:
    return callable(getattr(one, "collect", None)) and not isinstance(one, type)


def _module_of(path: str) -> ModuleType:
    """Import a file, which finds its neighbours as a script does."""
    name = f"fexp_probe_file_{os.path.basename(path).removesuffix('.py')}"
    spec = util.spec_from_file_location(name, os.path.abspath(path))
    if spec is None or spec.loader is None:
        raise SettingsError(f"{path}: not a file of Python; give it a name that ends in .py")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(os.path.dirname(os.path.abspath(path)))
    spec.loader.exec_module(module)
    return module


def _imported(shown: str, load: Callable[[], Any]) -> Any:
    """Return what is loaded. Raise SettingsError, whatever goes wrong in somebody's module."""
    try:
        return load()
    except SyntaxError as error:
        raise SettingsError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, FexpError) else f"{type(error).__name__}: {error}"
        raise SettingsError(f"{place_of(error) or shown}: {one_line(reason)}") from error


def place_of(error: BaseException) -> str:
    """Return the line of somebody's own code that an error comes from, as ``file:line``; empty if it is none's."""
    own = os.path.dirname(os.path.dirname(__file__))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_foreign(frame.filename, own)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _is_foreign(file: str, own: str) -> bool:
    library = os.path.dirname(os.__file__)
    return file.startswith(("<frozen", own + os.sep)) or (file.startswith(library) and "site-packages" not in file)


def _nearest(name: str, names: list[str]) -> str:
    nearest = get_close_matches(name, names, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""
