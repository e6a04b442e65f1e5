"""Settings written as the keyword arguments of a Python function."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fexp.config.origin import Origin, Written, variable
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from fexp.config.options import Group, Option
    from fexp.config.origin import Raw


def written_by_keywords(
    groups: Iterable[type[Group]], keywords: Mapping[str, object], refused: Collection[str] = ()
) -> Written:
    """Return options given as keywords, spelled with underscores. Secrets come from the environment, as everywhere.

    Raise SettingsError for a keyword that is no option of the groups, or is ``refused``.
    """
    declared: dict[str, Option] = {}
    for group in groups:
        for one in group.options().values():
            declared.setdefault(one.name.replace("-", "_"), one)
    values: dict[str, tuple[Raw, Origin]] = {}
    for one in declared.values():
        if one.secret and (secret := os.environ.get(variable(one.name))):
            values[one.name] = secret, Origin(variable(one.name))
    for keyword, value in keywords.items():
        option = declared.get(keyword)
        if option is None or option.secret or keyword in refused:
            from difflib import get_close_matches

            nearest = get_close_matches(keyword, declared.keys() - set(refused), n=1)
            raise SettingsError(f"{keyword} is no option here{f'; did you mean {nearest[0]}?' if nearest else ''}")
        if value is not None:
            values[option.name] = _raw(keyword, option, value), Origin(keyword)
    secrets = {one.name for one in declared.values() if one.secret}
    return Written(values, lambda name: variable(name) if name in secrets else name.replace("-", "_"))


def _raw(keyword: str, option: Option, value: object) -> Raw:
    """Return a value as text, as it would be written. Raise SettingsError."""
    if option.metavar is None:
        if isinstance(value, bool):
            return value
        raise SettingsError(f"{keyword} {value!r}: give True or False")
    if isinstance(value, Mapping):
        if option.metavar != "NAME=VALUE":
            raise SettingsError(f"{keyword} {value!r}: give text, or several in a list")
        return tuple(f"{name}={_text(keyword, one)}" for name, one in value.items())
    if option.repeatable:
        return tuple(_text(keyword, one) for one in _several(value))
    if option.metavar == "LIST":
        return ",".join(_text(keyword, one) for one in _several(value))
    if option.metavar == "MODE" and isinstance(value, int):
        return f"{value:o}"  # 0o644 is meant, as os.chmod takes it
    return _text(keyword, value)


def _several(value: object) -> Iterable[object]:
    """Return the values of an option that may have several."""
    return value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]


def _text(keyword: str, value: object) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{keyword} {value!r}: give text, a path or a number")
    return str(value)
