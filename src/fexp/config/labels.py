"""Labels as people write them, and the rules that all of them obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.config.origin import Origin

    Pairs = tuple[tuple[str, str], ...]


def own_labels() -> frozenset[str]:
    """Return the label names that fexp gives a meaning."""
    from fexp.metrics import CATALOGUE

    return frozenset(label for row in CATALOGUE for label in row.labels) | {"le", "file", "job_name"}


def parse_pairs(origin: Origin | str, texts: Iterable[str]) -> Pairs:
    """Return names and values of ``NAME=VALUE`` texts. Raise SettingsError."""
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"{origin} {one_line(text)}: write NAME=VALUE")
        pairs.append((name, value))
    return tuple(pairs)


def check_own(origin: Origin | str, names: Iterable[str]) -> None:
    """Raise a SettingsError for the name of a label that fexp gives a meaning."""
    for name in names:
        if name in own_labels():
            raise SettingsError(f"{origin} {name}: fexp uses this label itself; choose another name")


def parse_labels(origin: Origin | str, texts: Iterable[str]) -> Mapping[str, str]:
    """Return the labels for the folder series. Raise SettingsError."""
    pairs = parse_pairs(origin, texts)
    check_pairs(origin, pairs)
    check_own(origin, (name for name, _ in pairs))
    return dict(pairs)


def check_pairs(
    origin: Origin | str, pairs: Iterable[tuple[str, str]], settable: Mapping[str, Origin] | None = None
) -> None:
    """Raise a SettingsError for what is not a label name, comes twice or is not text.

    ``settable``: the names that have an option of their own, with its origin.
    """
    settable = settable or {}
    seen = set()
    for name, value in pairs:
        shown = one_line(name)
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
            raise SettingsError(f"{origin} {shown}: not a label name; use letters, digits, _, and no __ in front")
        if name in seen:
            way_out = f"use {settable[name]}" if name in settable else "give it once"
            raise SettingsError(f"{origin} {shown}: there already; {way_out}")
        seen.add(name)
        try:
            value.encode()
        except UnicodeEncodeError:
            place = settable.get(name, f"{origin} {shown}")
            raise SettingsError(f"{place}: the value is not UTF-8 text") from None
