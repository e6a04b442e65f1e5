"""Dates in paths: where their days begin."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fexp.service.check.finding import Finding, ok, warning
from fexp.service.places import dated_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup

_ZONES = "/zoneinfo/"


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what each date is now. A zone that does not exist is refused as the config's mistake."""
    now = datetime.fromtimestamp(setup.wall, UTC)
    system = now.astimezone()
    for template in setup.settings.templates:
        if not template.has_date:
            continue
        name = template.selection.time_zone
        there = now.astimezone(UTC if name == "UTC" else ZoneInfo(name))
        if there.utcoffset() == system.utcoffset() or template.selection.origin("time_zone").given:
            yield ok(f"{template.path} is {dated_path(template, setup.wall)} now, in {name}")
            continue
        yield warning(
            f"{template.path}: its days begin in {name}, those of this system in {system.tzname()}",
            f"At {system:%H:%M} here it is {there:%H:%M} there: the folder moves on at another time than most expect.",
            f"say where: {template.selection.origin('time_zone')} {system_zone() or 'Europe/Berlin'}",
        )


def system_zone() -> str | None:
    """Return the name of the system's time zone, where it says."""
    given = os.environ.get("TZ", "").removeprefix(":")
    if given:
        return given
    zone = os.path.realpath("/etc/localtime").partition(_ZONES)[2]
    return zone or None
