"""Declared metrics: what is wrong with one is said at the import; what is wrong with a sample is kept in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

import fexp
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from fexp.metrics.declared import Metric

BAD: list[tuple[Any, Any, Any, str]] = [
    (fexp.gauge, ("bad name", "help"), {}, "not the name of a metric"),
    (fexp.gauge, ("a:b", "help"), {}, "not the name of a metric"),
    (fexp.gauge, (3, "help"), {}, "not the name of a metric"),
    (fexp.gauge, ("fexp_files", "help"), {}, "fexp's own"),
    (fexp.counter, ("process_things", "help"), {}, "fexp's own"),
    (fexp.gauge, ("things_total", "help"), {}, "_total has a meaning"),
    (fexp.gauge, ("things_bucket", "help"), {}, "_bucket has a meaning"),
    (fexp.gauge, ("things", ""), {}, "HELP"),
    (fexp.gauge, ("things", "help"), {"labels": ("a b",)}, "not a label name"),
    (fexp.gauge, ("things", "help"), {"labels": ("__a",)}, "not a label name"),
    (fexp.gauge, ("things", "help"), {"labels": ("a", "a")}, "twice"),
    (fexp.gauge, ("things", "help"), {"labels": ("probe",)}, "label probe is set by fexp"),
    (fexp.gauge, ("things", "help"), {"labels": ("folder",)}, "label folder is set by fexp"),
    (fexp.gauge, ("things", "help"), {"expire": "soon"}, "expire 'soon' is not a duration"),
    (fexp.gauge, ("things", "help"), {"unit": "m/s"}, "cannot stand in its name"),
    (fexp.histogram, ("things", "help"), {"labels": ("le",)}, "label le is set by fexp"),
    (fexp.summary, ("things", "help"), {"labels": ("quantile",)}, "label quantile is set by fexp"),
    (fexp.histogram, ("things", "help"), {"buckets": (2, 1)}, "must ascend"),
    (fexp.histogram, ("things", "help"), {"buckets": (float("nan"),)}, "must ascend"),
    (fexp.histogram, ("things", "help"), {"buckets": ()}, "must ascend"),
    (fexp.histogram, ("things", "help"), {"buckets": ("x",)}, "are no numbers"),
    (fexp.info, ("things", "help"), {"unit": "seconds"}, "an info has no unit"),
    (fexp.state_set, ("phase", "help"), {"states": ()}, "each of them once"),
    (fexp.state_set, ("phase", "help"), {"states": ("a", "a")}, "each of them once"),
    (fexp.state_set, ("phase", "help"), {"states": ("a",), "labels": ("phase",)}, "which state it is"),
]  # fmt: skip


@pytest.mark.parametrize(("declare", "args", "options", "message"), BAD)
def test_a_wrong_declaration_is_named(
    declare: Any, args: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        declare(*args, **options)
    assert "\n" not in str(raised.value)


def test_an_option_that_there_is_not_raises_as_python_does() -> None:
    with pytest.raises(TypeError, match="bukets"):
        fexp.histogram("things", "help", bukets=(1,))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        (fexp.gauge("room_celsius", "h"), {"room_celsius"}),
        (fexp.gauge("room", "h", unit="celsius"), {"room_celsius"}),
        (fexp.counter("ops", "h"), {"ops", "ops_total"}),
        (fexp.counter("ops_total", "h"), {"ops", "ops_total"}),
        (fexp.counter("took_total", "h", unit="seconds"), {"took_seconds", "took_seconds_total"}),
        (fexp.info("build_info", "h"), {"build", "build_info"}),
        (fexp.summary("q", "h"), {"q", "q_count", "q_sum"}),
        (fexp.histogram("q", "h"), {"q", "q_bucket", "q_count", "q_sum"}),
        (fexp.state_set("phase", "h", states=("a",)), {"phase"}),
    ],
)
def test_names_are_those_of_the_formats(metric: Metric, names: set[str]) -> None:
    assert metric.names == names


G = fexp.gauge("things", "h", labels=("kind",))


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (G(1), "its labels are none, declared are kind"),
        (G(1, kind="a", other="b"), "its labels are kind, other, declared are kind"),
        (G("1", kind="a"), "no number"),  # type: ignore[arg-type]
        (G(None, kind="a"), "no number"),  # type: ignore[arg-type]
        (G(1, kind=None), "no text"),  # type: ignore[arg-type]
        (fexp.counter("c", "h")(-1), "never below 0"),
        (fexp.counter("c", "h").inc(math.nan), "never below 0"),
        (fexp.histogram("h", "h")(math.nan), "no bucket"),
        (fexp.state_set("phase", "h", states=("a", "b"))("c"), "not one of its states a, b"),
    ],
)
def test_what_is_wrong_with_a_sample_is_in_it(sample: fexp.Sample, problem: str) -> None:
    assert problem in sample.problem


def test_labels_become_text_that_every_format_holds() -> None:
    assert G(1, kind=b"\xff").labels == ("\\xff",)
    assert G(1, kind="\udcff").labels == ("\\xff",)
    assert G(1, kind=3).labels == ("3",)
