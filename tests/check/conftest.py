"""What the tests of the doctor have in common: ``fexp check`` in this process."""

from __future__ import annotations

import json
import os
import sys

import pytest

from fexp.cli.commands import COMMANDS
from fexp.cli.messages import print_error
from fexp.config.origin import Origin, Raw, Written
from fexp.errors import FexpError
from fexp.service.check import inotify
from fexp.service.check.processes import InotifyUse
from tests.check.reports import Check, Finding, Report
from tests.servers import free_port


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Give what runs ``fexp check`` with these arguments. It serves on a free port unless they name an output."""
    for name in [name for name in os.environ if name.startswith("FEXP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(inotify, "inotify_use", lambda without: InotifyUse(0, 0))  # others' tests have some, too
    node_exporter = f"http://127.0.0.1:{free_port()}/metrics"

    def checked(*arguments: object) -> Report:
        words = ["check", *map(str, arguments), "--format", "json"]
        if not any(word.startswith(("--listen", "--textfile", "--gateway", "--remote", "--config")) for word in words):
            words += ["--listen", "127.0.0.1:0"]
        if "--node-exporter" not in words:
            words += ["--node-exporter", node_exporter]
        monkeypatch.setattr(sys, "argv", ["fexp", *words])
        capsys.readouterr()
        status = _run(words[1:])
        printed = capsys.readouterr()
        findings = json.loads(printed.out)["findings"] if printed.out else []
        return Report(status, [Finding(**finding) for finding in findings], printed.err)

    return checked


def _run(words: list[str]) -> int:
    """Do what ``fexp check`` does with these arguments, without typer, which takes twice as long as the check."""
    try:
        status = COMMANDS["check"].function(*_read(words))
    except FexpError as error:
        print_error(str(error))
        return error.exit_status
    assert isinstance(status, int)
    return status


def _read(words: list[str]) -> tuple[list[str], Written]:
    options = {option.name: option for group in COMMANDS["check"].groups() for option in group.options().values()}
    names = {spelling: name for name, option in options.items() for spelling in (f"--{name}", *option.aliases)}
    folders, values = list[str](), dict[str, tuple[Raw, Origin]]()
    rest = iter(words)
    for word in rest:
        if word not in names:
            folders.append(word)
            continue
        option = options[names[word]]
        raw: Raw = True if option.metavar is None else next(rest)
        values[option.name] = (raw,) if option.repeatable and isinstance(raw, str) else raw, Origin(word)
    return folders, Written(values, lambda name: f"--{name}")
