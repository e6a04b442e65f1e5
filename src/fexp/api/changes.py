"""``fexp.watch``: what happens to files, as it happens."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from fexp import clock as clocks
from fexp.api.arguments import read_watching, refuse
from fexp.api.watcher import ClosedError, Watcher, refuse_dead
from fexp.engine.feed import DEFAULT_CAPACITY
from fexp.errors import ChangesLostError, FexpError
from fexp.limits import starting_threads
from fexp.model import Happening  # noqa: TC001  # who asks for the types of Change needs it

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import TypeAlias, Unpack

    from fexp.api.arguments import Folders, Watching
    from fexp.clock import Clock
    from fexp.engine.feed import Subscription
    from fexp.model import Change as FeedChange

    Callback: TypeAlias = Callable[["Change"], object]

_log = logging.getLogger("fexp")

_PULSE_SECONDS = 0.5
"""How often somebody who waits asks whether the engine is still alive."""
_AT_ONCE = 256
"""So many changes an event loop gets before others have their turn."""


class Change(NamedTuple):
    """One thing that happened to one file."""

    happening: Happening
    """``"arrival"``, ``"departure"``, ``"modification"``; ``"present"`` of a file that was there at the start."""
    path: Path
    """Absolute, below the folder as it was named."""
    folder: str
    """The folder as its label shows it."""
    patterns: tuple[str, ...]
    """Those that the file's name matches."""
    size_bytes: int
    """Of a departed file: when it was last seen. 0 for one that came and went between two looks."""
    modified_at: float
    """Unix time, as ``size_bytes``."""
    inode: int
    """0 for a file that came and went between two looks: only its name was seen."""
    at: float
    """When it was found, as Unix time."""


def watch(
    folders: Folders,
    *,
    present: bool = False,
    capacity: int = DEFAULT_CAPACITY,
    on_change: Callback | None = None,
    on_arrival: Callback | None = None,
    on_departure: Callback | None = None,
    on_modification: Callback | None = None,
    on_lost: Callable[[int], object] | None = None,
    clock: Clock = clocks.now,
    **arguments: Unpack[Watching],
) -> Watch:
    """Return an iterator, and an async iterator, of what happens to the files of some folders.

    It begins when it is first used, or with ``with``, ``async with`` or ``start``, and is ended by ``close``. A folder
    that is not there is waited for.

    ``present``: first the files that are there. ``capacity``: so many changes may wait to be taken. When they are taken
    too slowly, all that wait are lost, and ChangesLostError is raised in their place: take on after it. With
    ``on_lost`` this is called with their number instead.

    ``on_change`` is called for every change, the others for one kind; see ``Watch.run``. ``clock`` is for tests.
    Raise SettingsError for a wrong argument.
    """
    own, settings = read_watching(folders, arguments)
    if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
        raise refuse("capacity", capacity, "give how many changes may wait, 1 or more")
    if not isinstance(present, bool):
        raise refuse("present", present, "give True or False")
    callbacks: dict[str, Callback | None] = {
        "on_change": on_change,
        "on_arrival": on_arrival,
        "on_departure": on_departure,
        "on_modification": on_modification,
    }
    for name, callback in {**callbacks, "on_lost": on_lost}.items():
        if inspect.iscoroutinefunction(callback):
            raise refuse(name, callback, "a coroutine function is only begun by a call; iterate with async for")
        if callback is not None and not callable(callback):
            raise refuse(name, callback, "give a function")
    bell = _Bell()
    watcher = Watcher(own, settings, changed=bell.ring, clock=clock)
    paths = {folder.label: folder.path for folder in own}
    feed = _Feed(watcher, bell, paths, capacity=capacity, present=present, on_lost=on_lost)
    return Watch(feed, {name: callback for name, callback in callbacks.items() if callback is not None})


class Watch:
    """What happens in some folders. One iterates over it, in one thread or one task; anybody may close it."""

    def __init__(self, feed: _Feed, callbacks: Mapping[str, Callback]) -> None:
        self._feed = feed
        self._callbacks = callbacks
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin, and wait until the first look at all folders is done: what happens from then on is seen.

        With callbacks a thread calls them from now on; what they raise is logged by the logger ``fexp``, once for each
        callback and kind of error.
        """
        self._feed.wait_until_ready()
        self._start_callbacks()
        return self

    def run(self) -> None:
        """Call the callbacks here, until ``close`` is called elsewhere. Raise what they raise."""
        if not self._callbacks or self._thread is not None:
            raise FexpError(
                "a thread calls the callbacks already" if self._callbacks else "there is no callback to call"
            )
        for change in self._feed:
            for callback in self._of(change.happening):
                callback(change)

    def close(self) -> None:
        """End. Who iterates gets no more; what was not taken is dropped. Harmless when it has ended."""
        self._feed.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PULSE_SECONDS)

    def __enter__(self) -> Self:
        """Begin; see ``start``."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; see ``close``."""
        self.close()

    async def __aenter__(self) -> Self:
        """Begin as ``start`` does, while others have their turn."""
        await self._feed.until_ready()
        self._start_callbacks()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; see ``close``."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __iter__(self) -> Self:
        """Return itself."""
        self._refuse_two_takers()
        return self

    def __next__(self) -> Change:
        """Wait for the next change. Raise ChangesLostError for what was lost, StopIteration once it is closed."""
        return next(self._feed)

    def __aiter__(self) -> Self:
        """Return itself."""
        self._refuse_two_takers()
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change. Raise ChangesLostError for what was lost, StopAsyncIteration once it is closed."""
        return await self._feed.next_async()

    def _refuse_two_takers(self) -> None:
        if self._callbacks:
            raise FexpError("the callbacks take the changes: iterate over a watch without any")

    def _of(self, happening: Happening) -> Iterator[Callback]:
        for name in ("on_change", f"on_{happening}"):
            if name in self._callbacks:
                yield self._callbacks[name]

    def _start_callbacks(self) -> None:
        if self._callbacks and self._thread is None:
            self._thread = threading.Thread(target=self._call_back, name="fexp-callbacks", daemon=True)
            with starting_threads():
                self._thread.start()

    def _call_back(self) -> None:
        logged: set[tuple[Callback, type[Exception]]] = set()
        while True:
            try:
                change = next(self._feed)
            except StopIteration:
                return
            except ChangesLostError as error:
                _log.warning("%s", error)
                continue
            except FexpError as error:
                _log.error("%s", error)
                return
            for callback in self._of(change.happening):
                try:
                    callback(change)
                except Exception as error:  # noqa: BLE001 - a callback's fault is that callback's
                    if (callback, type(error)) not in logged:
                        logged.add((callback, type(error)))
                        _log.error("a callback failed, and is called on", exc_info=error)


class _Bell:
    """Wakes who waits, a thread or a task. Any thread may ring."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def ring(self) -> None:
        self._event.set()
        if self._task is not None:
            loop, event = self._task
            with suppress(RuntimeError):  # the loop has just been closed: nobody waits any more
                loop.call_soon_threadsafe(event.set)

    def hush(self) -> None:
        """Forget what rang. Whoever looks after this misses nothing."""
        self._event.clear()
        if self._task is not None:
            self._task[1].clear()

    def wait(self) -> None:
        self._event.wait(_PULSE_SECONDS)

    async def heard(self) -> None:
        """Wait in a task. The first time it returns at once: nothing may have rung for it before."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._task is None or self._task[0] is not loop:
            self._task = (loop, asyncio.Event())
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_PULSE_SECONDS):
                await self._task[1].wait()


class _Feed:
    """A place in an engine's change feed, as an iterator of public changes."""

    def __init__(
        self,
        watcher: Watcher,
        bell: _Bell,
        paths: Mapping[str, bytes],
        *,
        capacity: int,
        present: bool,
        on_lost: Callable[[int], object] | None,
    ) -> None:
        self._watcher = watcher
        self._bell = bell
        self._paths = paths
        self._capacity = capacity
        self._present = present
        self._on_lost = on_lost
        self._subscription: Subscription | None = None
        self._taken: Iterator[FeedChange] = iter(())
        self._given = 0

    def close(self) -> None:
        subscription = self._subscription
        if subscription is not None:
            subscription.close()
        self._watcher.close()
        self._bell.ring()

    def wait_until_ready(self) -> None:
        """Wait until the first look at all folders is done. Raise FexpError when it is closed meanwhile."""
        while not self._ready():
            self._bell.wait()
            self._bell.hush()

    async def until_ready(self) -> None:
        """Wait for the same in a task."""
        while not self._ready():
            await self._bell.heard()
            self._bell.hush()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        with suppress(ClosedError):
            while True:
                self._bell.hush()
                change = self._advance()
                if change is not None:
                    return change
                self._bell.wait()
        raise StopIteration

    async def next_async(self) -> Change:
        import asyncio

        with suppress(ClosedError):
            while True:
                self._bell.hush()
                change = self._advance()
                if change is not None:
                    self._given += 1
                    if self._given % _AT_ONCE == 0:
                        await asyncio.sleep(0)
                    return change
                await self._bell.heard()
        raise StopAsyncIteration

    def _ready(self) -> bool:
        """Return whether it follows. It does so once the first look is done: what was there is no arrival."""
        engine = self._watcher.engine()
        refuse_dead(engine)
        if self._subscription is None and not engine.looking():
            self._subscription = engine.subscribe(
                capacity=self._capacity, present=self._present, notify=self._bell.ring
            )
        return self._subscription is not None

    def _advance(self) -> Change | None:
        """Return the next change, None when there is none yet. Raise ChangesLostError, ClosedError."""
        if not self._ready():
            return None
        change = next(self._taken, None)
        if change is None:
            assert self._subscription is not None
            self._taken, lost = self._subscription.take()
            if lost and self._on_lost is None:
                raise ChangesLostError(lost)
            if lost and self._on_lost is not None:
                self._on_lost(lost)
            change = next(self._taken, None)
        return None if change is None else self._public(change)

    def _public(self, change: FeedChange) -> Change:
        path = Path(os.fsdecode(self._paths[change.folder] + b"/" + change.path))
        return Change(change.happening, path, *change[1:3], *change[4:])
