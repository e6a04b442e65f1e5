"""When probes run, and what a bad one costs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import fexp
from fexp.config.probes import ReadingSettings, Selected
from fexp.config.settings import Settings
from fexp.model import Snapshot
from fexp.service.probes import probes_of
from fexp.service.probes.all import Probes
from fexp.service.probes.runner import Runner
from tests.probes.running import Gate, MovableClock, Running, running
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fexp import Sample

GOOD = fexp.gauge("good", "A good one.")
BAD = fexp.gauge("bad", "A bad one.", labels=("path",))
RUNS = fexp.counter("runs", "Runs.")


@fexp.probe(metrics=GOOD)
def good() -> Iterator[Sample]:
    yield GOOD(1)


def counted(on: Any) -> Any:
    @fexp.probe(metrics=RUNS, on=on)
    def runs() -> Sample:
        return RUNS.inc()

    return runs


def test_who_asks_at_once_shares_a_run() -> None:
    gate = Gate()

    @fexp.probe(metrics=RUNS)
    def slow() -> Iterator[Sample]:
        gate.wait()
        yield RUNS.inc()

    with running(slow) as live, ThreadPoolExecutor(5) as threads:
        asking = [threads.submit(live.scrape) for _ in range(5)]
        assert gate.reached.wait(30)
        assert not any(one.done() for one in asking)
        gate.opened.set()
        assert all(one.result()["runs_total"] >= 1 for one in asking)
    assert gate.passes <= 2  # one may have asked after the first run


def test_what_is_young_enough_is_not_asked_for_again() -> None:
    clock = MovableClock()
    with running(counted(fexp.scrape(max_age="10s")), clock=clock) as live:
        assert [live.scrape()["runs_total"] for _ in range(3)] == [1, 1, 1]
        clock.move(10)
        assert live.scrape()["runs_total"] == 2


def test_without_a_scrape_it_does_not_run() -> None:
    with running(counted(fexp.scrape())) as live:
        assert live.values() == {}
        assert live.fares("runs").success is None


def test_who_asks_before_the_start_waits_for_the_first_run() -> None:
    probes = Probes(Settings(probes=(Selected(good, {}),)), ())
    (runner,) = probes._runners
    assert runner.ask() == 1
    probes.start()
    runner.wait(1)
    assert [family.name for family in probes.shown_in(Snapshot(())).families] == ["good"]
    probes.stop()


def _settled(live: Any, runs: int) -> None:
    live.until(lambda values: values.get("runs_total", 0) >= runs)


def _nudge(live: Any) -> None:
    """Have the threads look at the clock that was moved."""
    for runner in live.probes._runners:
        with runner._state:
            runner._state.notify_all()


def test_an_interval_runs_at_once_and_then_on_time() -> None:
    clock, changes = MovableClock(), list[int]()
    with running(counted(fexp.every("30s")), clock=clock, changed=lambda: changes.append(1)) as live:
        _settled(live, 1)
        clock.move(29)
        _nudge(live)
        assert live.scrape()["runs_total"] == 1  # and a scrape does not run it
        clock.move(1)
        _nudge(live)
        _settled(live, 2)
        poll(lambda: len(changes) == 2, every_seconds=0.01)


def test_a_cron_expression_runs_when_it_says() -> None:
    clock = MovableClock(wall=1_800_000_000.0)  # 2027-01-15 08:00:00 UTC
    with running(counted(fexp.cron("*/10 * * * *")), clock=clock) as live:
        (runner,) = live.probes._runners
        poll(lambda: runner._planned_at > 0, every_seconds=0.01)
        clock.move(599)
        _nudge(live)
        assert live.values() == {}
        clock.move(1)
        _nudge(live)
        _settled(live, 1)


def test_one_that_raises_costs_its_own_samples(caplog: pytest.LogCaptureFixture) -> None:
    @fexp.probe(metrics=[BAD, RUNS])
    def raises() -> Iterator[Sample]:
        yield BAD(1, path="x")
        yield RUNS.inc()
        raise ValueError("line one\nline two")

    with running(raises, good) as live:
        for _ in range(3):
            assert live.scrape() == {"good": 1}
        assert live.fares("raises")._replace(duration_seconds=0, last_run_at=0)[1:] == (False, 0, 0, 3, 3, 0)
        assert live.fares("good").success
    (record,) = caplog.records
    assert "probe raises: ValueError: line one\\nline two" in record.getMessage()
    assert f"({__file__}:" in record.getMessage()


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(), TimeoutError(), RecursionError("deep")])
def test_whatever_it_raises(error: BaseException) -> None:
    @fexp.probe(metrics=[])
    def raises() -> None:
        raise error

    with running(raises, good) as live:
        assert live.scrape() == live.scrape() == {"good": 1}
        assert live.fares("raises").success is False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runner, "_take_in", lambda *_: 1 / 0)
    with running(counted(fexp.scrape(timeout=0.05))) as live:
        assert live.probes.unready() == []
        assert live.scrape() == {}
        poll(lambda: live.probes.unready() == ["the thread of probe runs is dead"], every_seconds=0.01)


def test_one_that_works_again_is_shown_again() -> None:
    fails = [True]

    @fexp.probe(metrics=RUNS)
    def sometimes() -> Sample:
        if fails:
            raise OSError(5, "broken")
        return RUNS.inc()

    with running(sometimes) as live:
        assert live.scrape() == {}
        fails.clear()
        assert live.scrape() == {"runs_total": 1}
        assert live.fares("sometimes").success


def test_one_that_hangs_is_waited_for_once() -> None:
    gate = Gate()
    clock = MovableClock()

    @fexp.probe(metrics=BAD, on=fexp.scrape(timeout="5s"))
    def hangs() -> Iterator[Sample]:
        gate.wait()
        yield BAD(1, path="x")

    with running(hangs, good, clock=clock) as live, ThreadPoolExecutor(1) as threads:
        asking = threads.submit(live.scrape)
        assert gate.reached.wait(30)
        clock.move(6)
        _nudge(live)
        assert asking.result(30) == {"good": 1}
        fares = live.fares("hangs")
        assert (fares.success, fares.failures, fares.runs) == (False, 1, 1)
        assert live.scrape() == {"good": 1}  # at once, and without a second run
        assert live.fares("hangs").runs == 1
        gate.opened.set()
        poll(lambda: live.scrape().get("bad x") == 1, every_seconds=0.01)
        assert live.fares("hangs").success


def test_a_flood_is_cut_off() -> None:
    @fexp.probe(metrics=BAD, max_series=50)
    def floods() -> Iterator[Sample]:
        number = 0
        while True:
            number += 1
            yield BAD(number, path=number)

    with running(floods, good) as live:
        values = live.scrape()
        assert (len(values), values["good"]) == (51, 1)
        fares = live.fares("floods")
        assert fares.success
        assert fares.rejected_samples > 50


@pytest.mark.parametrize("kind", ["list", "coroutine", "async generator", "one sample"])
def test_all_kinds_of_functions(kind: str) -> None:
    async def coroutine() -> list[Sample]:
        await asyncio.sleep(0)
        return [GOOD(2)]

    async def generator() -> AsyncIterator[Sample]:
        await asyncio.sleep(0)
        yield GOOD(2)

    functions: dict[str, Any] = {
        "list": lambda: [GOOD(2)],
        "coroutine": coroutine,
        "async generator": generator,
        "one sample": lambda: GOOD(2),
    }
    with running(fexp.probe(metrics=GOOD, name="any")(functions[kind])) as live:
        assert live.scrape() == live.scrape() == {"good": 2}


def test_a_coroutine_that_waits_for_ever_is_cancelled() -> None:
    cancelled = threading.Event()

    @fexp.probe(metrics=GOOD, on=fexp.scrape(timeout=0.05))
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with running(hangs) as live:
        assert live.scrape() == {}
        assert cancelled.wait(30)
        poll(lambda: live.scrape() == {} and (live.fares("hangs").runs or 0) > 1, every_seconds=0.01)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_lifespan_sets_up_once_and_tears_down(is_async: bool) -> None:
    events: list[str] = []

    @fexp.probe(metrics=GOOD)
    def stateful(state: list[float], *, start: float = 1) -> Iterator[Sample]:
        state[0] += 1
        yield GOOD(state[0])

    def plain(settings: Any) -> Iterator[list[float]]:
        events.append("up")
        yield [settings.start]
        events.append("down")

    async def asynchronous(settings: Any) -> AsyncIterator[list[float]]:
        events.append("up")
        yield [settings.start]
        events.append("down")

    stateful.lifespan(asynchronous if is_async else plain)
    with running(stateful, stateful={"start": 5}) as live:
        assert [live.scrape()["good"] for _ in range(3)] == [6, 7, 8]
        assert events == ["up"]
    assert events == ["up", "down"]


def test_a_lifespan_begins_before_anybody_asks() -> None:
    is_up, gate = threading.Event(), Gate()

    @fexp.probe(metrics=GOOD)
    def early(state: int) -> Sample:
        return GOOD(state)

    @early.lifespan
    def _() -> Iterator[int]:
        is_up.set()
        gate.wait()
        yield 7

    with running(early) as live:
        assert is_up.wait(30)
        assert live.fares("early").success is None
        gate.opened.set()
        assert live.scrape() == {"good": 7}
        assert (live.fares("early").runs, live.fares("early").success) == (1, True)


def test_a_lifespan_that_hangs_at_its_beginning_costs_itself() -> None:
    gate = Gate()

    @fexp.probe(metrics=GOOD, on=fexp.scrape(timeout=0.05), name="hangs")
    def hangs(state: int) -> Sample:
        return GOOD(state)

    @hangs.lifespan
    def _() -> Iterator[int]:
        gate.wait()
        yield 7

    with running(hangs) as live:
        poll(lambda: live.fares("hangs").success is False, every_seconds=0.01)
        assert live.scrape() == {}
        gate.opened.set()
        poll(lambda: live.scrape() == {"good": 7}, every_seconds=0.01)


def test_a_lifespan_that_fails_is_tried_again() -> None:
    fails = [True]

    @fexp.probe(metrics=GOOD)
    def stateful(state: int) -> Sample:
        return GOOD(state)

    @stateful.lifespan
    def _() -> Iterator[int]:
        if fails:
            raise OSError(111, "refused")
        yield 7

    with running(stateful, good) as live:
        assert live.scrape() == {"good": 1}
        assert live.fares("stateful").success is False
        fails.clear()
        poll(lambda: live.scrape() and live.fares("stateful").success, every_seconds=0.01)


def _settings(*probes: tuple[Any, dict[str, Any]], rate: int = 1 << 30) -> Settings:
    selected = tuple(Selected(probe, settings) for probe, settings in probes)
    return Settings(probes=selected, probing=ReadingSettings(read_bytes_per_second=rate))


def test_a_reload_ends_what_is_gone_begins_what_is_new_and_leaves_the_rest_alone() -> None:
    events: list[str] = []

    def stateful(name: str) -> Any:
        sum_ = fexp.counter(name, "Runs.")

        @fexp.probe(metrics=sum_, name=name)
        def runs(state: str, *, start: int = 1) -> Sample:
            return sum_.inc(start)

        @runs.lifespan
        def _(settings: Any) -> Iterator[str]:
            events.append(f"{name} {settings.start} begins")
            yield ""
            events.append(f"{name} {settings.start} ends")

        return runs

    kept, gone, changed, new = (stateful(name) for name in ("kept", "gone", "changed", "new"))
    news: list[None] = []
    all_probes = Probes(
        _settings((kept, {"start": 1}), (gone, {"start": 1}), (changed, {"start": 1})), (),
        changed=lambda: news.append(None),
    )  # fmt: skip
    all_probes.start()
    live = Running(all_probes, None)
    try:
        live.scrape()
        assert live.scrape() == {"kept_total": 2, "gone_total": 2, "changed_total": 2}
        settings = _settings((new, {"start": 1}), (kept, {"start": 1}), (changed, {"start": 5}), rate=7)
        assert all_probes.replaced(settings) is all_probes
        assert sorted(events[3:5]) == ["changed 1 ends", "gone 1 ends"]
        assert live.scrape() == {"kept_total": 3, "changed_total": 5, "new_total": 1}
        assert sorted(events[5:]) == ["changed 5 begins", "new 1 begins"]
        assert all_probes._budget.bytes_per_second == 7
        assert (all_probes.unready(), len(news)) == ([], 1)
        all_probes.replaced(settings)
        assert live.scrape() == {"kept_total": 4, "changed_total": 10, "new_total": 2}
        assert len(news) == 1
    finally:
        all_probes.stop()
    assert sorted(events[7:]) == ["changed 5 ends", "kept 1 ends", "new 1 ends"]


def test_the_first_probes_may_come_with_a_reload() -> None:
    none = probes_of(_settings(), (), lambda: None, MovableClock())
    none.start(lambda: pytest.fail("nobody follows"))
    assert none.replaced(_settings()) is none
    probes = none.replaced(_settings((good, {})))
    try:
        probes.refresh()
        assert [one.probe for one in probes.shown_in(Snapshot(())).probes] == ["good"]
        assert probes.shown_in(Snapshot(())).families
        assert probes.replaced(_settings()) is probes
        assert not probes.shown_in(Snapshot(())).families
    finally:
        probes.stop()


def test_a_thread_that_cannot_be_had_for_a_new_probe_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Runner) -> None:
        raise OSError("can't start new thread")

    with running(good) as live:
        monkeypatch.setattr(Runner, "start", refuse)
        live.probes.replaced(_settings((good, {}), (counted(fexp.scrape()), {})))
        assert caplog.messages == ["probe runs does not run: can't start new thread"]
        assert live.scrape() == {"good": 1}
