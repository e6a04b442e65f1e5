"""The command line of a command, made of the options that its settings declare."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from fexp.config.origin import Origin, Written, variable
from fexp.config.probes import ProbesSettings, group_of, load_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fexp.config.options import Group, Option
    from fexp.config.origin import Raw
    from fexp.probes.probe import Probe

_PROBE = "--probe"


class Arguments(NamedTuple):
    """What stands on the command line beside options."""

    metavar: str
    help: str
    required: bool = True
    are_last: bool = False
    """Whatever follows the first of them is one of them, also what begins with a dash."""


FOLDERS = Arguments("FOLDER...", "A folder to look at, or a file in it.", required=False)
SHOWN = Arguments("WHAT", "config or schema.")
COMMAND_LINE = Arguments("COMMAND...", "The command and its arguments, after --.", are_last=True)


class Command:
    """A command and the settings that it reads."""

    def __init__(
        self,
        function: Callable[[list[str], Written], object],
        groups: Callable[[], Iterable[type[Group]]],
        *,
        arguments: Arguments,
        outputs_on_request: bool,
    ) -> None:
        """``function`` takes the arguments and what the user wrote.

        ``groups`` returns the settings classes. It is called only if the command is: some are imported for it alone.
        ``outputs_on_request``: whether outputs deliver only if asked for.
        """
        self.function = function
        self.groups = groups
        self.arguments = arguments
        self.outputs_on_request = outputs_on_request
        self.probe_groups: tuple[type[Group], ...] = ()
        """The settings of the probes that the command line names."""

    def for_typer(self, arguments: Sequence[str] = (), probes: Sequence[Probe] = ()) -> Callable[..., object]:
        """Return a function whose signature is the FOLDER arguments and all the options.

        ``arguments``: what the user wrote: the options of probes are there when they are named. ``probes``: those that
        run anyhow. Raise SettingsError.
        """

        groups = tuple(self.groups())
        probes = (*probes, *probes_asked_for(arguments)) if ProbesSettings in groups else ()
        options = _by_name(groups, outputs_on_request=self.outputs_on_request)
        if probes:
            self.probe_groups = tuple(map(group_of, probes))
            _add_options(options, probes, self.probe_groups)
        standing = self.arguments if not probes else self.arguments._replace(required=False)

        def run(ctx: typer.Context, arguments: list[str] | None = None, **_: object) -> object:
            return self.function(list(arguments or ()), _written(options, ctx))

        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            _arguments_parameter(standing),
            *(_parameter(declared, options) for declared in options.values() if not declared.secret),
        ]
        run.__name__ = self.function.__name__
        run.__doc__ = self.function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the signature
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    def without_options(self) -> Callable[..., object]:
        """Return a function with the name and the help of the command, for the list of commands."""

        def listed() -> None: ...

        listed.__name__ = self.function.__name__
        listed.__doc__ = self.function.__doc__
        return listed


def reads(
    groups: Callable[[], Iterable[type[Group]]], *, arguments: Arguments = FOLDERS, outputs_on_request: bool = False
) -> Callable[[Callable[[list[str], Written], object]], Command]:
    """Return a decorator for a command that reads these settings."""
    return lambda function: Command(function, groups, arguments=arguments, outputs_on_request=outputs_on_request)


def misspelt_variables(commands: Iterable[Command], others: Iterable[type[Group]] = ()) -> Iterator[str]:
    """Yield a line for each environment variable that begins as fexp's do and that no command and no other reads."""
    from difflib import get_close_matches

    groups = [group for command in commands for group in (*command.groups(), *command.probe_groups)]
    declared = (one for group in (*groups, *others) for one in group.options().values())
    known = {name for one in declared for name in (variable(one.name), *_variables(one))}
    for name in sorted(os.environ):
        if name.startswith("FEXP_") and name not in known:
            nearest = get_close_matches(name, known, n=1)
            yield f"{name} is not a variable of fexp's{f'; did you mean {nearest[0]}?' if nearest else ''}"


def probes_asked_for(arguments: Sequence[str]) -> tuple[Probe, ...]:
    """Return the probes that the arguments, or else the environment, name. Raise SettingsError."""

    names: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            break
        option, equals, name = argument.partition("=")
        if option == _PROBE:
            names += [name] if equals else [value for value in (next(rest, None),) if value is not None]
    origin = _PROBE if names else variable(_PROBE)
    names = names or os.environ.get(origin, "").split()
    return load_all(origin, names) if names else ()


def _add_options(options: dict[str, Option], probes: Sequence[Probe], groups: Sequence[type[Group]]) -> None:
    """Add the options of probes. Raise SettingsError for one that is there already."""
    for probe, group in zip(probes, groups, strict=True):
        for declared in group.options().values():
            if declared.name in options:
                raise probe.wrong(f"--{declared.name} is an option already; rename the probe or its setting")
            options[declared.name] = declared


def _by_name(groups: Iterable[type[Group]], *, outputs_on_request: bool) -> dict[str, Option]:
    """Return the options of all groups. One that several groups share stands once, where it is first declared.

    The option that asks for an output shows no default: without it there is no such output.
    """
    options: dict[str, Option] = {}
    for group in groups:
        for declared in group.options().values():
            asks = outputs_on_request and declared.name == group.prefix
            options.setdefault(declared.name, declared.but(default=None) if asks else declared)
    return options


def _written(options: Mapping[str, Option], ctx: typer.Context) -> Written:
    """Return what the user gave in the arguments and the environment."""
    values: dict[str, tuple[Raw, Origin]] = {}
    for name, declared in options.items():
        if declared.secret:
            if secret := os.environ.get(variable(name)):
                values[name] = secret, Origin(variable(name))
            continue
        raw = ctx.params[_identifier(name)]
        source = ctx.get_parameter_source(_identifier(name))
        if source is None or source.name not in {"COMMANDLINE", "ENVIRONMENT"}:
            continue
        spelled = (
            _argument(declared, ctx.obj or ()) if source.name == "COMMANDLINE" else variable_set(_variables(declared))
        )
        values[name] = tuple(raw) if declared.repeatable else raw, Origin(spelled)
    secrets = {name for name, declared in options.items() if declared.secret}
    return Written(values, lambda name: variable(name) if name in secrets else f"--{name}")


def _argument(declared: Option, arguments: Sequence[str]) -> str:
    """Return the spelling of an option that stands in the arguments."""
    spellings = _spellings(declared)
    return next((s for s in spellings for one in arguments if one == s or one.startswith(f"{s}=")), spellings[0])


def variable_set(names: Sequence[str]) -> str:
    """Return which of these environment variables is set."""
    return next((name for name in names if os.environ.get(name)), names[0])


def _spellings(declared: Option) -> tuple[str, ...]:
    return (f"--{declared.name}", *declared.aliases)


def _variables(declared: Option) -> list[str]:
    return [variable(spelling) for spelling in _spellings(declared) if spelling.startswith("--")]


def _identifier(name: str) -> str:
    return name.replace("-", "_")


def _arguments_parameter(arguments: Arguments) -> inspect.Parameter:
    shown = typer.Argument(metavar=arguments.metavar, help=arguments.help, show_default=False)
    return inspect.Parameter(
        "arguments",
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[list[str] if arguments.required else list[str] | None, shown],
        default=inspect.Parameter.empty if arguments.required else None,
    )


def _parameter(declared: Option, options: Mapping[str, Option]) -> inspect.Parameter:
    is_flag = declared.metavar is None
    shown = typer.Option(
        *_spellings(declared),
        help=_help(declared, options),
        rich_help_panel=declared.panel,
        metavar=declared.metavar,
        envvar=_variables(declared),
        show_envvar=False,
    )
    kind = bool if is_flag else list[str] if declared.repeatable else str | None
    text = declared.default if isinstance(declared.default, str) and declared.default else None
    return inspect.Parameter(
        _identifier(declared.name),
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, shown],  # typer reads it at run time
        default=False if is_flag else [] if declared.repeatable else text,
    )


def _help(declared: Option, options: Mapping[str, Option]) -> str:
    """Return the help, with the variable that may hold the secret instead of a file."""
    by_value = options.get(declared.name.removesuffix("-file"))
    if by_value is not None and by_value.secret:
        return f"{declared.help.rstrip('.')}; or set {variable(by_value.name)}."
    return declared.help
