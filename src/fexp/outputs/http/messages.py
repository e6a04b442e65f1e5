"""Requests and answers between uvicorn and the routes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from fexp.outputs.http.guard import Rules

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
EVENTS = "text/event-stream"
FOLLOWS = "fexp.follows"
"""In the state of a request whose answer goes on until the client hangs up."""
HALF_CLOSED = "fexp.half_closed"
"""In the state of a request whose client has nothing more to say."""
TURNED_AWAY = "fexp.turned_away"
"""In the state of a request whose answer is only held back."""
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    query: str
    scheme: str
    server: tuple[str, int | None] | None
    client: str
    """The address it comes from; empty for a Unix socket."""
    headers: dict[str, str]
    """By lower-case name; repeated ones joined with commas."""
    state: Message
    """What its connection is to know of it."""

    @classmethod
    def of(cls, scope: Message) -> Request:
        """Read it from an ASGI scope."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        path = scope["path"]
        if path.startswith(("http://", "https://")):  # the absolute form of RFC 9112, section 3.2.2
            path = _path_of(scope["raw_path"].decode("ascii"))
        query = scope["query_string"].decode("latin-1")
        return cls(
            scope["method"],
            path,
            query,
            scope["scheme"],
            scope["server"],
            scope["client"][0] if scope["client"] else "",
            headers,
            scope["state"],
        )

    @property
    def header_bytes(self) -> int:
        """Tell how much the client has said before the body."""
        said = sum(len(name) + len(value) for name, value in self.headers.items())
        return said + len(self.path) + len(self.query)

    @property
    def has_body(self) -> bool:
        """Tell whether something follows the header."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0").strip("0") != ""


def _path_of(url: str) -> str:
    """Give the path of a URL; empty when it is none."""
    try:
        return unquote(urlsplit(url).path) or "/"
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def headers_of(answer: Answer, rules: Rules) -> dict[str, str]:
    return {
        "Date": formatdate(usegmt=True),
        "Content-Type": answer.content_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        **answer.headers,
        **rules.config.headers,
    }


async def start(send: Send, status: int, headers: dict[str, str]) -> None:
    encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def write(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def send_answer(send: Send, answer: Answer, request: Request, rules: Rules) -> None:
    """Send it in chunks, each of which waits until the client has read enough of those before."""
    headers = headers_of(answer, rules)
    headers["Content-Length"] = str(len(answer.body))
    if request.has_body:
        headers["Connection"] = "close"  # nobody wants the body, so nobody waits for it
    await start(send, answer.status, headers)
    body = answer.body if request.method != "HEAD" else b""
    chunks = [body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES)] or [b""]
    for chunk in chunks[:-1]:
        await write(send, chunk)
        await asyncio.sleep(0)  # others' turn; and a client that has just gone is noticed
    await send({"type": "http.response.body", "body": chunks[-1]})
