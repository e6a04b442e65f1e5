"""Somebody's probe, from an empty directory to all outputs; and command lines that cannot be meant."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.running import Watching, environment, run, samples, watching
from tests.servers import fetch, poll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PROBE = """\
import csv
import fexp

ROWS = fexp.gauge("csv_rows", "Data rows in a CSV file.", labels=["path"])

@fexp.probe(metrics=ROWS, on=fexp.files("*.csv"))
def csv_rows(file: fexp.File, *, delimiter: str = ","):
    "Count the data rows of CSV files."
    with file.open() as lines:
        yield ROWS(sum(1 for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1) - 1, path=file.relpath)
"""
EXPORTER = '\napp = fexp.Exporter("csv-exporter", probes=[csv_rows], port=0, version="1.0")\n'
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "csv-rows"
version = "1.0"
dependencies = ["file-event-exporter"]

[project.entry-points."fexp.probes"]
csv_rows = "csv_rows:csv_rows"

[project.scripts]
csv-exporter = "csv_rows:app"
"""
BAD_NEIGHBOURS = """\
import os
import threading

import fexp

X = fexp.gauge("x", "X.", labels=["number"])

@fexp.probe(metrics=X, on=fexp.scrape(timeout="200ms"))
def hangs():
    threading.Event().wait()

@fexp.probe(metrics=X)
def raises():
    raise RuntimeError("no")

@fexp.probe(metrics=X, max_series=20)
def floods():
    while True:
        yield X(1, number=os.urandom(8).hex())

@fexp.probe(metrics=X, on=fexp.files("*.eaten"))
def eats(file):
    os.unlink(file.path)
"""
ROWS = 'csv_rows{folder="%s",path="a.csv",probe="csv_rows"} 2.0'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the probe in an empty directory, package it, and install the package."""
    project, installed = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    assert len(PROBE.strip().splitlines()) == 10
    (project / "csv_rows.py").write_text(PROBE + EXPORTER)
    (project / "pyproject.toml").write_text(PROJECT)
    install = ["install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    command = [sys.executable, "-m", "pip", *install, str(installed), str(project)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return installed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    (path / "a.csv").write_text("h;i\n1;2\n3;4\n")
    (path / "b.txt").write_text("no table")
    return path


def test_an_installed_probe_is_in_all_outputs(
    site: Path, folder: Path, tmp_path: Path, pushgateway: Server, prometheus: Server
) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(BAD_NEIGHBOURS)
    textfile = tmp_path / "fexp.prom"
    options = [
        str(folder), "--probe", "csv_rows", "--csv-rows-delimiter", ";", "--probe", str(bad), "--textfile",
        str(textfile), "--gateway", pushgateway.url, "--listen", "127.0.0.1:0", "--min-interval", "0",
        "--remote-write", f"{prometheus.url}/api/v1/write", "--job", "probed", "--instance", "here",
    ]  # fmt: skip
    line = ROWS % folder

    def received() -> list[tuple[str, float]]:
        """Return the rows of each file as they were written to Prometheus; a series that ended is not there."""
        series = f'csv_rows{{job="probed",instance="here",folder="{folder}",probe="csv_rows"}}'
        return [(one["metric"]["path"], float(one["value"][1])) for one in prometheus.query(series)]

    with watching(*options, PYTHONPATH=str(site)) as fexp:
        poll(lambda: line in fexp.get("/metrics").text)
        poll(lambda: textfile.exists() and line in textfile.read_text())
        poll(lambda: 'csv_rows{folder="' in pushgateway.get("/metrics").text)
        poll(lambda: received() == [("a.csv", 2.0)])
        (folder / "a.csv").write_text("h;i\n1;2\n3;4\n5;6\n")
        poll(lambda: received() == [("a.csv", 3.0)])
        (folder / "a.csv").rename(folder / "c.csv")
        poll(lambda: received() == [("c.csv", 3.0)])
        (folder / "c.csv").unlink()
        poll(lambda: received() == [])
        (folder / "gone.eaten").write_text("")
        poll(lambda: "csv_rows{" not in fexp.get("/metrics").text and "csv_rows{" not in textfile.read_text())
        poll(lambda: not (folder / "gone.eaten").exists())
        poll(lambda: fexp.value("fexp_files", folder=str(folder)) == 1)
        fared = {one: fexp.value("fexp_probe_success", probe=one) for one in ("csv_rows", "hangs", "raises", "floods")}
        assert fared == {"csv_rows": 1, "hangs": 0, "raises": 0, "floods": 1}
        assert fexp.value("fexp_probe_success", probe="eats") == 1
        assert (fexp.value("fexp_probe_rejected_samples_total", probe="floods") or 0) > 200
        assert fexp.get("/-/ready").status == 200
        assert fexp.stop() == 0


def test_an_installed_probe_is_in_one_shots(site: Path, folder: Path, tmp_path: Path, pushgateway: Server) -> None:
    textfile = tmp_path / "fexp.prom"
    common = [str(folder), "--probe", "csv_rows"]
    variables: dict[str, Any] = {"PYTHONPATH": str(site), "FEXP_CSV_ROWS_DELIMITER": ";"}
    for arguments in (
        ["write", *common, "--textfile", str(textfile)],
        ["push", *common, "--gateway", pushgateway.url],
    ):
        ended = run(*arguments, **variables)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert ROWS % folder in textfile.read_text()
    assert "fexp_probe_runs_total" not in textfile.read_text()
    assert 'probe="csv_rows"' in pushgateway.get("/metrics").text
    assert ROWS % folder in run("scan", *common, "--format", "table", **variables).stdout
    found = json.loads(run("scan", *common, "--format", "json", **variables).stdout)
    assert [(one["name"], one["value"]) for one in found["samples"]] == [("csv_rows", 2)]
    assert [(one["probe"], one["success"]) for one in found["probes"]] == [("csv_rows", True)]


def test_its_options_are_in_the_help(site: Path) -> None:
    shown = run("watch", "--probe", "csv_rows", "--help", PYTHONPATH=str(site)).stdout
    assert "Probe csv_rows: Count the data rows of CSV files:" in shown
    assert "--csv-rows-delimiter" in shown
    listed = run("watch", "--help", PYTHONPATH=str(site)).stdout
    assert "csv_rows" in listed
    assert "csv-rows-delimiter" not in listed
    for command in ("write", "push", "scan"):
        assert "--csv-header-column NAME" in run(command, "--probe", "csv_header", "--help").stdout


def test_an_exporter_is_a_command(site: Path, folder: Path) -> None:
    command = str(site / "bin" / "csv-exporter")
    environ = environment(PYTHONPATH=str(site), FEXP_CSV_ROWS_DELIMITER=";")
    shown = subprocess.run([command, "--version"], env=environ, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("csv-exporter 1.0 (fexp ")
    wrong = subprocess.run(
        [command, "--csv-rows-delimter", ";"], env=environ, capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "csv-rows-delimiter" in wrong.stderr
    process = subprocess.Popen(
        [command, str(folder)],
        env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        exporter = Watching(process)
        exporter.wait_until_ready()
        poll(lambda: ROWS % folder in exporter.get("/metrics").text)
        assert exporter.value("process_open_fds")
        assert not [line for line in exporter.lines if "level=info" not in line]
        assert exporter.stop() == 0


def test_a_probe_without_files_needs_no_folder(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text(
        "import fexp\nA = fexp.gauge('answer', 'A.')\n@fexp.probe(metrics=A)\ndef p():\n    return A(42)\n"
    )
    probe = str(tmp_path / "answer.py")
    ended = run("write", "--probe", probe, "--textfile", str(tmp_path / "x.prom"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert samples((tmp_path / "x.prom").read_text())["answer", frozenset({("probe", "p")})] == 42
    with watching("--probe", probe, "--listen", "127.0.0.1:0") as fexp:
        assert fexp.value("answer") == 42
        assert fetch(fexp.url + "/api/v1/metadata").json()["probes"] == ["p"]


def test_a_probe_that_fails_in_a_one_shot_costs_itself(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD_NEIGHBOURS)
    ended = run("write", str(folder), "--probe", str(tmp_path / "bad.py"), "--textfile", str(tmp_path / "x.prom"))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    for said in ("probe hangs: it takes longer than 0.2 s", "probe raises: RuntimeError: no", "probe floods: left out"):
        assert said in ended.stderr
    assert "fexp_files{" in (tmp_path / "x.prom").read_text()


BAD_LINES = [
    (["--probe", "lin_count"], "--probe lin_count: no such probe is installed; did you mean line_count?"),
    (["--probe=nowhere.py"], "--probe nowhere.py: there is no such file"),
    (["--probe", "line_count", "--probe", "fexp.probes.shipped:checksum", "--line-count-x", "1"], "no such option"),
    (["--probe", "csv_header"], "--csv-header-column is missing: probe csv_header needs it"),
    (["--probe", "line_count", "--label", "path=x"], "probe line_count: --label path is a label of its own"),
    (["--probe", "line_count", "--probe-read-rate", "fast"], "--probe-read-rate 'fast' is not a size"),
    (["--probe", "line_count", "--probe-read-rate", "0"], "--probe-read-rate must be more than 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD_LINES)
def test_a_bad_line_starts_nothing(options: list[str], message: str, folder: Path, tmp_path: Path) -> None:
    textfile = tmp_path / "x.prom"
    for command in ("watch", "write"):
        ended = run(command, str(folder), *options, "--textfile", str(textfile))
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
        assert message in ended.stderr
        assert not textfile.exists()


def test_the_environment_is_named(folder: Path) -> None:
    ended = run("scan", str(folder), FEXP_PROBE="lin_count")
    assert (ended.returncode, ended.stderr.startswith("fexp: FEXP_PROBE lin_count: no such probe")) == (2, True)
    ended = run("scan", str(folder), FEXP_PROBE="csv_header", FEXP_CSV_HEADER_COLUMN="h;i")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_remote_write_names_a_label_that_a_probe_has_too(folder: Path) -> None:
    ended = run(
        "watch",
        str(folder),
        "--probe",
        "line_count",
        "--remote-write",
        "http://127.0.0.1:1/",
        "--remote-write-label",
        "path=x",
    )
    assert (ended.returncode, "label path" in ended.stderr) == (2, True)
