"""The design's layers, seen in the imports; and the bounds that keep modules readable."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import fexp

SOURCE = Path(fexp.__file__).parent


def _name(path: Path) -> str:
    parts = ["fexp", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name(path): path for path in sorted(SOURCE.rglob("*.py"))}

WORDS = {"fexp", "fexp.errors", "fexp.model"}
MIDDLE = {"fexp.selection", "fexp.table", "fexp.state", "fexp.names", "fexp.labels", "fexp.human", "fexp.metrics"}
EDGES = {"fexp.scan", "fexp.clock", "fexp.systemd", "fexp.watch", "fexp.outputs"}
"""Each with all modules below it."""
ENGINE = {"fexp.engine"}
IMPURE = {
    "time",
    "threading",
    "queue",
    "socket",
    "subprocess",
    "shutil",
    "tempfile",
    "logging",
    "asyncio",
    "select",
}
PURE_USES_OF_OS = {"fsencode", "fsdecode", "fspath"}
RENDERING = {"fexp.metrics", "fexp.oneshot"}
"""Beside the outputs and the command line, who may know prometheus_client."""


def _layer(module: str) -> int:
    if module in WORDS:
        return 0
    if module in MIDDLE:
        return 1
    if _edge(module):
        return 2
    if module in ENGINE or module.startswith("fexp.engine."):
        return 3
    return 4


def _edge(module: str) -> str | None:
    return next((edge for edge in EDGES if module == edge or module.startswith(edge + ".")), None)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@cache
def _imports(module: str, *, for_types: bool = True) -> frozenset[str]:
    """Give the modules that one imports, anywhere in it; with or without those for type checking."""
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


def _own(module: str) -> set[str]:
    return {name for name in _imports(module) if name.split(".")[0] == "fexp"}


def test_every_module_of_the_lower_layers_is_there() -> None:
    assert MODULES.keys() >= WORDS | MIDDLE | ENGINE | EDGES


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_downwards_only(module: str) -> None:
    upwards = {name for name in _own(module) if _layer(name) > _layer(module)}
    assert not upwards


@pytest.mark.parametrize("module", [module for module in MODULES if _edge(module)])
def test_no_edge_imports_another_edge(module: str) -> None:
    assert not {name for name in _own(module) if _edge(name) not in (None, _edge(module))}


@pytest.mark.parametrize("module", [module for module in MODULES if _edge(module) == "fexp.watch"])
def test_no_source_knows_another(module: str) -> None:
    assert not {name for name in _own(module) if _edge(name) == "fexp.watch"} - {"fexp.watch"}


@pytest.mark.parametrize("module", sorted(WORDS | MIDDLE))
def test_the_middle_is_pure(module: str) -> None:
    assert not {name for name in _imports(module) if name.split(".")[0] in IMPURE}
    uses_of_os = {
        node.attr
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert uses_of_os <= PURE_USES_OF_OS
    assert not {
        node.func.id
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    }


@pytest.mark.parametrize("module", MODULES)
def test_prometheus_client_stays_where_numbers_become_text(module: str) -> None:
    uses = any(name.split(".")[0] == "prometheus_client" for name in _imports(module, for_types=False))
    may = module in RENDERING or _edge(module) == "fexp.outputs" or module.split(".")[1:2] == ["cli"]
    assert not uses or may


@pytest.mark.parametrize("module", [module for module in MODULES if module != "fexp.clock" and _layer(module) < 4])
def test_only_the_clock_reads_the_time(module: str) -> None:
    if _edge(module) in ("fexp.outputs", "fexp.systemd"):
        return  # they are given a clock, with the real one as default
    assert "time" not in _imports(module)
    assert "datetime" not in _imports(module)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_too_long_to_read(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_too_long_to_read(module: str) -> None:
    long: dict[str, int] = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            if lines > 60:
                long[node.name] = lines
    assert not long


@pytest.mark.parametrize("module", MODULES)
def test_whoever_catches_everything_says_why(module: str) -> None:
    lines = MODULES[module].read_text().splitlines()
    silent = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if re.search(r"\b(Exception|BaseException|everything)\b", caught):
                if isinstance(node.body[-1], ast.Raise) or ".exception(" in ast.unparse(node):
                    continue  # nothing is hidden
                around = lines[max(0, node.lineno - 2) : node.lineno]
                reasons = [line.partition("#")[2].replace("noqa: BLE001", "").strip(" :-") for line in around]
                if not any(reasons):
                    silent.append(node.lineno)
    assert not silent
