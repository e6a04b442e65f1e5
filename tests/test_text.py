"""Numbers as people read them."""

from __future__ import annotations

import pytest

from fexp.text import human_age

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
