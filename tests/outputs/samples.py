"""Families to deliver, and a clock that a test turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric

from fexp.config.origin import Origin, Written
from fexp.metrics import FexpCollector
from fexp.model import (
    Backend,
    FlowSnapshot,
    FolderSnapshot,
    Histogram,
    Snapshot,
)
from fexp.outputs.textfile import TextfileOutput, TextfileSettings
from tests.snapshots import group_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FLOW = FlowSnapshot(5, 3, 1, 500, 300, 1.7e9, 1.7e9 + 1, Histogram((1.0, 10.0), (1, 1, 1), 42.5))


def snapshot_of(**files: int) -> Snapshot:
    """Return a snapshot with a folder of so many files for each name."""
    return Snapshot(
        tuple(
            FolderSnapshot(
                folder=f"/in/{name}",
                labels={},
                up=True,
                recursive=False,
                groups=(
                    group_of(
                        "*",
                        FLOW,
                        files=count,
                        size_bytes=10 * count,
                        oldest_modified_at=1.0,
                        newest_modified_at=2.0,
                        largest_bytes=10,
                    ),
                ),
                backend=Backend.INOTIFY,
            )
            for name, count in files.items()
        )
    )


class Numbers:
    """A source whose snapshot a test exchanges."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot or snapshot_of(a=1)
        self.collections = 0

    def collect(self) -> Iterator[Metric]:
        self.collections += 1
        return FexpCollector(lambda: self.snapshot).collect()


class Gauge:
    """A source of one family, a gauge unless told otherwise."""

    def __init__(self, name: str, series: Mapping[tuple[tuple[str, str], ...], float], kind: str = "gauge") -> None:
        self.name = name
        self.kind = kind
        self.series = series

    def collect(self) -> Iterator[Metric]:
        family = Metric(self.name, "A test.", self.kind)
        for labels, value in self.series.items():
            family.add_sample(self.name, dict(labels), value)
        yield family


class TurnedClock:
    """A clock that stands still until somebody waits on it; then the waiting is over at once."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def command_line(options: Mapping[str, str | Sequence[str]]) -> Written:
    """Return what the command line would, for options by name: texts as a user writes them."""
    values = {name: (raw if isinstance(raw, str) else tuple(raw), Origin(f"--{name}")) for name, raw in options.items()}
    return Written(values, lambda name: f"--{name}")


def textfile_output(path: str, mode: int = 0o644) -> TextfileOutput:
    """Return the output of one textfile."""
    return TextfileOutput(TextfileSettings(path, mode))
