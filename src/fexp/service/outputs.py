"""Builds outputs from settings, and refuses those that cannot work before anything is delivered."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fexp.errors import MissingError, SettingsError
from fexp.outputs.kinds import build_output
from fexp.service.locks import alone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fexp.config.settings import Settings
    from fexp.outputs import Output


def build_outputs(settings: Settings) -> tuple[Output, ...]:
    """Return the outputs. Raise SettingsError."""
    return tuple(build_output(output) for output in settings.outputs)


def refuse_counting_itself(outputs: Sequence[Output], settings: Settings) -> None:
    """Raise a SettingsError for an output whose file would count: each writing would be a reason for the next."""
    for output, asked in zip(outputs, settings.outputs, strict=True):
        for folder in settings.folders:
            real_folder = os.path.realpath(folder.path)
            excludes = [
                f"{settings.selection.origin('excludes')} {shlex.quote(glob)}"
                for path, glob in output.files.items()
                if folder.selection.counts(os.fsencode(os.path.realpath(path)), real_folder)
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
    places = len(outputs) + len(settings.http.listen)
    for output in outputs:
        try:
            output.check()
        except MissingError:
            if places == 1:
                raise


@contextmanager
def locked(outputs: Sequence[Output]) -> Iterator[None]:
    """Run the block as the only fexp process of this user at the places of the outputs."""
    with ExitStack() as locks:
        for output in outputs:
            locks.enter_context(alone(output.place, shown=output.target))
        yield
