"""Strict reading of YAML: unknown and doubled keys are refused, with the line and the nearest right name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import yaml

from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_SHOWN_CHARS = 48


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the file."""

    node: yaml.Node | None
    """None when the file is empty."""
    source: str
    """What to call the file in an error."""

    @property
    def line(self) -> int:
        """Give its line, from 1."""
        return int(self.node.start_mark.line) + 1 if self.node else 1

    def mistake(self, problem: str) -> SettingsError:
        """Make the error for a mistake here."""
        return SettingsError(f"{self.source}:{self.line}: {problem}")

    def entries(self, *names: str) -> dict[str, Entry]:
        """Read it as a mapping with some of the names as keys; without names, any keys. Nothing is empty."""
        if self._is_null:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.mistake("a mapping (NAME: VALUE) is needed here")
        found: dict[str, Entry] = {}
        for key, value in self.node.value:
            name = Entry(key, self.source).text()
            if names and name not in names:
                raise Entry(key, self.source).mistake(f"unknown key {shown(name)}{_nearest(name, names)}")
            if name in found:
                raise Entry(key, self.source).mistake("this key is given twice")
            found[name] = Entry(value, self.source)
        return found

    def items(self) -> list[Entry]:
        """Read it as a list. Nothing counts as empty."""
        if self._is_null:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.mistake("a list is needed here")
        return [Entry(node, self.source) for node in self.node.value]

    def text(self) -> str:
        """Read it as text. Nothing counts as empty."""
        if self._is_null:
            return ""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.mistake("a single value is needed here")
        return str(self.node.value)

    def choice(self, choices: Sequence[str]) -> str:
        """Read it as one of the choices."""
        text = self.text()
        if text not in choices:
            raise self.mistake(f"{shown(text)} is not one of {', '.join(choices)}{_nearest(text, choices)}")
        return text

    def flag(self) -> bool:
        """Read it as true or false."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != _BOOL:
            raise self.mistake("true or false is needed here")
        return str(self.node.value).lower() in {"true", "yes", "on"}

    def whole_number(self) -> int:
        """Read it as a whole number that is not negative."""
        text = self.text()
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise self.mistake(f"{shown(text)} is not a whole number below a thousand million")
        return int(text)

    @property
    def _is_null(self) -> bool:
        return self.node is None or (isinstance(self.node, yaml.ScalarNode) and self.node.tag == _NULL)


def shown(text: str) -> str:
    """Give a wrong value as an error may show it. What is longer than any right one may be a secret gone astray."""
    return repr(text) if len(text) <= _SHOWN_CHARS else "(not shown)"


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def read_yaml(text: str, source: str) -> Entry:
    """Read the text into its topmost entry. Raises ``yaml.YAMLError``. Nothing is constructed."""
    try:
        return Entry(yaml.compose(text, Loader=yaml.SafeLoader), source)
    except RecursionError:
        raise SettingsError(f"{source}: nested too deeply") from None
    except (ValueError, OverflowError):  # a \\U escape beyond Unicode
        raise SettingsError(f"{source}: has an escape that is no character") from None
