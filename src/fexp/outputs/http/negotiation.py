"""Which exposition format and which encoding a client wants, by RFC 9110, quality values included."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# Strangers send what these read: no character is looked at more than a few times (possessive quantifiers, and a
# quoted string that nobody closes goes to the end).
_QUOTED = r'"(?:\\.?|[^"\\])*+(?:"|\Z)'
_ITEM = re.compile(rf'(?:[^,"]|{_QUOTED})++', re.DOTALL)
_PARAMETER = re.compile(rf';\s*+([^\s;=,"]++)\s*+(?:=\s*+({_QUOTED}|[^\s;,"]*+))?', re.DOTALL)
_QUALITY = re.compile(r"(?:0(?:\.\d*)?|1(?:\.0*)?)", re.ASCII)


class Format(Enum):
    """An exposition format: its media type and version."""

    TEXT = ("text/plain", "0.0.4")
    OPENMETRICS = ("application/openmetrics-text", "1.0.0")

    @property
    def content_type(self) -> str:
        """Give the value of Content-Type."""
        media_type, version = self.value
        return f"{media_type}; version={version}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Wish:
    """One element of an Accept or Accept-Encoding header."""

    name: str
    version: str | None
    quality: float

    def precision(self, offer: Format) -> int | None:
        """Tell how closely it names the offer; None when it does not."""
        media_type, version = offer.value
        if self.name == media_type and self.version in {None, version}:
            return 2 if self.version is None else 3
        if self.name == f"{media_type.partition('/')[0]}/*":
            return 1
        return 0 if self.name == "*/*" else None


def _wishes(header: str) -> list[_Wish]:
    wishes = []
    for item in _ITEM.findall(header):
        name, _, _ = item.partition(";")
        parameters = {key.lower(): value.strip('"') for key, value in _PARAMETER.findall(item[len(name) :])}
        quality = parameters.get("q", "1")
        if name.strip() and _QUALITY.fullmatch(quality):
            wishes.append(_Wish(name.strip().lower(), parameters.get("version"), float(quality)))
    return wishes


def choose_format(accept: str) -> Format:
    """Pick the format that the client likes best; the plain text one when it has no say or likes neither.

    The most precise element decides about a format. Among equally liked formats the more precisely named one
    wins, then the one named first.
    """
    wishes = _wishes(accept)
    best, best_rank = Format.TEXT, (0.0, -1, 0)
    for offer in Format:
        matches = [
            (precision, -place, wish.quality)
            for place, wish in enumerate(wishes)
            if (precision := wish.precision(offer)) is not None
        ]
        if matches:
            precision, place, quality = max(matches)
            rank = (quality, precision, place)
            if quality > 0 and rank > best_rank:
                best, best_rank = offer, rank
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether the client takes gzip, and likes it no less than the body as it is."""
    qualities: dict[str, float] = {}
    for wish in _wishes(accept_encoding):
        qualities.setdefault(wish.name, wish.quality)
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)
