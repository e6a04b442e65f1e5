"""A certificate authority of the tests' own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.http.certificates import key_usage

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """Signs certificates for 127.0.0.1. Its own may lack its key's ``usage`` or ``identifier``, or a ``critical``."""

    def __init__(self, directory: Path, *, lacks: str = "") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("fexp test authority", self._key, authority=True, lacks=lacks)
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, password: bytes | None = None, *, identified: bool = True) -> tuple[Path, Path]:
        """Make a certificate and its key; gives their files. An ``identified`` one names its authority's key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, authority=False, lacks="" if identified else "authority")
        cert_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password)
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return cert_file, key_file

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool, lacks: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if authority else self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=lacks != "critical")
            .add_extension(addresses, critical=False)
        )
        extensions: dict[str, tuple[x509.ExtensionType, bool]] = {
            "usage": (key_usage(is_authority=authority), True),
            "identifier": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            "authority": (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        }
        for extension_name, (extension, critical) in extensions.items():
            if extension_name != lacks:
                builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def ca_file(authority: Authority) -> Path:
    """Return the file that a client must trust."""
    return authority.ca_file


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    """Return what a server needs to speak TLS."""
    cert_file, key_file = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
