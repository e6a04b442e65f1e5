"""The arguments that the functions share. They are the options of the command line, with underscores.

Each class says what one function takes. A wrong argument raises a SettingsError that names it, before anything begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from fexp.config.keywords import written_by_keywords
from fexp.config.selection import SelectionSettings, build_folders
from fexp.config.settings import EngineSettings
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Literal, TypeAlias

    from fexp.counting.selection import Folder

    PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Folders: TypeAlias = PathLike | Iterable[PathLike]
    """One path or several. A path that names a file counts this file alone."""
    Texts: TypeAlias = str | Iterable[str]
    Duration: TypeAlias = float | str
    """Seconds, or as people write it: ``"5m"``."""
    Buckets: TypeAlias = str | Iterable[float | str]
    """Upper bounds: ``"1m,1h,1d"`` or ``[60, 3600, 86400]``."""


class WhatCounts(TypedDict, total=False):
    """Which files count. As on the command line all regular files do that are not hidden, in the folder itself."""

    ext: Texts
    """Count files with this extension, with or without the dot."""
    match: Texts
    """Count files whose name matches this glob."""
    exclude: Texts
    """Leave out a name, or with a ``/`` a path below the folder, as globs."""
    recursive: bool
    """Look into subfolders too."""
    max_depth: int
    """How deep; 1 is the folder itself."""
    hidden: bool
    """Count hidden names and enter hidden folders."""
    follow_symlinks: bool
    """Count a symlink to a file by its target."""
    ignore_case: bool
    """Have ``*.txt`` match ``A.TXT`` too."""
    settle: Duration
    """A file has settled when it has not changed for so long."""
    count: Literal["present", "settled"]
    """Which files count: all that are there if not given, or each only once it has settled."""


class WhatIsShown(WhatCounts, total=False):
    """Which files count, and what is shown of them."""

    label: Mapping[str, str]
    """Labels for every series of the folders."""
    age_buckets: Buckets
    """Show how old the files are, in buckets up to these ages in seconds."""
    size_buckets: Buckets
    """Show how large the files are, in buckets up to these sizes in bytes."""
    disk_usage: bool
    """Show what the files take up on the disk."""
    stall_after: Duration
    """Show how many partial uploads have not changed for so long."""
    partial: Texts
    """What a partial upload is named, as globs: ``*.part``, ``*.tmp`` and the like if not given."""
    by_ext: bool
    """Count each extension that is found as a pattern of its own."""
    top: int
    """How many extensions, those of the most files; the rest is ``other``. 10 if not given."""
    compound_ext: Texts
    """Extensions with a dot in them, such as ``tar.gz``."""
    group: str
    """Label files by the named groups of a regex, searched in their paths below the folder."""
    max_groups: int
    """How many groups, those of the most files; the rest is ``other``. 100 if not given."""
    group_folder: str
    """Label a folder by the named groups of a regex, searched in its own path."""
    per_file: bool
    """Show the size and the time of single files, the oldest."""
    max_series: int
    """How many files of a folder: 100 if not given."""
    no_file_names: bool
    """Let no exemplar name a file."""


class _HowToWatch(TypedDict, total=False):
    backend: Literal["auto", "inotify", "observer", "polling"]
    """How to learn that something happened; what works best if not given."""
    rescan: Duration
    """Look at everything this often, as a safety net: 5 minutes if not given."""
    poll_interval: Duration
    """Look this often at folders that give no events: 5 seconds if not given."""


class Watching(WhatCounts, _HowToWatch, total=False):
    """Which files count, and how they are watched."""


class Collecting(WhatIsShown, _HowToWatch, total=False):
    """Which files count, what is shown of them, and how they are watched."""

    dwell_buckets: Buckets
    """The buckets of ``fexp_dwell_seconds``; ``"none"`` leaves it out."""


class Pushing(WhatIsShown, total=False):
    """Which files count, what is shown of them, and how it is pushed.

    A password or a token comes from a file or, as on the command line, from the environment.
    """

    job: str
    """The job in the group's key: ``fexp`` if not given."""
    instance: str
    """The instance in the group's key: the host name if not given."""
    grouping: Mapping[str, str]
    """Labels that the group's key has in addition."""
    gateway_mode: Literal["pushgateway", "import"]
    """``import`` posts to exactly the URL given, as VictoriaMetrics takes it."""
    gateway_gzip: bool
    gateway_user: str
    gateway_password_file: PathLike
    gateway_token_file: PathLike
    gateway_ca_file: PathLike
    gateway_cert_file: PathLike
    gateway_key_file: PathLike
    gateway_deadline: Duration
    """All of the request, with its retries: 10 seconds if not given."""
    insecure: bool
    """Send credentials over plain http to another machine all the same."""


OF_CONFIG_FILES = frozenset({"per_subfolder", "time_zone", "watch_config"})
"""A program says itself which folders it wants."""
_UNSHOWN = OF_CONFIG_FILES | {"dwell_buckets"} | WhatIsShown.__annotations__.keys() - WhatCounts.__annotations__.keys()


def read_watching(folders: Folders, arguments: Watching) -> tuple[tuple[Folder, ...], EngineSettings]:
    """Return what is to be watched, for whom no metrics are made. Raise SettingsError."""
    found, settings = _read(folders, arguments, refused=_UNSHOWN)
    return found, settings.replace(dwell_bounds_seconds=())


def read_collecting(folders: Folders, arguments: Collecting) -> tuple[tuple[Folder, ...], EngineSettings]:
    """Return what is to be watched, for metrics. Raise SettingsError."""
    return _read(folders, arguments)


def read_selection(folders: Folders, arguments: WhatIsShown) -> tuple[Folder, ...]:
    """Return what is to be looked at once. Raise SettingsError."""
    selection = SelectionSettings.read(written_by_keywords((SelectionSettings,), arguments, OF_CONFIG_FILES))
    return build_folders(paths_of(folders), selection)


def _read(
    folders: Folders, arguments: Mapping[str, object], refused: Collection[str] = OF_CONFIG_FILES
) -> tuple[tuple[Folder, ...], EngineSettings]:
    written = written_by_keywords((SelectionSettings, EngineSettings), arguments, refused)
    return build_folders(paths_of(folders), SelectionSettings.read(written)), EngineSettings.read(written)


def paths_of(folders: object) -> tuple[str, ...]:
    """Return the paths of folders. Raise SettingsError for what is none."""
    if isinstance(folders, str | bytes | os.PathLike) or not isinstance(folders, Iterable):
        folders = (folders,)
    paths = tuple(_path(one) for one in folders)
    if not paths:
        raise SettingsError("folders is empty: name at least one folder to look at")
    return paths


def _path(path: object) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        raise SettingsError(f"folders {path!r}: give a path, or several")
    text = os.fsdecode(path)
    try:
        is_path = bool(os.fsencode(text)) and "\0" not in text
    except UnicodeEncodeError:
        is_path = False
    if not is_path:
        raise SettingsError(f"folders {text!r}: no folder has such a path; name one")
    return text


def refuse(name: str, value: object, way_out: str) -> SettingsError:
    """Return the error for an argument that no option stands for."""
    return SettingsError(f"{name} {value!r}: {way_out}")
