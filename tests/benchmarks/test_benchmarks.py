"""The benchmarks tell the truth about what they measured. No test here looks at a time."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.benchmarks.bench import bench, stamps
from tests.benchmarks.processes import number
from tests.benchmarks.rows import Row

_METRICS = b"""# TYPE fexp_files gauge
fexp_files{folder="/a",pattern="*"} 3.0
fexp_files{folder="/a",pattern="probe-*"} 2.0
fexp_overflows_total{folder="/a"} 1.0
"""


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("no goal", 1.0, "s"), None),
        (Row("figure", 10.0, "ms", at_most=10.0), True),
        (Row("figure", 10.1, "ms", at_most=10.0), False),
        (Row("ratio", 2.0, "ms", peer_figure=1.0, ratio_at_most=1.5), False),
        (Row("both", 2.0, "ms", peer_figure=4.0, ratio_at_most=0.5, at_most=1.0), False),
        (Row("wrong numbers", 2.0, "ms", at_most=3.0, right=False), False),
        (Row("no peer here", 2.0, "ms", ratio_at_most=0.5), None),
    ],
)
def test_a_goal_is_met_only_if_all_of_it_is(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_numbers_are_read_by_pattern() -> None:
    assert number(_METRICS, "fexp_files") == 3
    assert number(_METRICS, "fexp_files", "probe-*") == 2
    assert number(_METRICS, "fexp_overflows_total") == 1
    assert number(_METRICS, "fexp_departures_total") == 0


def test_stamps_are_read_in_seconds() -> None:
    assert stamps("1500000000 began\n2000000000 made\n") == {"began": 1.5, "made": 2.0}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_c_programs_make_and_count_the_same_files() -> None:
    with bench(quick=True) as place:
        tree = place.tree("tree", 250, 7)
        counted = subprocess.run([place.walk, tree], check=True, capture_output=True, text=True).stdout
        assert counted == "250 0\n"
        assert place.tree("tree", 300, 7) == tree
        place.burst_run("unmake", tree, 300, 7)
        counted = subprocess.run([place.walk, tree], check=True, capture_output=True, text=True).stdout
        assert counted == "0 0\n"
