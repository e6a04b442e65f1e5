"""Which directory a FOLDER names, said as the user meant it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LINKS_MAX = 40
"""As the kernel: path_resolution(7)."""


def absolute_folder(path: str, working_directory: Callable[[], str], read_link: Callable[[str], str]) -> str:
    """Return the absolute path of a folder: no slash at the end, one where there were two, no ``.`` and no ``..``.

    Symlinks stay as they are, except one that ``..`` follows: ``LINK/..`` is the parent of the directory that it points
    to. ``read_link`` raises OSError for what is no link.
    """
    waiting = _components(path)
    if not path.startswith("/"):
        waiting = _components(working_directory()) + waiting
    waiting.reverse()
    found: list[str] = []
    links = 0
    while waiting:
        name = waiting.pop()
        if name != "..":
            found.append(name)
            continue
        try:
            target = read_link("/" + "/".join(found)) if found and links < _LINKS_MAX else ""
        except OSError:
            target = ""
        if target:
            links += 1
            waiting += ["..", *reversed(_components(target))]
        if target.startswith("/"):
            found.clear()
        else:
            del found[-1:]
    return "/" + "/".join(found)


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
