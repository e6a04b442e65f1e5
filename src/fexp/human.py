"""Numbers as people read them."""

from __future__ import annotations

_BINARY_STEP = 1024


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
    for unit, length_seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length_seconds)
        if count or parts or unit == "s":
            parts.append(f"{count:.0f}{unit}")
    return sign + " ".join(parts[:2])
