"""Parsers of single values. Each raises a SettingsError that begins with the origin of the value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

from fexp.errors import SettingsError
from fexp.text import LONGEST_SECONDS, duration_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.config.origin import Origin

T = TypeVar("T", bound=str)
V = TypeVar("V")

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"

_UNIT_BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip
_LARGEST_BYTES = 2**63 - 1
_DIGITS_MAX = 100
"""Python refuses to make a whole number of some thousands."""


def parse_text(_origin: Origin | str, text: str) -> str:
    """Return the text."""
    return text


def parse_duration(origin: Origin | str, text: str, *, zero: bool = False) -> float:
    """Return the seconds of ``90``, ``1s``, ``5m`` or ``1h30m``. 0 is refused unless ``zero``."""
    seconds = duration_seconds(text)
    if seconds is None:
        raise SettingsError(f"{origin} {text!r} is not a duration: write 30s, 5m, 1h30m, 7d, or a number of seconds")
    if seconds > LONGEST_SECONDS:
        raise SettingsError(f"{origin} {text!r} is more than 100 years: write a shorter time")
    if seconds == 0 and not zero:
        raise SettingsError(f"{origin} {text!r} must be longer than 0")
    return seconds


def parse_duration_or_zero(origin: Origin | str, text: str) -> float:
    """Return the seconds of a duration, which may be 0."""
    return parse_duration(origin, text, zero=True)


def parse_size(origin: Origin | str, text: str) -> int:
    """Return the bytes of ``4096``, ``10MiB`` or ``1.5GB``."""
    found = re.fullmatch(rf"({_NUMBER})({'|'.join(_UNIT_BYTES)})?", text)
    if not found:
        raise SettingsError(f"{origin} {text!r} is not a size: write 10MiB, 1.5GB, or a number of bytes")
    number, unit = found.groups()
    is_whole = "." not in number and len(number) < _DIGITS_MAX
    size_bytes = (int(number) if is_whole else float(number)) * _UNIT_BYTES[unit or "B"]
    if size_bytes > _LARGEST_BYTES:
        raise SettingsError(f"{origin} {text!r} is more than any file can hold: write a smaller size")
    return int(size_bytes)


def parse_buckets(origin: Origin | str, text: str) -> tuple[float, ...]:
    """Return the bounds of ``1s,1m,1h`` in seconds."""
    return _ascending(origin, text, [parse_duration(origin, part.strip()) for part in text.split(",")])


def parse_buckets_or_none(origin: Origin | str, text: str) -> tuple[float, ...]:
    """Return the bounds as ``parse_buckets`` does; none for ``none``."""
    return () if text == "none" else parse_buckets(origin, text)


def parse_size_buckets(origin: Origin | str, text: str) -> tuple[float, ...]:
    """Return the bounds of ``0,1k,1MiB`` in bytes."""
    return _ascending(origin, text, [float(parse_size(origin, part.strip())) for part in text.split(",")])


def _ascending(origin: Origin | str, text: str, bounds: list[float]) -> tuple[float, ...]:
    if sorted(set(bounds)) != bounds:
        raise SettingsError(f"{origin} {text!r} must ascend: each bound larger than the one before")
    return tuple(bounds)


def parse_whole_number(origin: Origin | str, text: str) -> int:
    """Return a whole number."""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise SettingsError(f"{origin} {text!r} is not a whole number")
    return int(text)


def parse_count(origin: Origin | str, text: str) -> int:
    """Return a whole number that is not 0."""
    count = parse_whole_number(origin, text)
    if count < 1:
        raise SettingsError(f"{origin} {text} is too small: give 1 or more")
    return count


def parse_file_mode(origin: Origin | str, text: str) -> int:
    """Return the bits of ``0644``."""
    digits = text.removeprefix("0o")
    if not digits or digits.strip("01234567"):
        raise SettingsError(f"{origin} {text!r} is not a file mode: write it in octal, such as 0644")
    return int(digits, 8)


class Choice(Generic[V]):
    """A parser that takes one of a few words."""

    def __init__(self, known: Mapping[str, V]) -> None:
        self.known = known
        """What each of them stands for."""

    def __call__(self, origin: Origin | str, text: str) -> V:
        """Return what the word stands for. Raise SettingsError for another."""
        if text not in self.known:
            raise SettingsError(f"{origin} {text!r} is not known: {', '.join(self.known)}")
        return self.known[text]


def one_of(choices: Iterable[T]) -> Choice[T]:
    """Return a parser that takes one of these."""
    return Choice({str(choice): choice for choice in choices})
