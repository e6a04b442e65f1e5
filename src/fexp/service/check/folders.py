"""What each path, glob and date matches now."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from fexp.service.check.finding import Finding, error, ok, warning
from fexp.service.check.walk import Outcome
from fexp.service.places import dated_path
from fexp.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fexp.counting.selection import Folder
    from fexp.service.check.setup import Match, Setup
    from fexp.service.check.walk import Walked

_SHOWN_MAX = 10
"""Of folders that are named one by one; more are added up."""


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what is there, and what is not."""
    walked = {one.folder.path: one for one in setup.walked}
    for match in setup.matches:
        yield from _of_match(match, [walked[folder.path] for folder in match.folders], setup)
    for double in setup.places.doubles:
        yield warning(
            visible(double),
            "It is counted once, as the first of them says.",
            "narrow one of the paths",
        )
    fine = []
    for one in setup.walked:
        if one.outcome is Outcome.HANGS:
            yield _hangs(one.folder)
        elif isinstance(one.problem, FileNotFoundError):
            yield _missing(one.folder, setup)
        elif isinstance(one.problem, NotADirectoryError):
            yield error(
                f"{one.folder.label} is not a directory",
                "There is nothing to watch; fexp_folder_up is 0.",
                f"ls -ld {_quoted(one.folder)}",
            )
        elif one.problem is None:
            fine.append(one)
        elif not isinstance(one.problem, PermissionError):  # of which the next check speaks
            yield error(
                f"{one.folder.label} cannot be read: {one.problem.strerror}",
                "Nothing is counted there, and fexp_folder_up is 0.",
                f"ls -ld {_quoted(one.folder)}",
            )
    named = {folder.path for folder in setup.settings.folders}
    yield from _numbers([one for one in fine if one.folder.path in named])
    cut = [one for one in setup.walked if one.outcome in (Outcome.CUT, Outcome.WAITING)]
    if cut:
        yield warning(
            f"{_many(len(cut), 'folder')} not looked at to the end, such as {cut[0].folder.label}: it takes too long",
            "What follows does not know all of the directories.",
            f"fexp scan {_quoted(cut[0].folder)}",
        )


def _numbers(walked: Sequence[Walked]) -> Iterator[Finding]:
    if len(walked) > _SHOWN_MAX:
        yield ok(f"{len(walked)} folders: {_counted(walked)}")
        return
    for one in walked:
        yield ok(f"{one.folder.label}: {_counted([one])} ({', '.join(one.folder.selection.labels)})")


def _counted(walked: Iterable[Walked]) -> str:
    whole = list(walked)
    files, directories = sum(one.files for one in whole), sum(one.directories for one in whole)
    at_least = "" if all(one.outcome is Outcome.DONE for one in whole) else "at least "
    return f"{at_least}{_many(files, 'file')} in {_many(directories, 'directory', 'directories')}"


def _many(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _of_match(match: Match, walked: Sequence[Walked], setup: Setup) -> Iterator[Finding]:
    template = match.template
    now = dated_path(template, setup.wall)
    below = "/*" if template.selection.per_subfolder else ""
    shown = f"{template.origin} {template.path}{below}" + (f" (now {now}{below})" if now != template.path else "")
    for problem in match.problems:
        directory = problem.partition(": ")[0]
        command = f"setfacl -m u:{setup.user}:rx" if os.path.isdir(directory) else "mkdir -p"
        yield error(
            f"{shown}: {visible(problem)}",
            "Folders that this path is meant for are not found.",
            f"{command} {shlex.quote(visible(directory))}",
        )
    there = [one for one in walked if one.problem is None]
    if there:
        example = f", such as {match.folders[0].label}" if match.folders[0].label != now else ""
        yield ok(f"{shown} matches {_many(len(match.folders), 'folder')}{example}: {_counted(there)}")
    elif not match.folders and not match.problems:
        yield warning(
            f"{shown} matches nothing now",
            "That is right if the folder is yet to come: it is then watched at once. Else the path is mistaken.",
            f"ls -ld {now}{below}",
        )


def _missing(folder: Folder, setup: Setup) -> Finding:
    is_named = any(folder.path == one.path for one in setup.settings.folders)
    why = "fexp_folder_up is 0 and nothing is counted until it is there; push and write fail."
    if not is_named:  # a date
        return warning(f"{folder.label} is not there", why, f"mkdir -p {_quoted(folder)}")
    return error(f"{folder.label} is not there", why, f"mkdir -p {_quoted(folder)}")


def _hangs(folder: Folder) -> Finding:
    return error(
        f"{folder.label} hangs: its file system does not answer",
        "While it hangs, so does whatever looks at it, and fexp with it.",
        f"findmnt -T {_quoted(folder)}",
    )


def _quoted(folder: Folder) -> str:
    return shlex.quote(visible(os.fsdecode(folder.path)))
