"""What is measured of a folder's files when somebody asks for it."""

from __future__ import annotations

from typing import NamedTuple


class Measures(NamedTuple):
    """The numbers that a folder shows in addition to those that every folder has."""

    age_bounds_seconds: tuple[float, ...] = ()
    """Of the distribution of ages; none is shown without bounds."""
    size_bounds_bytes: tuple[float, ...] = ()
    """The same of sizes."""
