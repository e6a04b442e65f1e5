"""The pytest plugin, in a run of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.end_to_end.running import environment

TESTS = """
import os
import fexp
from fexp.testing import sample_value, wait_for_value

def test_collector(fexp_collector, tmp_path):
    collector = fexp_collector(tmp_path, ext="csv")
    (tmp_path / "a.csv").touch()
    wait_for_value(collector, "fexp_files", 1)

def test_clock(fexp_clock, tmp_path):
    (tmp_path / "a").touch()
    fexp_clock.advance(-0.0)
    fexp_clock.wall -= 3600
    assert fexp.look(tmp_path, clock=fexp_clock)[0].future_files == 1

def test_own_state(fexp_own_state, tmp_path):
    @fexp.job("nightly", textfile=tmp_path / "a.prom")
    def nightly():
        return list((fexp_own_state / "runtime").iterdir())
    assert nightly()
    assert sample_value((tmp_path / "a.prom").read_text(), "fexp_job_exit_code") == 0
"""


def test_its_fixtures_work(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "fexp.pytest_plugin",
        "-W", "error", str(tmp_path),
    ]  # fmt: skip
    alone = {**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout


def test_pytest_finds_it_and_it_costs_next_to_nothing() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"fexp": "fexp.pytest_plugin"}
    code = "import pytest, sys; before = set(sys.modules); import fexp.pytest_plugin; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("fexp")} == {"fexp", "fexp.pytest_plugin"}
    assert not {"prometheus_client", "asyncio", "watchdog", "yaml"} & loaded
