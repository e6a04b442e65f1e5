"""What a check finds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as most would want."""
    ERROR = "error"
    """It would fail."""


class Finding(NamedTuple):
    """One line that says what is so; and of what is not well, why that matters and what mends it."""

    level: Level
    what: str
    why: str = ""
    mend: str = ""
    """A command where there is one."""


def ok(what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, what)


def warning(what: str, why: str, mend: str) -> Finding:
    """Return a finding of what works, but not well."""
    return Finding(Level.WARNING, what, why, mend)


def error(what: str, why: str, mend: str) -> Finding:
    """Return a finding of what would fail."""
    return Finding(Level.ERROR, what, why, mend)
