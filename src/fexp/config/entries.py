"""Single values of config files, as their options take them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fexp.config.labels import parse_pairs
from fexp.config.origin import Origin, Written, variable
from fexp.config.shape import Shape, is_path, shape_of
from fexp.config.yamlnode import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.config.options import Group, Option
    from fexp.config.origin import Raw
    from fexp.config.yamlnode import Entry

_VARIABLE = re.compile(r"\$?\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def keys_of(groups: Iterable[type[Group]]) -> dict[str, Option]:
    """Return the options of these groups by their keys."""
    return {key: option for group in groups for key, option in group.keys().items()}


def written_of(groups: Iterable[type[Group]], values: Mapping[str, tuple[Raw, Origin]], place: str = "") -> Written:
    """Return the values. ``place`` is where a key that is missing belongs."""
    spelled = {option.name: f"{place}{key}" for key, option in keys_of(groups).items()}
    return Written(values, lambda name: spelled.get(name) or variable(name))


def value_of(key: str, option: Option, entry: Entry, directory: str) -> tuple[Raw, Origin]:
    """Return a value as its option takes it, and where it stands. Raise SettingsError for one that does not do."""
    origin = Origin(f"{entry.place}: {key}")
    shape = shape_of(option)
    if shape is Shape.FLAG:
        return _flag(entry), origin
    if shape in {Shape.PAIRS, Shape.TEXTS}:
        return (_pairs(key, option, entry) if shape is Shape.PAIRS else _texts(key, option, entry)), origin
    items = entry.items() if shape is Shape.BOUNDS and entry.is_list else [entry]
    text = ",".join(map(text_of, items))
    if is_path(option):
        text = os.path.join(directory, text)
    option.parse(origin, text)  # a command that does not need it finds its mistake all the same
    return text, origin


def _flag(entry: Entry) -> bool:
    if entry.is_scalar and _VARIABLE.search(entry.text()):
        text = text_of(entry)
        if text not in {"true", "false"}:
            raise entry.mistake("true or false is needed here")
        return text == "true"
    return entry.flag()


def _texts(key: str, option: Option, entry: Entry) -> tuple[str, ...]:
    """Return the items of a list; one alone may do without it. None may be there twice."""
    texts, seen = [], list[object]()
    for item in entry.items() if entry.is_list else [entry]:
        text = text_of(item)
        parsed = option.parse(Origin(f"{item.place}: {key}"), (text,))
        if parsed in seen:
            raise item.mistake(f"{key} {shown(text)} is given twice")
        seen.append(parsed)
        texts.append(text)
    return tuple(texts)


def _pairs(key: str, option: Option, entry: Entry) -> tuple[str, ...]:
    """Return the texts NAME=VALUE of a mapping."""
    texts = []
    for name, value in entry.entries().items():
        if "=" in name:
            raise value.mistake(f"{key} {shown(name)}: not a label name; write NAME: VALUE")
        texts.append(f"{name}={text_of(value)}")
        option.parse(Origin(f"{value.place}: {key}"), (texts[-1],))
    parse_pairs(key, texts)
    return tuple(texts)


def text_of(entry: Entry) -> str:
    """Return a single value with its variables replaced: ``${NAME}``; ``$${NAME}`` stands for itself."""

    def replaced(found: re.Match[str]) -> str:
        if found[0].startswith("$$"):
            return found[0][1:]
        if not found[2] or not _NAME.fullmatch(found[1]):
            raise entry.mistake(f"{shown(found[0])} is no variable: write ${{NAME}}, or $${{ for the characters")
        if found[1] not in os.environ:
            raise entry.mistake(f"{found[0]} is not set in the environment")
        return os.environ[found[1]]

    return _VARIABLE.sub(replaced, entry.text())
