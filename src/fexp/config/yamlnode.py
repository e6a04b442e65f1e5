"""Strict reading of YAML: unknown and doubled keys are refused, with the line and the nearest right name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import yaml

from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_KINDS = "bool", "float", "int", "merge", "null", "str", "timestamp", "value"
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)
"""Those that a value has without being given one."""
_SHOWN_CHARS = 48


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the file."""

    node: yaml.Node | None
    """None when there is nothing."""
    source: str
    """What to call the file in an error."""

    @property
    def place(self) -> str:
        """The file, the line and the column, for an error."""
        mark = self.node.start_mark if self.node else None
        return f"{self.source}:{mark.line + 1}:{mark.column + 1}" if mark else f"{self.source}:1:1"

    def mistake(self, problem: str) -> SettingsError:
        """Return the error for a mistake here."""
        return SettingsError(f"{self.place}: {problem}")

    def entries(self, *names: str) -> defaultdict[str, Entry]:
        """Return the entries of a mapping with some of the names as keys; without names, any keys.

        What is not there is null, and null has no entries.
        """
        found: defaultdict[str, Entry] = defaultdict(lambda: Entry(None, self.source))
        if self.is_null:
            return found
        if not isinstance(self.node, yaml.MappingNode):
            raise self.mistake("a mapping (NAME: VALUE) is needed here")
        for key, value in self.node.value:
            name = Entry(key, self.source).text()
            if names and name not in names:
                raise Entry(key, self.source).mistake(f"unknown key {shown(name)}{_nearest(name, names)}")
            if name in found:
                raise Entry(key, self.source).mistake("this key is given twice")
            found[name] = Entry(value, self.source)
        return found

    def named(self) -> list[tuple[str, Entry]]:
        """Return the keys of a mapping, each with its own entry."""
        pairs = self.node.value if isinstance(self.node, yaml.MappingNode) else []
        return [(str(key.value), Entry(key, self.source)) for key, _ in pairs]

    def items(self) -> list[Entry]:
        """Return the entries of a list. Null has none."""
        if self.is_null:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.mistake("a list is needed here")
        return [Entry(node, self.source) for node in self.node.value]

    def text(self) -> str:
        """Return it as text. Null is empty."""
        if self.is_null:
            return ""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.mistake("a single value is needed here")
        if self.node.tag not in _TAGS:
            raise self.mistake("YAML takes what begins with ! for a tag: put it in quotes, or leave the tag out")
        return str(self.node.value)

    def choice(self, choices: Sequence[str], default: str = "") -> str:
        """Return it as one of the choices."""
        text = self.text() or default
        if text not in choices:
            raise self.mistake(f"{shown(text)} is not one of {', '.join(choices)}{_nearest(text, choices)}")
        return text

    def whole_number(self, default: int) -> int:
        """Return it as a whole number that is not negative."""
        text = self.text() or str(default)
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise self.mistake(f"{shown(text)} is not a whole number below a thousand million")
        return int(text)

    def flag(self) -> bool:
        """Return it as true or false."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != _BOOL:
            raise self.mistake("true or false is needed here")
        return self.node.value.lower() in {"true", "yes", "on"}

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single value."""
        return isinstance(self.node, yaml.ScalarNode) and not self.is_null

    @property
    def is_null(self) -> bool:
        """Whether there is nothing."""
        return self.node is None or (isinstance(self.node, yaml.ScalarNode) and self.node.tag == _NULL)


def shown(text: str) -> str:
    """Return a wrong value as an error may show it. What is longer than any right one may be a secret gone astray."""
    return repr(text) if len(text) <= _SHOWN_CHARS else "(not shown)"


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _way_out(text: str, mark: yaml.Mark | None) -> str:
    """Return what to do about the commonest mistakes, without quoting more than one character."""
    if mark is None:
        return ""
    before, rest = text[: mark.index], text[mark.index :]
    word = re.split(r"[\s,\[\]{}]", before)[-1] + rest[:1]
    if rest.startswith("\t"):
        return ": a tab is here; indent with spaces"
    if rest.startswith("---") or before.rstrip().endswith("\n..."):
        return ": another document begins here; a file is one"
    return f": put what begins with {word[0]} in quotes" if word and word[0] in "*&!%@`" else ""


def read_yaml(text: str, source: str) -> Entry:
    """Return the topmost entry of the text. Raise SettingsError if it is no YAML. Nothing is constructed."""
    try:
        return Entry(yaml.compose(text, Loader=yaml.SafeLoader), source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # What is wrong is not shown: it may quote a password that begins with & or *.
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise SettingsError(f"{source}:{place}: not YAML{_way_out(text, mark)}") from None
    except (RecursionError, ValueError, OverflowError):  # the latter two: an escape beyond Unicode
        raise SettingsError(f"{source}: nested too deeply, or with an escape that is no character") from None
