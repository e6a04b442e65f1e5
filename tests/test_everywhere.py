"""What runs everywhere is told the truth about: the bounds in pyproject.toml and the README's first commands."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.everywhere.__main__ import Part, outcome_of
from tests.everywhere.checkout import REPOSITORY, copy_checkout
from tests.everywhere.debian import readme_commands
from tests.everywhere.environments import Environment, environments, lowest, pythons

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    "requirement",
    [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["test"]],
)
def test_each_dependency_has_a_lowest_version(requirement: str) -> None:
    name, _, version = lowest(requirement).partition("==")
    assert requirement.startswith(f"{name}>={version}")


def test_what_has_no_lower_bound_is_no_dependency() -> None:
    with pytest.raises(AssertionError, match="has no lower bound"):
        lowest("typer<1")


def test_the_readme_says_what_a_bare_debian_lacks_and_then_what_to_do() -> None:
    install, first, second = readme_commands()
    assert install == "apt install git python3-venv"
    assert ". .venv/bin/activate && pip install" in first  # so that the commands after it find fexp too
    assert first.endswith("&& fexp watch . --ext md")
    assert second == "tests/run"


def test_the_default_python_comes_first_and_each_once() -> None:
    found = pythons()
    assert len({python.path for python in found}) == len(found)
    assert all(python.version >= (3, 11) for python in found)
    assert environments()[0] == Environment(found[0], lowest=True)


def test_a_copy_holds_the_files_and_no_tools_litter(tmp_path: Path) -> None:
    copy_checkout(tmp_path / "copy")
    assert (tmp_path / "copy/tests/run").stat().st_mode & 0o111
    assert (tmp_path / "copy/.ci/run").is_file()
    assert not list((tmp_path / "copy").rglob("__pycache__"))
    assert not (tmp_path / "copy/.git").exists()


@pytest.mark.parametrize(("failure", "shown"), [("exit status 1", "FAILED, exit status 1: "), ("", "part: 3 passed")])
def test_a_part_ends_with_its_closing_line(
    failure: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(log: TextIO) -> str:
        log.write("====== 3 passed, 1 skipped in 2.50s ======\n")
        return failure

    outcome = outcome_of(Part("part", run), tmp_path / "log")
    assert outcome.closing_line == "3 passed, 1 skipped in 2.50s"
    assert shown in capsys.readouterr().out


def test_what_cannot_even_begin_is_a_failure(tmp_path: Path) -> None:
    def run(log: TextIO) -> str:
        raise FileNotFoundError(2, "No such file or directory", "python3.99")

    assert "python3.99" in outcome_of(Part("part", run), tmp_path / "log").failure
