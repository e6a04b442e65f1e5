"""Sums by group, for groups that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


class Sums(dict["Hashable", int]):
    """Sums by group. One of 0 is not kept."""

    __slots__ = ()

    def __missing__(self, key: Hashable) -> int:
        return 0

    def add(self, key: Hashable, number: int) -> None:
        """Add a number, which may be negative."""
        total = self[key] + number
        if total:
            self[key] = total
        else:
            self.pop(key, None)

    def take_out(self, sums: Mapping[Hashable, int]) -> None:
        """Subtract other sums."""
        for key, number in sums.items():
            self.add(key, -number)
