"""The probes: they are loaded, and not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.service.check.finding import Finding, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup


def check(setup: Setup) -> Iterator[Finding]:
    """Yield which there are. One that cannot be loaded is refused as the command line's mistake."""
    if setup.settings.probes:
        yield ok(f"loaded, not run: {', '.join(selected.probe.name for selected in setup.settings.probes)}")
