"""The one place where an error becomes a line on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress

from fexp.text import visible


def print_error(line: str) -> None:
    """Print one line on standard error. A stream that takes none is no reason to stop."""
    with suppress(OSError):
        print(f"fexp: {visible(line)}", file=sys.stderr)
