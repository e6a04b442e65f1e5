"""The design's rooms and arrows, seen in the imports; and the bounds that keep modules readable.

Each test lists its offenders.
"""

from __future__ import annotations

import ast
import re
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fexp
from fexp.outputs.kinds import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(fexp.__file__).parent

LAYERS = (
    {"fexp", "errors", "limits", "listed", "model", "clock", "text"},
    {"counting", "metrics"},
    {"probes"},
    {"config"},
    {"disk", "events", "outputs"},
    {"engine"},
    {"service"},
    {"cli", "api"},
    {"testing"},
    {"pytest_plugin"},
    {"__main__"},
)
"""The rooms, from the words up. A module imports from its own room and from lower layers, never from a neighbour."""

PURE = {"fexp", "errors", "listed", "model", "text", "counting", "metrics"}
IMPURE = {
    "asyncio", "logging", "queue", "select", "shutil", "socket", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
PURE_USES_OF_OS = {"fsencode", "fsdecode", "fspath"}
MAY_KNOW_PROMETHEUS_CLIENT = {"metrics", "outputs", "cli", "testing"}
MAY_READ_THE_TIME = {"clock", "outputs", "service", "cli", "testing"}
"""Outputs and the service are given a clock; the real one is the default."""

MAY_SPELL_OPTIONS = {"cli", "config"}
OPTION = re.compile(r"(?<![-{;])(?<!var\()--(?!collector[.])[a-z][a-z.-]*(?![a-z.-])(?<!--)|(?<!-)--\Z|FEXP_")
"""An option, or the beginning of one that an f-string completes.

Neither an arrow nor a variable of CSS, nor an option of node_exporter's.
"""

LINES_MAX = 400
FUNCTION_LINES_MAX = 60


def _name(path: Path) -> str:
    parts = ["fexp", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def _layer(module: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if _room(module) in rooms)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@cache
def _imports(module: str, *, for_types: bool = True) -> frozenset[str]:
    """Return the modules that one imports, anywhere in it; with or without those for type checking."""
    skipped: set[int] = set()
    if not for_types:
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped.update(id(part) for part in ast.walk(node))
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in MODULES else node.module)
    return frozenset(found)


def _own_imports() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for imported in _imports(module):
            if imported.split(".")[0] == "fexp":
                yield module, imported


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module in MODULES:
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, node


def test_every_module_is_in_a_room_and_every_room_is_there() -> None:
    assert {_room(module) for module in MODULES} == set().union(*LAYERS)


def test_arrows_point_downwards_only() -> None:
    assert not [
        f"{module} imports {imported}"
        for module, imported in _own_imports()
        if _layer(imported) > _layer(module)
        or (_layer(imported) == _layer(module) > 1 and _room(imported) != _room(module))
    ]


def test_no_import_goes_in_a_circle_not_even_for_types() -> None:
    arrows: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, imported in _own_imports():
        arrows[module].add(imported)
    done: set[str] = set()
    while ends := [module for module, to in arrows.items() if module not in done and to <= done | {module}]:
        done.update(ends)
    assert not {module: arrows[module] - done for module in MODULES if module not in done}


def test_no_source_knows_another() -> None:
    sources = {"fexp.events.inotify", "fexp.events.observer"}
    assert not [(module, to) for module, to in _own_imports() if {module, to} <= sources and module != to]


def test_no_output_knows_another() -> None:
    """They share what is in ``outputs`` itself, and in ``push`` what sends."""
    outputs = {name.partition(":")[0] for name in OUTPUTS.values()} | {"fexp.outputs.http"}

    def output_of(module: str) -> str | None:
        return next((output for output in outputs if f"{module}.".startswith(f"{output}.")), None)

    assert not [
        (module, to)
        for module, to in _own_imports()
        if module.startswith("fexp.outputs") and output_of(to) and output_of(to) != output_of(module)
    ]


def test_options_are_spelled_by_the_command_line_and_the_config_alone() -> None:
    """Whatever else tells of one names its origin: it may come from the environment or a file."""
    offenders = []
    for module, path in MODULES.items():
        if _room(module) in MAY_SPELL_OPTIONS:
            continue
        offenders += [
            f"{module}:{node.lineno}: {node.value[:80]!r}"
            for node in ast.walk(_tree(module))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and OPTION.search(node.value)
        ]
        with path.open("rb") as file:
            comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
        offenders += [f"{module}:{one.start[0]}: {one.string}" for one in comments if OPTION.search(one.string)]
    assert not offenders


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("--rescan soon", True),
        ("give --gateway-user too", True),
        ("`--web.config.file`", True),
        ("(--insecure)", True),
        ("--", True),
        ("add --", True),
        ("FEXP_RESCAN", True),
        ("FEXP_", True),
        ("--web-config", True),
        ("--collector.textfile.directory=/d", False),
        ("source --hint--> queue", False),
        (":root{--line:#888;--soft:#111}a{color:var(--line)}", False),
        ("a -- b", False),
        ("fexp_files", False),
        ("---", False),
    ],
)
def test_what_spells_an_option_is_known(text: str, *, is_one: bool) -> None:
    assert bool(OPTION.search(text)) is is_one


def test_the_words_and_the_middle_are_pure() -> None:
    offenders = []
    for module in MODULES:
        if _room(module) not in PURE:
            continue
        offenders += [(module, name) for name in _imports(module) if name.split(".")[0] in IMPURE]
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                offenders += [(module, f"os.{node.attr}")] if node.attr not in PURE_USES_OF_OS else []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                offenders += [(module, node.func.id)] if node.func.id in {"open", "print", "input"} else []
    assert not offenders


def test_prometheus_client_stays_where_numbers_become_text() -> None:
    assert not [
        module
        for module in MODULES
        if _room(module) not in MAY_KNOW_PROMETHEUS_CLIENT
        and any(name.split(".")[0] == "prometheus_client" for name in _imports(module, for_types=False))
    ]


def test_only_the_clock_reads_the_time() -> None:
    assert not [
        module
        for module in MODULES
        if _room(module) not in MAY_READ_THE_TIME and {"time", "datetime"} & _imports(module)
    ]


def test_no_module_is_too_long_to_read() -> None:
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert not {module: count for module, count in lines.items() if count > LINES_MAX}


def test_no_function_is_too_long_to_read() -> None:
    long = []
    for module, function in _functions():
        first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
        lines = (function.end_lineno or 0) - first.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            long.append((module, function.name, lines))
    assert not long


def test_whoever_catches_everything_says_why() -> None:
    silent = []
    for module, path in MODULES.items():
        lines = path.read_text().splitlines()
        for node in ast.walk(_tree(module)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "everything"
            if not re.search(r"\b(Exception|BaseException|everything)\b", caught):
                continue
            if isinstance(node.body[-1], ast.Raise) or ".exception(" in ast.unparse(node):
                continue  # nothing is hidden
            around = lines[max(0, node.lineno - 2) : node.lineno]
            reasons = [line.partition("#")[2].replace("noqa: BLE001", "").strip(" :-") for line in around]
            if not any(reasons):
                silent.append((module, node.lineno))
    assert not silent
