"""The fexp that runs already: the one that is checked, or another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fexp.service.check.processes import command_line, processes
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_WATCH = "watch"


def watch_arguments(process: int) -> tuple[str, ...] | None:
    """Return the arguments of a ``fexp watch``; None for any other process."""
    words = command_line(process)
    place = next((number for number, word in enumerate(words[:4]) if word == _WATCH), 0)
    program = words[place - 1] if place else ""
    is_fexp = os.path.basename(program) in {"fexp", "__main__.py"} or words[place - 2 : place] == ("-m", "fexp")
    return words[place + 1 :] if place and is_fexp else None


def is_same(process: int, arguments: Sequence[str]) -> bool:
    """Return whether a process is a ``fexp watch`` with these arguments, in whatever order."""
    found = watch_arguments(process)
    return found is not None and sorted(found) == sorted(arguments)


def running(arguments: Sequence[str]) -> int | None:
    """Return the ``fexp watch`` that runs with these arguments."""
    return next((process for process in processes() if is_same(process, arguments)), None)


def shown(process: int) -> str:
    """Return a process for people."""
    words = command_line(process)
    return f"process {process} ({one_line(' '.join(words), 80)})" if words else f"process {process}"
