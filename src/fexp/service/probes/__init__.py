"""Runs probes: each in a thread of its own, so that one that hangs, raises or floods costs its own samples only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.clock import Clock
    from fexp.config.settings import Settings
    from fexp.counting.selection import Folder
    from fexp.engine.feed import Subscription
    from fexp.model import Snapshot
    from fexp.service.probes.all import Probes


class NoProbes:
    """What ``Probes`` is where none were asked for."""

    def __init__(self, make: Callable[[Settings, Sequence[Folder]], Probes], folders: Sequence[Folder]) -> None:
        self._make = make
        self._folders = folders
        self._subscribe: Callable[[], Subscription] | None = None

    def start(self, subscribe: Callable[[], Subscription]) -> None:
        """Do nothing yet."""
        self._subscribe = subscribe

    def replaced(self, settings: Settings) -> Probes | NoProbes:
        """Return what runs the probes of these settings, at work."""
        if not settings.probes:
            return self
        probes = self._make(replace(settings, probes=()), self._folders)
        probes.start(self._subscribe)
        return probes.replaced(settings)

    def refresh(self) -> None:
        """Do nothing."""

    def shown_in(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot."""
        return snapshot

    def unready(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Do nothing yet."""
        self._folders = folders

    def stop(self) -> None:
        """Do nothing."""


def probes_of(
    settings: Settings, folders: Sequence[Folder], changed: Callable[[], None], clock: Clock
) -> Probes | NoProbes:
    """Return what runs the probes of the settings. Who has none imports nothing for them."""

    def make(settings: Settings, folders: Sequence[Folder]) -> Probes:
        from fexp.service.probes.all import Probes

        return Probes(settings, folders, changed=changed, clock=clock)

    return make(settings, folders) if settings.probes else NoProbes(make, folders)
