"""Probes at work in the process of the test."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fexp import clock as clocks
from fexp.config.probes import ReadingSettings, Selected
from fexp.config.settings import Settings
from fexp.model import Instant, Snapshot
from fexp.service.probes.all import Probes
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fexp.clock import Clock
    from fexp.counting.selection import Folder
    from fexp.engine import Engine
    from fexp.model import ProbeSnapshot
    from fexp.probes.probe import Probe


class Gate:
    """Where a probe waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.passes = 0

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(30)
        self.passes += 1


class MovableClock:
    """A clock that only the test moves."""

    def __init__(self, wall: float = 1.8e9) -> None:
        self.wall, self.steady = wall, 1000.0

    def __call__(self) -> Instant:
        return Instant(self.wall, self.steady)

    def move(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Running:
    """Some probes, until the block ends."""

    def __init__(self, probes: Probes, engine: Engine | None) -> None:
        self.probes = probes
        self.engine = engine

    def snapshot(self) -> Snapshot:
        return self.probes.shown_in(self.engine.snapshot() if self.engine is not None else Snapshot(()))

    def scrape(self) -> dict[str, float]:
        self.probes.refresh()
        return self.values()

    def values(self) -> dict[str, float]:
        """Return the values, by the name and the label path."""
        return {
            sample.name + (f" {sample.labels['path']}" if "path" in sample.labels else ""): sample.value
            for family in self.snapshot().families
            for sample in family.samples
        }

    def fares(self, name: str) -> ProbeSnapshot:
        return next(one for one in self.snapshot().probes if one.probe == name)

    def until(self, is_so: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Wait until the values are so."""

        def ask() -> tuple[dict[str, float]] | None:
            values = self.values()
            return (values,) if is_so(values) else None

        (values,) = poll(ask, every_seconds=0.01)
        return dict(values)


@contextmanager
def running(
    *probes: Probe,
    engine: Engine | None = None,
    folders: tuple[Folder, ...] = (),
    clock: Clock = clocks.now,
    changed: Callable[[], None] = lambda: None,
    read_bytes_per_second: int = 1 << 30,
    **settings: Any,
) -> Iterator[Running]:
    selected = tuple(Selected(probe, settings.get(probe.name, {})) for probe in probes)
    probing = ReadingSettings(read_bytes_per_second=read_bytes_per_second)
    settled = Settings(folders, probes=selected, probing=probing)
    all_probes = Probes(settled, folders, changed=changed, clock=clock)
    subscribe = (lambda: engine.subscribe(present=True)) if engine is not None else None
    all_probes.start(subscribe)
    try:
        yield Running(all_probes, engine)
    finally:
        all_probes.stop()
