"""The doctor as a whole: what it prints, how it exits, and that it changes nothing."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fexp.cli import checking, run
from fexp.cli.checking import _watch_arguments
from fexp.config.sample import sample
from fexp.config.settings import CheckSettings, Settings
from fexp.outputs.kinds import settings_types
from fexp.service import check as doctor
from fexp.service.check import Level, run_checks
from fexp.service.check.finding import ok
from fexp.service.check.setup import Setup
from tests.end_to_end.running import run as run_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fexp.service.check import Finding
    from tests.check.reports import Check
    from tests.servers import NodeExporter, Server


def state(directory: Path) -> dict[str, tuple[int, int, int]]:
    found = {path: path.lstat() for path in (directory, *directory.rglob("*"))}
    return {str(path): (one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for path, one in found.items()}


@pytest.fixture
def zone(tmp_path: Path, node_exporter: NodeExporter, pushgateway: Server, prometheus: Server) -> Path:
    """A healthy set-up: the config file of a landing zone, whose outputs are all there."""
    for way in (node_exporter.directory, *node_exporter.directory.parents):
        if way.stat().st_uid == os.geteuid() and len(way.parts) > 2:
            way.chmod(way.stat().st_mode | 0o055)
    for customer in ("acme", "bmw"):
        (tmp_path / "data" / customer).mkdir(parents=True)
        (tmp_path / "data" / customer / "orders.csv").touch()
    path = tmp_path / "fexp.yml"
    path.write_text(f"""
folders:
  - path: data/*
    ext: csv
    time_zone: UTC
outputs:
  listen: ["127.0.0.1:0"]
  textfile: {{file: {node_exporter.directory}/fexp.prom}}
  gateway: {{url: "{pushgateway.url}"}}
  remote_write: {{url: "{prometheus.url}/api/v1/write"}}
""")
    return path


def test_a_healthy_set_up_is_well_and_stays_as_it_is(
    check: Check, zone: Path, node_exporter: NodeExporter, pushgateway: Server
) -> None:
    before = state(zone.parent), state(node_exporter.directory), set(os.listdir(os.environ["XDG_RUNTIME_DIR"]))
    report = check("--config", zone, "--node-exporter", f"{node_exporter.server.url}/metrics")
    assert (report.status, report.bad(), report.complaint) == (0, [], "")
    assert {one.check for one in report.findings} >= {
        "config", "folders", "permissions", "events", "listening", "textfile", "node_exporter", "gateway",
        "remote write", "other fexp",
    }  # fmt: skip
    assert pushgateway.get("/api/v1/metrics").json()["data"] == []
    after = state(zone.parent), state(node_exporter.directory), set(os.listdir(os.environ["XDG_RUNTIME_DIR"]))
    assert after == before


@pytest.mark.parametrize(
    ("right", "wrong", "check_name"),
    [
        ("data/*", "date/*", "folders"),
        ('listen: ["127.0.0.1:0"]', 'listen: ["192.0.2.1:80"]', "listening"),
        ("/fexp.prom", "/none/fexp.prom", "textfile"),
        ("{url:", '{url: "http://127.0.0.1:1", grouping: {url: x} } #', "gateway"),
        ("/api/v1/write", "/api/v1/push", "remote write"),
    ],
)
def test_each_thing_that_is_broken_is_one_error(
    check: Check, zone: Path, node_exporter: NodeExporter, right: str, wrong: str, check_name: str
) -> None:
    zone.write_text(zone.read_text().replace(right, wrong, 1))
    report = check("--config", zone, "--node-exporter", f"{node_exporter.server.url}/metrics")
    assert (report.status, report.complaint) == (1, "")
    (bad,) = report.bad()
    assert (bad.check, bad.level) == (check_name, "error")
    assert bad.why
    assert bad.mend


def test_a_wrong_config_is_refused_as_watch_refuses_it(
    check: Check, zone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zone.write_text(zone.read_text().replace("ext:", "exxt:"))
    report = check("--config", zone)
    assert (report.status, report.findings) == (2, [])
    assert run(["watch", "--config", str(zone)]) == 2
    assert report.complaint == capsys.readouterr().err
    assert report.complaint.startswith(f"fexp: {zone}:4:5: ")
    for wrong in (["--listen", "9877"], ["--user", "nosuchuser"], ["--probe", "nosuchprobe"], ["--format", "yml"]):
        assert run(["check", str(zone.parent), *wrong]) == 2
    assert run(["check"]) == 2
    (zone.parent / "web.yml").write_text("tls: {}\n")
    wrongs = (["--listen", "9877"], ["--listen", "127.0.0.1:0", "--web-config", str(zone.parent / "web.yml")])
    for words in ([str(zone.parent), *wrong] for wrong in wrongs):
        capsys.readouterr()
        said = [
            (run([command, *words]), capsys.readouterr().err.rpartition("msg=")[2]) for command in ("check", "watch")
        ]
        assert said[0] == said[1]
        assert said[0][0] == 2


def test_reading_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()
    monkeypatch.setattr(checking, "read_settings", lambda *_: release.wait())
    monkeypatch.setattr(checking, "_READ_SECONDS", 0.05)
    assert run(["check", str(tmp_path)]) == 1
    hangs = f"fexp: not read after 0.05 s: the file system of one of these hangs: {tmp_path}\n"
    assert capsys.readouterr().err == hangs
    monkeypatch.undo()
    release.set()


def test_the_sample_of_a_config_file_is_well(check: Check, tmp_path: Path) -> None:
    text = sample(settings_types()).replace("path: /var/log", f"path: {tmp_path}")
    (tmp_path / "fexp.yml").write_text(text.replace("#listen: [ADDR]", 'listen: ["127.0.0.1:0"]'))
    report = check("--config", tmp_path / "fexp.yml")
    assert (report.status, report.bad()) == (0, [])


def test_people_read_findings_with_why_and_what_mends_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", f"{tmp_path}/no\x1b[31m", "--listen", "127.0.0.1:0", "--backend", "polling"]) == 1
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("error")))
    assert lines[start] == f"error    folders        {tmp_path}/no\\x1b[31m is not there"
    assert [line[:9] for line in lines[start + 1 : start + 3]] == [" " * 9] * 2
    assert lines[start + 2].strip() == f"mkdir -p '{tmp_path}/no\\x1b[31m'"
    assert lines[-1].startswith("1 error, ")


def test_misspelt_variables_and_options_without_effect_are_warned_of(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEXP_LISTENN", "x")
    report = check(tmp_path, "--gateway-user", "me", "--listen", "127.0.0.1:0")
    assert [one.what for one in report.of("config") if one.level == "warning"] == [
        "FEXP_LISTENN is not a variable of fexp's; did you mean FEXP_LISTEN?",
        "--gateway-user has no effect without --gateway",
    ]
    assert report.status == 0


def test_probes_are_loaded_and_not_run(check: Check, tmp_path: Path) -> None:
    assert check(tmp_path, "--probe", "line_count").only("probes").what == "loaded, not run: line_count"


def test_what_the_doctor_alone_is_told_is_no_argument_of_the_watch() -> None:
    words = ["/a", "--user", "me", "--format=json", "-r", "--node-exporter", "http://x", "--ext", "csv"]
    assert _watch_arguments(words) == ("/a", "-r", "--ext", "csv")


def test_a_check_that_hangs_or_fails_is_an_error_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hangs(_: Setup) -> Iterator[Finding]:
        release.wait()
        yield ok("too late")

    def fails(_: Setup) -> Iterator[Finding]:
        yield ok("so far")
        raise PermissionError(13, "Permission denied", "/proc/x")

    def works(_: Setup) -> Iterator[Finding]:
        yield ok("it works")

    monkeypatch.setattr(doctor, "CHECKS", {"hangs": hangs, "fails": fails, "works": works})
    found = dict(run_checks(Setup(Settings(), CheckSettings()), seconds=0.05))
    release.set()
    assert [found[name].level for name in ("hangs", "fails", "works")] == [Level.ERROR, Level.WARNING, Level.OK]
    assert found["fails"].what == "/proc/x: Permission denied"


def test_what_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("fexp.service.places.Places.find", lambda *_: release.wait())
    monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name] for name in ("folders", "permissions", "clock")})
    found = list(run_checks(Setup(Settings(), CheckSettings()), seconds=0.2))
    release.set()
    assert [name for name, finding in found if finding.level is Level.ERROR] == ["folders"]


@pytest.mark.slow
def test_a_process_of_its_own_prints_and_exits(tmp_path: Path) -> None:
    done = run_process("check", str(tmp_path), "--listen", "127.0.0.1:0", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["error"] == 0
