"""The checker of expositions, with promtool as its oracle."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from fexp.testing import assert_exposition, check_exposition
from fexp.testing.exposition import _ABBREVIATIONS, _BASE_UNITS, _PREFIXES
from tests.servers import promtool

WORDS = ("x", "total", "bucket", "count", "sum", "milliseconds", "bytes", "gauge", "histogram", "ms", "B", "aB", "a:b")
UNITS = [*_BASE_UNITS, *(prefix + "seconds" for prefix in _PREFIXES.pattern.split("|")), "kilobits", "minibytes"]
"""Of two units in one name promtool reports whichever it comes upon."""
NAMES = [
    *(f"a_{first}_{second}" for first, second in product(WORDS, WORDS) if {first, second} != {"milliseconds", "bytes"}),
    *(f"a_{word}" for word in (*_ABBREVIATIONS, *UNITS, "counters", "gauge_histogram_x", "untyped")),
    *("s", "seconds", "counter", "total", "camelCase_x", "bytes_total"),
]  # fmt: skip
LABELS = ("", '{l="v"}', '{aB="v"}', '{le="1"}', '{quantile="1"}')


def family(name: str, kind: str, labels: str = "", *, with_help: bool = True) -> str:
    """Return a family with one series."""
    head = (f"# HELP {name} Some help.\n" if with_help else "") + (f"# TYPE {name} {kind}\n" if kind else "")
    if kind == "histogram":
        return f'{head}{name}_bucket{{le="+Inf"}} 1\n{name}_sum 1\n{name}_count 1\n'
    return head + (f"{name}_sum 1\n{name}_count 1\n" if kind == "summary" else f"{name}{labels} 1\n")


def told_by_promtool(text: str, kind: str) -> list[str]:
    """Return what promtool says of families of one type, a line each, in our form.

    An old one minds the names of other types in a name, too.
    """
    done = promtool("check", "metrics", input_text=text)
    assert done.returncode in {0, 3}, done.stderr
    lines = [line.replace(" ", ": ", 1) for line in done.stderr.splitlines()]
    return sorted({line for line in lines if "include type" not in line or line.endswith(f"'{kind}'")})


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "summary", "untyped"])
def test_names_are_judged_as_promtool_does(kind: str) -> None:
    names = [name for name in dict.fromkeys(NAMES) if not name.endswith(("_bucket", "_count", "_sum"))]
    text = "".join(family(name, kind) for name in names)
    assert sorted(set(check_exposition(text))) == told_by_promtool(text, kind)


@pytest.mark.parametrize("kind", ["counter", "gauge", "untyped"])
def test_endings_and_labels_are_judged_as_promtool_does(kind: str) -> None:
    text = "".join(
        family(f"a{number}_{ending}", kind, labels, with_help=ending != "x")
        for number, (ending, labels) in enumerate(product(("bucket", "count", "sum", "total", "x"), LABELS))
    )
    assert sorted(set(check_exposition(text))) == told_by_promtool(text, kind)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a 1", "line 1: it does not end: whoever wrote it was interrupted"),
        ("# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "line 4: a: a second sample with the same labels"),
        ("# HELP a A.\n# HELP a B.\n# TYPE a gauge\na 1\n", "line 2: a second HELP of a"),
        ("# HELP a A.\n# TYPE a gauge\n# TYPE a gauge\na 1\n", "line 3: a second TYPE of a, or one after its samples"),
        ("# TYPE a gauge\na 1\n# HELP a A.\n", "line 3: the HELP of a comes after its samples"),
        ("# HELP a A.\na 1\n# TYPE a gauge\n", "line 3: a second TYPE of a, or one after its samples"),
        ("# HELP a A.\n# TYPE a gage\na 1\n", "line 2: a has no TYPE that there is"),
        ("# HELP a A.\na 1\n", "a: no TYPE"),
        ("# HELP a A.\n# TYPE a gauge\na one\n", "line 3: a has no value that is a number"),
        ("# HELP a A.\n# TYPE a gauge\na 1 1700000000000\n", "line 3: a has a timestamp"),
        ('# HELP a A.\n# TYPE a gauge\na{x="1",x="2"} 1\n', "line 3: label x stands there twice"),
        ('# HELP a A.\n# TYPE a gauge\na{__x="1"} 1\n', "line 3: label __x"),
        ('# HELP a A.\n# TYPE a gauge\na{x="\n"} 1\n', "line 3: the labels cannot be read"),
        ('# HELP a A.\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2\na_sum 1\n', "a: its buckets, count and"),
        ('# HELP a A.\n# TYPE a gauge\n# HELP b B.\n# TYPE b gauge\na 1\nb 1\na{x="1"} 1\n', "line 7: a comes in two"),
    ],
)  # fmt: skip
def test_what_a_reader_would_stumble_over_is_found(text: str, problem: str) -> None:
    problems = check_exposition(text)
    assert any(one.startswith(problem) for one in problems), problems
    with pytest.raises(AssertionError, match="problems in the exposition"):
        assert_exposition(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# TYPE a gauge\n# HELP a A.\na 1\na 1\n# EOF\n", "a: a second sample with the same labels"),
        ("# TYPE a gauge\n# HELP a A.\na 1\n# TYPE a gauge\n# EOF\n", "metadata after samples"),
        ('# TYPE a gauge\n# HELP a A.\na{x="1",y="}"} 1\na{y="}",x="1"} 1\n# EOF\n', "a: a second sample"),
        ("# TYPE a gauge\na 1\n# EOF\n", "a: no help text"),
        ("# TYPE aB counter\n# HELP aB A.\naB_total 1\n# EOF\n", "aB_total: metric names should be written in"),
    ],
)
def test_openmetrics_is_checked_too(text: str, problem: str) -> None:
    problems = check_exposition(text)
    assert any(problem in one for one in problems), problems


def test_what_prometheus_client_shows_is_good() -> None:
    registry = CollectorRegistry()
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    ProcessCollector(registry=registry)
    assert_exposition(generate_latest(registry))
    assert_exposition(generate_openmetrics(registry))  # type: ignore[no-untyped-call]
    assert_exposition("")
    assert_exposition("# EOF\n")


@given(st.text() | st.binary())
def test_anything_may_be_checked(text: str | bytes) -> None:
    assert all(isinstance(problem, str) for problem in check_exposition(text))
