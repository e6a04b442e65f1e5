"""The strict reading of text 0.0.4, compared with prometheus_client's rendering and with promtool's mind."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from fexp.metrics.parsing import Parsed, parse_text
from fexp.outputs.formats import Families
from tests.servers import promtool

HISTOGRAM = """\
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
"""


def values(parsed: Parsed) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed.families
        for sample in family.samples
    }


def rendered(parsed: Parsed) -> str:
    return generate_latest(Families(parsed.families), escaping="underscores").decode()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a 1", 1), ("a\t+1e3", 1000), ("  a   .5  ", 0.5), ("a{} 2.", 2), ("a -Inf", -math.inf), ("a{ } 0", 0),
        ("# HELP\n# any comment\n\na 3", 3),
    ],
)  # fmt: skip
def test_what_every_receiver_takes(line: str, value: float) -> None:
    parsed = parse_text(f"{line}\n".encode())
    assert (values(parsed), parsed.rejected) == ({("a", ()): value}, 0)


@pytest.mark.parametrize(
    "line",
    [
        "a", "a b", "a 1 2", "a 1 2 3", "1a 1", "a{b=1} 1", 'a{b="c" 1', 'a{b="c"d="e"} 1', 'a{b="c",b="d"} 1',
        'a{__b="c"} 1', 'a{b-c="d"} 1', r'a{b="\x"} 1', 'a{b="c"}', "a 0x10", "a 1_000", "a 1,5", "a nan", "a infinity",
        "a٣ 1", "a ٣", 'a{b="c"}} 1', "a-b 1", "fexp_a 1", 'a{job="x"} 1', 'a{job_name="other"} 1', "# TYPE a what",
        "a 1\r",
    ],
)  # fmt: skip
def test_a_bad_line_is_left_out_and_the_rest_stays(line: str) -> None:
    text = f"before 1\n{line}\nafter 2\n".encode()
    parsed = parse_text(text, {"job_name": "j"}, {"job"}, own_prefix="fexp_")
    job = (("job_name", "j"),)
    assert values(parsed) == {("before", job): 1, ("after", job): 2}
    assert parsed.rejected == 1
    assert parsed.reason is not None
    assert parsed.reason.startswith("line 2: ")


def test_bytes_that_are_no_text_are_left_out() -> None:
    parsed = parse_text(b'a{b="\xff"} 1\nc 2\n')
    assert (values(parsed), parsed.rejected, parsed.reason) == ({("c", ()): 2}, 1, "line 1: not UTF-8 text")


def test_a_line_that_does_not_end_is_no_line() -> None:
    """12 may have been meant to be 123."""
    parsed = parse_text(b"a 1\nb 12")
    assert (values(parsed), parsed.rejected) == ({("a", ()): 1}, 1)


def test_second_ones_are_left_out() -> None:
    text = b'# TYPE a gauge\n# TYPE a gauge\n# HELP a x\n# HELP a y\na 1\na 2\na{b=""} 3\nc 4\n# TYPE c gauge\n'
    parsed = parse_text(text)
    assert values(parsed) == {("a", ()): 1, ("c", ()): 4}
    assert parsed.rejected == 5
    assert "# HELP a x\n" in rendered(parsed)


@pytest.mark.parametrize(
    "broken",
    [
        HISTOGRAM.replace("h_sum 4.5\n", ""),
        HISTOGRAM.replace("h_count 3", "h_count 4"),
        HISTOGRAM.replace('"} 3', '"} 1'),
        HISTOGRAM.replace('h_bucket{le="+Inf"} 3\n', ""),
    ],
)
def test_a_histogram_is_whole_or_not_there(broken: str) -> None:
    assert rendered(parse_text(HISTOGRAM.encode())).count("h_bucket") == 2
    parsed = parse_text(f"{broken}other 1\n".encode())
    assert parsed.rejected >= 1
    assert ("other", ()) in values(parsed)
    assert "h_" not in rendered(parsed)


def test_a_histogram_with_a_bound_below_0_needs_no_sum() -> None:
    parsed = parse_text(HISTOGRAM.replace('le="1"', 'le="-1"').replace("h_sum 4.5\n", "").encode())
    assert (parsed.rejected, rendered(parsed).count("h_bucket")) == (0, 2)


@pytest.mark.parametrize("line", ["h 1", 'h_bucket{le="one"} 2', "h_bucket 2"])
def test_a_line_that_no_histogram_has_is_left_out(line: str) -> None:
    parsed = parse_text(f"{HISTOGRAM}{line}\n".encode())
    assert (parsed.rejected, rendered(parsed)) == (1, rendered(parse_text(HISTOGRAM.encode())))


def test_types_reach_promtool() -> None:
    summary = '# TYPE s summary\n# HELP s S.\ns{quantile="0.5"} 1\ns_sum 2\ns_count 3\n'
    counter = "# HELP c_total C.\n# TYPE c_total counter\nc_total 5\n# HELP old O.\n# TYPE old counter\nold 6\n"
    parsed = parse_text((HISTOGRAM + "# HELP h H.\n" + summary + counter).encode())
    text = rendered(parsed)
    assert parsed.rejected == 0
    for line in ("# TYPE h histogram", "# TYPE s summary", "# TYPE c_total counter", "# TYPE old untyped"):
        assert line in text
    checked = promtool("check", "metrics", input_text=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


NAMES = st.text("aZ_:", min_size=1, max_size=4)
LABELS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.text('a\\"\n\r\t{}=, #\x00\x85\u2028ü\U0001f600', min_size=1, max_size=6),
    max_size=3,
)
NUMBERS = st.floats(allow_nan=False)


@given(st.lists(st.tuples(NAMES, LABELS, NUMBERS), max_size=8))
def test_what_is_rendered_is_read_back(wanted: list[tuple[str, dict[str, str], float]]) -> None:
    series = {(name, tuple(sorted(labels.items()))): value for name, labels, value in wanted}

    def pair(label: str, text: str) -> str:
        for plain, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
            text = text.replace(plain, escaped)
        return f'{label}="{text}"'

    lines = [
        f"{name}{{{','.join(pair(*label) for label in labels)}}} {str(value).replace('inf', 'Inf')}\n"
        for (name, labels), value in series.items()
    ]
    parsed = parse_text("".join(lines).encode())
    assert (values(parsed), parsed.rejected) == (series, 0)
    again = parse_text(rendered(parsed).encode())
    assert (values(again), again.rejected) == (series, 0)


@given(st.binary(max_size=200) | st.text('ab{}="\\,# 1\n\t', max_size=60).map(str.encode))
def test_nothing_breaks_it_and_what_it_takes_is_good(text: bytes) -> None:
    parsed = parse_text(text)
    again = parse_text(rendered(parsed).encode())
    assert again.rejected == 0
    assert str(values(again)) == str(values(parsed)) or values(again) == pytest.approx(values(parsed), nan_ok=True)
