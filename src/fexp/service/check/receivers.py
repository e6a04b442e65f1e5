"""Asking a receiver something that changes nothing there."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from fexp.errors import OutputError, SettingsError
from fexp.outputs.push.sender import Sender, parse_date
from fexp.service.check.finding import Finding, error, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fexp.outputs.push.endpoint import Endpoint
    from fexp.outputs.push.wire import Answer
    from fexp.service.check.setup import Setup

_SECONDS = 5.0
_SKEW_SECONDS = 60.0
_FAILS = "No delivery to it succeeds; fexp_delivery_failures_total counts them."
_SECRETS = ("password_file", "token_file", "key_file")


def ask(
    endpoint: Endpoint,
    method: str,
    url: str | None = None,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer, asked for once. Raise OutputError."""
    sender = Sender(endpoint, wait=lambda _: True)
    try:
        return sender.send(method, url, body=body, headers=headers, within_seconds=_SECONDS)
    finally:
        sender.close()


def files(endpoint: Endpoint) -> Iterator[Finding]:
    """Yield what is wrong with the files of secrets and certificates."""
    try:
        endpoint.check()
    except SettingsError as problem:
        yield error(str(problem), _FAILS, "give a file that this user may read")
    for name in _SECRETS:
        path = getattr(endpoint, name)
        if path is not None and os.path.isfile(path) and os.stat(path).st_mode & 0o004:
            yield warning(
                f"{endpoint.origin(name)} {path}: everybody may read it",
                "Who has an account on this machine has the secret.",
                f"chmod o-r {shlex.quote(path)}",
            )


def refused(problem: OutputError, url: str) -> Finding:
    """Return the finding of a receiver that did not take what it was asked."""
    return error(str(problem), _FAILS, f"curl -v {shlex.quote(url)}")


def clock_skew(answer: Answer, endpoint: Endpoint, setup: Setup) -> Iterator[Finding]:
    """Yield whether the receiver's clock is another."""
    there = parse_date(answer.headers.get("Date", ""))
    here = setup.clock().wall
    if there is not None and abs(there - here) > _SKEW_SECONDS:
        yield warning(
            f"the clock of {endpoint.target} is {abs(there - here):.0f} s {'ahead' if there > here else 'behind'}",
            "Ages are off by as much, and samples from the future or from long ago are refused.",
            "timedatectl set-ntp true",
        )
