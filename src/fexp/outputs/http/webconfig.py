"""The web config file: exporter-toolkit's format, read strictly.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
A mistake is a ``SettingsError`` that names the file, the line and the way out. Nothing here opens a key.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fexp.config.regular_file import open_regular_file
from fexp.config.values import parse_duration
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.config.yamlnode import Entry

VERSIONS = ("TLS12", "TLS13")
CLIENT_AUTH_TYPES = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
"""Those that may be set."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``tls_server_config``. Of a file and its inline twin at most one is given."""

    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    cert: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    client_ca: str | None = field(default=None, repr=False)
    client_auth_type: str = "NoClientCert"
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()

    @property
    def demands_certificate(self) -> bool:
        """Whether a client has to show a certificate."""
        return self.client_auth_type in {"RequireAnyClientCert", "RequireAndVerifyClientCert"}

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it stands on."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request every ``interval_seconds``, up to ``burst`` at once."""

    interval_seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a web config file says."""

    tls: TlsSettings | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """bcrypt hash by user name."""
    rate_limit: RateLimit | None = None


def read_web_config(path: str) -> WebConfig:
    """Return what the file says; relative paths in it start at its directory."""
    try:
        with open_regular_file(path) as file:
            text = file.read().decode()
    except UnicodeDecodeError:
        raise SettingsError(f"web config {path}: not UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"web config {path}: cannot be read: {error.strerror}") from error
    return parse_web_config(text, path)


def parse_web_config(text: str, path: str) -> WebConfig:
    """Return what the text of a web config file says that lies at ``path``."""
    from fexp.config.yamlnode import read_yaml  # PyYAML takes a MiB

    root = read_yaml(text, f"web config {path}")
    sections = root.entries("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
    return WebConfig(
        tls=_tls(sections["tls_server_config"], os.path.dirname(path)),
        headers=_headers(sections["http_server_config"]),
        users=_users(sections["basic_auth_users"]),
        rate_limit=_rate_limit(sections["rate_limit"]),
    )


def _tls(section: Entry, directory: str) -> TlsSettings | None:
    known = section.entries(*TlsSettings.__dataclass_fields__, "prefer_server_cipher_suites")  # no effect in Go either
    if not known:
        return None

    def file(name: str) -> str | None:
        found = known[name].text()
        if "\n" in found or "-----" in found:  # not shown: it may be the key itself
            raise known[name].mistake(f"{name} is no path; a PEM belongs into {name.removesuffix('_file')}")
        return os.path.join(directory, found) if found else None

    def texts(name: str) -> tuple[str, ...]:
        return tuple(item.text() for item in known[name].items())

    tls = TlsSettings(
        cert_file=file("cert_file"),
        key_file=file("key_file"),
        client_ca_file=file("client_ca_file"),
        cert=known["cert"].text() or None,
        key=known["key"].text() or None,
        client_ca=known["client_ca"].text() or None,
        client_auth_type=known["client_auth_type"].choice(CLIENT_AUTH_TYPES, "NoClientCert"),
        client_allowed_sans=texts("client_allowed_sans"),
        min_version=known["min_version"].choice(VERSIONS, "TLS12"),
        max_version=known["max_version"].choice(VERSIONS, "TLS13"),
        cipher_suites=texts("cipher_suites"),
        curve_preferences=texts("curve_preferences"),
    )
    _check_tls(section, tls)
    return tls


def _check_tls(section: Entry, tls: TlsSettings) -> None:
    for what, in_file, inline in (("cert", tls.cert_file, tls.cert), ("key", tls.key_file, tls.key)):
        if bool(in_file) == bool(inline):
            other = "key" if what == "cert" else "cert"
            problem = "both given" if in_file else f"missing beside the {other}"
            raise section.mistake(f"{what}_file (or {what}) is {problem}: TLS needs exactly one of each")
    if tls.client_ca_file and tls.client_ca:
        raise section.mistake("client_ca_file and client_ca are both given: give one")
    if VERSIONS.index(tls.min_version) > VERSIONS.index(tls.max_version):
        raise section.mistake(f"min_version {tls.min_version} is above max_version {tls.max_version}")
    has_authority = bool(tls.client_ca_file or tls.client_ca)
    if has_authority and tls.client_auth_type == "NoClientCert":
        raise section.mistake("client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
    if not has_authority and tls.client_auth_type not in {"NoClientCert", "RequestClientCert"}:
        raise section.mistake(f"client_auth_type {tls.client_auth_type} needs a client_ca_file")
    if tls.client_allowed_sans and not (has_authority and tls.demands_certificate):
        raise section.mistake(
            "client_allowed_sans without verified certificates: add client_ca_file and "
            "client_auth_type: RequireAndVerifyClientCert"
        )


def _headers(section: Entry) -> dict[str, str]:
    known = section.entries("http2", "headers")  # HTTP/1.1 is spoken, whatever the first says
    headers = {}
    for name, entry in known["headers"].entries(*HEADERS).items():
        value = entry.text().strip()
        if not re.fullmatch(r"[\x20-\x7e]*", value):
            raise entry.mistake(f"the value of {name} has characters that a header cannot hold")
        if value:
            headers[name] = value
    return headers


def _users(section: Entry) -> dict[str, bytes]:
    users = {}
    for name, entry in section.entries().items():
        if ":" in name:
            raise entry.mistake("a user name cannot hold a colon")
        if not _BCRYPT.fullmatch(entry.text()):
            # Nothing is shown: the password may stand on either side of the colon.
            raise entry.mistake(
                "the user's value is no bcrypt hash; write NAME: HASH as htpasswd -nBC 10 NAME prints it"
            )
        users[name] = entry.text().encode("ascii")
    return users


def _rate_limit(section: Entry) -> RateLimit | None:
    known = section.entries("interval", "burst")
    interval, burst = known["interval"], known["burst"].whole_number(0)
    interval_seconds = parse_duration(f"{interval.place}: interval", interval.text() or "0", zero=True)
    if interval_seconds == 0:
        return None  # no limit, as in exporter-toolkit
    if burst < 1:
        raise section.mistake("rate_limit with a burst below 1 answers nobody; give burst: 1 or more")
    return RateLimit(interval_seconds, burst)
