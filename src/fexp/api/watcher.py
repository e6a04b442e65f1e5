"""An engine of a program: it begins when it is needed, and ends with whoever holds it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from fexp import clock as clocks
from fexp.engine import Engine
from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fexp.clock import Clock
    from fexp.config.settings import EngineSettings
    from fexp.counting.selection import Folder


class ClosedError(FexpError):
    """It is closed."""


class Watcher:
    """Watches folders from the first use until ``close``, or until nobody holds it any more.

    A process that was forked has no threads of its parent: there it begins anew, with numbers of its own.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        settings: EngineSettings,
        *,
        changed: Callable[[], None] = lambda: None,
        clock: Clock = clocks.now,
    ) -> None:
        self._folders = folders
        self._settings = settings
        self._changed = changed
        self._clock = clock
        self._engine: Engine | None = None
        self._news = threading.Condition()
        self._closed = False
        self._end: Callable[[], object] = lambda: None
        self._renew()
        _WATCHERS.add(self)

    def _renew(self) -> None:
        """Have no engine."""
        self._lock = threading.Lock()
        if self._engine is not None:
            _INHERITED.append(self._engine)
        self._engine = None

    def engine(self) -> Engine:
        """Return the engine, started. Raise ClosedError, or FexpError when the system grants too little."""
        with self._lock:
            if self._closed:
                raise ClosedError("it is closed: make another one")
            if self._engine is None:
                self._engine = self._started()
                self._end = weakref.finalize(self, _stop, self._engine, os.getpid())
            return self._engine

    def _started(self) -> Engine:
        """Return a new engine. It must not hold the watcher, or nobody could be the last who does."""
        news, notify = threading.Condition(), self._changed
        self._news = news

        def changed() -> None:
            with news:
                news.notify_all()
            notify()

        try:
            engine = Engine(self._folders, self._settings, changed=changed, clock=self._clock)
            engine.start()
        except OSError as error:
            raise FexpError(f"cannot watch: {error.strerror or error}") from error
        return engine

    def looked(self, timeout_seconds: float) -> Engine:
        """Return the engine once the first look at all folders is done, or the time is over. Raise as ``engine``."""
        engine = self.engine()
        if engine.looking() and engine.is_alive():
            with self._news:
                self._news.wait_for(lambda: not engine.looking(), timeout_seconds)
        return engine

    def close(self) -> None:
        """End the watching. Harmless when it has ended or not begun."""
        with self._lock:
            self._closed = True
        self._end()


def refuse_dead(engine: Engine) -> None:
    """Raise FexpError if the engine's thread has died."""
    if not engine.is_alive():
        raise FexpError("the engine has died; its last words are above. Better no numbers than old ones")


def _stop(engine: Engine, process_id: int) -> None:
    if os.getpid() != process_id:
        return  # what a fork has copied belongs to the parent: its processes, its watches
    if engine.is_own_thread():  # it collects garbage, too, and cannot wait for itself
        threading.Thread(target=engine.stop, name="fexp-stop", daemon=True).start()
    else:
        engine.stop()


_WATCHERS: weakref.WeakSet[Watcher] = weakref.WeakSet()
_INHERITED: list[Engine] = []
"""Engines of a parent process. They are kept: to free one would end what the parent still uses."""


def _renew_all() -> None:
    for watcher in _WATCHERS:
        watcher._renew()


os.register_at_fork(after_in_child=_renew_all)
