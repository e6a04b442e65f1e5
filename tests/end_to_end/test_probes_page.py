"""docs/probes.md, executed as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import COMMAND, environment

PAGE = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
_FILE = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_page_works_as_written(tmp_path: Path) -> None:
    files = _FILE.findall(PAGE)
    assert [name for name, _ in files] == ["csv_rows.py", "test_csv_rows.py", "pyproject.toml", "lifespan.py"]
    for name, text in files:
        (tmp_path / name).write_text(text)
    shell = f'set -e\nfexp() {{ {shlex.join(COMMAND)} "$@"; }}\npython() {{ {sys.executable} "$@"; }}\n'
    install = "install -q --no-index --no-deps --no-build-isolation --target installed ."
    lines = [*_COMMANDS.findall(PAGE), f"python -m pip {install}", "fexp scan --probe ./lifespan.py --format prom"]
    ended = subprocess.run(
        ["sh", "-c", shell + "\n".join(lines)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert f'csv_rows{{folder="{tmp_path}/data",path="a.csv",probe="csv_rows"}} 2.0' in ended.stdout
    assert "1 passed" in ended.stdout
    assert 'answer{probe="service"} 1.0' in ended.stdout
    entry_points = next((tmp_path / "installed").glob("csv_rows-*/entry_points.txt")).read_text()
    assert "csv_rows = csv_rows:csv_rows" in entry_points
    assert "csv-exporter = csv_rows:app" in entry_points
