"""Calls what a user wrote: functions, generators, and both of asyncio; with what its lifespan set up."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fexp.metrics.declared import Sample

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from fexp.probes.probe import Probe


class Caller:
    """Calls one probe. Belongs to one thread, with a loop of its own if the probe is asynchronous."""

    def __init__(self, probe: Probe, settings: Mapping[str, Any]) -> None:
        self._probe = probe
        self._settings = settings
        self._runner: asyncio.Runner | None = None
        self._lifespan: Any = None
        self._state: tuple[Any, ...] = ()

    def call(self, arguments: tuple[Any, ...], take: Callable[[object], None], timeout_seconds: float) -> None:
        """Call it, and ``take`` each thing that it yields. What ``take`` raises ends it."""
        self.set_up()
        found = self._probe.function(*arguments, *self._state, **self._settings)
        if inspect.isawaitable(found) or hasattr(found, "__aiter__"):
            self._run(_gathered(found, take, timeout_seconds))
        else:
            _take_all(found, take)

    def set_up(self) -> None:
        """Begin its lifespan unless that was done."""
        if self._probe.set_up is not None and self._lifespan is None:
            self._begin()

    def close(self) -> None:
        """Tear down what was set up."""
        lifespan, self._lifespan = self._lifespan, None
        try:
            if lifespan is not None:
                self._next(lifespan)
        finally:
            if self._runner is not None:
                self._runner.close()

    def _begin(self) -> None:
        assert self._probe.set_up is not None
        wants = inspect.signature(self._probe.set_up).parameters
        lifespan = self._probe.set_up(*([SimpleNamespace(**self._settings)] if wants else []))
        found = self._next(lifespan)
        self._state = found if self._probe.takes_state else ()
        self._lifespan = lifespan

    def _next(self, lifespan: Any) -> tuple[Any, ...]:
        """Go on to the next yield. Return what it yields, nothing at the end."""
        if hasattr(lifespan, "__anext__"):
            found = self._run(_anext(lifespan))
            return found if isinstance(found, tuple) else ()
        return next(((one,) for one in lifespan), ())

    def _run(self, work: Any) -> object:
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        return self._runner.run(work)


async def _gathered(found: Any, take: Callable[[object], None], timeout_seconds: float) -> None:
    import asyncio

    async with asyncio.timeout(timeout_seconds):
        if hasattr(found, "__aiter__"):
            async for one in found:
                take(one)
        else:
            _take_all(await found, take)


async def _anext(lifespan: Any) -> tuple[Any, ...]:
    async for one in lifespan:
        return (one,)
    return ()


def _take_all(found: Any, take: Callable[[object], None]) -> None:
    if isinstance(found, Sample):
        take(found)
    elif found is not None:
        for one in found:
            take(one)
