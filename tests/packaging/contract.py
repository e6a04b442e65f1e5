"""The part of the command line that the shipped cron lines and units rely on."""

from pathlib import Path

from typer.main import get_command

from fexp.cli.app import build_app

REPOSITORY = Path(__file__).parents[2]

_COMMANDS = get_command(build_app()).commands  # type: ignore[attr-defined]  # a group has them

OPTIONS: dict[str, dict[str, int]] = {
    name: {
        option: 0 if parameter.is_flag else parameter.nargs
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in parameter.opts
    }
    for name, command in _COMMANDS.items()
}
"""Option and number of its values, of each command."""

VARIABLES = {
    variable
    for command in _COMMANDS.values()
    for parameter in command.params
    if parameter.envvar
    for variable in ([parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar)
}
"""Environment variables that fexp reads."""


def assert_valid(command: str, words: list[str]) -> None:
    """Fail unless the words after ``fexp COMMAND`` are folders and options that the command has."""
    folders: list[str] = []
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            folders.append(word)
            continue
        assert word in OPTIONS[command], f"fexp {command} has no option {word}"
        given[word] = next(rest) if OPTIONS[command][word] else ""
    assert folders, f"fexp {command} names no folder"
    assert all(folder.startswith("/") for folder in folders), "cron and systemd run in no directory of the user's"
    if "--textfile" in given:
        assert given["--textfile"].endswith(".prom"), "node_exporter reads *.prom only"
    if command == "push":
        assert given["--gateway"].startswith(("http://", "https://"))
        assert "@" not in given["--gateway"], "no password in an argument"
        assert given["--job"]
    if command == "write":
        assert "--textfile" in given
