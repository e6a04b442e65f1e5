"""What a benchmark says: rows of a figure, the peer's figure, their ratio and the goal."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Row:
    """One line of the table. ``met`` is worked out from the bounds; None where the issue sets none."""

    what: str
    figure: float | None
    unit: str
    peer: str = ""
    peer_figure: float | None = None
    goal: str = ""
    at_most: float | None = None
    """The goal for the figure itself."""
    ratio_at_most: float | None = None
    """The goal for the ratio to the peer."""
    right: bool | None = None
    """For a row about exactness: whether the numbers were right."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure over the peer's; less is better."""
        if self.figure is None or not self.peer_figure:
            return None
        return self.figure / self.peer_figure

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None when there is none or it could not be measured."""
        verdicts = [] if self.right is None else [self.right]
        if self.at_most is not None and self.figure is not None:
            verdicts.append(self.figure <= self.at_most)
        if self.ratio_at_most is not None and self.ratio is not None:
            verdicts.append(self.ratio <= self.ratio_at_most)
        return all(verdicts) if verdicts else None


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)
