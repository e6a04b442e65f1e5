"""``fexp.Exporter``: somebody's probes as a program of its own."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any

from fexp.cli import run_and_exit, run_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typer import Typer

    from fexp.config.origin import Written
    from fexp.probes.probe import Probe

_PORT = 9877


class Exporter:
    """A whole command of these probes: what ``fexp watch`` is, its options and outputs included.

    Name it in ``[project.scripts]``: ``my-exporter = "my_package:app"``.
    """

    def __init__(
        self, name: str, probes: Iterable[Any], *, port: int = _PORT, version: str = "", summary: str = ""
    ) -> None:
        """``probes``: probes, and collectors or registries of prometheus_client. ``summary``: for the help.

        Nothing is done before it is called.
        """
        self.name = name
        self._probes = tuple(probes)
        self._listen = f"127.0.0.1:{port}"
        self._version = version
        self._summary = summary or f"Serve the numbers of {name}."

    def __call__(self) -> None:
        """Run the command line of this process, and exit."""
        arguments = sys.argv[1:]
        run_and_exit(lambda: self.run(arguments), is_daemon=True)

    def run(self, arguments: list[str]) -> int:
        """Run a command line. Return the exit status."""
        return run_program(self.name, lambda: self._build(arguments), arguments)

    def _build(self, arguments: list[str]) -> Typer:
        import typer

        from fexp.cli.app import EPILOG
        from fexp.cli.commands import run_watch, watch_reads
        from fexp.cli.help import CommandWithHelp
        from fexp.cli.options import FOLDERS, Command

        probes = self._checked_probes()

        def watch(folders: list[str], written: Written) -> None:
            from fexp.config.settings import Program

            run_watch(folders, written, Program(self.name, self._version, probes, self._listen))

        watch.__doc__ = f"{self._summary}\n\nWith no output asked for, it serves http://{self._listen}/metrics."
        function = Command(watch, watch_reads, arguments=FOLDERS, outputs_on_request=True).for_typer(arguments, probes)
        app = typer.Typer(
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        app.command(self.name, cls=CommandWithHelp, epilog=EPILOG)(_with_version(function, self._print_version))
        return app

    def _checked_probes(self) -> tuple[Probe, ...]:
        """Return the probes. Raise SettingsError."""
        from fexp.config.probes import check_together
        from fexp.probes.loading import as_probes

        probes = as_probes(self._probes, self.name.lower())
        for probe in probes:
            probe.check_ready()
        check_together(probes)
        return probes

    def _print_version(self, wanted: bool) -> None:  # typer gives the flag's value so
        if wanted:
            import typer

            from fexp import __version__

            print(f"{self.name} {self._version} (fexp {__version__})" if self._version else f"fexp {__version__}")
            raise typer.Exit


def _with_version(function: Any, print_version: Any) -> Any:
    """Add an option to a function's signature."""
    import typer

    shown = typer.Option("--version", "-V", help="Print the version and exit.", callback=print_version, is_eager=True)
    version = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[bool, shown], default=False
    )
    signature = inspect.signature(function)
    function.__signature__ = signature.replace(parameters=[*signature.parameters.values(), version])
    function.__annotations__["version"] = version.annotation
    return function
