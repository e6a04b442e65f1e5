"""Paths that stand for folders which come and go: globs, dates, and the subfolders of a folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fexp.counting.globs import SPECIAL
from fexp.errors import SettingsError
from fexp.text import UNIT_SECONDS

if TYPE_CHECKING:
    from fexp.config.origin import Origin

UTC = "UTC"
DATE = re.compile(r"\{now(?:(?P<sign>[+-])(?P<number>[0-9]{1,6})(?P<unit>[mhdw]))?:(?P<format>[^{}]+)\}")
_DATE_LIKE = re.compile(r"\{\s*now[^{}]*\}?", re.IGNORECASE)
_CODES = "YymdjHMVGuUWaAbB%"
"""Of strftime(3). None changes more often than once a minute."""


def is_template(path: str) -> bool:
    """Return whether a path of a config file stands for folders that come and go."""
    return SPECIAL.search(path) is not None or DATE.search(path) is not None


def literally(path: str) -> str:
    """Return a path so that no character of it has a meaning."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def check_template(origin: Origin | str, path: str) -> None:
    """Raise SettingsError for a date or a glob that cannot be meant."""
    if "**" in path.split("/"):
        raise SettingsError(
            f"{origin} **: write one * for each level, or recursive: true for all that is below a folder"
        )
    for found in _DATE_LIKE.finditer(path):
        date = DATE.fullmatch(found[0])
        if date is None:
            raise SettingsError(f"{origin} {found[0]}: write a date as {{now:%Y%m%d}} or {{now-1d:%Y/%m/%d}}")
        for code in re.findall(r"%(.?)", date["format"]):
            if not code or code not in _CODES:
                raise SettingsError(f"{origin} {found[0]}: %{code} is none of %{' %'.join(_CODES)}")
        if int(date["number"] or 0) * UNIT_SECONDS[date["unit"] or "m"] > 100 * 365 * UNIT_SECONDS["d"]:
            raise SettingsError(f"{origin} {found[0]}: more than 100 years from now")


def parse_time_zone(origin: Origin | str, text: str) -> str:
    """Return the name of a time zone that this system knows. Raise SettingsError."""
    if text == UTC:
        return text
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        from difflib import get_close_matches

        known = available_timezones()
        near = get_close_matches(text, known, n=1)
        way_out = f"did you mean {near[0]}?" if near else "write it as Europe/Berlin"
        way_out = way_out if known else "this system knows none: install tzdata"
        raise SettingsError(f"{origin} {text!r} is not a time zone; {way_out}") from None
    return text
