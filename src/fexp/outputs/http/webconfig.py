"""The web config file: exporter-toolkit's format, read strictly.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
A mistake is a ``SettingsError`` that names the file, the line and the way out. Nothing here opens a key.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from fexp.config.yamlnode import Entry, read_yaml, shown
from fexp.errors import SettingsError
from fexp.outputs.http.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
CLIENT_AUTH_TYPES = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
CURVES: Mapping[str, str] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
CIPHER_SUITES: Mapping[str, str] = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's names of the suites up to TLS 1.2, and OpenSSL's."""
TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Not a matter of choice, in Go as here: all three are always on with TLS 1.3."""
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and their values where not any will do."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_PEM = re.compile(r"-----|\AM[A-Za-z0-9+/]{40,}=*\Z|\A[A-Za-z0-9+_=-]{40,}\Z")
"""A piece of it: a line of dashes, base64 of an ASN.1 sequence, which begins with an M, or base64 without a slash."""
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


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
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    @property
    def demands_certificate(self) -> bool:
        """Tell whether a client has to show a certificate."""
        return self.client_auth_type in {"RequireAnyClientCert", "RequireAndVerifyClientCert"}

    @property
    def files(self) -> tuple[str, ...]:
        """Name the files that it stands on."""
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
    """Read the file; relative paths in it start at its directory."""
    try:
        with open_regular(path) as file:
            text = file.read().decode()
    except UnicodeDecodeError:
        raise SettingsError(f"web config {path}: not UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"web config {path}: cannot be read: {error.strerror}") from error
    return parse_web_config(text, path)


def parse_web_config(text: str, path: str) -> WebConfig:
    """Read the text of a web config file that lies at ``path``."""
    try:
        root = read_yaml(text, f"web config {path}")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        # The names that YAML's own mistakes quote may be a password that begins with & or *.
        problem = re.sub(r"(alias|anchor|handle|directive) .*", r"\1", getattr(error, "problem", None) or "not YAML")
        raise SettingsError(f"web config {where}: {problem}; see promtool check web-config") from None
    sections = root.entries("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
    return WebConfig(
        tls=_tls(sections["tls_server_config"], os.path.dirname(path)) if "tls_server_config" in sections else None,
        headers=_headers(sections["http_server_config"]) if "http_server_config" in sections else {},
        users=_users(sections["basic_auth_users"]) if "basic_auth_users" in sections else {},
        rate_limit=_rate_limit(sections["rate_limit"]) if "rate_limit" in sections else None,
    )


def _tls(section: Entry, directory: str) -> TlsSettings | None:
    known = section.entries(*(name for name in TlsSettings.__dataclass_fields__))
    if not known:
        return None

    def text(name: str) -> str | None:
        return (known[name].text() or None) if name in known else None

    def file(name: str) -> str | None:
        found = text(name)
        if found and ("\n" in found or _PEM.search("".join(found.split()))):
            # Not shown: it may be the key itself.
            raise known[name].mistake(f"{name} is no path; a PEM belongs into {name.removesuffix('_file')}")
        return os.path.join(directory, found) if found else None

    def choice(name: str, choices: tuple[str, ...], default: str) -> str:
        return known[name].choice(choices) if name in known and known[name].text() else default

    def several(name: str, choices: tuple[str, ...] | None) -> tuple[str, ...]:
        items = known[name].items() if name in known else ()
        return tuple(item.choice(choices) if choices else item.text() for item in items)

    tls = TlsSettings(
        cert_file=file("cert_file"),
        key_file=file("key_file"),
        client_ca_file=file("client_ca_file"),
        cert=text("cert"),
        key=text("key"),
        client_ca=text("client_ca"),
        # exporter-toolkit takes this older spelling as well.
        client_auth_type=choice("client_auth_type", (*CLIENT_AUTH_TYPES, "RequireClientCert"), "NoClientCert").replace(
            "RequireClientCert", "RequireAnyClientCert"
        ),
        client_allowed_sans=several("client_allowed_sans", None),
        min_version=choice("min_version", VERSIONS, "TLS12"),
        max_version=choice("max_version", VERSIONS, "TLS13"),
        cipher_suites=several("cipher_suites", (*CIPHER_SUITES, *TLS13_SUITES)),
        prefer_server_cipher_suites=known["prefer_server_cipher_suites"].flag()
        if "prefer_server_cipher_suites" in known
        else True,
        curve_preferences=several("curve_preferences", tuple(CURVES)),
    )
    _check_tls(section, tls)
    return tls


def _check_tls(section: Entry, tls: TlsSettings) -> None:
    for what, in_file, inline in (
        ("cert", tls.cert_file, tls.cert),
        ("key", tls.key_file, tls.key),
    ):
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
    known = section.entries("http2", "headers")
    if "http2" in known:
        known["http2"].flag()  # HTTP/1.1 is spoken either way
    if "headers" not in known:
        return {}
    headers = {}
    for name, entry in known["headers"].entries(*HEADERS).items():
        value = entry.choice(HEADERS[name]) if HEADERS[name] else entry.text().strip()
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
        if _BCRYPT.fullmatch(name):
            raise entry.mistake("a hash stands where the user's name belongs; write NAME: HASH")
        if not _BCRYPT.fullmatch(entry.text()):
            # Nothing is shown: the password may stand on either side of the colon.
            raise entry.mistake("the user's value is no bcrypt hash; make one with htpasswd -nBC 10 NAME")
        users[name] = entry.text().encode("ascii")
    return users


def _rate_limit(section: Entry) -> RateLimit | None:
    known = section.entries("interval", "burst")
    if not known:
        return None
    interval_seconds = _duration_seconds(known["interval"]) if "interval" in known else 0.0
    burst = known["burst"].whole_number() if "burst" in known else 0
    if interval_seconds <= 0:
        return None  # no limit, as in exporter-toolkit
    if burst < 1:
        raise section.mistake("rate_limit with a burst below 1 answers nobody; give burst: 1 or more")
    return RateLimit(interval_seconds, burst)


def _duration_seconds(entry: Entry) -> float:
    text = entry.text()
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise entry.mistake(f"{shown(text)} is not a duration; write 1s, 250ms or 1m30s")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
