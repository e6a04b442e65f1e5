"""What the values of an option look like outside of the command line, by its declaration."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fexp.config.options import Option


class Shape(Enum):
    """The shape of a value in a config file."""

    FLAG = auto()
    """True or false."""
    PAIRS = auto()
    """A mapping of names to values."""
    TEXTS = auto()
    """A list of texts, or one text."""
    BOUNDS = auto()
    """A list of bounds, or one text with commas."""
    SCALAR = auto()
    """A single value."""


def shape_of(option: Option) -> Shape:
    """Return the shape of an option's values."""
    if option.metavar is None:
        return Shape.FLAG
    if option.repeatable:
        return Shape.PAIRS if option.metavar == "NAME=VALUE" else Shape.TEXTS
    return Shape.BOUNDS if option.metavar == "LIST" else Shape.SCALAR


def is_path(option: Option) -> bool:
    """Return whether the value is the path of a file."""
    return option.metavar is not None and option.metavar.startswith("FILE")
