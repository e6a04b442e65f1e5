"""Where an output sends to and who it says it is: a URL, credentials, TLS files."""

from __future__ import annotations

import base64
import ipaddress
import math
import os
import re
import socket
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

from fexp.config.options import constant, flag, option
from fexp.config.output import OutputSettings
from fexp.config.values import parse_duration, parse_text
from fexp.errors import MissingError, OutputError, SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from ssl import SSLContext

    from fexp.config.origin import Origin

_MAX_SECRET_BYTES = 64 * 1024
_SHORTEST_SECRET = 6
_OPEN_ALREADY = ("/dev/fd/", "/proc/self/fd/")


def _host_name() -> str:
    return socket.gethostname()


class Endpoint(OutputSettings):
    """The settings of one receiver. Made only when they make sense; else a SettingsError says what to do.

    Secrets come by value (from the environment) or by file. Files are read again for every request, so that a
    rotated token, password or certificate is taken up by itself.
    """

    prefix: ClassVar = "endpoint"

    url: str = option("-url", parse_text, "", "The URL.", metavar="URL")
    job: str = option("job", parse_text, "fexp", "The job in the group's key, and of remote write.", metavar="NAME")
    instance: str = option(
        "instance",
        parse_text,
        _host_name,
        "The instance in the group's key, and of remote write; the host name if not given.",
        metavar="NAME",
    )
    user: str | None = option("-user", parse_text, None, "User for basic authentication.", metavar="NAME")
    password: str | None = option("-password", parse_text, None, "The password.", metavar="SECRET", secret=True)
    password_file: str | None = option("-password-file", parse_text, None, "File with the password.", metavar="FILE")
    token: str | None = option("-token", parse_text, None, "The bearer token.", metavar="SECRET", secret=True)
    token_file: str | None = option("-token-file", parse_text, None, "File with a bearer token.", metavar="FILE")
    ca_file: str | None = option(
        "-ca-file", parse_text, None, "Certificates that sign the other side's.", metavar="FILE"
    )
    cert_file: str | None = option("-cert-file", parse_text, None, "Client certificate.", metavar="FILE")
    key_file: str | None = option("-key-file", parse_text, None, "The key of the client certificate.", metavar="FILE")
    deadline_seconds: float = option(
        "-deadline", parse_duration, "10s", "All of one request, with its retries.", metavar="DURATION"
    )
    """All of a request: its retries, connecting, sending and reading the answer."""
    insecure: bool = flag("insecure", "Send credentials over plain http to another machine all the same.")
    gzip: bool = constant(False)

    def validate(self) -> None:
        self._check_url()
        self._check_credentials()
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError(f"{self.origin('cert_file')} and {self.origin('key_file')} belong together; give both")
        if not (math.isfinite(self.deadline_seconds) and self.deadline_seconds > 0):
            raise SettingsError(f"{self.origin('deadline_seconds')} {self.deadline_seconds}: give a time above zero")
        if self.has_credentials and self.parts.scheme == "http" and not (self.loopback or self.insecure):
            raise SettingsError(
                f"{self.shown}: credentials would cross the network in plain text;"
                f" use https, or {self.origin('insecure')} if the way there is safe"
            )

    def __repr__(self) -> str:
        """Return what holds no secret."""
        return f"{type(self).__name__}({self.target!r})"

    @cached_property
    def _read_once(self) -> dict[str, bytes]:
        """What came out of pipes that a shell made, as of ``<(command)``: it does not come again."""
        return {}

    @property
    def shown(self) -> str:
        """The URL as it may be shown, and where it was given."""
        return f"{self.origin('url')} {self.target}"

    @property
    def parts(self) -> SplitResult:
        """The URL taken apart."""
        return urlsplit(self.url)

    @property
    def target(self) -> str:
        """The URL as it may be shown: a query may hold a secret."""
        return shown_url(self.url)

    @property
    def loopback(self) -> bool:
        """Whether the receiver is on this machine."""
        host = (self.parts.hostname or "").rstrip(".").lower()
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def has_credentials(self) -> bool:
        """Whether requests carry a password or a token."""
        return self.user is not None or self.token is not None or self.token_file is not None

    def check(self) -> None:
        """Raise a SettingsError for a named file that cannot be used."""
        try:
            self.authorization()
            if self.parts.scheme == "https" or self.ca_file is not None or self.cert_file is not None:
                self.tls_context()  # the system's authorities alone take a third of a one-shot's time to read
        except OutputError as error:
            kind = MissingError if isinstance(error.__cause__, FileNotFoundError) else SettingsError
            raise kind(str(error)) from error

    @property
    def secrets_in_url(self) -> tuple[str, ...]:
        """The query and what in it is long enough to be a secret: no message may hold them."""
        query = self.parts.query
        return (query, *(value for _, value in parse_qsl(query) if len(value) >= _SHORTEST_SECRET))

    def authorization(self) -> tuple[str | None, tuple[str, ...]]:
        """Return the Authorization header, and the strings that no message may hold."""
        if self.token is not None or self.token_file is not None:
            token = self.token
            if token is None:
                token = self._text("token_file").strip()
            if not re.fullmatch(r"[!-~]+", token):
                raise OutputError(
                    f"{self._given_of('token', 'token_file')}: the token is empty or not fit for a header", final=True
                )
            return f"Bearer {token}", (token,)
        if self.user is not None:
            password = self.password
            if password is None:
                password = self._text("password_file").rstrip("\r\n")
            if not password:
                raise OutputError(f"{self._given_of('password', 'password_file')}: the password is empty", final=True)
            # The environment may hold any bytes; they go out as they are.
            raw = f"{self.user}:{password}".encode(errors="surrogateescape")
            encoded = base64.b64encode(raw).decode("ascii")
            return f"Basic {encoded}", (encoded, password)
        return None, ()

    def tls_context(self) -> SSLContext:
        """Return what TLS needs: the private CA or the system's, and the client certificate."""
        import ssl

        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None:
                self._read(name, limit_bytes=0)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                # An encrypted key must fail here and not ask for its password on the terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not in PEM form, or the key does not fit"
            raise OutputError(f"{self.origin('url')}: cannot use the TLS files: {reason}", final=True) from error
        return context

    def tls_files_stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return a value that changes when one of the TLS files does."""

        def stamp(path: str | None) -> tuple[int, int, int] | None:
            try:
                status = os.stat(path) if path is not None else None
            except OSError:
                return None
            return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None

        return tuple(stamp(path) for path in (self.ca_file, self.cert_file, self.key_file))

    def _check_url(self) -> None:
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise SettingsError(
                f"{self.shown}: no user and password in a URL; give {self.origin('user')} and"
                f" {self.origin('password_file')} (or {self.origin('password')})"
            )
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise SettingsError(f"{self.shown}: not a URL; write it like http://host:9091") from None
        if parts.scheme not in {"http", "https"} or "://" not in self.url:
            raise SettingsError(f"{self.shown}: must begin with http:// or https://")
        if not re.fullmatch(r"[!-~]+", self.url) or not parts.hostname or port == 0:
            raise SettingsError(f"{self.shown}: not a URL; write it like http://host:9091")
        if parts.fragment or self.url.endswith("#"):
            raise SettingsError(f"{self.shown}: a URL to send to has no #fragment; leave it out")

    def _check_credentials(self) -> None:
        passwords = [name for name in ("password", "password_file") if getattr(self, name) is not None]
        tokens = [name for name in ("token", "token_file") if getattr(self, name) is not None]
        for names in (passwords, tokens):
            if len(names) > 1:
                both = " and ".join(str(self.origin(name)) for name in names)
                raise SettingsError(f"{both}: the same secret twice; give one of them")
        if tokens and (passwords or self.user is not None):
            other = passwords[0] if passwords else "user"
            both = f"{self.origin(tokens[0])} and {self.origin(other)}"
            raise SettingsError(f"{both}: a token or a user with a password; give one of them")
        user = self.origin("user")
        if passwords and self.user is None:
            raise SettingsError(f"{self.origin(passwords[0])} without a user; give {user} too")
        if self.user is not None and not passwords:
            raise SettingsError(f"{user} without a password; give {self.origin('password_file')} too")
        if self.user is not None and (":" in self.user or not self.user.isprintable()):
            raise SettingsError(f"{user}: basic auth carries no ':' and no control characters; take another")

    def _given_of(self, by_value: str, by_file: str) -> Origin:
        return self.origin(by_file if getattr(self, by_value) is None else by_value)

    def _text(self, name: str) -> str:
        try:
            return self._read(name).decode()
        except UnicodeDecodeError:
            raise OutputError(f"{self._shown_file(name)}: not UTF-8 text", final=True) from None

    def _read(self, name: str, limit_bytes: int = _MAX_SECRET_BYTES) -> bytes:
        path: str = getattr(self, name)
        if path in self._read_once:
            return self._read_once[path]
        try:
            with open(path, "rb") as file:
                content = file.read(limit_bytes)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise OutputError(f"{self._shown_file(name)}: {reason}", final=True) from error
        if content and path.startswith(_OPEN_ALREADY):
            self._read_once[path] = content
        return content

    def _shown_file(self, name: str) -> str:
        return f"{self.origin(name)} {one_line(getattr(self, name))}"


def shown_url(url: str) -> str:
    """Return any text meant as a URL without user, password, query and fragment; their places are marked."""
    before, at, rest = url.rpartition("@")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", before)
    place, mark, _ = re.sub(r"[?#]", "?", rest).partition("?")
    shown = (scheme.group() if scheme else "") + ("…@" if at else "") + place + ("?…" if mark else "")
    return one_line(shown)
