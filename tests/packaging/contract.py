"""The part of the command line that the shipped cron lines and units rely on."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_SELECTION = {
    "--ext": 1,
    "--match": 1,
    "--exclude": 1,
    "--recursive": 0,
    "-r": 0,
    "--hidden": 0,
    "--label": 1,
    "--config": 1,
}
_TEXTFILE = {"--textfile": 1}
_GATEWAY = {"--gateway": 1, "--job": 1, "--instance": 1, "--grouping": 1}

OPTIONS: dict[str, dict[str, int]] = {
    "watch": {**_SELECTION, **_TEXTFILE, **_GATEWAY, "--listen": 1, "--heartbeat": 1, "--min-interval": 1},
    "write": {**_SELECTION, **_TEXTFILE, "--splay": 1},
    "push": {**_SELECTION, **_GATEWAY, "--splay": 1},
}
"""Option and number of its values, of each command that a cron line or a unit runs."""

VARIABLES = {
    "FEXP_CONFIG",
    "FEXP_GATEWAY",
    "FEXP_HEARTBEAT",
    "FEXP_INSTANCE",
    "FEXP_LISTEN",
    "FEXP_MIN_INTERVAL",
    "FEXP_REMOTE_WRITE",
    "FEXP_RESCAN",
    "FEXP_WEB_CONFIG",
    "FEXP_WEB_LISTEN_ADDRESS",
}
"""Environment variables that the units and their defaults name."""


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
