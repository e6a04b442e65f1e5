"""The README's tables are made from the code. To make them anew: ``python -m tests.test_readme``."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from fexp.metrics import CATALOGUE
from tests.packaging.contract import OPTIONS
from tests.servers import program

README = Path(__file__).parent.parent / "README.md"
_SECTION = re.compile(r"(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)
_LINKS = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text())
RULES = re.compile(r"^```yaml\n(groups:\n.*?)^```$", re.DOTALL | re.MULTILINE).findall(README.read_text())

RULE_TESTS = """
rule_files: ["rules*.yml"]
evaluation_interval: 1m
tests:
  - name: a folder that is scraped and comes by textfile too counts once in each job, and hosts are added up
    interval: 1m
    input_series:
      - {series: 'fexp_files{job="fexp", instance="a:9877", folder="/in", pattern="*.txt"}', values: "3x10"}
      - {series: 'fexp_files{job="fexp", instance="b:9877", folder="/in", pattern="*.txt"}', values: "4x10"}
      - {series: 'fexp_files{job="node", instance="a:9100", folder="/in", pattern="*.txt"}', values: "3x10"}
      - {series: 'fexp_arrivals_total{job="fexp", instance="a:9877", folder="/in", pattern="*.txt"}', values: "0+60x10"}
      - {series: 'fexp_arrivals_total{job="node", instance="a:9100", folder="/in", pattern="*.txt"}', values: "0+60x10"}
      - {series: 'fexp_folder_up{job="fexp", instance="a:9877", folder="/in"}', values: "1x10"}
      - {series: 'fexp_folder_up{job="fexp", instance="b:9877", folder="/in"}', values: "0x10"}
      - {series: 'fexp_folder_up{job="node", instance="a:9100", folder="/in"}', values: "1x10"}
    promql_expr_test:
      - expr: job_pattern:fexp_files:sum
        eval_time: 10m
        exp_samples:
          - {labels: 'job_pattern:fexp_files:sum{job="fexp", pattern="*.txt"}', value: 7}
          - {labels: 'job_pattern:fexp_files:sum{job="node", pattern="*.txt"}', value: 3}
      - expr: job_pattern:fexp_arrivals:rate5m
        eval_time: 10m
        exp_samples:
          - {labels: 'job_pattern:fexp_arrivals:rate5m{job="fexp", pattern="*.txt"}', value: 1}
          - {labels: 'job_pattern:fexp_arrivals:rate5m{job="node", pattern="*.txt"}', value: 1}
      - expr: job:fexp_folder_up:count_down
        eval_time: 10m
        exp_samples:
          - {labels: 'job:fexp_folder_up:count_down{job="fexp"}', value: 1}
          - {labels: 'job:fexp_folder_up:count_down{job="node"}', value: 0}
  - name: a host that wrote and vanished is told of while others go on, but none that is or was scraped
    interval: 1m
    input_series:
      - {series: 'fexp_folder_up{job="fexp", instance="well", folder="/in"}', values: "1x60"}
      - {series: 'fexp_folder_up{job="fexp", instance="well", folder="/out"}', values: "0x60"}
      - {series: 'fexp_folder_up{job="fexp", instance="died", folder="/in"}', values: "1x9 _x50"}
      - {series: 'fexp_folder_up{job="fexp", instance="died", folder="/out"}', values: "0x9 _x50"}
      - {series: 'fexp_folder_up{job="fexp", instance="back", folder="/in"}', values: "1x9 _x20 1x30"}
      - {series: 'fexp_folder_up{job="fexp", instance="restarted", folder="/in"}', values: "1x9 stale _x2 1x47"}
      - {series: 'fexp_folder_up{job="fexp", instance="down:9877", folder="/in"}', values: "1x9 stale"}
      - {series: 'up{job="fexp", instance="down:9877"}', values: "1x9 0x50"}
      - {series: 'fexp_folder_up{job="fexp", instance="removed:9877", folder="/in"}', values: "1x9 stale"}
      - {series: 'up{job="fexp", instance="removed:9877"}', values: "1x9 stale"}
    promql_expr_test:
      - expr: job:fexp_folder_up:count_down
        eval_time: 50m
        exp_samples: [{labels: 'job:fexp_folder_up:count_down{job="fexp"}', value: 1}]
    alert_rule_test:
      - {alertname: FexpHostGone, eval_time: 17m}
      - alertname: FexpHostGone
        eval_time: 25m
        exp_alerts: [exp_labels: {job: fexp, instance: died}, exp_labels: {job: fexp, instance: back}]
      - alertname: FexpHostGone
        eval_time: 50m
        exp_alerts: [exp_labels: {job: fexp, instance: died}]
  - name: the last host that wrote is told of too
    interval: 1m
    input_series:
      - {series: 'fexp_folder_up{job="fexp", instance="died", folder="/in"}', values: "1x9"}
    alert_rule_test:
      - alertname: FexpHostGone
        eval_time: 25m
        exp_alerts: [exp_labels: {job: fexp, instance: died}]
  - name: a group that is pushed no more is told of, and one that never was pushed right
    interval: 1m
    input_series:
      - {series: 'push_time_seconds{job="fexp", instance="well"}', values: "0+60x60"}
      - {series: 'push_time_seconds{job="fexp", instance="died"}', values: "60x60"}
      - {series: 'push_time_seconds{job="fexp", instance="refused"}', values: "0x60"}
      - {series: 'push_time_seconds{job="other", instance="died"}', values: "0x60"}
    alert_rule_test:
      - {alertname: FexpPushStale, eval_time: 15m}
      - alertname: FexpPushStale
        eval_time: 17m
        exp_alerts: [exp_labels: {job: fexp, instance: died}, exp_labels: {job: fexp, instance: refused}]
  - name: a stale textfile and one that is gone are told of, but not other files nor hosts that are down
    interval: 1m
    input_series:
      - {series: 'up{job="node", instance="a"}', values: "1x20"}
      - {series: 'up{job="node", instance="down"}', values: "1x9 0x10"}
      - {series: 'node_textfile_mtime_seconds{job="node", instance="a", file="/d/fexp.prom"}', values: "0+60x20"}
      - {series: 'node_textfile_mtime_seconds{job="node", instance="a", file="/d/fexp-incoming.prom"}', values: "0x20"}
      - {series: 'node_textfile_mtime_seconds{job="node", instance="a", file="fexp-gone.prom"}', values: "0x9 stale"}
      - {series: 'node_textfile_mtime_seconds{job="node", instance="a", file="/d/apt.prom"}', values: "0x9 stale"}
      - {series: 'node_textfile_mtime_seconds{job="node", instance="down", file="/d/fexp.prom"}', values: "0x9 stale"}
    alert_rule_test:
      - {alertname: FexpTextfileStale, eval_time: 4m}
      - alertname: FexpTextfileStale
        eval_time: 20m
        exp_alerts: [exp_labels: {job: node, instance: a, file: /d/fexp-incoming.prom}]
      - {alertname: FexpTextfileGone, eval_time: 4m}
      - alertname: FexpTextfileGone
        eval_time: 20m
        exp_alerts: [exp_labels: {job: node, instance: a, file: fexp-gone.prom}]
  - name: a restart, which removes the textfile for a moment, alerts nobody
    interval: 1m
    input_series:
      - {series: 'up{job="node"}', values: "1x20"}
      - {series: 'node_textfile_mtime_seconds{job="node", file="fexp.prom"}', values: "0+60x9 stale 660+60x9"}
    alert_rule_test:
      - {alertname: FexpTextfileGone, eval_time: 10m}
      - {alertname: FexpTextfileGone, eval_time: 11m}
  - name: a job without a success for longer than a day and two hours is told of
    interval: 1h
    input_series:
      - {series: 'fexp_job_last_success_timestamp_seconds{job="node", job_name="backup"}', values: "0x40"}
      - {series: 'fexp_job_last_success_timestamp_seconds{job="node", job_name="other"}', values: "0x40"}
    alert_rule_test:
      - {alertname: FexpJobLate, eval_time: 26h}
      - {alertname: FexpJobLate, eval_time: 27h, exp_alerts: [exp_labels: {job: node, job_name: backup}]}
  - name: each customer of a landing zone has numbers of its own, whatever the patterns
    interval: 1m
    input_series:
      - {series: 'fexp_files{job="fexp", customer="acme", pattern="*.csv", zone="inbox"}', values: "3x10"}
      - {series: 'fexp_files{job="fexp", customer="acme", pattern="*.xml", zone="inbox"}', values: "1x10"}
      - {series: 'fexp_files{job="fexp", customer="bmw", pattern="*.csv", zone="inbox"}', values: "_x5 2x5"}
      - {series: 'fexp_files{job="fexp", pattern="*", zone="error"}', values: "9x10"}
      - {series: 'fexp_arrivals_total{job="fexp", customer="acme", pattern="*.csv", zone="inbox"}', values: "0+60x10"}
    promql_expr_test:
      - expr: job_customer:fexp_files:sum
        eval_time: 10m
        exp_samples:
          - {labels: 'job_customer:fexp_files:sum{job="fexp", customer="acme"}', value: 4}
          - {labels: 'job_customer:fexp_files:sum{job="fexp", customer="bmw"}', value: 2}
      - expr: job_customer:fexp_arrivals:rate5m
        eval_time: 10m
        exp_samples: [{labels: 'job_customer:fexp_arrivals:rate5m{job="fexp", customer="acme"}', value: 1}]
  - name: a folder where nothing arrives is told of, but not for a restart, nor before it was watched for long enough
    interval: 5m
    input_series:
      - {series: 'fexp_arrivals_total{job="fexp", instance="a", folder="/quiet"}', values: "7x100"}
      - {series: 'fexp_arrivals_total{job="fexp", instance="a", folder="/restarted"}', values: "7x90 stale 1x10"}
      - {series: 'fexp_arrivals_total{job="fexp", instance="a", folder="/new"}', values: "_x50 0x50"}
    alert_rule_test:
      - {alertname: FexpNothingArrived, eval_time: 5h}
      - alertname: FexpNothingArrived
        eval_time: 490m
        exp_alerts: [exp_labels: {job: fexp, instance: a, folder: /quiet}]
"""


def metrics_table() -> str:
    lines = ["| metric | type | labels | what |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.kind} | {', '.join(row.labels) or 'none'} | {row.help} |" for row in CATALOGUE]
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    return _SECTION.sub(lambda match: match[1] + metrics_table() + match[2], text)


def test_metrics_table_is_the_catalogue() -> None:
    text = README.read_text()
    assert _SECTION.search(text)
    assert text == with_tables(text)


@pytest.mark.parametrize("link", _LINKS)
def test_links_lead_somewhere(link: str) -> None:
    assert (README.parent / link).exists()


@pytest.mark.parametrize("link", _LINKS)
def test_a_source_distribution_holds_what_is_linked(link: str) -> None:
    settings = tomllib.loads((README.parent / "pyproject.toml").read_text())
    packed = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"] + settings["project"]["license-files"]
    assert link.partition("/")[0] in packed


def test_tables_name_every_option_of_every_command_and_no_other() -> None:
    named: dict[str, set[str]] = {command: set() for command, options in OPTIONS.items() if options}
    for names, second_cell in re.findall(r"^\| (`-.*?) \| (.*?) \|", README.read_text(), re.MULTILINE):
        commands = named.keys() & second_cell.split(", ") or named.keys()
        for command in commands:
            named[command].update(re.findall(r"`(-[\w.-]+)", names))
    named["check"] |= named["watch"]  # a sentence says so
    assert named == {command: set(options) for command, options in OPTIONS.items() if options}


def test_rules_say_what_the_text_says(tmp_path: Path) -> None:
    """Mistake 18d."""
    for number, rules in enumerate(RULES):
        (tmp_path / f"rules{number}.yml").write_text(rules)
    (tmp_path / "tests.yml").write_text(RULE_TESTS)
    command = [program("promtool"), "test", "rules", str(tmp_path / "tests.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
