"""Where fexp would serve: whether the addresses are free, and whether TLS can be had."""

from __future__ import annotations

import errno
import os
import shlex
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.outputs.http.listen import Transport
from fexp.service.check.finding import Finding, error, ok
from fexp.service.check.processes import listener
from fexp.service.check.running import is_same, shown
from fexp.service.outputs import listens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fexp.outputs.http.listen import Listen
    from fexp.service.check.setup import Setup

_ENDS = "fexp watch ends at once with exit status 2."


def check(setup: Setup) -> Iterator[Finding]:
    """Yield each address, and the web config."""
    for listen in listens_of(setup.settings.http):
        yield _of_address(listen, setup)
    if setup.settings.http.web_config is not None:
        yield _of_web_config(setup.settings.http.web_config)


def _of_address(listen: Listen, setup: Setup) -> Finding:
    from fexp.outputs.http.sockets import check_free

    if listen.transport is Transport.SYSTEMD:
        return ok("systemd passes the socket at the start")
    try:
        check_free(listen)
    except SettingsError as problem:
        process = listener(listen.port) if listen.transport is Transport.TCP and listen.port else None
        if process is not None and is_same(process, setup.arguments):
            return ok(f"{listen}: the fexp with these settings serves there already, process {process}")
        who = f", {shown(process)}" if process else ""
        return error(f"{problem}{who}", _ENDS, _way_out(listen, getattr(problem.__cause__, "errno", None)))
    return ok(f"{listen} is free")


def _way_out(listen: Listen, number: int | None) -> str:
    if listen.transport is Transport.UNIX:
        directory = shlex.quote(os.path.dirname(listen.path) or ".")
        return f"mkdir -p {directory}" if number == errno.ENOENT else f"ls -ld {directory} {shlex.quote(listen.path)}"
    if number == errno.EADDRINUSE:
        return f"ss -ltnp 'sport = {listen.port}'"
    if number in (errno.EACCES, errno.EPERM):
        return "in the unit: AmbientCapabilities=CAP_NET_BIND_SERVICE; or take a port above 1023"
    return "ip address" if number == errno.EADDRNOTAVAIL else f"getent ahosts {shlex.quote(listen.host)}"


def _of_web_config(path: str) -> Finding:
    from fexp.outputs.http.tls import make_context
    from fexp.outputs.http.webconfig import read_web_config

    try:
        config = read_web_config(path)
        if config.tls is not None:
            make_context(config.tls)
    except SettingsError as problem:
        return error(str(problem), _ENDS, f"ls -l {path} {os.path.dirname(path) or '.'}")
    return ok(f"web config {path}: {'TLS' if config.tls else 'no TLS'}, {len(config.users)} users")
