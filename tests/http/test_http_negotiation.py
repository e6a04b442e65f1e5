"""Which format and encoding a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.outputs.formats import Format
from fexp.outputs.http.negotiation import accepts_gzip, choose_format

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/*", Format.TEXT),
        ("application/*", Format.OPENMETRICS),
        (BROWSER, Format.TEXT),
        (PROMETHEUS_2, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", Format.OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', Format.OPENMETRICS),
        ("application/openmetrics-text;version=9.9.9", Format.TEXT),
        ("application/openmetrics-text;version=abc", Format.TEXT),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=0,*/*;q=0.5", Format.TEXT),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.2", Format.TEXT),
        ("text/plain;q=0.2,application/openmetrics-text;q=0.9", Format.OPENMETRICS),
        ("text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4", Format.OPENMETRICS),
        ("text/plain;q=0,*/*;q=0.1", Format.OPENMETRICS),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=2,text/plain;q=0.1", Format.TEXT),
        ('a/b;x="1,application/openmetrics-text", text/plain', Format.TEXT),
    ],
)
def test_quality_decides(accept: str, form: Format) -> None:
    assert choose_format(accept) is form


@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("x-gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1", True),
        ("br", False),
    ],
)
def test_gzip_only_when_wanted(accept_encoding: str, wanted: bool) -> None:
    assert accepts_gzip(accept_encoding) is wanted


QUALITIES = st.integers(1, 1000).map(lambda thousandths: thousandths / 1000)


@given(QUALITIES, QUALITIES)
def test_the_better_liked_format_wins(text: float, openmetrics: float) -> None:
    accept = f"text/plain;q={text:.3f}, application/openmetrics-text;version=1.0.0;q={openmetrics:.3f}"
    wanted = Format.TEXT if text > openmetrics else Format.OPENMETRICS
    assert choose_format(accept) is wanted


@given(st.text(), st.lists(st.sampled_from(["text/plain", ",", ";", "q=", "0.5", '"', "*/*", "=", "\\", " "])))
def test_no_header_is_too_odd(noise: str, pieces: list[str]) -> None:
    for header in (noise, "".join(pieces), "".join(pieces) + noise):
        assert choose_format(header) in Format
        assert accepts_gzip(header) in {True, False}


@pytest.mark.slow
def test_a_long_hostile_header_is_read_at_once() -> None:
    for piece in ('"', ";q=", 'a;"', 'a;b="\\', '\\"', "a;\t", "\t", ",", ";", ';a="\\";'):
        choose_format("a;" + piece * (200_000 // len(piece)) + '"')
