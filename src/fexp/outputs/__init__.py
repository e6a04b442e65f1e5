"""Where the numbers go. One module an output; none knows another.

An output that delivers by itself implements ``Output`` and is driven by a ``Publisher`` thread of its own
(``fexp.outputs.publisher``). ``http`` serves when asked and is not driven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric


class Collects(Protocol):
    """Anything that gives families: a ``FexpCollector``, a registry."""

    def collect(self) -> Iterable[Metric]:
        """Give the families as they are now."""
        ...


class Output(Protocol):
    """One place that numbers are delivered to.

    One thread calls ``publish`` and ``retract``, which may block for long and raise ``OutputError`` and nothing else.
    """

    name: str
    """The value of the label ``output``: textfile, gateway or remote_write."""
    target: str
    """What a person calls the other side: a path, or a URL without credentials."""

    @property
    def place(self) -> str | None:
        """What only one may keep: a file's real path, a group's URL. None where any number may deliver."""
        ...

    def check(self) -> None:
        """Say with a SettingsError what would keep it from delivering now, as far as this machine can tell."""
        ...

    def publish(self, source: Collects) -> None:
        """Deliver the numbers as they are now. Doing it twice is harmless."""
        ...

    def retract(self) -> None:
        """Take back what was delivered: remove the file, delete the group. Harmless when nothing is there."""
        ...

    def hurry(self) -> None:
        """Spend no patience from now on: fexp stops. Called from another thread, before the last publish or retract."""
        ...

    def close(self) -> None:
        """End what is under way and free connections: nothing is sent after it. From any thread, also twice."""
        ...
