"""Help in plain text, grouped by what an option is for. rich's boxes would cost every ``--help`` twice its time."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_OTHERS = "Others"


class GroupedCommand(TyperCommand):
    """A command whose options stand under headings, in the order they are declared in."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # click's own types are typer's private matter
        """Write the arguments and options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                is_argument = parameter.param_type_name == "argument"
                heading = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or _OTHERS
                groups.setdefault(heading, []).append(row)
        groups[_OTHERS] = groups.pop(_OTHERS, [])
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
