"""Reports when the path of a folder may lead elsewhere: a step on the way was created, removed, renamed or closed."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import Mask, WatchDescriptor, inotify_add_watch, inotify_rm_watch

from fexp.events.tap import HEADER, Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EVENTS = Mask(
    In.IN_CREATE | In.IN_DELETE | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_ATTRIB | In.IN_DELETE_SELF
    | In.IN_MOVE_SELF | In.IN_ONLYDIR
)  # fmt: skip
_LINKS_MAX = 40
"""So many symlinks the kernel follows on one path, path_resolution(7)."""


class PathWatch:
    """Watches the directories on the way to folders, with an inotify instance of its own.

    ``deliver`` is called by its thread with what ``affected`` reads; all else is called from one thread. Raise OSError
    when there is no instance left.
    """

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._tap = Tap(deliver)
        self._steps: dict[bytes, list[tuple[int, bytes]]] = {}
        """By path: the watch descriptor of each directory on the way, and the name that is looked up in it."""
        self._paths_at: defaultdict[int, defaultdict[bytes, set[bytes]]] = defaultdict(lambda: defaultdict(set))
        """The same the other way round."""
        self._tap.start()

    @property
    def inotify_watches(self) -> int:
        """How many inotify watches it has."""
        return len(self._paths_at)

    def watch(self, path: bytes) -> bool:
        """Watch the way to a folder as it is now, as far as can be. Return False when some of it cannot be watched."""
        before, is_whole = self._steps.get(path, []), True
        steps: list[tuple[int, bytes]] = []
        for directory, name in _way(path):
            descriptor = inotify_add_watch(self._tap.descriptor, directory, _EVENTS)
            if descriptor == -1:
                is_whole = False
                break
            steps.append((descriptor, name))
            self._paths_at[descriptor][name].add(path)
        self._steps[path] = steps
        self._release(path, set(before) - set(steps))
        return is_whole

    def keep(self, paths: set[bytes]) -> None:
        """Stop watching the ways to all other folders."""
        for path in self._steps.keys() - paths:
            self._release(path, set(self._steps.pop(path)))

    def _release(self, path: bytes, steps: set[tuple[int, bytes]]) -> None:
        for descriptor, name in steps:
            paths_by_name = self._paths_at[descriptor]
            paths_by_name[name].discard(path)
            if not paths_by_name[name]:
                del paths_by_name[name]
            if not paths_by_name:
                del self._paths_at[descriptor]
                inotify_rm_watch(self._tap.descriptor, WatchDescriptor(descriptor))

    def affected(self, delivered: bytes) -> set[bytes]:
        """Return the paths that may lead elsewhere after these events."""
        affected: set[bytes] = set()
        start = 0
        while start < len(delivered):
            descriptor, mask, _cookie, length = HEADER.unpack_from(delivered, start)
            start += HEADER.size + length
            if mask & In.IN_Q_OVERFLOW:
                affected.update(self._steps)
            elif descriptor in self._paths_at:
                paths_by_name = self._paths_at[descriptor]
                name = delivered[start - length : start].rstrip(b"\0")
                if name:
                    affected.update(paths_by_name.get(name, ()))
                else:  # the directory itself
                    affected.update(*paths_by_name.values())
        self._tap.read_bytes += len(delivered)
        return affected

    def drained(self) -> bool:
        """Return whether nothing is on its way."""
        return self._tap.drained()

    def close(self) -> None:
        """End the thread and free the instance."""
        self._tap.stop()
        self._tap.join()


def _way(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each directory that the kernel passes on its way, through symlinks, and the name it looks up there."""
    here, ahead, links = b"/", path.split(b"/")[::-1], 0
    while ahead:
        name = ahead.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            here = os.path.dirname(here)
            continue
        yield here, name
        there = os.path.join(here, name)
        try:
            target = os.readlink(there)
        except FileNotFoundError:
            return  # what is made here later is an event
        except OSError:
            here = there  # no link
            continue
        links += 1
        if links > _LINKS_MAX:
            return
        ahead.extend(target.split(b"/")[::-1])
        if target.startswith(b"/"):
            here = b"/"
