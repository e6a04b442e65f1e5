"""Runs probes: each in a thread of its own, so that one that hangs, raises or floods costs its own samples only."""

from __future__ import annotations

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

    def start(self, subscribe: Callable[[], Subscription]) -> None:
        """Do nothing."""

    def refresh(self) -> None:
        """Do nothing."""

    def shown_in(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot."""
        return snapshot

    def unready(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def probes_of(
    settings: Settings, folders: Sequence[Folder], changed: Callable[[], None], clock: Clock
) -> Probes | NoProbes:
    """Return what runs the probes of the settings. Who has none imports nothing for them."""
    if not settings.probes:
        return NoProbes()
    from fexp.service.probes.all import Probes

    return Probes(settings, folders, changed=changed, clock=clock)
