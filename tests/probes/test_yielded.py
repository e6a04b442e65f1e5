"""What is shown of the runs of a probe, against a model that keeps everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client import Histogram as ClientHistogram
from prometheus_client.core import GaugeMetricFamily

import fexp
from fexp.metrics.yielded import Series, Yielded, checked_families, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from fexp.metrics.declared import Sample

G = fexp.gauge("g", "A gauge.", labels=("path",))
KEPT = fexp.gauge("kept", "One that stays.", labels=("path",), expire=10)
C = fexp.counter("c", "A counter.", labels=("path",))
ALL = fexp.counter("all", "A counter over all files.")
BRIEF = fexp.counter("brief", "A counter over all files that goes.", expire=10)
H = fexp.histogram("h", "A histogram.", buckets=(1, 2, 5))
METRICS = (G, KEPT, C, ALL, BRIEF, H)

FILES = ("a", "b", "c")
VALUES = st.integers(0, 9)
RUNS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from(FILES), st.lists(st.sampled_from("gkctbG"), max_size=4), VALUES),
        st.tuples(st.just("fail"), st.sampled_from(FILES)),
        st.tuples(st.just("go"), st.sampled_from(FILES)),
        st.tuples(st.just("wait"), st.sampled_from((4, 11))),
    ),
    max_size=25,
)


def yielded(*samples: Sample, room: int = 100) -> Yielded:
    one = Yielded(METRICS, room)
    for sample in samples:
        one.take(sample)
    return one


def shown(families: Iterable[Metric]) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("path", "")): sample.value for family in families for sample in family.samples
    }


def sample_of(letter: str, name: str, value: int) -> Sample:
    return {
        "g": G(value, path=name),
        "k": KEPT(value, path=name),
        "c": C.inc(value, path=name),
        "t": ALL.inc(value),
        "b": BRIEF.inc(value),
        "G": G(value + 1, path=name),
    }[letter]


@given(RUNS)
@settings(max_examples=150)
def test_runs_replace_each_other_and_what_adds_up_stays(runs: list[tuple[Any, ...]]) -> None:
    series, now = Series(METRICS, "p", 100), 0.0
    gauges: dict[tuple[str, str], float] = {}
    kept: dict[tuple[str, str], tuple[float, float]] = {}
    totals: dict[tuple[str, str], float] = {}
    for run in runs:
        if run[0] == "wait":
            now += run[1]
            continue
        name = str(run[1])
        for key in [key for key in gauges if key[1] == name]:
            del gauges[key]
        if run[0] == "go":
            series.drop(("f", name.encode()), {name})
            kept = {key: value for key, value in kept.items() if key[1] != name}
            totals.pop(("c_total", name), None)
            continue
        letters, value = (run[2], run[3]) if run[0] == "run" else ((), 0)
        series.fold(("f", name.encode()), (), yielded(*(sample_of(one, name, value) for one in letters)), now)
        for letter in letters:
            if letter in "gG" and ("g", name) not in gauges:
                gauges["g", name] = value + (letter == "G")
            elif letter == "k":
                kept["kept", name] = (value, now)
            elif letter == "b":
                total, at = kept.get(("brief_total", ""), (0, now))
                kept["brief_total", ""] = (value + (total if at + 10 > now else 0), now)
            elif letter in "ct":
                key = ("c_total", name) if letter == "c" else ("all_total", "")
                totals[key] = totals.get(key, 0) + value
        alive = {key: value for key, (value, at) in kept.items() if at + 10 > now}
        assert shown(series.families(now)) == {**gauges, **alive, **totals}


def test_an_expired_series_goes_without_a_run() -> None:
    series = Series(METRICS, "p", 100)
    series.fold(None, (), yielded(KEPT(1, path="a")), 0.0)
    assert shown(series.families(9.9)) == {("kept", "a"): 1}
    assert shown(series.families(10.0)) == {}


def test_a_counter_of_several_files_that_expired_is_forgotten_by_all_of_them() -> None:
    series = Series(METRICS, "p", 100)
    for name in (b"a", b"b"):
        series.fold(("f", name), (), yielded(BRIEF.inc(2)), 0.0)
    assert shown(series.families(9.0)) == {("brief_total", ""): 4}
    assert shown(series.families(10.0)) == {}
    series.fold(("f", b"a"), (), yielded(), 11.0)
    series.drop(("f", b"b"), {"b"})
    series.fold(("f", b"a"), (), yielded(BRIEF.inc(1)), 12.0)
    series.fold(("f", b"a"), (), yielded(BRIEF.inc(1)), 30.0)
    assert shown(series.families(30.0)) == {("brief_total", ""): 1}


@given(st.lists(st.floats(-10, 10), max_size=30), st.sampled_from([(1, 2, 5), (-5, 0, 5), (-1,)]))
@settings(max_examples=50)
def test_a_histogram_is_as_the_clients(observed: list[float], bounds: tuple[float, ...]) -> None:
    registry = CollectorRegistry()
    client = ClientHistogram("h", "A histogram.", buckets=bounds, registry=registry)
    histogram = fexp.histogram("h", "A histogram.", buckets=bounds)
    series = Series([histogram], "p", 100)
    for value in observed:
        client.observe(value)
        run = Yielded([histogram], 100)
        run.take(histogram(value))
        series.fold(None, (), run, 0.0)
    if observed:
        (family,) = series.families(0.0)
        ours = {(one.name, one.labels.get("le")): one.value for one in family.samples}
        theirs = {
            (one.name, one.labels.get("le")): one.value
            for family in registry.collect()
            for one in family.samples
            if not one.name.endswith("_created")
        }
        assert ours == theirs


def test_what_the_default_registry_says_of_the_process_is_left_to_fexp() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    run = Yielded((), 100)
    for family in (*registry.collect(), GaugeMetricFamily("mine", "Mine.", 3)):
        run.take(family)
    assert [one.name for one in checked_families(run, "p", 100, lambda _: True, ())] == ["mine"]
    assert run.rejected == 0


def test_a_family_without_changes_is_the_same_object() -> None:
    series = Series(METRICS, "p", 100)
    series.fold(None, (), yielded(G(1, path="a"), C(2, path="a")), 0.0)
    gauge, counter = series.families(0.0)
    series.fold(None, (), yielded(G(3, path="a"), C(2, path="a")), 0.0)
    new_gauge, new_counter = series.families(0.0)
    assert new_counter is counter
    assert new_gauge is not gauge


def test_bad_samples_cost_themselves() -> None:
    other = fexp.gauge("other", "Not among the metrics.")
    one = yielded(G(1, path="a"), G(2, path="a"), G(1), other(1), G(5, path="b"))
    one.take(3)
    assert one.rejected == 4
    series = Series(METRICS, "p", 100)
    series.fold(None, (), one, 0.0)
    assert shown(series.families(0.0)) == {("g", "a"): 1, ("g", "b"): 5}


def test_two_files_with_the_same_labels_are_told_apart_or_left_out() -> None:
    series = Series(METRICS, "p", 100)
    series.fold(("f", b"a"), (), yielded(G(1, path="x")), 0.0)
    second = yielded(G(2, path="x"))
    series.fold(("f", b"b"), (), second, 0.0)
    assert (second.rejected, shown(series.families(0.0))) == (1, {("g", "x"): 1})


def test_there_are_never_more_series_than_allowed() -> None:
    series = Series(METRICS, "p", 3)
    rejected = 0
    for number in range(5):
        one = yielded(G(1, path=str(number)), room=3)
        series.fold(("f", b"%d" % number), (), one, 0.0)
        rejected += one.rejected
    assert (len(shown(series.families(0.0))), rejected) == (3, 2)


def test_folders_that_are_down_show_no_values_but_keep_their_counters() -> None:
    series = Series(METRICS, "p", 100)
    series.fold(("f", b"a"), (("folder", "f"),), yielded(G(1, path="a"), C.inc(2, path="a")), 0.0)
    series.hide({"f"})
    assert shown(series.families(0.0)) == {("c_total", "a"): 2}
    series.hide(frozenset())
    assert len(shown(series.families(0.0))) == 2


def _checked(*families: Metric) -> tuple[list[Metric], Yielded]:
    one = Yielded((), 3)
    for family in families:
        one.take(family)
    return checked_families(one, "p", 3, lambda names: "taken" not in names, {"job"}), one


def test_families_of_a_collector_are_checked_too() -> None:
    good = GaugeMetricFamily("good", "G", labels=("a",))
    for value in "1213":
        good.add_metric([value], 1.0, timestamp=5)
    good.add_metric(["\udcff"], 1)
    good.add_metric(["y"], "x")  # type: ignore[arg-type]
    taken, own, labelled = (GaugeMetricFamily(name, "G", labels=["job"]) for name in ("taken", "fexp_x", "labelled"))
    for family in (taken, own, labelled):
        family.add_metric(["x"], 1)
    families, one = _checked(good, taken, own, labelled)
    assert [(family.name, len(family.samples)) for family in families] == [("good", 3), ("labelled", 0)]
    assert all(s.labels["probe"] == "p" and s.timestamp is None for family in families for s in family.samples)
    assert one.rejected == 6


def test_what_two_probes_declare_alike_is_one_family() -> None:
    parts = [Series((G,), name, 9) for name in "pq"]
    for part in parts:
        part.fold(None, (), yielded(G(1, path="a")), 0.0)
    (family,) = merged(family for part in parts for family in part.families(0.0))
    assert [sample.labels["probe"] for sample in family.samples] == ["p", "q"]
