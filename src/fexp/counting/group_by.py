"""What tells the files of a folder apart beside patterns, when somebody asks for it."""

from __future__ import annotations

from typing import NamedTuple

GROUPS_MAX = 10_000
"""So many groups a folder may have at once, shown by name or not."""


class GroupBy(NamedTuple):
    """What else than the patterns tells the files of a folder apart."""

    extensions_max: int = 0
    """So many extensions are patterns of their own; 0: the patterns are those of the selection."""
    compound_extensions: tuple[str, ...] = ()
    """Extensions with a dot in them."""
    regex: str = ""
    """Its named groups are labels. It is searched for in a file's path below the folder."""
    label_names: tuple[str, ...] = ()
    """Of the regex."""
    groups_max: int = 0
    """So many of the groups that the regex makes are shown by name."""
