"""Which exposition format and which encoding a client wants, by RFC 9110, quality values included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from fexp.outputs.formats import Format
from fexp.outputs.pieces import join, join_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fexp.outputs.pieces import Piece

_QUALITY = re.compile(r"(?:0(?:\.\d*)?|1(?:\.0*)?)", re.ASCII)


class Negotiated(NamedTuple):
    """How a client wants the metrics."""

    form: Format
    names: frozenset[str]
    """Of families or samples; all when there are none."""
    gzip: bool

    def encode(self, pieces: Sequence[Piece]) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers that belong to it."""
        headers = {"Content-Type": self.form.content_type, "Vary": "Accept, Accept-Encoding"}
        if not self.gzip:
            return join(pieces), headers
        return join_gzip(pieces), {**headers, "Content-Encoding": "gzip"}


def negotiate(headers: Mapping[str, str], query: str) -> Negotiated:
    """Return what a request for metrics wants; ``headers`` by lower-case name."""
    return Negotiated(
        choose_format(headers.get("accept", "")),
        frozenset(parse_qs(query, errors="replace").get("name[]", ())),
        accepts_gzip(headers.get("accept-encoding", "")),
    )


class _Preference(NamedTuple):
    """One element of an Accept or Accept-Encoding header."""

    name: str
    version: str | None
    quality: float

    def precision(self, offer: Format) -> int | None:
        """Return how closely it names the offer; None when it does not."""
        media_type, version = offer.value
        if self.name == media_type and self.version in {None, version}:
            return 2 if self.version is None else 3
        if self.name == f"{media_type.partition('/')[0]}/*":
            return 1
        return 0 if self.name == "*/*" else None


def _preferences(header: str) -> Iterator[_Preference]:
    for element in header.lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        values = {key: value.strip('"') for key, _, value in (one.partition("=") for one in parameters)}
        quality = values.get("q", "1")
        if name and _QUALITY.fullmatch(quality):
            yield _Preference(name, values.get("version"), float(quality))


def choose_format(accept: str) -> Format:
    """Return the format that the client likes best; the plain text one when it has no say or likes neither.

    The most precise element decides about a format. Among equally liked formats the more precisely named one
    wins, then the one named first.
    """
    preferences = list(_preferences(accept))

    def rank(offer: Format) -> tuple[float, int, int]:
        matches = [
            (precision, -place, preference.quality)
            for place, preference in enumerate(preferences)
            if (precision := preference.precision(offer)) is not None
        ]
        precision, place, quality = max(matches, default=(0, 0, 0.0))
        return quality, precision, place

    best = max(Format, key=rank)
    return best if rank(best)[0] > 0 else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client takes gzip, and likes it no less than the body as it is."""
    qualities: dict[str, float] = {}
    for preference in _preferences(accept_encoding):
        qualities.setdefault(preference.name, preference.quality)
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)
