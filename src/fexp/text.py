"""Text for people and labels: raw names made printable, numbers made readable.

Label values must be UTF-8, and two folders must not share one.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BINARY_STEP = 1024
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LONGEST_SECONDS = 100 * 365 * 86400.0
"""A longer wait than this is a slip of the hand, and more than the clocks of an operating system take."""
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[smhdw]))+|{_NUMBER}")
_UNIT = re.compile(r"\\(?:\\|x[0-9a-f]{2})|.")
"""A character of unambiguous text, or the escape that stands for one."""
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|[smhdw])?")


def printable(raw: bytes) -> str:
    """Return a name as text; bytes that are no UTF-8 become ``\\xff`` and the like."""
    return raw.decode("utf-8", "backslashreplace")


def unambiguous(raw: bytes, encoding: str = "utf-8") -> str:
    r"""Return a name as printable text, from which it can be told whatever it is.

    A backslash is doubled; bytes that are no UTF-8, cannot be printed or have no place in the encoding become ``\xff``
    and the like.
    """
    text = raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    if text.isprintable() and (text.isascii() or encoding == "utf-8"):
        return text
    return "".join(char if _has_place(char, encoding) else _spelled(char) for char in text)


def _has_place(char: str, encoding: str) -> bool:
    return char.isprintable() and bool(char.encode(encoding, "ignore"))


def _spelled(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def cut(raw: bytes, limit: int) -> str:
    """Return ``unambiguous`` text of at most so many characters, also where quotes and backslashes are escaped.

    In place of what is cut out stands a checksum of the whole.
    """
    text = unambiguous(raw)
    if _escaped_length(text) <= limit:
        return text
    mark = f"…~{zlib.crc32(raw):08x}…"
    room = limit - len(mark)
    units = _UNIT.findall(text)
    head, tail = _fitting(units, room // 3), _fitting(reversed(units), room - room // 3)
    return "".join([*head, mark, *reversed(tail)])


def _escaped_length(text: str) -> int:
    return len(text) + text.count("\\") + text.count('"')


def _fitting(units: Iterable[str], limit: int) -> list[str]:
    fitting: list[str] = []
    for unit in units:
        limit -= _escaped_length(unit)
        if limit < 0:
            break
        fitting.append(unit)
    return fitting


def unique_labels(raw_names: Iterable[bytes]) -> dict[bytes, str]:
    """Make names printable so that no two look the same. Valid UTF-8 is never altered."""
    names = list(dict.fromkeys(raw_names))
    seen = Counter(map(printable, names))
    labels = {}
    for raw in names:
        label = printable(raw)
        if seen[label] > 1 and label.encode() != raw:
            while label in seen:
                label += f"~{zlib.crc32(raw):08x}"
            seen[label] = 1
        labels[raw] = label
    return labels


def visible(text: str) -> str:
    """Escape what cannot be printed: it would end a line, move the cursor or turn the writing round."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def one_line(text: str, limit: int = 200) -> str:
    """Make text fit for one line of a log: what cannot be printed is escaped, what is too long cut off."""
    escaped = visible(text[:limit])
    return escaped[:limit] + ("…" if len(text) > limit or len(escaped) > limit else "")


def duration_seconds(text: str) -> float | None:
    """Return the seconds of ``90``, ``1s``, ``5m`` or ``1h30m``; None for what is no duration."""
    if not DURATION.fullmatch(text):
        return None
    return sum(float(number) * UNIT_SECONDS[unit or "s"] for number, unit in _DURATION_PART.findall(text))


def human_bytes(size_bytes: float) -> str:
    """Write a size: ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size_bytes < _BINARY_STEP:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= _BINARY_STEP
    return f"{size_bytes:.1f} PiB"


def human_age(seconds: float) -> str:
    """Write an age: ``3d 4h``. A time in the future is ``-5m``."""
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    parts: list[str] = []
    for unit, length_seconds in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length_seconds)
        if count or parts or unit == "s":
            parts.append(f"{count:.0f}{unit}")
    return sign + " ".join(parts[:2])
