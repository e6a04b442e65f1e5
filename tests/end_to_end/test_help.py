"""Help fits every terminal, and its examples work as they are pasted."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from fexp.cli.app import build_app
from fexp.cli.commands import COMMANDS
from tests.end_to_end.running import COMMAND, Watching, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PAGES = ("", *COMMANDS)
WIDTHS = (*range(40, 100), *range(100, 201, 10))
_APP = get_command(build_app())


@cache
def _help(page: str, columns: int) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        context = _APP.make_context("fexp", [page] if page else [], resilient_parsing=True)
        if not page:
            return str(context.get_help())
        command = _APP.commands[page]  # type: ignore[attr-defined]  # a group has them
        return str(command.make_context(page, [], parent=context, resilient_parsing=True).get_help())


@pytest.mark.parametrize("page", PAGES)
def test_every_line_fits_every_terminal_and_no_word_is_broken(page: str) -> None:
    def words(text: str) -> list[str]:
        return [word for word in text.split() if word != "\\"]

    widest = _help(page, WIDTHS[-1])
    for columns in WIDTHS:
        text = _help(page, columns)
        assert [line for line in text.splitlines() if len(line) > columns] == []
        assert words(text) == words(widest), columns


def test_a_process_prints_the_help_as_wide_as_its_terminal() -> None:
    for columns in (40, 80):
        ended = subprocess.run(
            [*COMMAND, "watch", "--help"],
            env=environment(COLUMNS=str(columns)), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.rstrip("\n") == _help("watch", columns)


def _examples(page: str, columns: int) -> list[str]:
    """Return the examples of a help page, as somebody would copy them."""
    block = _help(page, columns).partition("\nExamples:\n")[2]
    return re.findall(r"^ {4}(fexp (?:.*\\\n)*.*)$", block, re.MULTILINE)


def _runnable(page: str, pushgateway: Server) -> list[str]:
    return [
        example.replace("http://127.0.0.1:9091", pushgateway.url).replace("--listen :9877", "--listen 127.0.0.1:0")
        for example in _examples(page, WIDTHS[0])
    ]


def _paste(page: str, example: str, directory: Path, pushgateway: Server) -> subprocess.Popen[str]:
    """Run an example in a shell that finds fexp; what is not spelt out is where this test has it."""
    directory.mkdir(exist_ok=True)
    shell = f'fexp() {{ exec {shlex.join(COMMAND)} "$@"; }}\n{example}\n'
    return subprocess.Popen(
        ["sh", "-c", shell], cwd=directory, text=True,
        env=environment(FEXP_GATEWAY=pushgateway.url) if page == "push" else environment(FEXP_LISTEN="127.0.0.1:0"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_every_page_ends_with_two_or_three_examples(page: str) -> None:
    def read_by_a_shell(examples: list[str]) -> list[list[str]]:
        return [shlex.split(example.replace("\\\n", "")) for example in examples]

    pasted = read_by_a_shell(_examples(page, WIDTHS[0]))
    for columns in WIDTHS:
        examples = _examples(page, columns)
        assert read_by_a_shell(examples) == pasted
        assert len(examples) in {2, 3}
        assert _help(page, columns).endswith(examples[-1])
        assert all(example.startswith(f"fexp {page}".rstrip()) for example in examples)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_examples_work_as_pasted(page: str, tmp_path: Path, pushgateway: Server) -> None:
    for example in _runnable(page, pushgateway):
        with _paste(page, example, tmp_path / "here", pushgateway) as process:
            if example.startswith("fexp watch"):
                fexp = Watching(process)
                fexp.wait_until_ready()
                assert fexp.stop(signal.SIGINT) == 0, fexp.lines
                complaints = [line for line in fexp.lines if "level=info" not in line]
                assert all("Permission denied" in line for line in complaints)  # /var/log has folders of root's
            else:
                out, complaint = process.communicate(timeout=60)
                assert (process.returncode, complaint) == (0, ""), example
                assert bool(out) == ("scan" in example or "check" in example)
