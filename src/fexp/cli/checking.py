"""What ``fexp check`` prints."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from fexp.config.given import ConfigSettings
from fexp.config.output import asked_for, without_effect
from fexp.config.settings import CheckSettings, read_settings
from fexp.errors import FexpError
from fexp.outputs.http.webconfig import read_web_config
from fexp.outputs.kinds import settings_types
from fexp.service.check import Level, run_checks
from fexp.service.check.patience import HangsError, within
from fexp.service.check.setup import Setup
from fexp.service.check.user import become
from fexp.service.outputs import build_outputs, listens_of
from fexp.service.progress import shown_on_terminal
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fexp.config.given import Given
    from fexp.config.origin import Written
    from fexp.service.check import Finding

_READ_SECONDS = 15.0
_LEVEL_WIDTH, _NAME_WIDTH = 8, 14


def print_checks(
    folders: list[str], written: Written, given: Callable[[], Given], hints: Callable[[list[str]], Iterable[str]]
) -> int:
    """Check what was asked for, and print what is found. Return the exit status. Raise FexpError."""
    asked = CheckSettings.read(written)
    if asked.user is not None:
        become(asked.user, asked.origin("user"))

    def set_up() -> Setup:
        everything = given()
        settings = read_settings(folders, everything, asked_for(settings_types(), everything))
        listens_of(settings.http)
        if settings.http.web_config is not None:
            read_web_config(settings.http.web_config)
        noted = (*hints(folders), *sorted(without_effect(settings_types(), everything)))
        return Setup(settings, asked, build_outputs(settings), noted, _watch_arguments(sys.argv[2:]))

    try:
        setup = within(_READ_SECONDS, set_up)
    except HangsError:
        paths = ", ".join((*folders, *ConfigSettings.read(written).files))
        raise FexpError(f"not read after {_READ_SECONDS:g} s: the file system of one of these hangs: {paths}") from None
    found = _with_progress(setup)
    return (_print_json if asked.format == "json" else _print_text)(found)


def _with_progress(setup: Setup) -> Iterator[tuple[str, Finding]]:
    """Yield the findings of each check once it is done. A terminal shows which one takes long."""
    at_work = [""]
    with shown_on_terminal(sys.stderr, lambda: at_work[-1]):
        found = list(run_checks(setup, at_work.append))
    yield from found


def _print_text(found: Iterable[tuple[str, Finding]]) -> int:
    levels = Counter[Level]()
    for name, finding in found:
        levels[finding.level] += 1
        print(_fitted(visible(f"{finding.level:<{_LEVEL_WIDTH}} {name:<{_NAME_WIDTH}} {finding.what}")))
        for line in (finding.why, finding.mend):
            if line:
                print(f"{' ' * (_LEVEL_WIDTH + 1)}{visible(line)}")
    parts = [_many(levels[Level.ERROR], "error"), _many(levels[Level.WARNING], "warning"), f"{levels[Level.OK]} ok"]
    print(", ".join(parts))
    return _exit_status(levels)


def _fitted(line: str) -> str:
    """Return a line that a terminal need not break."""
    if not sys.stdout.isatty():
        return line
    from shutil import get_terminal_size
    from textwrap import fill

    indent = " " * (_LEVEL_WIDTH + _NAME_WIDTH + 2)
    columns = max(get_terminal_size().columns, 2 * len(indent))
    return fill(line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _print_json(found: Iterable[tuple[str, Finding]]) -> int:
    findings = [{"check": name, **finding._asdict()} for name, finding in found]
    levels = Counter(Level(str(finding["level"])) for finding in findings)
    json.dump({"findings": findings, **{level: levels[level] for level in Level}}, sys.stdout, indent=2)
    print()
    return _exit_status(levels)


def _exit_status(levels: Counter[Level]) -> int:
    return 1 if levels[Level.ERROR] else 0


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _watch_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that ``watch`` would be given: all but those of ``check`` alone."""
    names = {f"--{option.name}" for option in CheckSettings.options().values()}
    kept = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, _ = argument.partition("=")
        if option not in names:
            kept.append(argument)
        elif not equals:
            next(rest, None)
    return tuple(kept)
