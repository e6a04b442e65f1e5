"""Where an output sends to and who it says it is: a URL, credentials, TLS files."""

from __future__ import annotations

import base64
import ipaddress
import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

from fexp.errors import MissingError, OutputError, SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from ssl import SSLContext

_MAX_SECRET_BYTES = 64 * 1024
_SHORTEST_SECRET = 6
_OPEN_ALREADY = ("/dev/fd/", "/proc/self/fd/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The settings of one receiver. Made only when they make sense; else a SettingsError says what to do.

    Secrets come by value (from the environment) or by file. Files are read again for every request, so that a
    rotated token, password or certificate is taken up by itself.
    """

    url: str = field(repr=False)
    option: str = "--gateway"
    """The option that gave the URL; those for credentials and TLS begin with it too."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False
    """Send credentials over plain http to another machine all the same."""
    gzip: bool = False
    deadline_seconds: float = 10.0
    """All of a request: its retries, connecting, sending and reading the answer."""
    _read_once: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What came out of pipes that a shell made, as of ``<(command)``: it does not come again."""

    def __post_init__(self) -> None:
        self._check_url()
        self._check_credentials()
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError(f"{self.option}-cert-file and -key-file belong together; give both")
        if not (math.isfinite(self.deadline_seconds) and self.deadline_seconds > 0):
            raise SettingsError(f"{self.option}-deadline {self.deadline_seconds}: give a time above zero")
        if self.has_credentials and self.parts.scheme == "http" and not (self.loopback or self.insecure):
            raise SettingsError(
                f"{self.option} {self.target}: credentials would cross the network in plain text;"
                " use https, or --insecure if the way there is safe"
            )

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
        """Say with a SettingsError which of the named files cannot be used."""
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
        """Give the Authorization header, and the strings that no message may hold."""
        if self.token is not None or self.token_file is not None:
            token = self.token
            if token is None:
                token = self._text(self.token_file, "token-file").strip()
            if not re.fullmatch(r"[!-~]+", token):
                raise OutputError(f"{self.option}: the token is empty or not fit for a header", final=True)
            return f"Bearer {token}", (token,)
        if self.user is not None:
            password = self.password
            if password is None:
                password = self._text(self.password_file, "password-file").rstrip("\r\n")
            if not password:
                raise OutputError(f"{self.option}: the password is empty", final=True)
            # The environment may hold any bytes; they go out as they are.
            raw = f"{self.user}:{password}".encode(errors="surrogateescape")
            encoded = base64.b64encode(raw).decode("ascii")
            return f"Basic {encoded}", (encoded, password)
        return None, ()

    def tls_context(self) -> SSLContext:
        """Build what TLS needs: the private CA or the system's, and the client certificate."""
        import ssl

        files = {"ca-file": self.ca_file, "cert-file": self.cert_file, "key-file": self.key_file}
        for what, path in files.items():
            if path is not None:
                self._read(path, what, limit_bytes=0)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                # An encrypted key must fail here and not ask for its password on the terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not in PEM form, or the key does not fit"
            raise OutputError(f"{self.option}: cannot use the TLS files: {reason}", final=True) from error
        return context

    def tls_files_stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Give a value that changes when one of the TLS files does."""

        def stamp(path: str | None) -> tuple[int, int, int] | None:
            try:
                status = os.stat(path) if path is not None else None
            except OSError:
                return None
            return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None

        return tuple(stamp(path) for path in (self.ca_file, self.cert_file, self.key_file))

    def _check_url(self) -> None:
        shown = f"{self.option} {self.target}"
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            name = self.option.lstrip("-").replace("-", "_").upper()
            raise SettingsError(
                f"{shown}: no user and password in a URL; give {self.option}-user and"
                f" {self.option}-password-file (or FEXP_{name}_PASSWORD)"
            )
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise SettingsError(f"{shown}: not a URL; write it like http://host:9091") from None
        if parts.scheme not in {"http", "https"} or "://" not in self.url:
            raise SettingsError(f"{shown}: must begin with http:// or https://")
        if not re.fullmatch(r"[!-~]+", self.url) or not parts.hostname or port == 0:
            raise SettingsError(f"{shown}: not a URL; write it like http://host:9091")
        if parts.fragment or self.url.endswith("#"):
            raise SettingsError(f"{shown}: a URL to send to has no #fragment; leave it out")

    def _check_credentials(self) -> None:
        option = self.option
        passwords = [secret for secret in (self.password, self.password_file) if secret is not None]
        tokens = [secret for secret in (self.token, self.token_file) if secret is not None]
        if len(passwords) > 1 or len(tokens) > 1:
            raise SettingsError(f"{option}: a secret from a file and one from the environment; give one of them")
        if tokens and (passwords or self.user is not None):
            raise SettingsError(f"{option}: a token or a user with a password; give one of them")
        if passwords and self.user is None:
            raise SettingsError(f"{option}: a password without a user; give {option}-user too")
        if self.user is not None and not passwords:
            raise SettingsError(f"{option}-user without a password; give {option}-password-file too")
        if self.user is not None and (":" in self.user or not self.user.isprintable()):
            raise SettingsError(f"{option}-user: basic auth carries no ':' and no control characters; take another")

    def _text(self, path: str | None, what: str) -> str:
        assert path is not None
        try:
            return self._read(path, what).decode()
        except UnicodeDecodeError:
            raise OutputError(f"{self.option}-{what} {one_line(path)}: not UTF-8 text", final=True) from None

    def _read(self, path: str, what: str, limit_bytes: int = _MAX_SECRET_BYTES) -> bytes:
        if path in self._read_once:
            return self._read_once[path]
        try:
            with open(path, "rb") as file:
                content = file.read(limit_bytes)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise OutputError(f"{self.option}-{what} {one_line(path)}: {reason}", final=True) from error
        if content and path.startswith(_OPEN_ALREADY):
            self._read_once[path] = content
        return content


def shown_url(url: str) -> str:
    """Give any text meant as a URL without user, password, query and fragment; their places are marked."""
    before, at, rest = url.rpartition("@")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", before)
    place, mark, _ = re.sub(r"[?#]", "?", rest).partition("?")
    shown = (scheme.group() if scheme else "") + ("…@" if at else "") + place + ("?…" if mark else "")
    return one_line(shown)
