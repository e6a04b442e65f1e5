"""The command line as a whole."""

from __future__ import annotations

from typing import Annotated

import typer

from fexp.cli.commands import COMMANDS
from fexp.cli.help import GroupedCommand

_EPILOG = "Every option also reads FEXP_OPTION from the environment. Full manual: the README."


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


def build_app(only: str | None = None, *, with_options: bool = True) -> typer.Typer:
    """Return the command line, or the part of it that one command needs: a one-shot does not pay for the others."""
    app = typer.Typer(
        name="fexp",
        help=_fexp.__doc__,
        epilog="Example: fexp watch /data --ext txt, then look at http://127.0.0.1:9877",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
    )
    app.callback()(_fexp)
    for name, command in COMMANDS.items():
        if only in (None, name):
            function = command.for_typer() if with_options else command.without_options()
            app.command(name, cls=GroupedCommand, epilog=_EPILOG)(function)
    return app
