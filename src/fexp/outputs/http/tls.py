"""Makes the TLS context that a web config asks for."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fexp.errors import SettingsError
from fexp.names import one_line
from fexp.outputs.http.regular import open_regular
from fexp.outputs.http.webconfig import CIPHER_SUITES, CURVES, TlsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def make_context(tls: TlsSettings) -> ssl.SSLContext:
    """Load certificate, key and authorities. A ``SettingsError`` says which of them is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    minimum = _VERSIONS[tls.min_version]
    suites = [CIPHER_SUITES[name] for name in tls.cipher_suites if name in CIPHER_SUITES]
    if tls.cipher_suites and not suites:
        minimum = ssl.TLSVersion.TLSv1_3  # nothing that an older version could use was allowed
    if _VERSIONS[tls.max_version] < minimum:
        raise SettingsError(f"web config: cipher_suites has none for {tls.max_version}; name one, or raise max_version")
    if minimum < ssl.TLSVersion.TLSv1_2:
        suites = [*(suites or ["DEFAULT"]), "@SECLEVEL=0"]  # else OpenSSL speaks no TLS before 1.2, whatever is asked
    _set_versions(context, minimum, _VERSIONS[tls.max_version])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        if suites:
            context.set_ciphers(":".join(suites))
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"web config: OpenSSL refuses the cipher suites: {error}") from error
    restrict_curves(context, tls)
    _load_pair(context, tls)
    _load_authorities(context, tls)
    return context


def _set_versions(context: ssl.SSLContext, minimum: ssl.TLSVersion, maximum: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 were asked for by name
        context.minimum_version = minimum
        context.maximum_version = maximum


def restrict_curves(context: ssl.SSLContext, tls: TlsSettings) -> bool:
    """Return whether this Python can allow just these curves; if not, OpenSSL's own choice holds.

    Before 3.15 it can allow a single one, and Debian 12's 3.11.2 does not know X25519.
    """
    names = [CURVES[name] for name in tls.curve_preferences]
    try:
        if names and hasattr(context, "set_groups"):
            context.set_groups(":".join(names))
        elif len(names) == 1:
            context.set_ecdh_curve(names[0])
        else:
            return not names
    except (ssl.SSLError, ValueError):
        return False
    return True


def _load_pair(context: ssl.SSLContext, tls: TlsSettings) -> None:
    with _as_file(tls.cert_file, tls.cert) as cert, _as_file(tls.key_file, tls.key) as key:
        for path in (cert, key):
            _must_be_readable(path)
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
    if tls.client_ca_file:
        _must_be_readable(tls.client_ca_file)
    try:
        with _as_file(tls.client_ca_file, tls.client_ca) as path:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        name = tls.client_ca_file or "the inline client_ca"
        raise SettingsError(f"web config: {name} holds no CA certificate") from error
    # As in Go, each certificate in the file is trusted by itself: an intermediate authority will do.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # OpenSSL verifies whatever it asks for: the two types that ask without verifying get the stricter rule.
    context.verify_mode = ssl.CERT_REQUIRED if tls.demands_certificate else ssl.CERT_OPTIONAL


def _must_be_readable(path: str) -> None:
    try:
        open_regular(path).close()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "not a path"
        raise SettingsError(f"web config: {one_line(path)} cannot be read: {reason}") from error


@contextmanager
def _as_file(path: str | None, text: str | None) -> Iterator[str]:
    """Give a path for what OpenSSL only reads from files; inline secrets stay off the disk if possible."""
    if path is not None:
        yield path
    elif hasattr(os, "memfd_create"):
        number = os.memfd_create("fexp-tls")
        try:
            with open(number, "wb", closefd=False) as file:
                file.write((text or "").encode())
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
    else:
        with tempfile.NamedTemporaryFile("w") as named:
            named.write(text or "")
            named.flush()
            yield named.name


def may_enter(certificate: Mapping[str, Any] | None, allowed_sans: tuple[str, ...]) -> bool:
    """Tell whether a verified certificate carries an allowed name, or no name was asked for."""
    if not allowed_sans:
        return True
    if not certificate:
        return False
    allowed = {_same_spelling(name) for name in allowed_sans}
    return any(_same_spelling(str(name)) in allowed for _, name in certificate.get("subjectAltName", ()))


def _same_spelling(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name
