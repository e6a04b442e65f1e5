"""Builds outputs from settings, and refuses those that cannot work before anything is delivered."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from fexp.errors import MissingError, SettingsError
from fexp.outputs.http.listen import parse_listen
from fexp.outputs.kinds import build_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.config.settings import HttpSettings, Settings
    from fexp.counting.selection import Folder
    from fexp.outputs import Output
    from fexp.outputs.http.listen import Listen


def build_outputs(settings: Settings) -> tuple[Output, ...]:
    """Return the outputs. Raise SettingsError."""
    return tuple(build_output(output) for output in settings.outputs)


def listens_of(settings: HttpSettings) -> list[Listen]:
    """Return the addresses to listen on. Raise SettingsError for one that is none."""
    try:
        return [parse_listen(text) for text in settings.listen]
    except SettingsError as error:
        raise SettingsError(f"{settings.origin('listen')} {error}") from None


def counting(outputs: Sequence[Output], folder: Folder) -> list[str]:
    """Return the files of outputs that would count in a folder, as globs that match all such."""
    if not any(output.files for output in outputs):
        return []
    real_folder = os.path.realpath(folder.path)
    return [
        glob
        for output in outputs
        for path, glob in output.files.items()
        if folder.selection.counts(os.fsencode(os.path.realpath(path)), real_folder)
    ]


def refuse_counting_itself(outputs: Sequence[Output], settings: Settings, folders: Sequence[Folder]) -> None:
    """Raise a SettingsError for an output whose file would count: each writing would be a reason for the next.

    ``outputs`` are those of the settings.
    """
    for output, asked in zip(outputs, settings.outputs, strict=True):
        for folder in folders:
            excludes = [
                f"{settings.selection.origin('excludes')} {shlex.quote(glob)}" for glob in counting([output], folder)
            ]
            if excludes:
                raise SettingsError(
                    f"{asked.asked_by} {output.target} would count as a file of {folder.label},"
                    f" and each writing as a change: write it elsewhere, or add {' '.join(excludes)}"
                )


def check_outputs(outputs: Sequence[Output], settings: Settings) -> None:
    """Raise a SettingsError for an output that cannot deliver.

    If only something is missing, and fexp delivers elsewhere too, the output may begin: it tries again.
    """
    places = len(settings.outputs) + len(settings.http.listen)
    for output in outputs:
        try:
            output.check()
        except MissingError:
            if places == 1:
                raise
