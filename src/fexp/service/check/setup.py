"""What is checked: the settings as fexp would run with them, and what follows from them here and now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fexp import clock as clocks
from fexp.service.check.patience import StillHangsError
from fexp.service.check.user import user_name
from fexp.service.check.walk import Walked, walk
from fexp.service.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.clock import Clock
    from fexp.config.selection import FolderTemplate
    from fexp.config.settings import CheckSettings, Settings
    from fexp.counting.selection import Folder
    from fexp.outputs import Output

T = TypeVar("T")


class Match(NamedTuple):
    """What a path that stands for folders matches now."""

    template: FolderTemplate
    folders: tuple[Folder, ...]
    problems: tuple[str, ...]
    """A line for each directory that could not be listed."""


@dataclass(frozen=True, eq=False)
class Setup:
    """What the checks are given. What costs time is found once, by the first that asks."""

    settings: Settings
    asked: CheckSettings
    outputs: tuple[Output, ...] = ()
    """Those of the settings."""
    hints: tuple[str, ...] = ()
    """What ``watch`` would warn of before it begins."""
    arguments: tuple[str, ...] = ()
    """Of the ``watch`` that is checked."""
    clock: Clock = clocks.now
    _begun: set[str] = field(default_factory=set)
    _found: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def user(self) -> str:
        """The name of the user that fexp would run as."""
        return user_name()

    @cached_property
    def wall(self) -> float:
        """The Unix time of the check."""
        return self.clock().wall

    @cached_property
    def places(self) -> Places:
        """What all paths match, once ``folders`` has found it."""
        return Places(self.settings)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders that there are now."""
        return self._once("folders", lambda: self.places.find(self.wall))

    @property
    def matches(self) -> tuple[Match, ...]:
        """What each path with a glob or a date, and each folder of subfolders, matches."""
        return self._once("matches", lambda: tuple(map(self._match, self.settings.templates)))

    @property
    def walked(self) -> list[Walked]:
        """What a look at the folders finds."""
        return self._once("walked", lambda: walk(self.folders, self.wall))

    def _match(self, template: FolderTemplate) -> Match:
        places = Places(replace(self.settings, folders=(), templates=(template,)))
        return Match(template, places.find(self.wall), tuple(places.problems))

    def _once(self, name: str, find: Callable[[], T]) -> T:
        """Return what was found the first time. Raise StillHangsError if the first who looked never came back."""
        if name not in self._found:
            if name in self._begun:
                raise StillHangsError
            self._begun.add(name)
            self._found[name] = find()
        found: T = self._found[name]
        return found
