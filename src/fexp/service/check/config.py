"""The command line and the config files. That they can be read at all was found out before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.config.config_file import config_files
from fexp.service.check.finding import Finding, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what was read, and what in it does nothing."""
    files = config_files(setup.settings.config.files)
    places = [
        *(f"{one.kind} {output.target}" for one, output in zip(setup.settings.outputs, setup.outputs, strict=True))
    ]
    places += [f"http {address}" for address in setup.settings.http.listen]
    yield ok(f"{', '.join(files) or 'the command line'}: delivers to {', '.join(places)}")
    for hint in setup.hints:
        yield warning(hint, "What was meant by it does not happen.", "correct it, or leave it out")
