"""The web config in force: who may enter, by which TLS, how often. It follows its files."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.model import ReloadSnapshot
from fexp.outputs.http.bucket import Bucket
from fexp.outputs.http.tls import make_context, restrict_curves
from fexp.outputs.http.users import Users
from fexp.outputs.http.webconfig import WebConfig, read_web_config

if TYPE_CHECKING:
    import logging
    import ssl
    from collections.abc import Awaitable, Callable

    _Identity = tuple[int, int, int, int]
    Fingerprint = tuple[_Identity | None, ...]

_LOOK_EVERY_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0
"""How long a client waits for a look."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One state of the web config, ready for use."""

    config: WebConfig
    context: ssl.SSLContext | None
    users: Users
    bucket: Bucket


def _rules(config: WebConfig) -> Rules:
    context = make_context(config.tls) if config.tls else None
    return Rules(config, context, Users(config.users), Bucket(config.rate_limit))


class Guard:
    """Holds the rules in force and replaces them when their files have changed.

    A new state that is broken, or that would drop TLS, the passwords or the client certificates, is told once and not
    taken: a file caught in the middle of being written must not open the door.
    """

    def __init__(
        self,
        path: str | None,
        log: logging.Logger,
        now: Callable[[], float] = monotonic,
        wall_now: Callable[[], float] = time,
    ) -> None:
        self._path = path
        self._log = log
        self._now = now
        self._wall_now = wall_now
        self._reading = threading.Lock()  # a reload may come from any thread
        self._looked_at = now()
        self._looking = False
        self._told_slow = False
        self._files: tuple[str, ...] = ()
        self._seen: Fingerprint = ()
        self.rules = self._read(path, _identity(path)) if path else _rules(WebConfig())
        self.latest = ReloadSnapshot(successful=True, succeeded_at=wall_now()) if path else None
        """How the latest reading went; None without a file."""

    async def refresh(self, off_loop: Callable[[Callable[[], None]], Awaitable[None]]) -> Rules:
        """Give the rules in force, after a look at the files when the last look is a second old.

        Files that do not answer, as on a dead network file system, are waited for by nobody for long.
        """
        if self._path and not self._looking and self._now() - self._looked_at >= _LOOK_EVERY_SECONDS:
            self._looking, self._looked_at = True, self._now()
            look = asyncio.ensure_future(off_loop(self.look))
            look.add_done_callback(self._end_look)
            _, pending = await asyncio.wait([look], timeout=_PATIENCE_SECONDS)
            if pending and not self._told_slow:
                self._log.warning(
                    "web config %s: its files are slow to answer; the old rules hold meanwhile", self._path
                )
            self._told_slow = bool(pending)
        return self.rules

    def _end_look(self, look: asyncio.Future[None]) -> None:
        self._looking = False
        if not look.cancelled() and (error := look.exception()):
            self._log.error("cannot look at the web config", exc_info=error)

    def look(self) -> None:
        """Look at the files; when they changed and are good, their rules are in force."""
        if self._path is None:
            return
        with self._reading:
            found = (_identity(self._path), *map(_identity, self._files))
            if found == self._seen:
                return
            self._seen = found
            try:
                self._renew(self._path)
            except SettingsError as error:
                self._log.error("the web config changed and the old one stays in force: %s", error)
            else:
                self._log.info("the web config changed and is in force: %s", self._path)

    def reload(self) -> None:
        """Read the files again, changed or not. Raises SettingsError; the old rules then stay in force."""
        if self._path is not None:
            with self._reading:
                self._renew(self._path)

    def _renew(self, path: str) -> None:
        try:
            rules = self._read(path, _identity(path), self.rules.config)
        except SettingsError:
            self.latest = self.latest and self.latest._replace(successful=False)
            raise
        self.latest = ReloadSnapshot(successful=True, succeeded_at=self._wall_now())
        old, new = self.rules.config, rules.config
        if (old.users, old.rate_limit) == (new.users, new.rate_limit):
            rules = Rules(new, rules.context, self.rules.users, self.rules.bucket)
        self.rules = rules

    def _read(self, path: str, identity: _Identity | None, before: WebConfig | None = None) -> Rules:
        """Read all files. What they were is noted before they are read: a later change is never missed."""
        config = read_web_config(path)
        self._files = config.tls.files if config.tls else ()
        self._seen = (identity, *map(_identity, self._files))
        if before:
            _refuse_less(path, before, config)
        try:
            rules = _rules(config)
        except (OSError, ValueError) as error:
            raise SettingsError(f"web config {path}: {error}") from error
        if config.tls and rules.context and not restrict_curves(rules.context, config.tls):
            self._log.warning(
                "web config %s: curve_preferences: this Python cannot choose %s; OpenSSL's own choice holds."
                " CurveP256, CurveP384 or CurveP521 alone can be chosen",
                path,
                ", ".join(config.tls.curve_preferences),
            )
        return rules


def _refuse_less(path: str, before: WebConfig, config: WebConfig) -> None:
    if (config.tls is None) != (before.tls is None):
        raise SettingsError(f"web config {path}: TLS is switched on or off only by a restart of fexp")
    if before.users and not config.users:
        raise SettingsError(f"web config {path}: all users are gone; restart fexp if that is meant")
    if (
        before.tls
        and config.tls
        and (
            (before.tls.demands_certificate and not config.tls.demands_certificate)
            or (before.tls.client_allowed_sans and not config.tls.client_allowed_sans)
        )
    ):
        raise SettingsError(f"web config {path}: asks less of client certificates; restart fexp if that is meant")


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
