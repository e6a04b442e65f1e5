"""What the histories of names say, and when files arrived of which nobody saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.model import ARRIVED, LEFT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fexp.model import Instant


def replayed(history: str, *, is_known: bool) -> tuple[bool, int]:
    """Return whether a known file departed, and how many of its name came and went unseen since."""
    is_here, departed, passed = is_known, False, 0
    for step in history:
        if step == ARRIVED:
            is_here = True
        elif step == LEFT and is_here:
            if is_known:
                departed = True
            else:
                passed += 1
            is_known = is_here = False
    return departed, passed


def arrivals_of(changed_at: Sequence[float], absent_since: float, now: Instant) -> list[float]:
    """Return when files arrived, on the steady clock, by when their inodes changed as Unix time."""
    earliest, latest = absent_since, now.steady
    if earliest >= latest:
        return [latest] * len(changed_at)
    shift = now.steady - now.wall
    arrived_at = [at + shift for at in changed_at]
    if min(arrived_at) < earliest or max(arrived_at) > latest:
        return [min(latest, max(earliest, at)) for at in arrived_at]
    return arrived_at
