"""Where the numbers go. One module an output; none knows another.

An output that delivers by itself implements ``Output``, is named in ``fexp.outputs.kinds`` and is driven by a
``Publisher`` thread of its own (``fexp.outputs.publisher``); one whose snapshots wait for a receiver implements
``QueueingOutput`` and has another thread that takes them. ``http`` serves when asked and is not driven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from fexp.config.output import OutputSettings
    from fexp.metrics import Scope


class Collects(Protocol):
    """A source of families: a ``FexpCollector``, a registry."""

    def collect(self) -> Iterable[Metric]:
        """Return the families as they are now."""
        ...


class Output(Protocol):
    """One place that numbers are delivered to.

    One thread calls ``publish`` and ``retract``, which may block for long and raise ``OutputError`` and nothing else.
    """

    settings_type: ClassVar[type[OutputSettings]]
    """Declares the options of the output."""

    name: str
    """The value of the label ``output``: the kind of its settings."""

    target: str
    """What a person calls the other side: a path, or a URL without credentials."""

    def __init__(self, settings: Any, /) -> None:
        """Take settings of ``settings_type``. Touches nothing. Raise SettingsError."""

    @property
    def scopes(self) -> Collection[Scope]:
        """The families that it delivers."""
        ...

    @property
    def dropped_snapshots(self) -> int | None:
        """How many snapshots it has given up. None for an output that keeps none."""
        ...

    @property
    def place(self) -> str | None:
        """What only one may keep: a file's real path, a group's URL. None where any number may deliver."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """The paths of the files that it writes on this machine, each with the glob that matches all such names."""
        ...

    def check(self) -> None:
        """Raise a SettingsError if something on this machine keeps it from delivering now."""
        ...

    def prepare(self) -> None:
        """Take what each delivery needs, such as a thread: later there may be none. Raise OSError if there is none now.

        Called before the first delivery of a daemon.
        """
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


@runtime_checkable
class QueueingOutput(Output, Protocol):
    """An output whose snapshots wait for its other side. One thread may ``take`` them while another sends."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to send."""
        ...

    def take(self, source: Collects) -> int:
        """Keep the numbers as they are now, without waiting for the other side. Return how many snapshots fell out."""
        ...

    def flush(self) -> None:
        """Deliver what waits, or some of it. As ``publish``, it may block for long and raise ``OutputError``."""
        ...
