"""Numbers as people read them."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.text import cut, human_age, unambiguous

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (3 * DAY + 4 * 3600, "3d 4h"),
        (364 * DAY + 5 * 3600, "364d 5h"),
        (365 * DAY, "1y 0d"),
        (17126 * DAY + 5 * 3600, "46y 336d"),
        (-300, "-5m 0s"),
    ],
)
def test_ages(seconds: float, shown: str) -> None:
    assert human_age(seconds) == shown


NAMES = st.one_of(
    st.binary(max_size=8),
    st.lists(
        st.sampled_from([b"\\", b"x", b"ff", b"\xff", b"\n", b"\xc2", b"\x9b", b"9b", b"\xe2\x80\xae"]), max_size=6
    ).map(b"".join),
)


@given(raw=NAMES)
def test_an_unambiguous_name_can_be_read_back(raw: bytes) -> None:
    shown = unambiguous(raw)
    assert shown.isprintable()
    read = re.sub(
        rb"\\\\|\\x([0-9a-f]{2})",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
        shown.encode(),
    )
    assert read == raw


def test_a_usual_name_stays_as_it_is() -> None:
    for name in ("orders 2026.csv", "Bestätigung.pdf", "発注.xml"):
        assert unambiguous(name.encode()) == name


@given(st.binary(max_size=12), st.binary(max_size=12), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_unambiguous_names_are_told_apart_in_any_encoding(one: bytes, other: bytes, encoding: str) -> None:
    texts = [unambiguous(raw, encoding) for raw in (one, other)]
    assert (texts[0] == texts[1]) == (one == other)
    assert all(text.isprintable() and text.encode(encoding) for text in texts if text)


@given(st.binary(max_size=200), st.integers(30, 130))
def test_cut_names_fit_and_hold_no_half_of_an_escape(raw: bytes, limit: int) -> None:
    text, whole = cut(raw, limit), unambiguous(raw)
    escaped, whole_escaped = (one.replace("\\", "\\\\").replace('"', '\\"') for one in (text, whole))
    assert len(escaped) <= limit
    if len(whole_escaped) <= limit:
        assert text == whole
        return
    head, mark, tail = text.split("…")[0], f"…~{zlib.crc32(raw):08x}…", text.split("…")[-1]
    assert mark in text
    assert raw.startswith(_raw(head))
    assert raw.endswith(_raw(tail))


def _raw(text: str) -> bytes:
    """Return the name that unambiguous text is about."""
    pattern = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")
    return pattern.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\", text.encode())
