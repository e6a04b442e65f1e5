"""Labels as people write them, and the rules that all of them obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    Pairs = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def split_pairs(option: str, texts: Iterable[str]) -> Pairs:
    """Read ``NAME=VALUE``; raises SettingsError."""
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"{option} {one_line(text)}: write NAME=VALUE")
        pairs.append((name, value))
    return tuple(pairs)


def check_pairs(option: str, pairs: Iterable[tuple[str, str]], own: Container[str] = ()) -> None:
    """Refuse what is no label name, comes twice or is no text. Raises SettingsError.

    ``own``: names that have an option of their own.
    """
    seen = set()
    for name, value in pairs:
        shown = one_line(name)
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise SettingsError(f"{option} {shown}: not a label name; use letters, digits, _, and no __ in front")
        if name in seen:
            way_out = f"use --{name}" if name in own else "give it once"
            raise SettingsError(f"{option} {shown}: there already; {way_out}")
        seen.add(name)
        try:
            value.encode()
        except UnicodeEncodeError:
            place = f"--{name}" if name in own else f"{option} {shown}"
            raise SettingsError(f"{place}: the value is not UTF-8 text") from None
