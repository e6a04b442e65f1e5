"""Private authorities of the time before Python 3.13, which checks certificates as strictly as RFC 5280 says."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from fexp.errors import OutputError
from fexp.outputs.push.endpoint import Endpoint
from fexp.outputs.push.sender import Sender
from tests.outputs.conftest import Authority
from tests.outputs.scripted import ScriptedServer, answer

if TYPE_CHECKING:
    from pathlib import Path

WAY_OUT = "or give the receiver's own certificate as the CA file"


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every Python check as 3.13 does."""
    make = ssl.create_default_context

    def strict(*, cafile: str | None = None) -> ssl.SSLContext:
        context = make(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


def push(ca_file: Path, cert_file: Path, key_file: Path) -> None:
    """Push to a receiver that shows this certificate."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(cert_file, key_file)
    with ScriptedServer(answer(200), tls=server_tls) as server:
        Sender(Endpoint(server.url, ca_file=str(ca_file))).send("PUT")


def complaint(ca_file: Path, cert_file: Path, key_file: Path) -> str:
    """Push what must fail for good, and give the reason."""
    with pytest.raises(OutputError) as caught:
        push(ca_file, cert_file, key_file)
    assert caught.value.final
    return str(caught.value)


def test_a_certificate_that_names_its_authoritys_key_is_taken(authority: Authority) -> None:
    push(authority.ca_file, *authority.issue("receiver"))


def test_one_that_does_not_is_refused_with_the_way_out(authority: Authority) -> None:
    text = complaint(authority.ca_file, *authority.issue("receiver", identified=False))
    assert "the certificate is not valid: Missing Authority Key Identifier, which Python asks for since 3.13" in text
    assert f"reissue the receiver's certificate with authorityKeyIdentifier=keyid, {WAY_OUT}" in text


def test_the_way_out_is_one(authority: Authority) -> None:
    cert_file, key_file = authority.issue("receiver", identified=False)
    push(cert_file, cert_file, key_file)


@pytest.mark.parametrize(
    ("lacks", "extension"),
    [
        ("usage", "keyUsage=critical,keyCertSign,cRLSign"),
        ("identifier", "subjectKeyIdentifier=hash"),
        ("critical", "basicConstraints=critical,CA:TRUE"),
    ],
)
def test_what_the_authority_lacks_is_named(lacks: str, extension: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, lacks=lacks)
    text = complaint(authority.ca_file, *authority.issue("receiver"))
    assert f"reissue the CA's certificate with {extension}, {WAY_OUT}" in text
