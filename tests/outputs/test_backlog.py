"""What waits for a receiver, against a queue that keeps every snapshot whole."""

from __future__ import annotations

import gc
import struct
import tracemalloc
from itertools import chain
from typing import TYPE_CHECKING, cast
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.metrics import FexpCollector
from fexp.model import Snapshot
from fexp.outputs.push import backlog, batch
from fexp.outputs.push.backlog import Backlog, Limits
from fexp.outputs.push.protobuf import STALE
from fexp.outputs.push.reading import Reader
from tests.outputs.decoding import decode
from tests.outputs.samples import Gauge, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from fexp.model import FolderSnapshot

Values = dict[tuple[str, str], float]


class Folders(FexpCollector):
    """Folders of two series; one in which nothing changed is the same object. And fexp's own."""

    def __init__(self) -> None:
        super().__init__(lambda: Snapshot(()))
        self.numbers: dict[str, float] = {}
        self.known: dict[tuple[str, float], object] = {}

    def values(self) -> Values:
        """Return each series, by its name and its folder."""
        found = {(name, folder): number for folder, number in self.numbers.items() for name in ("x", "y")}
        return {**found, ("self", "-"): 1.0}

    def by_folder(self) -> Iterator[tuple[FolderSnapshot | None, Iterator[Metric]]]:
        for folder, number in self.numbers.items():
            one = self.known.setdefault((folder, number), object())
            series: dict[tuple[tuple[str, str], ...], float] = {(("folder", folder),): number}
            yield cast("FolderSnapshot", one), chain(Gauge("x", series).collect(), Gauge("y", series).collect())
        yield None, Gauge("self", {(("folder", "-"),): 1.0}).collect()


class Whole:
    """The same queue, of whole snapshots."""

    def __init__(self) -> None:
        self.queue: list[tuple[int, Values, set[tuple[str, str]]]] = []
        self.latest: Values = {}
        self.owed: set[tuple[str, str]] = set()

    def add(self, at_ms: int, values: Values) -> None:
        ended = (self.latest.keys() | self.owed) - values.keys()
        self.queue.append((at_ms, values, ended))
        self.latest, self.owed = values, set()

    def drop(self, place: int) -> None:
        _, _, ended = self.queue.pop(place)
        self.owe(ended, place)

    def owe(self, ended: set[tuple[str, str]], place: int) -> None:
        if place < len(self.queue):
            self.queue[place][2].update(ended - self.queue[place][1].keys())
        else:
            self.owed = ended

    def finish(self, fates: Sequence[batch.Fate]) -> None:
        late: set[tuple[str, str]] = set()
        for fate in fates:
            _, values, ended = self.queue.pop(0)
            late = late - values.keys() | (ended if fate.is_refused else set())
        self.owe(late, 0)

    def samples(self, count: int) -> dict[tuple[str, str], list[tuple[int, bytes]]]:
        """Return what the first snapshots have, each series in order."""
        found: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        for at_ms, values, ended in self.queue[:count]:
            for series in values.keys() | ended:
                value = struct.pack("<d", values[series]) if series in values else STALE
                found.setdefault(series, []).append((at_ms, value))
        return found


def sent(under_way: batch.Batch) -> dict[tuple[str, str], list[tuple[int, bytes]]]:
    """Take all requests of a batch, splitting them as if they were refused; give each series as it comes."""
    found: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
    while (request := under_way.request()) is not None:
        samples = decode(request)
        if len({at_ms for _, at_ms, _ in samples}) > 1 and len(found) % 2:
            assert not under_way.refused()
            continue
        under_way.taken()
        for labels, at_ms, value in samples:
            names = dict(labels)
            found.setdefault((names["__name__"], names["folder"]), []).append((at_ms, value))
    return found


numbers = st.dictionaries(st.sampled_from("abc"), st.sampled_from([1.0, 2.0]))
takes = st.tuples(st.just("take"), numbers)
sends = st.tuples(st.just("send"), st.integers(1, 6), st.sets(st.integers(0, 5)))
fails = st.tuples(st.just("fail"), st.integers(1, 6))


@settings(max_examples=150)
@given(
    steps=st.lists(takes | takes | sends | fails, max_size=25),
    most_samples=st.sampled_from([10, 25, 1000]),
    age_seconds=st.sampled_from([2.0, 1000.0]),
    request_samples=st.sampled_from([1, 4, 1000]),
)
def test_it_sends_what_whole_snapshots_would_be(
    steps: list[tuple[str, int | dict[str, float], set[int]]],
    most_samples: int,
    age_seconds: float,
    request_samples: int,
) -> None:
    """Also what ended in snapshots that fell out or were refused, and while a batch is under way."""
    waiting, whole = Backlog(Limits(age_seconds, most_samples, 10**9)), Whole()
    source, reader = Folders(), Reader({})
    dropped, held, now = 0, 0, 0.0
    with mock.patch.object(batch, "_REQUEST_SAMPLES", request_samples):
        for what, *details in steps:
            if what == "take":
                source.numbers = cast("dict[str, float]", details[0])
                now += 1.0
                at_ms = 1_700_000_000_000 + int(now)
                fell_out = waiting.add(reader.read(source, waiting.next_number), at_ms=at_ms, now=now)
                whole.add(at_ms, source.values())
                for _ in range(fell_out):
                    whole.drop(held)
                dropped += fell_out
                assert len(waiting) == len(whole.queue)
                assert [one.at_ms for one in waiting._queue] == [at_ms for at_ms, _, _ in whole.queue]
                if len(waiting) > held + 1:
                    assert waiting._samples == sum(len(values) + len(ended) for _, values, ended in whole.queue)
                    assert waiting._samples <= most_samples
                    assert waiting._queue[held].taken_at >= now - age_seconds
            under_way = waiting.batch(cast("int", details[0])) if what != "take" else None
            if under_way is None:
                continue
            held = len(under_way.fates)
            if what == "fail":  # it stays under way while others are taken, or waits again
                under_way.is_begun = bool(held % 2)
                waiting.release()
                held = waiting._held
                continue
            assert sent(under_way) == whole.samples(held)
            for place, fate in enumerate(under_way.fates):
                fate.is_refused = place in cast("set[int]", details[1])
                dropped += fate.is_refused
            whole.finish(under_way.fates)
            waiting.finish()
            held = 0
            assert waiting._batch is None
        assert waiting.dropped == dropped
        if not waiting:
            assert (waiting._samples, waiting._memory_bytes) == (0, 0)


def test_a_batch_is_some_seconds_of_a_receivers_time() -> None:
    """What is done is then done, whatever comes next."""
    source, reader, waiting = Folders(), Reader({}), Backlog(Limits(1e9, 10**9, 10**9))
    source.numbers = {"a": 1.0}
    for number in range(20):
        waiting.add(reader.read(source, number), at_ms=number, now=0.0)
    with mock.patch.object(backlog, "_BATCH_SAMPLES", 30):
        batches = []
        while (under_way := waiting.batch(100)) is not None:
            batches.append(len(under_way.fates))
            waiting.finish()
    assert batches == [10, 10]


@pytest.mark.slow
def test_the_memory_that_a_backlog_takes_is_what_it_says_and_bounded() -> None:
    """A snapshot of unchanged folders takes next to nothing, however many they are."""
    folders = list(snapshot_of(**{f"a-name-of-usual-length-{number}": number for number in range(50)}).folders)
    reader, waiting = Reader({"job": "fexp", "instance": "h"}), Backlog(Limits(1e9, 10**9, 400_000))

    def take() -> None:
        source = FexpCollector(lambda: Snapshot(tuple(folders)))
        waiting.add(reader.read(source, waiting.next_number), at_ms=waiting.next_number, now=0.0)

    def taken_bytes(times: int, changed: int) -> int:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(times):
            for place in range(changed):
                (folder,) = snapshot_of(x=1000 + number).folders
                folders[place] = folder._replace(folder=folders[place].folder)
            take()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    take()
    tracemalloc.start()
    try:
        assert taken_bytes(12, changed=0) < 12 * 1_200
        known = waiting._memory_bytes
        changed_bytes = taken_bytes(8, changed=3)
        assert changed_bytes < 1.2 * (waiting._memory_bytes - known)
        assert waiting.dropped == 0
        assert taken_bytes(20, changed=40) < 600_000
    finally:
        tracemalloc.stop()
    assert waiting.dropped > 20
    assert len(waiting) > 1
