"""Where values come from, so that an error names what the user wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Raw = str | bool | tuple[str, ...]
"""A value as it was written: text, a flag, or the texts of an option that may be repeated."""


class Origin:
    """Where a value was written, as an error names it: an option, an environment variable, a place in a file."""

    __slots__ = ("given", "is_shared", "text")

    def __init__(self, text: str, *, given: bool = True, is_shared: bool = False) -> None:
        self.text = text
        self.given = given
        """False for a default. The text then says how to give a value."""
        self.is_shared = is_shared
        """It was given for all folders of a config file, whether it says something to each or not."""

    def __str__(self) -> str:
        """Return the text."""
        return self.text


class Written:
    """What the user wrote, by the name of the option. What is not in it was not given."""

    def __init__(self, values: Mapping[str, tuple[Raw, Origin]], spell: Callable[[str], str] = str) -> None:
        """``spell`` returns how a user would give the option of this name here."""
        self._values = values
        self._spell = spell

    def __contains__(self, name: str) -> bool:
        """Return whether this option was given."""
        return name in self._values

    def over(self, other: Written) -> Written:
        """Return what either says, this one where both do. What neither says is given as in the other."""
        return Written({**other._values, **self._values}, other._spell)

    def without(self, names: Collection[str]) -> Written:
        """Return the same but for the options of these names."""
        return Written({name: value for name, value in self._values.items() if name not in names}, self._spell)

    def value(self, name: str) -> Raw | None:
        """Return the value as it was written, None if it was not given."""
        return self._values[name][0] if name in self._values else None

    def origin(self, name: str) -> Origin:
        """Return where the option was given, or how to give it."""
        return self._values[name][1] if name in self._values else Origin(self._spell(name), given=False)


def variable(name: str) -> str:
    """Return the environment variable of an option."""
    return "FEXP_" + re.sub(r"[-.]", "_", name.lstrip("-")).upper()
