"""The command line. Errors become one line on standard error and an exit status here, and nowhere else."""

from __future__ import annotations

import sys

from fexp.errors import FexpError


def main(arguments: list[str] | None = None) -> None:
    """Run ``fexp`` and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run ``fexp`` and give its exit status."""
    import typer
    from typer.main import get_command

    from fexp.cli.commands import COMMANDS, build_app

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app = build_app(arguments[0] if arguments and arguments[0] in COMMANDS else None)
        result = get_command(app).main(arguments, prog_name="fexp", standalone_mode=False)
    except typer.TyperException as error:
        return _mistake(error)
    except FexpError as error:
        print(f"fexp: {error}", file=sys.stderr)
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; the interpreter must not complain about it at exit
        return 1
    return result if isinstance(result, int) else 0


def _mistake(error: Exception) -> int:
    """Tell a mistake of the command line in one line; typer's own box needs ten."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else error)
        return 2
    format_message = getattr(error, "format_message", None)
    message = " ".join(str(format_message() if format_message else error).split()).rstrip(".")
    command = context.command_path if context else "fexp"
    print(f"fexp: {message[:1].lower()}{message[1:]}; see {command} --help", file=sys.stderr)
    return int(getattr(error, "exit_code", 2))
