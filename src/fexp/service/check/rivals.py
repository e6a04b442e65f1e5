"""Other fexp processes that deliver to the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.service.check.finding import Finding, error, ok
from fexp.service.check.running import is_same, shown
from fexp.service.locks import holder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup


def check(setup: Setup) -> Iterator[Finding]:
    """Yield who else keeps a place of the outputs."""
    for output in setup.outputs:
        if output.place is None:
            continue
        process = holder(output.place)
        if process is None:
            yield ok(f"no other fexp delivers to {output.target}")
        elif process and is_same(process, setup.arguments):
            yield ok(f"the fexp with these settings delivers to {output.target} already, process {process}")
        else:
            yield error(
                f"another fexp delivers to {output.target}: {shown(process) if process else 'one that cannot be seen'}",
                "The second ends with exit status 1; where their locks cannot meet, each undoes the other's numbers.",
                f"kill {process}" if process else "stop it, or deliver elsewhere",
            )
