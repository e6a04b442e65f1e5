"""Sending over HTTP with patience and a limit: what is tried again, for how long, and what is never."""

from __future__ import annotations

import math
import random
import re
import threading
import time
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fexp import __version__
from fexp.errors import OutputError
from fexp.outputs.push.endpoint import shown_url
from fexp.outputs.push.reasons import masked, reason_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fexp.outputs.push.endpoint import Endpoint
    from fexp.outputs.push.wire import Answer, Request, Wire

_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 10.0
_LAST_RETRIES_SECONDS = 2.0
"""How long after a stop has begun something is tried again. Whoever pressed Ctrl-C looks on."""
_LAST_ANSWER_SECONDS = 4.0
"""How long a stop waits for the answer under way: what is to follow needs its time too."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WAYS_OUT = {
    401: "check the credentials",
    403: "check the credentials",
    404: "check the path of the URL",
    405: "check the path of the URL",
    407: "check the credentials of the proxy",
}


class RefusedError(OutputError):
    """The other side answered, with a ``status`` that is no success, to the last of so many ``tries``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        final: bool = False,
        tries: int = 1,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, final=final)
        self.status = status
        self.tries = tries


class Sender:
    """Sends requests to one endpoint, from one thread; another may ``close`` it, which ends the waiting."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``wait(seconds)`` returns True when all waiting shall end; ``jitter`` gives numbers in [0, 1)."""
        self._endpoint = endpoint
        self._clock = clock
        self._wall_clock = wall_clock
        self._closed = threading.Event()
        self._interrupted = threading.Event()
        self._retry_until = math.inf
        self._wait = wait or self._interrupted.wait
        self._jitter = jitter
        self._secrets: tuple[str, ...] = ()
        self._wire: Wire | None = None

    def prepare(self) -> None:
        """Have what sending needs of this machine. Raise OSError when that cannot be had."""
        self._opened_wire().prepare()

    def send(
        self,
        method: str,
        url: str | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        answer_limit_bytes: int = 64 * 1024,
        within_seconds: float = math.inf,
    ) -> Answer:
        """Send, again while that can help and there is time: the deadline's, or less.

        Return the answer of a success. Raise OutputError.
        """
        from fexp.outputs.push.proxy import proxy_secrets
        from fexp.outputs.push.wire import Request

        deadline_at = self._clock() + min(self._endpoint.deadline_seconds, within_seconds)
        all_headers = {"User-Agent": f"fexp/{__version__}", **(headers or {})}
        authorization, secrets = self._endpoint.authorization()
        self._secrets = (*secrets, *self._endpoint.secrets_in_url, *proxy_secrets())
        if authorization is not None:
            all_headers["Authorization"] = authorization
        request = Request(method, url or self._endpoint.url, body, all_headers, answer_limit_bytes)
        failures = 0
        self._interrupted.clear()
        while True:
            try:
                return self._try(request, deadline_at)
            except OutputError as error:
                failures += 1
                pause_seconds = self._pause_seconds(failures, error.retry_after_seconds)
                again_at = self._clock() + pause_seconds
                over = error.final or self._closed.is_set() or again_at >= min(deadline_at, self._retry_until)
                if over or self._wait(pause_seconds):
                    raise self._named(error, failures) from None

    def hurry(self) -> None:
        """End the pause under way, and from now on try again for a moment only."""
        self._retry_until = self._clock() + _LAST_RETRIES_SECONDS
        self._interrupted.set()
        if self._wire is not None:
            self._wire.hurry(_LAST_ANSWER_SECONDS)

    def close(self) -> None:
        """End whatever is under way."""
        self._closed.set()
        self._interrupted.set()
        if self._wire is not None:
            self._wire.close()

    def _opened_wire(self) -> Wire:
        from fexp.outputs.push.wire import Wire

        if self._wire is None:
            self._wire = Wire(self._endpoint)
        return self._wire

    def _try(self, request: Request, deadline_at: float) -> Answer:
        wire = self._opened_wire()
        answer = wire.exchange(request, self._seconds_until(deadline_at))
        location = answer.headers.get("Location", "")
        if answer.status in _REDIRECTS and is_upgrade(request.url, location):
            request = request._replace(url=location)
            answer = wire.exchange(request, self._seconds_until(deadline_at))
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        if request.method != "GET" and _is_of_another(answer):
            raise OutputError(
                f"answered {answer.status} with a page that no receiver sends; something on the way answers in its"
                " place, such as a login page"
            )
        return answer

    def _seconds_until(self, deadline_at: float) -> float:
        seconds = deadline_at - self._clock()
        if seconds <= 0 or self._closed.is_set():
            raise OutputError("no whole answer in time")
        return seconds

    def _pause_seconds(self, failures: int, retry_after_seconds: float | None) -> float:
        pause_seconds = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), _MAX_PAUSE_SECONDS)
        # Not all clients of a gateway that restarts shall come back at the same moment.
        return max(pause_seconds * (0.5 + self._jitter() / 2), retry_after_seconds or 0.0)

    def _refused(self, answer: Answer) -> RefusedError:
        if answer.status in _REDIRECTS:
            where = shown_url(answer.headers.get("Location", "")) or "nowhere"
            return RefusedError(
                answer.status,
                f"answered {answer.status}: points to {where}; not followed, give the address that answers",
                final=True,
            )
        reason = reason_in(answer.body, self._secrets)
        reasons = [part for part in (reason, _WAYS_OUT.get(answer.status)) if part]
        return RefusedError(
            answer.status,
            f"answered {answer.status}: {'; '.join(reasons) or 'no reason given'}",
            retry_after_seconds=self._retry_after_seconds(answer.headers.get("Retry-After")),
            final=not (answer.status >= 500 or answer.status == 429),
        )

    def _retry_after_seconds(self, value: str | None) -> float | None:
        if value is None:
            return None
        if re.fullmatch(r"[0-9]+", value.strip()):
            return float(value)
        date_at = parse_date(value)
        return None if date_at is None else max(0.0, date_at - self._wall_clock())

    def _named(self, error: OutputError, failures: int) -> OutputError:
        """Return the error with the name of the receiver, and without what an echo of the request would give away."""
        tries = f" ({failures} tries)" if failures > 1 else ""
        message = f"{self._endpoint.target}: {masked(str(error), self._secrets)}{tries}"
        patience_seconds = error.retry_after_seconds
        if isinstance(error, RefusedError):
            return RefusedError(
                error.status, message, retry_after_seconds=patience_seconds, final=error.final, tries=failures
            )
        return OutputError(message, retry_after_seconds=patience_seconds, final=error.final)


def is_upgrade(url: str, location: str) -> bool:
    """Return whether a redirect only moves the same request to the same host's https."""
    try:
        here, there = urlsplit(url), urlsplit(location)
        there_port = there.port
    except ValueError:
        return False
    return (
        (here.scheme, there.scheme) == ("http", "https")
        and here.hostname == there.hostname
        and (here.path or "/", here.query) == (there.path or "/", there.query)
        and "@" not in there.netloc
        and there_port != 0
    )


def parse_date(value: str) -> float | None:
    """Return the date of an HTTP header in seconds since the epoch, None for anything else."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _is_of_another(answer: Answer) -> bool:
    """Return whether a success is not the receiver's: theirs are empty, a line of text or JSON, and they end."""
    kind = answer.headers.get("Content-Type", "").lower()
    return answer.cut or "html" in kind or answer.body.lstrip()[:1] == b"<"
