"""Other processes, as far as this one may see them: proc(5)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INOTIFY = "anon_inode:inotify"
_LISTENS = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


class Identity(NamedTuple):
    """Whom the kernel takes a process for when it touches a file."""

    user: int
    groups: frozenset[int]


class InotifyUse(NamedTuple):
    """What a user has of inotify."""

    instances: int
    watches: int


def processes() -> Iterator[int]:
    """Yield those that can be seen."""
    yield from (int(name) for name in os.listdir("/proc") if name.isdecimal())


def command_line(process: int) -> tuple[str, ...]:
    """Return the program and its arguments; nothing of one that is gone or hidden."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return tuple(map(os.fsdecode, file.read().removesuffix(b"\0").split(b"\0")))
    except OSError:
        return ()


def identity(process: int) -> Identity | None:
    """Return who a process is; None of one that is gone or hidden."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            fields = {name: value.split() for name, _, value in (line.partition(":") for line in file)}
        groups = frozenset(map(int, [fields["Gid"][3], *fields["Groups"]]))
        return Identity(int(fields["Uid"][3]), groups)
    except (OSError, KeyError, ValueError, IndexError):
        return None


def listener(port: int) -> int | None:
    """Return the process that listens on a TCP port; None if that cannot be seen."""
    inodes: set[str] = set()
    for table in _TABLES:
        with suppress(OSError), open(table, encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
            inodes.update(row[9] for row in rows if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port)
    return _having(lambda target: target.removeprefix("socket:[").removesuffix("]") in inodes) if inodes else None


def inotify_use(without: int | None = None) -> InotifyUse:
    """Return what this user's processes have, as far as they can be seen."""
    instances = watches = 0
    for process in processes():
        if process == without:
            continue
        for descriptor, target in _descriptors(process):
            if target == _INOTIFY and _is_own(process):
                instances += 1
                with suppress(OSError), open(f"/proc/{process}/fdinfo/{descriptor}", "rb") as file:
                    watches += sum(line.startswith(b"inotify wd:") for line in file)
    return InotifyUse(instances, watches)


def _is_own(process: int) -> bool:
    try:
        return os.stat(f"/proc/{process}").st_uid == os.geteuid()
    except OSError:
        return False


def _having(is_wanted: Callable[[str], bool]) -> int | None:
    """Return the process that has such a descriptor."""
    return next(
        (process for process in processes() if any(is_wanted(target) for _, target in _descriptors(process))), None
    )


def _descriptors(process: int) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        for name in os.listdir(f"/proc/{process}/fd"):
            with suppress(OSError):
                yield name, os.readlink(f"/proc/{process}/fd/{name}")
