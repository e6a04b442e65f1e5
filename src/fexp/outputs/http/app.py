"""The routes, as an ASGI application. Answers are made off the event loop: a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from fexp.errors import FexpError, SettingsError
from fexp.outputs.http import documents
from fexp.outputs.http.follow import Following
from fexp.outputs.http.messages import (
    EVENTS,
    FOLLOWS,
    HALF_CLOSED,
    HTML,
    JSON,
    TURNED_AWAY,
    Answer,
    Request,
    send_answer,
)
from fexp.outputs.http.negotiation import accepts_gzip, choose_format
from fexp.outputs.http.page import CONTENT_SECURITY_POLICY, render_page
from fexp.outputs.http.sharing import Shared
from fexp.outputs.http.turns import BusyError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Sequence

    from fexp.outputs.http.events import EventStream
    from fexp.outputs.http.exposition import Exposition
    from fexp.outputs.http.guard import Rules
    from fexp.outputs.http.limits import Limits
    from fexp.outputs.http.messages import Message, Receive, Send
    from fexp.outputs.http.negotiation import Format
    from fexp.outputs.http.server import Served
    from fexp.outputs.http.users import Users

_READ = ("GET", "HEAD")
_OWN_SITE = {"none", "same-origin"}  # values of Sec-Fetch-Site, which only browsers send
_MOST_PARAMETERS = 1000


class TooMuchError(Exception):
    """The client asks for more than anybody needs."""


class Wish(NamedTuple):
    """How a client wants the metrics."""

    form: Format
    names: frozenset[str]
    gzip: bool


def _wish(request: Request) -> Wish:
    try:
        query = parse_qs(request.query, errors="replace", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise TooMuchError("too many parameters") from None
    return Wish(
        choose_format(request.headers.get("accept", "")),
        frozenset(query.get("name[]", ())),
        accepts_gzip(request.headers.get("accept-encoding", "")),
    )


class App:
    """All routes over what the daemon serves."""

    def __init__(
        self,
        served: Served,
        exposition: Exposition,
        stream: EventStream,
        *,
        rules: Callable[[], Awaitable[Rules]],
        work_off_loop: Callable[[Callable[[], Answer]], Awaitable[Answer]],
        check_off_loop: Callable[[Callable[[], bool]], Awaitable[bool]],
        addresses: Sequence[str],
        limits: Limits,
        log: logging.Logger,
    ) -> None:
        self._served = served
        self._exposition = exposition
        self._following = Following(stream, limits)
        self._rules = rules
        self._work_off_loop = work_off_loop
        self._check_off_loop = check_off_loop
        self._addresses = addresses
        self._limits = limits
        self._log = log
        self._scrapes: Shared[Answer] = Shared()
        self._reloads: Shared[Answer] = Shared()
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[Request], Answer]]] = {
            "/": (_READ, self._page),
            "/metrics": (_READ, self._metrics),
            "/-/healthy": (_READ, lambda _: Answer(b"fexp is healthy.\n")),
            "/-/ready": (_READ, self._ready),
            "/-/reload": (("POST",), self._reload),
            "/api/v1/metadata": (_READ, self._metadata),
            "/api/v1/folders": (_READ, self._folders),
            "/api/v1/events": (_READ, lambda _: Answer(b"", EVENTS)),
            "/api/v1/sd": (_READ, self._discovery),
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request.of(scope)
        rules = await self._rules()
        try:
            refusal = await self._refusal(request, rules)
            follows = refusal is None and request.path == "/api/v1/events" and request.method == "GET"
            if follows and HALF_CLOSED not in request.state:
                request.state[FOLLOWS] = True
                await self._following.answer(request, rules, receive, send)
            else:
                await send_answer(send, refusal or await self._answer(request), request, rules)
        except asyncio.CancelledError:
            pass  # the server stops; the connection is already cut

    def leave(self) -> None:
        """End the event streams. Belongs to the loop."""
        self._following.leave()

    async def _refusal(self, request: Request, rules: Rules) -> Answer | None:
        if "transfer-encoding" in request.headers and "content-length" in request.headers:
            # Two lengths are how requests are smuggled past proxies: RFC 9112, section 6.1.
            return Answer(b"Content-Length beside Transfer-Encoding\n", status=400, headers={"Connection": "close"})
        if not request.path:
            return Answer(b"Bad Request\n", status=400)
        if request.header_bytes > self._limits.header_bytes:
            return Answer(b"Request Header Fields Too Large\n", status=431)
        if not rules.bucket.take():
            return Answer(b"Too Many Requests\n", status=429)
        return await self._stranger(request, rules.users) if rules.users else None

    async def _stranger(self, request: Request, users: Users) -> Answer | None:
        """Answer who does not show right credentials."""
        try:
            if await users.admits(request.headers.get("authorization", ""), request.client, self._check_off_loop):
                return None
        except BusyError:
            request.state[TURNED_AWAY] = True
            await asyncio.sleep(self._limits.turned_away_seconds)
            return Answer(b"too many passwords to check\n", status=503, headers={"Retry-After": "1"})
        return Answer(b"Unauthorized\n", status=401, headers={"WWW-Authenticate": 'Basic realm="fexp"'})

    def _astray(self, request: Request) -> Answer | None:
        """Answer what no route takes."""
        if request.path not in self._routes:
            return Answer(b"Not Found\n", status=404)
        methods, _ = self._routes[request.path]
        if request.method not in methods:
            return Answer(b"Method Not Allowed\n", status=405, headers={"Allow": ", ".join(methods)})
        if request.method == "POST" and request.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            return Answer(b"not from a page of another site\n", status=403)
        return None

    async def _answer(self, request: Request) -> Answer:
        if astray := self._astray(request):
            return astray
        _, make = self._routes[request.path]
        if request.path == "/-/healthy":
            return make(request)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                if request.path == "/-/reload":
                    return await self._reloads.get(None, lambda: self._made(make, request))
                if request.path == "/metrics":
                    return await self._scrapes.get(_wish(request), lambda: self._made(make, request))
                return await self._made(make, request)
        except TooMuchError as error:
            return Answer(f"{error}\n".encode(), status=400)
        except TimeoutError:
            self._log.error("no answer to %s within %g s", request.path, self._limits.answer_seconds)
            return Answer(b"Service Unavailable\n", status=503)

    async def _made(self, make: Callable[[Request], Answer], request: Request) -> Answer:
        def work() -> Answer:
            try:
                return make(request)
            except Exception:  # noqa: BLE001 - the fault of one answer stays one answer's
                self._log.exception("cannot answer %s", request.path)
                return Answer(b"Internal Server Error\n", status=500)

        return await self._work_off_loop(work)

    def _metrics(self, request: Request) -> Answer:
        wish = _wish(request)
        body = self._exposition.render(wish.form, wish.names)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if wish.gzip:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Answer(body, wish.form.content_type, headers=headers)

    def _ready(self, _: Request) -> Answer:
        ready, document = documents.readiness(self._served.unready(), self._served.statuses())
        return Answer(documents.to_json(document), JSON, 200 if ready else 503)

    def _reload(self, _: Request) -> Answer:
        try:
            self._served.reload()
        except SettingsError as error:
            return Answer(f"{error}\n".encode(errors="replace"), status=400)
        except FexpError as error:
            return Answer(f"{error}\n".encode(errors="replace"), status=500)
        return Answer(b"reloaded\n")

    def _metadata(self, _: Request) -> Answer:
        document = documents.metadata(
            self._served.metadata(),
            self._served.snapshot(),
            self._served.statuses(),
            self._addresses,
        )
        return Answer(documents.to_json(document), JSON)

    def _folders(self, _: Request) -> Answer:
        return Answer(documents.to_json(documents.folders(self._served.snapshot(), self._served.statuses())), JSON)

    def _discovery(self, request: Request) -> Answer:
        found = documents.service_discovery(request.headers.get("host", ""), request.server, request.scheme)
        return Answer(documents.to_json(found), JSON)

    def _page(self, _: Request) -> Answer:
        page = render_page(self._served.snapshot(), self._served.statuses(), time.time())
        return Answer(page, HTML, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})
