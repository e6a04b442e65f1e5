"""The receiver of remote write: whether it would take samples. It is sent a request without any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.errors import OutputError
from fexp.outputs.push.remote_write import HEADERS, RemoteWriteSettings
from fexp.outputs.push.sender import RefusedError
from fexp.service.check import receivers
from fexp.service.check.finding import Finding, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.service.check.setup import Setup

_NOTHING = b"\x00"
"""Of no bytes, in snappy's block format."""


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what each answers."""
    for settings in setup.settings.outputs:
        if isinstance(settings, RemoteWriteSettings):
            wrong = list(receivers.files(settings))
            yield from wrong
            if not any(one.level == "error" for one in wrong):
                yield from _of_receiver(settings, setup)


def _of_receiver(settings: RemoteWriteSettings, setup: Setup) -> Iterator[Finding]:
    try:
        answer = receivers.ask(settings, "POST", body=_NOTHING, headers=HEADERS)
    except RefusedError as problem:
        if problem.status != 400:
            yield receivers.refused(problem, settings.target)
            return
        yield warning(
            f"{settings.target} is there, and refuses a request without samples",
            "Some receivers do. Whether it takes samples cannot be known without sending one.",
            "see fexp_delivery_failures_total once fexp runs",
        )
    except OutputError as problem:
        yield receivers.refused(problem, settings.target)
    else:
        yield ok(f"{settings.target} takes remote write")
        yield from receivers.clock_skew(answer, settings, setup)
