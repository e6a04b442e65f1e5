"""The server as the daemon sees it: open, start, stop."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

from fexp import __version__
from fexp.outputs.http.events import EventStream
from fexp.outputs.http.limits import Limits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from fexp.model import FolderStatus, ReloadSnapshot, Snapshot
    from fexp.outputs.http.guard import Guard, Rules
    from fexp.outputs.http.listen import Listen
    from fexp.outputs.http.loop import Server
    from fexp.outputs.http.sockets import Bound

_WORKERS = 8


class Served(Protocol):
    """What the server asks the daemon. Called from several threads."""

    def snapshot(self) -> Snapshot:
        """Give the numbers as they are now."""
        ...

    def statuses(self) -> Sequence[FolderStatus]:
        """Tell how far the watching of each folder is."""
        ...

    def unready(self) -> Sequence[str]:
        """Give the reasons why fexp is not ready, one line each; none when it is."""
        ...

    def reload(self) -> None:
        """Read the config again. Raises ``SettingsError`` and keeps the old one when it is wrong."""
        ...

    def metadata(self) -> Mapping[str, object]:
        """Describe config and outputs, without secrets, in what JSON can say."""
        ...


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
    ) -> None:
        self.events = EventStream()
        """Takes what happens to files, for the clients that follow along."""
        self.addresses: list[str] = []
        """Where it listens, as URLs; known once it is open."""
        self._listens = listens
        self._served = served
        self._web_config = web_config
        self._log = log or logging.getLogger("fexp.http")
        self._limits = limits or Limits()
        self._bound: list[Bound] = []
        self._guard: Guard | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Read the web config and bind all addresses. Raises ``SettingsError``; then nothing is bound."""
        from fexp.outputs.http.guard import Guard
        from fexp.outputs.http.sockets import open_all

        self._guard = Guard(self._web_config, self._log)
        self._bound = open_all(self._listens)
        scheme = "https" if self._guard.rules.context else "http"
        self.addresses = [bound.url(scheme) for bound in self._bound]

    def reload(self) -> None:
        """Read the web config again. Raises SettingsError; the old one then stays in force."""
        if self._guard is not None:
            self._guard.reload()

    def latest_reload(self) -> ReloadSnapshot | None:
        """Tell how the latest reading of the web config went; None without one."""
        return self._guard.latest if self._guard is not None else None

    def start(self) -> None:
        """Answer from now on, in a thread of its own. Clients that came since ``open`` are answered first."""
        self._thread = threading.Thread(target=self._run, name="fexp-http", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Let answers under way end, for a bounded time, then close everything."""
        if self._thread is not None and self._loop is not None and self._server is not None:
            try:
                self._loop.call_soon_threadsafe(self._server.leave)
            except RuntimeError:
                pass  # the loop has ended by itself
            self._thread.join(self._limits.stop_seconds + 2)
        for bound in self._bound:
            bound.close()
        self._bound = []
        self._thread = None

    def _run(self) -> None:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="fexp-http-work")
        checker = ThreadPoolExecutor(1, thread_name_prefix="fexp-http-check")
        looker = ThreadPoolExecutor(1, thread_name_prefix="fexp-http-look")
        try:
            asyncio.run(self._serve(workers, checker, looker))
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise to: start() does, or the log
            self._failure = error
            if self._started.is_set():
                self._log.critical("the HTTP server has ended", exc_info=error)
        finally:
            self._started.set()
            for executor in (workers, checker, looker):
                executor.shutdown(wait=False, cancel_futures=True)

    async def _serve(
        self, workers: ThreadPoolExecutor, checker: ThreadPoolExecutor, looker: ThreadPoolExecutor
    ) -> None:
        import asyncio

        from fexp.outputs.http.app import App
        from fexp.outputs.http.exposition import Exposition
        from fexp.outputs.http.loop import Server as LoopServer

        loop = asyncio.get_running_loop()
        guard = self._guard
        assert guard is not None, "open() comes before start()"

        def on(executor: ThreadPoolExecutor) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
            return lambda work: loop.run_in_executor(executor, work)

        async def rules() -> Rules:
            return await guard.refresh(on(looker))

        app = App(
            self._served,
            Exposition(self._served.snapshot, self._log),
            self.events,
            rules=rules,
            work_off_loop=on(workers),
            check_off_loop=on(checker),
            addresses=self.addresses,
            limits=self._limits,
            log=self._log,
        )
        self._loop = loop
        self._server = LoopServer(
            app,
            rules,
            limits=self._limits,
            name=f"fexp/{__version__}",
            log=self._log,
            on_started=self._started.set,
            on_leaving=app.leave,
        )
        await self._server.serve([bound.socket for bound in self._bound])
