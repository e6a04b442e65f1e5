"""Help in plain text that fits its terminal. rich's boxes would cost every ``--help`` twice its time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from fexp.cli.examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    Rows = list[tuple[str, str]]

_WIDTH_MIN, _WIDTH_MAX = 40, 110
"""Columns. What a narrower terminal shows, it breaks itself."""
_NAME_MAX = 30
"""A longer name stands on a line of its own."""
_BELOW = 6
_TEXT_MIN = _WIDTH_MIN - _BELOW
"""Where less room is left beside the names, the text stands below them."""
_GLUE = "\N{NO-BREAK SPACE}"
_OTHERS = "Others"


class CommandWithHelp(TyperCommand):
    """A command whose options stand under headings, in the order they are declared in."""

    def get_help(self, ctx: Any) -> str:  # click's own types are typer's private matter
        """Return the help."""
        groups: dict[str, Rows] = {}
        usage = f"{ctx.command_path} [OPTIONS]"
        parameters: list[Any] = list(self.get_params(ctx))
        for parameter in parameters:
            row = parameter.get_help_record(ctx)
            if row is None:
                continue
            if parameter.param_type_name == "argument":
                usage += f" {parameter.metavar}" if parameter.required else f" [{parameter.metavar}]"
                groups.setdefault("Arguments", []).append((parameter.metavar, parameter.help))
            else:
                name, text = row
                text += _installed() if "--probe" in parameter.opts else ""
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or _OTHERS, []).append((name, text))
        groups[_OTHERS] = groups.pop(_OTHERS, [])
        return _text(self, usage, groups)


def _installed() -> str:
    """Return the names of the probes that are there."""
    from fexp.probes.loading import installed_probes

    return f" Installed: {', '.join(sorted(installed_probes()))}."


class GroupWithHelp(TyperGroup):
    """The program itself, with the list of its commands."""

    def get_help(self, ctx: Any) -> str:
        """Return the help."""
        rows = [row for parameter in self.get_params(ctx) if (row := parameter.get_help_record(ctx))]
        commands = [(name, (command.help or "").partition("\n\n")[0]) for name, command in self.commands.items()]
        return _text(self, f"{ctx.command_path} [OPTIONS] COMMAND ...", {"Options": rows, "Commands": commands})


def _text(command: Any, usage: str, groups: dict[str, Rows]) -> str:
    """Return the whole help of a command."""
    from shutil import get_terminal_size

    width = max(_WIDTH_MIN, min(get_terminal_size().columns, _WIDTH_MAX))
    lines = _wrapped(usage, width, "Usage: ", " " * 7)
    for paragraph in (command.help or "").split("\n\n"):
        lines += ["", *_wrapped(paragraph, width, "  ")]
    for heading, rows in groups.items():
        lines += ["", f"{heading}:", *_definitions(rows, width)]
    if command.epilog:
        lines += ["", *_wrapped(command.epilog, width)]
    examples = EXAMPLES.get(command.name, ())
    lines += ["", "Examples:"] if examples else []
    for purpose, line in examples:
        lines += [*_wrapped(purpose, width, "  "), *_command_line(line, width)]
    return "\n".join(lines)


def _definitions(rows: Rows, width: int) -> Iterator[str]:
    """Yield the lines of names and what they mean, side by side if there is room."""
    column = min(max(len(name) for name, _ in rows), _NAME_MAX) + 4
    is_beside = width - column >= _TEXT_MIN
    indent = " " * (column if is_beside else _BELOW)
    for name, text in rows:
        if is_beside and len(name) + 4 <= column:
            yield from _wrapped(text, width, f"  {name}".ljust(column), indent)
        else:
            yield from _wrapped(name, width, "  ", " " * 8)
            yield from _wrapped(text, width, indent)


def _command_line(line: str, width: int) -> Iterator[str]:
    """Yield a command as a shell takes it, broken between options if it must be."""
    *others, last = _wrapped(re.sub(r" (--\S+) (?!-)", rf" \1{_GLUE}", line), width - 2, "    ", "      ")
    yield from (f"{other} \\" for other in others)
    yield last


def _wrapped(text: str, width: int, first: str = "", other: str | None = None) -> list[str]:
    """Return lines that break between words only, and before ``[default: 5m]`` rather than in it."""
    from textwrap import wrap

    other = first if other is None else other
    words, bracket, default = re.sub(r"[ \n]+", " ", text).partition(" [default")
    if len(other + bracket + default) <= width:
        default = default.replace(" ", _GLUE)
    lines = wrap(
        words + bracket + default,
        width,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]
