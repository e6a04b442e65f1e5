"""TLS on a running server: certificates, clients', versions, and clients that are slow to speak it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from fexp.outputs.http import Limits
from tests.http.certificates import make_pair
from tests.http.serving import PATIENCE_SECONDS, MemoryServed, ask, connect, make_folder, port_of, read_to_end, running
from tests.http.sites import Site, enters
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MUTUAL = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


def test_tls_serves_and_plain_http_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path)
    with running(web_config=str(site.path)) as server:
        assert server.addresses[0].startswith("https://")
        assert enters(server, site.client())
        for words in (b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", b""):
            with connect(server) as plain:
                plain.sendall(words)
                plain.shutdown(socket.SHUT_WR)
                assert b"HTTP" not in read_to_end(plain)
        assert enters(server, site.client())
    assert caplog.records == []


def test_versions_below_the_minimum_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, "  min_version: TLS13\n")
    old = site.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with running(web_config=str(site.path)) as server:
        assert not enters(server, old)
        assert enters(server, site.client())


def test_client_certificates_are_verified(tmp_path: Path) -> None:
    site = Site(tmp_path, MUTUAL)
    with running(web_config=str(site.path)) as server:
        assert enters(server, site.client(make_pair("prometheus", site.authority)))
        assert not enters(server, site.client())
        assert not enters(server, site.client(make_pair("prometheus")))


def test_an_intermediate_authority_will_do(tmp_path: Path) -> None:
    """As in Go: each certificate in client_ca_file is trusted by itself."""
    site = Site(tmp_path, MUTUAL.replace("ca.crt", "inter.crt"))
    intermediate = make_pair("inter", site.authority, is_authority=True)
    intermediate.write(tmp_path, "inter")
    with running(web_config=str(site.path)) as server:
        assert enters(server, site.client(make_pair("prometheus", intermediate)))
        assert not enters(server, site.client(make_pair("prometheus", site.authority)))


def test_names_in_client_certificates_are_held_to_the_list(tmp_path: Path) -> None:
    site = Site(tmp_path, MUTUAL + "  client_allowed_sans: [prometheus.example]\n")
    with running(web_config=str(site.path)) as server:
        assert enters(server, site.client(make_pair("prometheus", site.authority)))
        mallory = site.client(make_pair("mallory", site.authority))
        for path in ("/metrics", "/-/healthy", "/api/v1/events", "/nothing"):
            assert ask(server, path, tls=mallory).status == 403


def test_an_inline_pair_serves(tmp_path: Path) -> None:
    site = Site(tmp_path)
    pair = make_pair("inline", site.authority)
    text = f"tls_server_config:\n  cert: {pair.cert_pem!r}\n  key: {pair.key_pem!r}\n".replace("'", '"')
    site.path.write_text(text)
    with running(web_config=str(site.path)) as server:
        assert enters(server, site.client())


def test_half_open_handshakes_are_cut_and_delay_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Mistake 21b."""
    site = Site(tmp_path)
    with running(web_config=str(site.path), limits=Limits(request_seconds=0.5)) as server:
        silent = [connect(server) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01\x02")
        silent[1].sendall(b"\x16")
        assert enters(server, site.client())
        for client in silent:
            assert read_to_end(client) == b""
            client.close()
        poll(lambda: server.connections == 0)
    assert caplog.records == []


def test_half_open_handshakes_make_room(tmp_path: Path) -> None:
    """Mistake 21b."""
    site = Site(tmp_path)
    limits = Limits(connections=2)
    with running(web_config=str(site.path), limits=limits) as server, connect(server) as first, connect(server):
        assert enters(server, site.client())
        assert read_to_end(first) == b""


def test_a_tls_client_that_sends_nothing_after_the_handshake_is_cut(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with running(web_config=str(site.path), limits=Limits(request_seconds=0.5)) as server:
        raw = socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE_SECONDS)
        with site.client().wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=True) as client:
            assert client.recv(1) == b""


def test_a_tls_client_that_never_reads_is_cut(tmp_path: Path) -> None:
    site = Site(tmp_path)
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 4000}") for number in range(200))
    with (
        running(MemoryServed(folders=folders), web_config=str(site.path), limits=Limits(send_seconds=0.3)) as server,
        site.client().wrap_socket(connect(server), server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        poll(lambda: server.connections == 0, seconds=PATIENCE_SECONDS)


def certificate_of(port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as raw, context.wrap_socket(raw) as client:
        return client.getpeercert(binary_form=True) or b""


def test_a_new_certificate_is_picked_up_without_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with running(web_config=str(site.path)) as server:
        before = certificate_of(port_of(server))
        make_pair("renewed", site.authority).write(tmp_path, "server")
        poll(lambda: certificate_of(port_of(server)) != before)
