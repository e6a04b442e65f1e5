"""The textfile as fexp writes it: whether it could, now. Nothing is written."""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING

from fexp.errors import MissingError, SettingsError
from fexp.outputs.textfile import TextfileOutput, TextfileSettings
from fexp.service.check.finding import Finding, error, ok
from fexp.service.outputs import counting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup

_LEAST_BYTES = 1 << 20


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what keeps the file from being written."""
    for output in setup.outputs:
        if isinstance(output, TextfileOutput):
            found = [*_of_place(output, setup), *_of_folders(output, setup)]
            yield from found or [ok(f"{output.target} can be written by user {setup.user}")]


def directory_of(settings: TextfileSettings) -> str:
    """Return the directory of the file."""
    return os.path.dirname(settings.file) or "."


def _of_place(output: TextfileOutput, setup: Setup) -> Iterator[Finding]:
    directory = os.path.dirname(output.place)
    why = "No delivery to it succeeds; fexp_delivery_failures_total counts them."
    try:
        output.check()
    except MissingError as problem:
        group = "root" if setup.user == "root" else f"{setup.user} -g {setup.user}"
        yield error(str(problem), why, f"install -d -m 0755 -o {group} {shlex.quote(directory)}")
        return
    except SettingsError as problem:
        yield error(str(problem), why, f"setfacl -m u:{setup.user}:rwx {shlex.quote(directory)}")
        return
    if not _may_replace(output.place, directory):
        yield error(
            f"{output.target} is another user's, in a directory where only the owner may replace a file",
            why,
            f"rm {shlex.quote(output.place)}",
        )
    space = os.statvfs(directory)
    if space.f_bavail * space.f_frsize < _LEAST_BYTES or (space.f_files and not space.f_favail):
        yield error(f"{directory} lies on a file system that is full", why, f"df -h {shlex.quote(directory)}")


def _may_replace(path: str, directory: str) -> bool:
    """Return whether a sticky directory lets this user rename over what is there."""
    try:
        file, parent = os.lstat(path), os.stat(directory)
    except OSError:
        return True
    return not parent.st_mode & stat.S_ISVTX or os.geteuid() in (0, file.st_uid, parent.st_uid)


def _of_folders(output: TextfileOutput, setup: Setup) -> Iterator[Finding]:
    for folder in setup.folders:
        for glob in counting([output], folder):
            yield error(
                f"{output.target} would count as a file of {folder.label}",
                "fexp refuses to begin, or leaves out a folder that comes later: each writing would be a change.",
                f"write it elsewhere, or add {setup.settings.selection.origin('excludes')} {shlex.quote(glob)}",
            )
