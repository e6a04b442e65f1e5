"""The server as the daemon sees it: open, start, stop."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fexp.limits import starting_threads
from fexp.outputs.http.limits import Limits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from fexp.model import ReloadSnapshot
    from fexp.outputs.http.acceptor import Acceptor
    from fexp.outputs.http.guard import Guard
    from fexp.outputs.http.listen import Listen
    from fexp.outputs.http.served import Served
    from fexp.outputs.http.sockets import Bound
    from fexp.outputs.rendering import Renderers

_WORKERS = 8
_LOOK_EVERY_SECONDS = 1.0


class HttpServer:
    """Serves what the daemon knows. ``open`` first, then ``start``; ``stop`` at any time, also twice."""

    def __init__(
        self,
        listens: Sequence[Listen],
        served: Served,
        *,
        web_config: str | None = None,
        log: logging.Logger | None = None,
        limits: Limits | None = None,
        renderers: Renderers | None = None,
    ) -> None:
        self.addresses: list[str] = []
        """Where it listens, as URLs; known once it is open."""
        self._listens = listens
        self._served = served
        self._web_config = web_config
        self._renderers = renderers
        self._log = log or logging.getLogger("fexp.http")
        self._limits = limits or Limits()
        self._bound: list[Bound] = []
        self._guard: Guard | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None
        self._acceptor: Acceptor | None = None
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Read the web config and bind all addresses. Raise SettingsError if one cannot be; then nothing is bound."""
        from fexp.outputs.http.guard import Guard
        from fexp.outputs.http.sockets import open_all

        self._guard = Guard(self._web_config, self._log)
        self._bound = open_all(self._listens)
        scheme = "https" if self._guard.rules.context else "http"
        self.addresses = [bound.url(scheme) for bound in self._bound]

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._acceptor.connections if self._acceptor is not None else 0

    def reload(self) -> None:
        """Read the web config again. Raise SettingsError if it is bad; the old one then stays in force."""
        if self._guard is not None:
            self._guard.reload()

    def latest_reload(self) -> ReloadSnapshot | None:
        """Return how the latest reading of the web config went; None without one."""
        return self._guard.latest if self._guard is not None else None

    def start(self) -> None:
        """Answer from now on, in threads of its own. Clients that came since ``open`` are answered first.

        Raise OSError when a thread or a descriptor that it needs cannot be had.
        """
        self._thread = threading.Thread(target=self._run, name="fexp-http", daemon=True)
        with starting_threads():
            self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Let answers under way end, for a bounded time, then close everything."""
        if self._thread is not None and self._loop is not None and self._leaving is not None:
            try:
                self._loop.call_soon_threadsafe(self._leaving.set)
            except RuntimeError:
                pass  # the loop has ended by itself
            self._thread.join(self._limits.stop_seconds + 2)
        for bound in self._bound:
            bound.close()
        self._bound = []
        self._thread = None

    def _run(self) -> None:
        try:
            import asyncio

            with _started_workers() as workers:
                asyncio.run(self._serve(workers))
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise to: start() does, or the log
            self._failure = error
            if self._started.is_set():
                self._log.critical("the HTTP server has ended", exc_info=error)
        finally:
            self._started.set()

    async def _serve(self, workers: Executor) -> None:
        import asyncio

        from fexp.outputs.http.acceptor import Acceptor
        from fexp.outputs.http.app import App
        from fexp.outputs.http.exposition import Exposition
        from fexp.outputs.http.follow import Following

        guard = self._guard
        assert guard is not None, "open() comes before start()"
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()

        following = Following(self._served, self._limits)
        app = App(
            self._served,
            Exposition(self._served.scrape, self._log, renderers=self._renderers),
            following,
            rules=lambda: guard.rules,
            workers=workers,
            addresses=self.addresses,
            limits=self._limits,
            log=self._log,
        )
        self._acceptor = Acceptor(app, lambda: guard.rules.context, self._limits, self._log)
        self._acceptor.start(bound.socket for bound in self._bound)
        looking = asyncio.create_task(_follow_files(guard, workers)) if self._web_config else None
        self._started.set()
        await self._leaving.wait()
        if looking is not None:
            looking.cancel()
        following.leave()
        await self._acceptor.stop()


@contextmanager
def _started_workers() -> Iterator[Executor]:
    """Yield a pool of threads that all run already: later there may be none to be had, and answers would fail."""
    from concurrent.futures import ThreadPoolExecutor

    workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="fexp-http-work")
    all_run = threading.Event()
    try:
        with starting_threads():
            for _ in range(_WORKERS):
                workers.submit(all_run.wait)  # none is idle, so that each takes a thread of its own
        all_run.set()
        yield workers
    finally:
        all_run.set()
        workers.shutdown(wait=False, cancel_futures=True)


async def _follow_files(guard: Guard, workers: Executor) -> None:
    """Have the guard follow its files. Off the loop: on a dead network file system they never answer."""
    import asyncio

    while True:
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
        await asyncio.get_running_loop().run_in_executor(workers, guard.look)
