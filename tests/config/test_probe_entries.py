"""The probes of config files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from fexp.config.settings import Program, read_settings
from fexp.errors import SettingsError
from fexp.probes.loading import load_probes
from fexp.probes.shipped import csv_header, line_count, marker_file
from tests.config.test_config_file import SCHEMA, given, settings
from tests.outputs.samples import command_line

if TYPE_CHECKING:
    from pathlib import Path

PROBES = """
folders: [in]
probes:
  - line_count
  - probe: csv_header
    column: [id, "${COLUMN}"]
    delimiter: ";"
  - {probe: marker_file, content: true}
engine: {probe_read_rate: 1MiB}
"""
FILE = """
import fexp

ONE, TWO = fexp.gauge("one", "One."), fexp.gauge("two", "Two.")


@fexp.probe(metrics=ONE)
def first(*, times: int = 1, path: str = ""):
    return ONE(times)


@fexp.probe(metrics=TWO)
def second(*, times: int = 2, FILE: str = ""):
    return TWO(times)
"""


@pytest.fixture(autouse=True)
def _column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMN", "amount")


def test_a_probe_runs_with_its_parameters() -> None:
    SCHEMA.validate(yaml.safe_load(PROBES))
    its = settings(PROBES)
    assert [(one.probe, dict(one.settings)) for one in its.probes] == [
        (line_count, {}),
        (csv_header, {"column": ("id", "amount"), "delimiter": ";"}),
        (marker_file, {"content": True}),
    ]
    assert its.probing.read_bytes_per_second == 1 << 20
    assert settings("folders: [in]\nprobes:\n").probes == ()


def test_the_command_line_wins() -> None:
    its = settings(PROBES, command_line({"probe": ["csv_header"], "csv-header-delimiter": ",", "probe-read-rate": "1"}))
    assert [(one.probe, dict(one.settings)) for one in its.probes] == [
        (csv_header, {"column": ("id", "amount"), "delimiter": ","})
    ]
    assert its.probing.read_bytes_per_second == 1


def test_a_file_says_how_the_probes_of_a_program_run() -> None:
    its = read_settings((), given(PROBES), program=Program("mine", "1", (csv_header,)))
    assert [one.probe for one in its.probes] == [csv_header, line_count, marker_file]
    assert its.probes[0].settings["delimiter"] == ";"


def test_a_file_beside_the_config_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    text = "folders: [in]\nprobes: [{probe: ./mine.py, times: 7, path: x}]"
    its = read_settings((), given(text, path=str(tmp_path / "fexp.yml")))
    assert [(one.probe.name, one.settings["times"]) for one in its.probes] == [("first", 7), ("second", 7)]
    assert its.probes[0].settings["path"] == "x"
    again = read_settings((), given(text, path=str(tmp_path / "fexp.yml")))
    assert again.probes == its.probes, "a reload has nothing to do"
    load_probes.cache_clear()


@pytest.mark.parametrize(
    ("probes", "complaint"),
    [
        ("[line_cout]", "1:10: probe line_cout: no such probe is installed; did you mean line_count?"),
        ("[{prob: line_count}]", "1:10: probe is missing: name the probe"),
        ("[{probe: line_count, x: 1}]", "1:30: unknown key 'x'"),
        ("[{probe: csv_header, colunm: a}]", "1:30: unknown key 'colunm'; did you mean column?"),
        ("[{probe: csv_header, column: [[a]]}]", "1:39: a single value is needed here"),
        ("[{probe: csv_header, column: [a, a]}]", "1:42: column 'a' is given twice"),
        ("[{probe: marker_file, content: 7}]", "1:40: true or false is needed here"),
        ("[line_count, checksum, line_count]", "1:32: probe line_count is given already: /etc/fexp.yml:1:10: probe"),
        ("line_count", "1:9: a list is needed here"),
        ("[./none.py]", "1:10: probe /etc/./none.py: there is no such file"),
    ],
)
def test_a_mistake_is_named_with_its_place(probes: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        given(f"probes: {probes}")
    assert f"/etc/fexp.yml:{complaint}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_parameter_that_is_needed_is_named_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"^/etc/fexp.yml:2:10: column is missing: probe csv_header needs it$"):
        settings("folders: [in]\nprobes: [csv_header]")


@pytest.mark.parametrize("probes", ["line_count", [{"x": 1}], [{"probe": "a", "b": {"c": 1}}], [1]])
def test_the_schema_refuses_what_fexp_refuses(probes: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({"probes": probes})
    with pytest.raises(SettingsError):
        given(yaml.safe_dump({"probes": probes}))
