"""Remote write against a model of a receiver: whatever happens on the way, in the end it holds the truth."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING
from unittest import mock

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.errors import OutputError
from fexp.outputs.push import batch
from fexp.outputs.push.protobuf import STALE
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from fexp.outputs.push.sender import RefusedError
from tests.outputs.decoding import decode
from tests.outputs.samples import Gauge, TurnedClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric


class Receiver:
    """The sender and a TSDB behind it, which takes a request whole or not at all.

    The time of a series only increases; its latest sample again is nothing new.
    """

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.store: dict[str, list[tuple[int, bytes]]] = {}
        self.fates: list[str] = []
        self.seconds = 0.0
        self.hurry_in = -1
        self.output: RemoteWriteOutput
        self.sent: list[tuple[float, int]] = []
        self.unanswered: set[int] = set()
        """The times of requests of several that it may have taken, as far as their sender knows."""
        self.refused_unanswered: set[int] = set()
        """Those of them that it refused for another reason than that it has them. That is taken for the same."""

    def send(self, _method: str, *, body: bytes, headers: object, within_seconds: float) -> None:
        del headers, within_seconds
        began_at = self.clock.now
        self.clock.now += self.seconds
        if self.hurry_in == 0:
            self.output.hurry()
        self.hurry_in -= 1
        samples_sent = decode(bytes(cramjam.snappy.decompress_raw(body)))
        self.sent.append((began_at, samples_sent[0][1]))
        times = {at_ms for _, at_ms, _ in samples_sent}
        fate = self.fates.pop(0) if self.fates else "taken"
        if fate in {"400", "401"}:
            self.refused_unanswered |= times & self.unanswered
            raise RefusedError(int(fate), f"answered {fate}", final=True)
        if fate in {"away", "lost"} and len(times) > 1:
            self.unanswered |= times
        if fate == "away":
            raise OutputError("away")
        store = {name: [*samples] for name, samples in self.store.items()}
        for labels, at_ms, value in samples_sent:
            samples = store.setdefault(dict(labels)["folder"], [])
            if not samples or at_ms > samples[-1][0]:
                samples.append((at_ms, value))
            elif (at_ms, value) != samples[-1]:
                assert at_ms in self.unanswered, "sent out of order"
                raise RefusedError(400, "answered 400: out of order", final=True)
        self.store = store
        if fate == "lost":
            raise OutputError("no whole answer in time")

    def hurry(self) -> None: ...

    def close(self) -> None: ...

    def alive(self) -> dict[str, bytes]:
        latest = {name: samples[-1][1] for name, samples in self.store.items() if samples}
        return {name: value for name, value in latest.items() if value != STALE}


class Source(Gauge):
    """A gauge whose reading may be interrupted by a stop."""

    output: RemoteWriteOutput | None = None

    def collect(self) -> Iterator[Metric]:
        if self.output is not None:
            self.output.hurry()
        return super().collect()


folders = st.sets(st.sampled_from("abcde"))
fates = st.just(["away"]) | st.lists(st.sampled_from(["taken", "taken", "away", "lost", "400", "401"]), max_size=8)
steps = st.lists(
    st.tuples(folders, fates, st.sampled_from([0.0, 0.0, 1.0, 6.0]), st.sampled_from([1.0, 0.0, 30.0, -4.0])),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=120)
@given(
    steps=steps,
    request_bytes=st.sampled_from([1, 100, 10_000]),
    request_samples=st.sampled_from([1, 5, 1000]),
    most_bytes=st.sampled_from([0, 3000, 10**6]),
    most_samples=st.sampled_from([1, 4, 8, 1000]),
    last=folders.filter(bool),
    last_fates=fates,
    when=st.sampled_from(["before", "collecting", "sending", "sending later"]),
    keep=st.booleans(),
    seconds=st.sampled_from([0.0, 1.0, 3.0]),
)
def test_in_the_end_the_receiver_holds_the_truth(
    steps: list[tuple[set[str], list[str], float, float]],
    request_bytes: int,
    request_samples: int,
    most_bytes: int,
    most_samples: int,
    last: set[str],
    last_fates: list[str],
    when: str,
    keep: bool,
    seconds: float,
) -> None:
    clock = TurnedClock(1_700_000_000.0)
    receiver = Receiver(clock)
    wall = TurnedClock(1_700_000_000.0)
    made = RemoteWriteSettings(
        "http://h", instance="h", deadline_seconds=5.0, queue_bytes=most_bytes, queue_samples=most_samples
    )
    output = RemoteWriteOutput(made, sender=receiver, clock=clock, wall_clock=lambda: wall.now + clock.now)  # type: ignore[arg-type]
    receiver.output = output
    backlog, source = output._backlog, Source("x", {})
    count = 0

    published: dict[int, set[str]] = {}

    def truth(names: set[str]) -> dict[str, bytes]:
        return dict.fromkeys(names, struct.pack("<d", count))

    def publish(names: set[str]) -> bool:
        """Publish a value that no other snapshot has; tell whether that worked."""
        nonlocal count
        count += 1
        source.series = {(("folder", name),): float(count) for name in sorted(names)}
        try:
            output.publish(source)
        except OutputError:
            return False
        finally:
            published[output._latest_ms] = names
        return True

    with mock.patch.multiple(batch, _REQUEST_BYTES=request_bytes, _REQUEST_SAMPLES=request_samples):
        for names, receiver.fates, receiver.seconds, ahead in steps:
            wall.now += ahead
            begun = backlog._batch
            half = list(backlog._queue)[: backlog._held]
            if publish(names) and not output.is_waiting:
                assert receiver.alive() == truth(names)
            if backlog._batch is begun:
                assert list(backlog._queue)[: len(half)] == half  # never half of a snapshot
            newest = backlog._queue[-1].samples if backlog._queue else 0
            held = [one.samples for one in backlog._queue][: backlog._held]
            assert sum(one.samples for one in backlog._queue) <= max(most_samples, sum(held) + newest)
            assert most_bytes or len(backlog) <= len(held) + 1
        receiver.fates, receiver.seconds = last_fates, seconds
        if when == "before":
            output.hurry()
        source.output = output if when == "collecting" else None
        receiver.hurry_in = {"sending": 0, "sending later": 2}.get(when, -1)
        publish(last)
        receiver.hurry_in, source.output, receiver.fates = -1, None, []
        if output._values_until is None:
            output.hurry()
        if keep:
            publish(last)
        else:
            with suppress(OutputError):  # of what waited, some may be refused
                output.retract()
    assert receiver.alive() == truth(last if keep else set())
    assert not output.is_waiting
    assert output._values_until is not None
    newest_ms = max(at_ms for _, at_ms in receiver.sent)
    if when != "before":
        assert all(at < output._values_until or at_ms == newest_ms for at, at_ms in receiver.sent)
    stored = {(name, at_ms) for name, samples in receiver.store.items() for at_ms, _ in samples}
    missed = sum(any((name, at_ms) not in stored for name in names) for at_ms, names in published.items())
    assert missed <= output.dropped_snapshots + len(receiver.refused_unanswered)
    assert output.dropped_snapshots <= len(published)
