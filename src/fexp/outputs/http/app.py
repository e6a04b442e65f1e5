"""The routes, as an ASGI application. Answers are made off the event loop: a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from fexp.errors import FexpError, SettingsError
from fexp.outputs.http import documents
from fexp.outputs.http.fairness import BusyError
from fexp.outputs.http.file_query import RefusedError, read_query
from fexp.outputs.http.messages import EVENTS, HTML, JSON, Answer, Request, send_answer
from fexp.outputs.http.negotiation import negotiate
from fexp.outputs.http.page import CONTENT_SECURITY_POLICY, render_page
from fexp.outputs.http.single_flight import SingleFlight
from fexp.outputs.http.tls import has_allowed_name

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Hashable, Sequence
    from concurrent.futures import Executor

    from fexp.outputs.http.exposition import Exposition
    from fexp.outputs.http.follow import Following
    from fexp.outputs.http.guard import Rules
    from fexp.outputs.http.limits import Limits
    from fexp.outputs.http.messages import Message, Receive, Send
    from fexp.outputs.http.served import Served

_READ = ("GET", "HEAD")
_OWN_SITE = {"none", "same-origin"}  # values of Sec-Fetch-Site, which only browsers send


class App:
    """All routes over what the daemon serves."""

    def __init__(
        self,
        served: Served,
        exposition: Exposition,
        following: Following,
        *,
        rules: Callable[[], Rules],
        workers: Executor,
        addresses: Sequence[str],
        limits: Limits,
        log: logging.Logger,
    ) -> None:
        self._served = served
        self._exposition = exposition
        self._following = following
        self._rules = rules
        self._workers = workers
        self._addresses = addresses
        self._limits = limits
        self._log = log
        self._flights: dict[str, SingleFlight[Answer]] = {
            path: SingleFlight() for path in ("/metrics", "/api/v1/files", "/-/reload")
        }
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[Request], Answer]]] = {
            "/": (_READ, self._page),
            "/metrics": (_READ, self._metrics),
            "/-/healthy": (_READ, lambda _: Answer(b"fexp is healthy.\n")),
            "/-/ready": (_READ, self._ready),
            "/-/reload": (("POST",), self._reload),
            "/api/v1/metadata": (_READ, self._metadata),
            "/api/v1/folders": (_READ, self._folders),
            "/api/v1/files": (_READ, self._files),
            "/api/v1/events": (_READ, lambda _: Answer(b"", EVENTS)),
            "/api/v1/sd": (_READ, self._discovery),
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, rules = Request.of(scope), self._rules()
        try:
            refusal = await self._refusal(request, rules)
            if refusal is None and request.path == "/api/v1/events" and request.method == "GET":
                await self._following.answer(request, rules.config.headers, receive, send)
            else:
                await send_answer(send, refusal or await self._answer(request), request, rules.config.headers)
        except asyncio.CancelledError:
            pass  # the server stops; the connection is already cut

    async def _refusal(self, request: Request, rules: Rules) -> Answer | None:
        if request.header_bytes > self._limits.header_bytes:
            return Answer(b"Request Header Fields Too Large\n", status=431)
        if not rules.bucket.take():
            return Answer(b"Too Many Requests\n", status=429)
        return await self._authenticate(request, rules) or self._routing_error(request)

    async def _authenticate(self, request: Request, rules: Rules) -> Answer | None:
        """Return the answer for a client that does not show the right certificate and password."""
        if rules.config.tls and not has_allowed_name(request.certificate, rules.config.tls.client_allowed_sans):
            return Answer(b"the certificate carries no allowed name\n", status=403)
        try:
            authorization = request.headers.get("authorization", "")
            if rules.users is None or await rules.users.admits(authorization, request.client, self._workers):
                return None
        except BusyError:
            await asyncio.sleep(self._limits.turned_away_seconds)
            return Answer(b"too many passwords to check\n", status=503, headers={"Retry-After": "1"})
        return Answer(b"Unauthorized\n", status=401, headers={"WWW-Authenticate": 'Basic realm="fexp"'})

    def _routing_error(self, request: Request) -> Answer | None:
        if request.path not in self._routes:
            return Answer(b"Not Found\n", status=404)
        methods, _ = self._routes[request.path]
        if request.method not in methods:
            return Answer(b"Method Not Allowed\n", status=405, headers={"Allow": ", ".join(methods)})
        if request.method == "POST" and request.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            return Answer(b"not from a page of another site\n", status=403)
        return None

    async def _answer(self, request: Request) -> Answer:
        _, make = self._routes[request.path]
        if request.path == "/-/healthy":
            return make(request)  # also while all workers are busy
        work, flight = partial(self._made, make, request), self._flights.get(request.path)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await (flight.get(_key(request), work) if flight else work())
        except TimeoutError:
            self._log.error("no answer to %s within %g s", request.path, self._limits.answer_seconds)
            return Answer(b"Service Unavailable\n", status=503)

    async def _made(self, make: Callable[[Request], Answer], request: Request) -> Answer:
        def work() -> Answer:
            try:
                self._served.catch_up()
                return make(request)
            except Exception:  # noqa: BLE001 - the fault of one answer stays one answer's
                self._log.exception("cannot answer %s", request.path)
                return Answer(b"Internal Server Error\n", status=500)

        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    def _metrics(self, request: Request) -> Answer:
        wanted = negotiate(request.headers, request.query)
        body, headers = wanted.encode(self._exposition.pieces(wanted.form, wanted.names))
        return Answer(body, headers["Content-Type"], headers=headers)

    def _ready(self, _: Request) -> Answer:
        ready, document = documents.readiness(self._served.unready(), self._served.statuses())
        return _json(document, status=200 if ready else 503)

    def _reload(self, _: Request) -> Answer:
        try:
            self._served.reload()
        except FexpError as error:
            status = 400 if isinstance(error, SettingsError) else 500
            return Answer(f"{error}\n".encode(errors="replace"), status=status)
        return Answer(b"reloaded\n")

    def _metadata(self, _: Request) -> Answer:
        served = self._served
        return _json(documents.metadata(served.metadata(), served.snapshot(), served.statuses(), self._addresses))

    def _folders(self, _: Request) -> Answer:
        return _json(documents.folders(self._served.snapshot(), self._served.statuses()))

    def _files(self, request: Request) -> Answer:
        snapshot = self._served.snapshot()
        try:
            query = read_query(request.query, snapshot)
        except RefusedError as refused:
            return Answer(f"{refused}\n".encode(), status=refused.status)
        return _json(documents.files(query, self._served.list_files(query), snapshot))

    def _discovery(self, request: Request) -> Answer:
        return _json(documents.service_discovery(request.headers.get("host", ""), request.server, request.scheme))

    def _page(self, _: Request) -> Answer:
        page = render_page(self._served.snapshot(), self._served.statuses(), time.time())
        return Answer(page, HTML, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def _key(request: Request) -> Hashable:
    """Return what requests for one path have in common that are answered alike."""
    return negotiate(request.headers, request.query) if request.path == "/metrics" else request.query


def _json(document: object, *, status: int = 200) -> Answer:
    return Answer(documents.to_json(document), JSON, status)
