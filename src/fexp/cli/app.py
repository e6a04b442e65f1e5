"""The command line as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fexp.cli.commands import COMMANDS
from fexp.cli.help import CommandWithHelp, GroupWithHelp

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = "Every option also reads a variable of the environment: --max-depth reads FEXP_MAX_DEPTH."


def _print_version(wanted: bool) -> None:  # typer gives the flag's value so
    if wanted:
        from fexp import __version__

        print(f"fexp {__version__}")
        raise typer.Exit


def _fexp(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Watch folders and tell Prometheus what waits in them, at once."""


def build_app(only: str | None = None, *, with_options: bool = True, arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the command line, or the part of it that one command needs: a one-shot does not pay for the others.

    ``arguments``: the command line as it was written. Raise SettingsError for what it names that is not there.
    """
    app = typer.Typer(
        name="fexp",
        cls=GroupWithHelp,
        help=_fexp.__doc__,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_fexp)
    for name, command in COMMANDS.items():
        if only in (None, name):
            function = command.for_typer(arguments) if with_options else command.without_options()
            context = {"allow_interspersed_args": not command.arguments.are_last}
            app.command(name, cls=CommandWithHelp, epilog=EPILOG, context_settings=context)(function)
    return app
