"""The Pushgateway, or what imports: whether it is there and would take a push. Nothing is pushed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fexp.errors import OutputError
from fexp.outputs.push.gateway import GatewayMode, GatewaySettings
from fexp.service.check import receivers
from fexp.service.check.finding import Finding, error, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.outputs.push.wire import Answer
    from fexp.service.check.setup import Setup


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what each answers."""
    for settings in setup.settings.outputs:
        if isinstance(settings, GatewaySettings):
            wrong = list(receivers.files(settings))
            yield from wrong
            if not any(one.level == "error" for one in wrong):
                yield from _of_gateway(settings, setup)


def _of_gateway(settings: GatewaySettings, setup: Setup) -> Iterator[Finding]:
    url = settings.url
    try:
        if settings.mode is GatewayMode.IMPORT:
            answer = receivers.ask(settings, "POST")
            yield ok(f"{settings.target} takes an import of nothing")
        else:
            url = settings.url.rstrip("/") + "/-/ready"
            receivers.ask(settings, "GET", url)
            url = settings.url.rstrip("/") + "/api/v1/status"
            answer = receivers.ask(settings, "GET", url)
            yield _of_status(answer, settings)
    except OutputError as problem:
        yield receivers.refused(problem, settings.target + url.removeprefix(settings.url.rstrip("/")))
    else:
        yield from receivers.clock_skew(answer, settings, setup)


def _of_status(answer: Answer, settings: GatewaySettings) -> Finding:
    try:
        version = json.loads(answer.body)["data"]["build_information"]["version"]
    except (ValueError, KeyError, TypeError):
        return error(
            f"{settings.target} answers, but is no Pushgateway",
            "A push goes to its path /metrics, which nothing takes there.",
            f"correct {settings.origin('url')}; for a URL that imports text, {settings.origin('mode')} import",
        )
    return ok(f"{settings.target} is a Pushgateway {version} and is ready")
