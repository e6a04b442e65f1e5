"""``fexp.wsgi_app`` and ``fexp.asgi_app``: ``/metrics`` in a program's own web server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from fexp.api.collector import FolderCollector
from fexp.api.delivering import collects
from fexp.errors import SettingsError
from fexp.metrics import EVERYWHERE
from fexp.outputs.formats import Families
from fexp.outputs.http.negotiation import negotiate
from fexp.outputs.pieces import Piece

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Unpack
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from fexp.api.arguments import Collecting, Folders
    from fexp.outputs import Collects
    from fexp.outputs.formats import Format
    from fexp.outputs.http.messages import Application, Message, Receive, Send

_PATHS = {"", "/", "/metrics", "/metrics/"}
_HEADERS = ("accept", "accept-encoding")
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}


def wsgi_app(source: Folders | Collects, **arguments: Unpack[Collecting]) -> WSGIApplication:
    """Return a WSGI application that answers with the metrics of some folders, or of a collector or registry.

    It answers where it is mounted, at ``/metrics`` below it, and nowhere else: text or OpenMetrics by ``Accept``,
    gzip by ``Accept-Encoding``, with ``?name[]=`` only some. Folders are watched from the first request on. Raise
    SettingsError for a wrong argument.
    """
    metrics = _Metrics(source, arguments)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        headers = {name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in _HEADERS}
        answer = metrics.answer(method, environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""), headers)
        start_response(f"{answer.status} {_REASONS[answer.status]}", list(answer.headers.items()))
        return [answer.body if method != "HEAD" else b""]

    return app


def asgi_app(source: Folders | Collects, **arguments: Unpack[Collecting]) -> Application:
    """Return an ASGI application that answers as that of ``wsgi_app`` does, without keeping the event loop waiting."""
    return _AsgiApp(_Metrics(source, arguments))


class _AsgiApp:
    """An object and not a function: Starlette takes a function for one that answers a request."""

    def __init__(self, metrics: _Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        query = scope.get("query_string", b"").decode("latin-1")
        answer = await asyncio.to_thread(self._metrics.answer, scope["method"], path, query, headers)
        own = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": own})
        await send({"type": "http.response.body", "body": answer.body if scope["method"] != "HEAD" else b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Obey a server that runs the application by itself."""
        import asyncio

        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self._metrics.close)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Metrics:
    """What both kinds of applications answer. Any thread may ask."""

    def __init__(self, source: Folders | Collects, arguments: Collecting) -> None:
        self._owned: FolderCollector | None = None
        if not collects(source):
            self._owned = FolderCollector(cast("Folders", source), **arguments)
        elif arguments:
            raise SettingsError(f"{', '.join(arguments)}: a collector knows what counts; give that to the collector")
        self._source = self._owned or cast("Collects", source)

    def close(self) -> None:
        """End the watching that it began."""
        if self._owned is not None:
            self._owned.close()

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> _Answer:
        """Return the answer to one request; ``headers`` by lower-case name."""
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        if path not in _PATHS:
            return _Answer(404, plain, b"Not Found\n")
        if method not in {"GET", "HEAD"}:
            return _Answer(405, {**plain, "Allow": "GET, HEAD"}, b"Method Not Allowed\n")
        wanted = negotiate(headers, query)
        body, own = wanted.encode(self._pieces(wanted.form, wanted.names))
        return _Answer(200, {**own, "Content-Length": str(len(body))}, body)

    def _pieces(self, form: Format, names: Collection[str]) -> Sequence[Piece]:
        if isinstance(self._source, FolderCollector):
            return self._source.limited_to(EVERYWHERE).render(form, names=names)
        families = [
            family
            for whole in self._source.collect()
            for family in form.families(whole)
            if not names or family.name in names or any(sample.name in names for sample in family.samples)
        ]
        return [Piece(form.render(Families(families))), Piece(form.end)]
