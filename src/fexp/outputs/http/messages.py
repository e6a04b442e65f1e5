"""Requests and answers between uvicorn and the routes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
EVENTS = "text/event-stream"
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
    certificate: Mapping[str, Any] | None
    """The client's, if it was verified."""
    headers: dict[str, str]
    """By lower-case name; repeated ones joined with commas."""
    header_bytes: int
    """How much the client has sent before the body."""

    @classmethod
    def of(cls, scope: Message) -> Request:
        """Return what an ASGI scope asks."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            scheme=scope["scheme"],
            server=scope["server"],
            client=scope["client"][0] if scope["client"] else "",
            certificate=scope["state"]["connection"].transport.get_extra_info("peercert"),
            headers=headers,
            header_bytes=len(scope["raw_path"])
            + len(scope["query_string"])
            + sum(len(name) + len(value) for name, value in scope["headers"]),
        )

    @property
    def has_body(self) -> bool:
        """Whether something follows the header."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0").strip("0") != ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def headers_of(answer: Answer, own_headers: Mapping[str, str]) -> dict[str, str]:
    """Return all headers of an answer; the web config's own ones replace those that every answer has."""
    return {
        "Date": formatdate(usegmt=True),
        "Content-Type": answer.content_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        **answer.headers,
        **own_headers,
    }


async def send_start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status line and the headers."""
    encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def send_chunk(send: Send, chunk: bytes) -> None:
    """Send a piece of the body, once the client has read enough of those before."""
    await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await asyncio.sleep(0)  # others' turn; and a client that has just gone is noticed


async def send_answer(send: Send, answer: Answer, request: Request, own_headers: Mapping[str, str]) -> None:
    """Send an answer in chunks."""
    headers = headers_of(answer, own_headers)
    headers["Content-Length"] = str(len(answer.body))
    if request.has_body:
        headers["Connection"] = "close"  # nobody wants the body, so nobody waits for it
    await send_start(send, answer.status, headers)
    body = memoryview(answer.body if request.method != "HEAD" else b"")
    while len(body) > _CHUNK_BYTES:
        await send_chunk(send, bytes(body[:_CHUNK_BYTES]))
        body = body[_CHUNK_BYTES:]
    await send({"type": "http.response.body", "body": bytes(body)})
