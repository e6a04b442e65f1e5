"""Durations, sizes and other single values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fexp.config.values import (
    one_of,
    parse_buckets,
    parse_buckets_or_none,
    parse_duration,
    parse_duration_or_zero,
    parse_file_mode,
    parse_size,
    parse_size_buckets,
    parse_whole_number,
)
from fexp.errors import SettingsError
from fexp.model import Backend

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("1.5", 1.5), ("250ms", 0.25), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604800),
        ("1w", 604800),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration("rescan", text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "1 s", "-1s", "1S", "s", "1e3", "\u0661s", "\uff11s", "\u0663", "1h30", "1.s", "inf", "1s\n",
        "0", "0s", "101w1y",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Only ASCII digits: a person who reads another may take it for another number."""
    with pytest.raises(SettingsError, match=r"^rescan '"):
        parse_duration("rescan", text)


def test_zero_is_a_duration_where_it_may_be() -> None:
    assert parse_duration_or_zero("splay", "0") == parse_duration("splay", "0s", zero=True) == 0


def test_a_duration_beyond_all_clocks_is_refused() -> None:
    with pytest.raises(SettingsError, match="more than 100 years"):
        parse_duration("rescan", "999999999d")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0), ("4096", 4096), ("1B", 1), ("10MiB", 10 << 20), ("1kB", 1000), ("1.5GB", 1_500_000_000),
        ("2TiB", 2 << 40), ("10M", 10_000_000), ("1.5k", 1500),
    ],
)  # fmt: skip
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size("limit", text) == size_bytes


def test_a_size_keeps_every_byte() -> None:
    assert parse_size("limit", str(2**63 - 1)) == 2**63 - 1


@pytest.mark.parametrize(
    "text",
    ["", "10m", "10K", "10mib", "10 MiB", "-1", "MiB", "\u0661MiB", "1e3", "1.MiB", "9999999TiB", "1\n", "9" * 5000],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^limit '"):
        parse_size("limit", text)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_buckets, "1s, 1m,1h", (1.0, 60.0, 3600.0)),
        (parse_buckets_or_none, "1s,1m", (1.0, 60.0)),
        (parse_buckets_or_none, "none", ()),
        (parse_size_buckets, "0, 1k,1M,1GiB", (0.0, 1e3, 1e6, 2.0**30)),
        (parse_whole_number, "-1", -1),
        (parse_file_mode, "0644", 0o644),
        (parse_file_mode, "0o600", 0o600),
        (one_of(Backend), "polling", Backend.POLLING),
    ],
)
def test_other_values(parse: Callable[[str, str], object], text: str, value: object) -> None:
    assert parse("x", text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_buckets, "1m,1s"),
        (parse_buckets, "1s,1s"),
        (parse_buckets, "1s,"),
        (parse_buckets, "none"),
        (parse_buckets_or_none, "none,1s"),
        (parse_size_buckets, "1M,1k"),
        (parse_size_buckets, "1k,1000"),
        (parse_size_buckets, "1m"),
        (parse_size_buckets, "none"),
        (parse_size_buckets, ""),
        (parse_whole_number, "1.5"),
        (parse_whole_number, "\u0661"),
        (parse_whole_number, "1" * 5000),
        (parse_file_mode, "0888"),
        (parse_file_mode, "rw"),
        (parse_file_mode, ""),
        (one_of(Backend), "magic"),
    ],
)
def test_other_values_that_are_refused(parse: Callable[[str, str], object], text: str) -> None:
    with pytest.raises(SettingsError, match=r"^x '") as refused:
        parse("x", text)
    assert "\n" not in str(refused.value)
