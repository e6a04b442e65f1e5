"""Remote write pays for the folders that changed, and delivers what it would deliver if it read all of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cramjam
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.metrics import FexpCollector
from fexp.model import FolderSnapshot, Snapshot
from fexp.outputs.push import reading
from fexp.outputs.push.protobuf import STALE, series_of
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from tests.outputs.decoding import decode
from tests.outputs.samples import TurnedClock, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest
    from prometheus_client.metrics_core import Metric

SETTINGS = RemoteWriteSettings("http://h", instance="h")


class Taker:
    """A receiver that keeps the latest of each series, and forgets what ended."""

    def __init__(self) -> None:
        self.alive: dict[object, bytes] = {}
        self.ended: set[object] = set()

    def send(self, _method: str, *, body: bytes, headers: object, within_seconds: float) -> None:
        del headers, within_seconds
        samples = decode(bytes(cramjam.snappy.decompress_raw(body)))
        series = [labels for labels, _, _ in samples]
        assert len(set(series)) == len(series)
        self.ended = {labels for labels, _, value in samples if value == STALE}
        self.alive = {labels: value for labels, _, value in samples if value != STALE}

    def hurry(self) -> None: ...

    def close(self) -> None: ...


def _output(taker: Taker) -> RemoteWriteOutput:
    clock = TurnedClock(1_700_000_000.0)
    return RemoteWriteOutput(SETTINGS, sender=taker, clock=clock, wall_clock=clock)  # type: ignore[arg-type]


def _truth(snapshot: Snapshot) -> dict[object, bytes]:
    families = FexpCollector(lambda: snapshot).collect()
    return {labels: struct.pack("<d", value) for labels, value in series_of(families, dict(SETTINGS.common_labels))}


def _folders(numbers: dict[str, tuple[int, bool]], known: dict[object, FolderSnapshot]) -> tuple[FolderSnapshot, ...]:
    """Return folders: the same object for the same numbers."""
    found = []
    for name, (files, up) in numbers.items():
        (folder,) = snapshot_of(**{name: files}).folders
        found.append(known.setdefault((name, files, up), folder._replace(up=up)))
    return tuple(found)


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 2), st.booleans())), max_size=6))
def test_what_is_delivered_is_the_truth_and_what_ended_is_marked(steps: list[dict[str, tuple[int, bool]]]) -> None:
    taker, known = Taker(), dict[object, FolderSnapshot]()
    output = _output(taker)
    before: dict[object, bytes] = {}
    for numbers in steps:
        snapshot = Snapshot(_folders(numbers, known))
        output.publish(FexpCollector(lambda: snapshot))  # noqa: B023
        assert taker.alive == _truth(snapshot)
        assert taker.ended == before.keys() - taker.alive.keys()
        before = taker.alive
    output.retract()
    assert taker.ended == before.keys()


def test_only_folders_that_changed_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = list(snapshot_of(a=1, b=2, c=3).folders)
    output = _output(Taker())
    source = FexpCollector(lambda: Snapshot(tuple(folders)))
    output.publish(source)
    read: set[str] = set()

    def series(families: Iterable[Metric], common: dict[str, str]) -> Sequence[object]:
        found = list(series_of(families, common))
        read.update(dict(labels).get("folder", "") for labels, _ in found)
        return found

    monkeypatch.setattr(reading, "series_of", series)
    output.publish(source)
    assert read == {""}  # fexp itself
    (folders[1],) = snapshot_of(b=7).folders
    output.publish(source)
    assert read == {"", "/in/b"}
