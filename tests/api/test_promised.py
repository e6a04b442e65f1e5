"""What ``fexp`` names is promised; all else is private."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fexp
from fexp.api import arguments
from fexp.config.selection import SelectionSettings
from fexp.config.settings import EngineSettings
from fexp.metrics import AGGREGATES
from fexp.outputs.push.gateway import GatewaySettings
from tests.end_to_end.running import environment

if TYPE_CHECKING:
    from fexp.config.options import Group

PROMISED = {
    "__version__",
    "Change", "ChangesLostError", "FexpError", "FolderCollector", "FolderError", "FolderNumbers", "Happening",
    "OutputError", "SettingsError", "Watch",
    "asgi_app", "job", "look", "push", "watch", "write_textfile", "wsgi_app",
    "Exporter", "File", "Option", "Probe", "Sample",
    "adapt", "counter", "cron", "every", "files", "gauge", "histogram", "info", "probe", "scrape", "state_set",
    "summary",
}  # fmt: skip
"""To take one away, or to change what it takes, breaks programs."""


def test_the_names_are_pinned() -> None:
    assert set(dir(fexp)) == PROMISED
    assert all(hasattr(fexp, name) for name in PROMISED)


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse(Path(fexp.__file__).with_suffix(".pyi").read_text())
    imported = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == vars(fexp)["_LOADED_WHEN_USED"]
    assert imported.keys() | {"__version__"} == PROMISED


def test_no_part_of_fexp_hides_a_promised_name() -> None:
    """A module becomes an attribute of its package when anybody imports it."""
    parts = {path.stem for path in Path(fexp.__file__).parent.iterdir()}
    assert not parts & PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED - {"__version__"}))
def test_what_is_promised_is_documented(name: str) -> None:
    promised = getattr(fexp, name)
    assert inspect.getdoc(promised)
    if inspect.isclass(promised):
        own = [one for one in vars(promised).values() if inspect.isfunction(one) and not one.__name__.startswith("_")]
        assert all(one.__doc__ for one in own)


def test_importing_fexp_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import fexp; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fexp"]


@pytest.mark.parametrize(
    ("used", "heavy"),
    [
        ("fexp.look('.')", ["fexp.engine", "asyncio", "uvicorn", "urllib3", "yaml", "typer", "bcrypt", "cramjam"]),
        ("fexp.watch('.')", ["asyncio", "uvicorn", "urllib3", "yaml", "typer", "rich", "bcrypt", "cramjam"]),
        ("fexp.wsgi_app('.')", ["asyncio", "uvicorn", "urllib3", "typer", "rich", "bcrypt", "cramjam"]),
        ("fexp.FexpError", ["prometheus_client", "threading", "asyncio"]),
    ],
)
def test_only_what_is_used_is_loaded(used: str, heavy: list[str]) -> None:
    code = f"import fexp, sys; {used}; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert not done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "groups"),
    [
        (arguments.WhatIsShown, [SelectionSettings]),
        (arguments.Collecting, [SelectionSettings, EngineSettings]),
        (arguments.Pushing, [SelectionSettings, GatewaySettings]),
    ],
)
def test_the_arguments_are_the_options_of_the_command_line(typed: type, groups: list[type[Group]]) -> None:
    """Who adds an option adds it in ``fexp.api.arguments``, too."""
    options = {one.name.replace("-", "_") for group in groups for one in group.options().values() if not one.secret}
    assert set(typed.__annotations__) == options - {"gateway", "per_subfolder", "time_zone", "watch_config"}


def test_a_look_has_all_numbers() -> None:
    """Who adds an aggregate adds it to ``FolderNumbers``."""
    assert {one.name for one in AGGREGATES} <= set(fexp.FolderNumbers._fields)
