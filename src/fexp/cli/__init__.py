"""The command line. Errors become one line on standard error and an exit status here, and nowhere else."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from fexp.cli.messages import print_error
from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from typer import Typer


def main() -> None:
    """Run ``fexp`` and exit."""
    arguments = sys.argv[1:]
    run_and_exit(lambda: run(arguments), is_daemon=arguments[:1] == ["watch"])


def run_and_exit(act: Callable[[], int], *, is_daemon: bool) -> None:
    """Exit with the status that this returns."""
    _open_standard_streams()
    if is_daemon:
        _stop_cleanly_on_signals()
    else:
        gc.disable()  # it ends before there is garbage
    status = act()
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _unwritable(error)
    # Taking modules down one by one, as exit() does, costs a tenth of a one-shot's time; and of a daemon that has
    # stopped nothing is left to wait for, not even the check of a password.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Run ``fexp`` and return its exit status."""

    def build() -> Typer:
        from fexp.cli.app import build_app
        from fexp.cli.commands import COMMANDS

        only = arguments[0] if arguments and arguments[0] in COMMANDS else None
        is_list = arguments in ([], ["-h"], ["--help"]) and "_FEXP_COMPLETE" not in os.environ
        return build_app(only, with_options=not is_list, arguments=arguments)

    def meant() -> str | None:
        from fexp.cli.commands import COMMANDS
        from fexp.cli.hints import meant_instead

        return meant_instead(arguments, COMMANDS)

    return run_program("fexp", build, arguments, meant)


def run_program(
    name: str, build: Callable[[], Typer], arguments: list[str], meant: Callable[[], str | None] = lambda: None
) -> int:
    """Run a command line and return its exit status. ``meant`` says which would do if it does not."""
    try:
        import typer
        from typer.main import get_command

        try:
            result = get_command(build()).main(arguments, prog_name=name, standalone_mode=False, obj=tuple(arguments))
        except typer.TyperException as error:
            return _mistake(error, meant())
        except typer.Abort:
            return 130
    except FexpError as error:
        print_error(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _open_standard_streams() -> None:
    """Open closed streams (``>&-``) to nowhere: a file opened later would take their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # for the process's life
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name is no reason to stop


def _stop_cleanly_on_signals() -> None:
    """Exit cleanly on a signal that says stop, until the daemon obeys signals itself.

    At once, as nothing is delivered yet: an exception is lost where it happens to be raised in a destructor or in C.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _failed(error: OSError) -> int:
    """Return the exit status after an error that belongs to no file, such as a working directory that is gone."""
    if isinstance(error, BrokenPipeError) or error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO):
        return _unwritable(error)
    print_error(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    return 1


def _unwritable(error: OSError) -> int:
    """Return the exit status after an error of standard output. All other files are caught where they are touched."""
    if not isinstance(error, BrokenPipeError):  # nobody reads on
        print_error(f"{error.filename or 'standard output'}: {error.strerror or error}")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered is lost without a word
    return 1


def _mistake(error: Exception, meant: str | None) -> int:
    """Print a mistake of the command line in one line; typer's own box needs ten. Return the exit status.

    ``meant`` is the command line that would do.
    """
    context = getattr(error, "ctx", None)
    _name_the_variable(error, context, getattr(error, "param", None))
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context else error)
        return 2
    format_message = getattr(error, "format_message", None)
    message = " ".join(str(format_message() if format_message else error).split()).rstrip(".")
    command = context.command_path if context else "fexp"
    way_out = f"did you mean: {meant}" if meant else f"see {command} --help"
    print_error(f"{message[:1].lower()}{message[1:].replace('. Did you mean', '; did you mean')}; {way_out}")
    return int(getattr(error, "exit_code", 2))


def _name_the_variable(error: Any, context: Any, parameter: Any) -> None:  # click's types are typer's private matter
    """Have the error of a value from the environment name the variable, not the option."""
    from fexp.cli.options import variable_set

    source = context.get_parameter_source(parameter.name) if context and parameter else None
    if source is not None and source.name == "ENVIRONMENT":
        error.param_hint = variable_set(parameter.envvar)
