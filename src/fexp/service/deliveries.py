"""The outputs at work. A reload replaces some of them while the others go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from fexp.outputs.queueing import publisher_for
from fexp.service.locks import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.config.output import OutputSettings
    from fexp.config.settings import Settings
    from fexp.model import DeliverySnapshot
    from fexp.outputs import Collects, Output
    from fexp.outputs.publisher import Publisher

_log = logging.getLogger("fexp")

_REPLACED_SECONDS = 12.0
"""How long a reload waits for the last delivery of an output that it replaces."""


class _Driven(NamedTuple):
    settings: OutputSettings
    output: Output
    publisher: Publisher


class Deliveries:
    """Drives the outputs. One thread starts and stops them, or a reload replaces them; any may read."""

    def __init__(self, settings: Settings, outputs: Sequence[Output], source_for: Callable[[Output], Collects]) -> None:
        """``outputs`` are those of the settings."""
        self._delivery = settings.delivery
        self._source_for = source_for
        self._places = Places()
        self._is_started = self._is_stopped = False
        self._driven = tuple(self._drive(*pair) for pair in zip(settings.outputs, outputs, strict=True))

    @property
    def publishers(self) -> tuple[Publisher, ...]:
        """What drives them."""
        return tuple([driven.publisher for driven in self._driven])

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs."""
        return tuple([driven.output for driven in self._driven])

    def hold(self, outputs: Sequence[Output]) -> None:
        """Keep the places of these outputs for this process. Raise FexpError if another one is at work there."""
        self._places.hold({output.place: output.target for output in outputs if output.place is not None})

    def release_unused(self) -> None:
        """Leave the places to others that no output here delivers to."""
        self._places.keep({output.place for output in self.outputs})

    def prepare(self) -> None:
        """Take what the deliveries need of the system. Raise OSError."""
        for publisher in self.publishers:
            publisher.prepare()

    def start(self) -> None:
        """Deliver from now on."""
        self._is_started = True
        for publisher in self.publishers:
            publisher.start()

    def announce(self) -> None:
        """Note that the numbers changed."""
        for driven in self._driven:
            driven.publisher.announce()

    def snapshots(self) -> tuple[DeliverySnapshot, ...]:
        """Return how the deliveries go."""
        return tuple(driven.publisher.snapshot() for driven in self._driven)

    def dead(self) -> list[str]:
        """Return the names of those whose thread has ended by itself."""
        return [driven.publisher.name for driven in self._driven if driven.publisher.has_died()]

    def stop(self, now: Callable[[], float], patience_seconds: float) -> None:
        """Stop all at once: what one hanging receiver takes, the others need not wait for."""
        self._is_stopped = True
        until = now() + patience_seconds
        for publisher in self.publishers:
            publisher.stop(retract=not self._delivery.keep_on_exit)
        for publisher in self.publishers:
            publisher.join(until - now())

    def new_among(self, wanted: Sequence[OutputSettings]) -> list[OutputSettings]:
        """Return the settings of outputs that do not run yet."""
        return [one for one in wanted if all(one != driven.settings for driven in self._driven)]

    def replace(self, settings: Settings, built: Sequence[tuple[OutputSettings, Output]]) -> None:
        """Go on with these settings. ``built`` are the outputs that are new, whose places are held."""
        if settings.delivery != self._delivery:
            self._delivery = settings.delivery
            for publisher in self.publishers:
                publisher.deliver_as(settings.delivery)
        kept = [driven for driven in self._driven if driven.settings in settings.outputs]
        ended = [driven for driven in self._driven if driven.settings not in settings.outputs]
        if not ended and not built:
            return
        places = {output.place for _, output in built}
        for driven in ended:
            is_continued = driven.output.place in places
            driven.publisher.stop(retract=not (is_continued or self._delivery.keep_on_exit))
        for driven in ended:
            driven.publisher.join(_REPLACED_SECONDS)
        before = {driven.publisher.name: driven.publisher.snapshot() for driven in ended}
        begun = []
        for pair in built:
            driven = self._drive(*pair)
            driven.publisher.go_on_from(before.get(driven.publisher.name))
            begun.append(driven)
        self._driven = (*kept, *begun)
        self.release_unused()
        for driven in begun:
            try:
                driven.publisher.prepare()
            except OSError as error:
                _log.error("%s: %s is not delivered to: %s", driven.publisher.name, driven.output.target, error)
                continue
            if self._is_started and not self._is_stopped:
                driven.publisher.start()

    def _drive(self, settings: OutputSettings, output: Output) -> _Driven:
        return _Driven(settings, output, publisher_for(output, self._source_for(output), self._delivery))
