"""The web config in force: who may enter, by which TLS, how often. It follows its files."""

from __future__ import annotations

import os
import threading
from time import time
from typing import TYPE_CHECKING, NamedTuple

from fexp.errors import SettingsError
from fexp.model import ReloadSnapshot
from fexp.outputs.http.fairness import TokenBucket
from fexp.outputs.http.tls import make_context
from fexp.outputs.http.webconfig import WebConfig, read_web_config

if TYPE_CHECKING:
    import logging
    import ssl
    from collections.abc import Callable, Mapping

    from fexp.outputs.http.users import Users

    _Identity = tuple[int, int] | None


class Rules(NamedTuple):
    """One state of the web config, ready for use."""

    config: WebConfig
    context: ssl.SSLContext | None
    users: Users | None
    """None: everybody may enter."""
    bucket: TokenBucket


def _rules(config: WebConfig) -> Rules:
    context = make_context(config.tls) if config.tls else None
    return Rules(config, context, _users(config.users), TokenBucket(config.rate_limit))


def _users(hashes: Mapping[str, bytes]) -> Users | None:
    if not hashes:
        return None
    from fexp.outputs.http.users import Users  # bcrypt takes half a MiB

    return Users(hashes)


class Guard:
    """Holds the rules in force and replaces them when their files have changed.

    A new state that is broken, or that would drop TLS, the passwords or the client certificates, is logged once and
    not taken: a file caught in the middle of being written must not open the door.
    """

    def __init__(self, path: str | None, log: logging.Logger, wall_now: Callable[[], float] = time) -> None:
        self._path = path
        self._log = log
        self._wall_now = wall_now
        self._reading = threading.Lock()  # a reload may come from any thread
        self._files: tuple[str, ...] = ()
        self._seen: tuple[_Identity, ...] = ()
        self.rules = self._read(path) if path else _rules(WebConfig())
        self.latest = ReloadSnapshot(successful=True, succeeded_at=wall_now()) if path else None
        """How the latest reading went; None without a file."""

    def look(self) -> None:
        """Look at the files; when they changed and are good, their rules are in force."""
        with self._reading:
            if self._path is None or (_identity(self._path), *map(_identity, self._files)) == self._seen:
                return
            try:
                self._renew(self._path)
            except SettingsError as error:
                self._log.error("the web config changed and the old one stays in force: %s", error)
            except Exception:  # noqa: BLE001 - a fault that nobody foresaw must not end the following
                self._log.exception("cannot look at the web config")
            else:
                self._log.info("the web config changed and is in force: %s", self._path)

    def reload(self) -> None:
        """Read the files again, changed or not. Raise SettingsError if they are bad; the old rules then stay."""
        if self._path is not None:
            with self._reading:
                self._renew(self._path)

    def _renew(self, path: str) -> None:
        try:
            self.rules = self._read(path, self.rules.config)
        except SettingsError:
            self.latest = self.latest and self.latest._replace(successful=False)
            raise
        self.latest = ReloadSnapshot(successful=True, succeeded_at=self._wall_now())

    def _read(self, path: str, before: WebConfig | None = None) -> Rules:
        """Read all files. What they were is noted before they are read: a later change is never missed."""
        self._seen = (_identity(path), *map(_identity, self._files))
        config = read_web_config(path)
        self._files = config.tls.files if config.tls else ()
        self._seen = (self._seen[0], *map(_identity, self._files))
        if before:
            _refuse_less(path, before, config)
        try:
            rules = _rules(config)
        except (OSError, ValueError) as error:
            raise SettingsError(f"web config {path}: {error}") from error
        if config.tls and config.tls.curve_preferences:
            self._log.warning("web config %s: curve_preferences has no effect; OpenSSL's own choice holds", path)
        return rules


def _refuse_less(path: str, before: WebConfig, config: WebConfig) -> None:
    """Raise SettingsError for a config that asks less of clients than the one before."""
    tls, old_tls = config.tls, before.tls
    if (tls is None) != (old_tls is None):
        raise SettingsError(f"web config {path}: TLS is switched on or off only by a restart of fexp")
    less = bool(before.users) and not config.users
    if tls and old_tls:
        less = less or (old_tls.demands_certificate and not tls.demands_certificate)
        less = less or (bool(old_tls.client_allowed_sans) and not tls.client_allowed_sans)
    if less:
        raise SettingsError(
            f"web config {path}: asks for no passwords, or less of client certificates, than before;"
            " restart fexp if that is meant"
        )


def _identity(path: str) -> _Identity:
    """Return what changes with any change of the file, also when another is renamed into its place."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    return found.st_ctime_ns, found.st_ino
