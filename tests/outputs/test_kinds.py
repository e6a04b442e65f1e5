"""The mapping of outputs: all that one more costs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fexp.cli import run
from fexp.config.given import Given
from fexp.config.output import asked_for, without_effect
from fexp.outputs.kinds import OUTPUTS, output_type, settings_types
from fexp.outputs.push.gateway import GatewayOutput
from fexp.outputs.push.remote_write import RemoteWriteOutput
from fexp.outputs.textfile import TextfileOutput
from fexp.service.daemon import Daemon
from fexp.service.outputs import build_outputs
from tests.daemons import Scripted, ticks_until
from tests.outputs.samples import command_line
from tests.outputs.toy import DELIVERED, ToyOutput, ToySettings
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.config.settings import Settings
    from fexp.outputs import Output
    from tests.daemons import Script

TYPES: dict[str, type[Output]] = {
    "textfile": TextfileOutput,
    "gateway": GatewayOutput,
    "remote_write": RemoteWriteOutput,
    "toy": ToyOutput,
}
"""For mypy: each is an ``Output``."""


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS, "toy", "tests.outputs.toy:ToyOutput")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return a list that gets the settings of each ``fexp watch`` that runs in this process, instead of running it."""
    read: list[Settings] = []
    monkeypatch.setattr("fexp.service.daemon.watch", lambda settings, _read_again: read.append(settings))
    monkeypatch.setattr("fexp.cli.logs.set_up_logging", lambda _: None)
    return read


@pytest.mark.usefixtures("_toy")
def test_each_kind_leads_to_its_output() -> None:
    assert {kind: output_type(kind) for kind in OUTPUTS} == TYPES
    assert [(one.name, one.settings_type.kind) for one in map(output_type, OUTPUTS)] == [(k, k) for k in OUTPUTS]


@pytest.mark.usefixtures("_toy")
def test_an_output_of_the_mapping_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "--help"]) == 0
    told = capsys.readouterr().out
    for part in ("Toys:", "--toy BOX", "--toy-patience DURATION", "[default: 3s]", "--toy-note TEXT"):
        assert part in told


@pytest.mark.usefixtures("_toy")
def test_an_output_of_the_mapping_is_read_from_arguments_and_environment(
    tmp_path: Path, read: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEXP_TOY", "red")
    monkeypatch.setenv("FEXP_TOY_PATIENCE", "1m")
    assert run(["watch", str(tmp_path), "--toy-patience", "2m", "--toy-note", "a", "--toy-note=b"]) == 0
    (settings,) = read
    assert settings.outputs == (ToySettings("red", 120.0, ("a", "b")),)
    assert [str(settings.outputs[0].origin(name)) for name in ("box", "patience_seconds", "notes")] == [
        "FEXP_TOY",
        "--toy-patience",
        "--toy-note",
    ]
    assert settings.http.listen == ()


@pytest.mark.usefixtures("_toy")
def test_an_output_of_the_mapping_is_fed_by_a_daemon(tmp_path: Path, read: list[Settings]) -> None:
    (tmp_path / "a.txt").touch()
    assert run(["watch", str(tmp_path), "--toy", "blue"]) == 0
    (settings,) = read
    signals = Scripted()
    daemon = Daemon(settings, build_outputs(settings), signals=signals)

    def script() -> Script:
        yield from ticks_until(lambda: bool(DELIVERED["blue"]))
        poll(lambda: daemon.snapshot().deliveries[0].deliveries)

    signals.script = script()
    daemon.run()
    delivery = daemon.snapshot().deliveries[0]
    assert (delivery.output, delivery.deliveries, delivery.dropped) == ("toy", 1, 7)
    assert b"fexp_files{" in DELIVERED["blue"][0]
    assert b"fexp_build_info" not in DELIVERED["blue"][0]
    assert DELIVERED["blue"][-1] == b""


@pytest.mark.usefixtures("_toy")
def test_only_what_is_asked_for_is_made_and_the_rest_has_no_effect() -> None:
    lines = command_line({"toy-note": ["a"], "job": "x", "grouping": ["a=b"], "gateway": "http://h"})
    assert [one.kind for one in asked_for(settings_types(), Given(lines))] == ["gateway"]
    assert list(without_effect(settings_types(), Given(lines))) == ["--toy-note has no effect without --toy"]


def test_a_one_shot_imports_the_output_that_it_uses() -> None:
    code = (
        "import sys, fexp.cli.app; fexp.cli.app.build_app('write');"
        "heavy = ('fexp.outputs.push', 'fexp.outputs.http', 'prometheus_client');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
