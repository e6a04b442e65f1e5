"""``fexp.push`` and ``fexp.write_textfile``: deliver once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from fexp.api.arguments import OF_CONFIG_FILES, paths_of
from fexp.api.collector import FolderCollector
from fexp.config.keywords import written_by_keywords
from fexp.config.selection import SelectionSettings, build_folders
from fexp.config.settings import Settings
from fexp.metrics import CATALOGUE
from fexp.outputs.formats import Families
from fexp.outputs.kinds import output_type
from fexp.service.delivery import deliver, publish

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Unpack

    from fexp.api.arguments import Folders, PathLike, Pushing, WhatIsShown
    from fexp.metrics import Scope
    from fexp.outputs import Collects


def push(source: Folders | Collects, *, gateway: str = "http://127.0.0.1:9091", **arguments: Unpack[Pushing]) -> None:
    """Push to a Pushgateway: look at folders once, as ``fexp push`` does, or collect from a collector or a registry.

    Raise SettingsError for a wrong argument, FexpError when a folder could not be read (what could be was pushed), or
    the push failed.
    """
    _deliver("gateway", source, {"gateway": gateway, **arguments})


def write_textfile(
    path: PathLike, source: Folders | Collects, *, textfile_mode: int | str = 0o644, **arguments: Unpack[WhatIsShown]
) -> None:
    """Write a file for node_exporter's textfile collector, in one step: look at folders once, as ``fexp write`` does.

    From a collector or a registry it writes what that has now. ``path`` ends in ``.prom``. Raise SettingsError for a
    wrong argument, FexpError when a folder could not be read (what could be was written), or the writing failed.
    """
    _deliver("textfile", source, {"textfile": path, "textfile_mode": textfile_mode, **arguments})


def collects(source: object) -> TypeGuard[Collects]:
    """Return whether this is a collector or a registry, and not the paths of folders."""
    return hasattr(source, "collect")


def _deliver(kind: str, source: Folders | Collects, arguments: Mapping[str, object]) -> None:
    output = output_type(kind).settings_type
    if collects(source):
        settings = output.read(written_by_keywords((output,), arguments))
        publish(settings, _limited(source, output_type(kind)(settings).scopes))
        return
    written = written_by_keywords((SelectionSettings, output), arguments, OF_CONFIG_FILES)
    selection = SelectionSettings.read(written)
    folders = build_folders(paths_of(source), selection)
    deliver(Settings(folders=folders, outputs=(output.read(written),), selection=selection))


def _limited(source: Collects, scopes: Collection[Scope]) -> Collects:
    """Return the same without those families of fexp that an output of these scopes does not show.

    Two textfiles of one host with the same series of fexp would have node_exporter refuse both.
    """
    if isinstance(source, FolderCollector):
        return source.limited_to(scopes)
    hidden = {row.family().name for row in CATALOGUE if row.scope not in scopes}
    return Families(family for family in source.collect() if family.name not in hidden)
