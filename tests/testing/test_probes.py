"""``fexp.testing.run_probe``: a probe on given files and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

import fexp
from fexp.testing import assert_exposition, run_probe, sample_value
from tests.outputs.samples import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = fexp.gauge("csv_rows", "Data rows in a CSV file.", labels=("path",))
READ = fexp.counter("csv_reads", "How often a CSV file was read.")


@fexp.probe(metrics=[ROWS, READ], on=fexp.files("*.csv"))
def csv_rows(file: fexp.File, *, header: int = 1) -> Iterator[fexp.Sample]:
    """Count the data rows of CSV files."""
    with file.open() as lines:
        yield ROWS(sum(1 for _ in lines) - header, path=file.relpath)
    yield READ.inc()


def test_a_probe_for_files_is_given_files() -> None:
    run = run_probe(csv_rows, {"a.csv": "h\n1\n2\n", "sub/b.csv": b"h\n", "c.txt": "1\n"}, header=0)
    assert run.value("csv_rows", {"path": "a.csv"}) == 3
    assert run.value("csv_rows", {"path": "sub/b.csv"}) == 1
    assert run.value("csv_rows", {"path": "c.txt"}) is None
    assert sample_value(run, "csv_reads_total") == 2
    assert run.value("fexp_probe_success", {"probe": "csv_rows"}) == 1
    assert run.problems == ()
    assert_exposition(run.text)


def test_a_folder_of_the_tests_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("h\n1\n")
    assert run_probe(csv_rows, tmp_path).value("csv_rows", {"folder": str(tmp_path)}) == 1


def test_what_it_raises_and_yields_wrongly_is_told() -> None:
    @fexp.probe(metrics=ROWS)
    def bad() -> Iterator[fexp.Sample]:
        yield ROWS(1, path="a")
        yield ROWS(1, file="a")
        raise ValueError("no more")

    run = run_probe(bad)
    assert run.value("fexp_probe_success", {"probe": "bad"}) == 0
    assert any("no more" in problem for problem in run.problems), run.problems


def test_a_collector_may_stand_for_a_probe() -> None:
    registry = CollectorRegistry()
    registry.register(Gauge("waiting", {(): 7.0}))
    assert run_probe(registry).value("waiting") == 7


def test_a_wrong_setting_is_named() -> None:
    @fexp.probe(metrics=ROWS)
    def needy(*, column: str) -> None: ...

    with pytest.raises(fexp.SettingsError, match="probe csv_rows: heder is no setting of it; they are header"):
        run_probe(csv_rows, heder=1)
    with pytest.raises(fexp.SettingsError, match="probe needy: it needs a value for column"):
        run_probe(needy)
    with pytest.raises(fexp.SettingsError, match=r"files '\.\./a': give a path below the folder"):
        run_probe(csv_rows, {"../a": ""})
