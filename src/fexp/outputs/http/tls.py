"""Makes the TLS context that a web config asks for."""

from __future__ import annotations

import ipaddress
import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fexp.config.regular_file import open_regular_file
from fexp.errors import SettingsError
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fexp.outputs.http.webconfig import TlsSettings

_TLS13_SUITES = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def make_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return a context with certificate, key and authorities. Raise SettingsError for the one that is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _set_cipher_suites(context, tls)
    _load_pair(context, tls)
    _load_authorities(context, tls)
    return context


def _set_cipher_suites(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Restrict the suites of TLS 1.2. Those of 1.3 are always on, as in Go."""
    suites = [suite for suite in tls.cipher_suites if suite not in _TLS13_SUITES]
    for suite in suites:
        try:
            context.set_ciphers(openssl_name(suite))
        except ssl.SSLError:
            raise SettingsError(f"web config: cipher_suites: OpenSSL does not know {suite}; leave it out") from None
    if suites:
        context.set_ciphers(":".join(map(openssl_name, suites)))
    elif tls.cipher_suites and tls.max_version == "TLS12":
        raise SettingsError("web config: cipher_suites has none for TLS12; name one, or raise max_version")
    elif tls.cipher_suites:
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def openssl_name(suite: str) -> str:
    """Return OpenSSL's name of a suite that the RFCs, and so Go, call ``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``."""
    exchange, _, cipher = suite.removeprefix("TLS_").partition("_WITH_")
    cipher = cipher.replace("AES_", "AES").replace("_CBC", "").replace("POLY1305_SHA256", "POLY1305")
    return f"{exchange}-{cipher}".removeprefix("RSA-").replace("_", "-")


def _load_pair(context: ssl.SSLContext, tls: TlsSettings) -> None:
    with _as_file(tls.cert_file, tls.cert) as cert, _as_file(tls.key_file, tls.key) as key:
        try:
            # The empty password makes an encrypted key an error instead of a question on the terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or "not PEM, or the key is encrypted"
            names = f"{tls.cert_file or 'the inline cert'} and {tls.key_file or 'the inline key'}"
            raise SettingsError(f"web config: {names} are not a certificate and its key: {reason}") from error


def _load_authorities(context: ssl.SSLContext, tls: TlsSettings) -> None:
    if not (tls.client_ca_file or tls.client_ca):
        return
    with _as_file(tls.client_ca_file, tls.client_ca) as path:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ValueError) as error:
            name = tls.client_ca_file or "the inline client_ca"
            raise SettingsError(f"web config: {name} holds no CA certificate") from error
    # As in Go, each certificate in the file is trusted by itself: an intermediate authority will do.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # OpenSSL verifies whatever it asks for: the two types that ask without verifying get the stricter rule.
    context.verify_mode = ssl.CERT_REQUIRED if tls.demands_certificate else ssl.CERT_OPTIONAL


@contextmanager
def _as_file(path: str | None, text: str | None) -> Iterator[str]:
    """Yield a path for what OpenSSL only reads from files. Inline secrets stay off the disk."""
    if path is not None:
        try:
            open_regular_file(path).close()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or "not a path"
            raise SettingsError(f"web config: {one_line(path)} cannot be read: {reason}") from error
        yield path
        return
    number = os.memfd_create("fexp-tls")
    with open(number, "wb") as file:
        file.write((text or "").encode())
        file.flush()
        yield f"/proc/self/fd/{number}"


def has_allowed_name(certificate: Mapping[str, Any] | None, allowed_sans: tuple[str, ...]) -> bool:
    """Return whether a verified certificate carries an allowed name, or no name was asked for."""
    allowed = {_same_spelling(name) for name in allowed_sans}
    names = certificate.get("subjectAltName", ()) if certificate else ()
    return not allowed or any(_same_spelling(str(name)) in allowed for _, name in names)


def _same_spelling(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name
