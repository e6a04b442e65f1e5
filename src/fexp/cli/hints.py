"""What somebody may have meant whose command line did not do."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_GLOB = re.compile(r"[*?]|\[[^]]+\]")


def meant_instead(arguments: Sequence[str], commands: Iterable[str]) -> str | None:
    """Return the command line that was meant if the first argument is no command; None when nobody can say."""
    if not arguments or arguments[0] in commands:
        return None
    import shlex

    if arguments[0] == "help":
        return shlex.join(["fexp", *(name for name in arguments[1:2] if name in commands), "--help"])
    return shlex.join(["fexp", "watch", *arguments]) if os.path.exists(arguments[0]) else None


def taken_as_paths(folders: Iterable[str]) -> Iterator[str]:
    """Yield a line for each path that is not there and looks like a glob that no shell expanded."""
    import shlex

    for path in folders:
        if _GLOB.search(path) and not os.path.lexists(path):
            folder, name = os.path.split(path)
            is_deep = _GLOB.search(folder)
            way_out = "leave out the quotes" if is_deep else f"give {shlex.join([folder or '.', '--match', name])}"
            yield f"{path} is taken as it stands; for a glob {way_out}"


@contextmanager
def added_to_failure(hints: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Add to a FexpError of the block what may have led to it."""
    try:
        yield
    except FexpError as error:
        error.args = ("; ".join((str(error), *hints())),)
        raise
