"""Numbers as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.text import human_age, unambiguous

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
