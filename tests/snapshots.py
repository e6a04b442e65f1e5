"""Snapshots for tests, without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.aggregates import Extreme
from fexp.metrics import AGGREGATES
from fexp.model import GroupSnapshot

if TYPE_CHECKING:
    from fexp.model import FlowSnapshot


def group_of(pattern: str, flow: FlowSnapshot | None = None, **values: float) -> GroupSnapshot:
    """Return a group; what is not given is 0, or None where a group without files has nothing to say."""
    empty = {aggregate.name: None if issubclass(aggregate, Extreme) else 0 for aggregate in AGGREGATES}
    return GroupSnapshot({"pattern": pattern}, {**empty, **values}, flow)
