"""The web config file: what is read, what is refused, and that promtool agrees."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.errors import SettingsError
from fexp.outputs.http import HttpServer, parse_listen
from fexp.outputs.http.tls import has_allowed_name, make_context
from fexp.outputs.http.webconfig import (
    CLIENT_AUTH_TYPES,
    RateLimit,
    TlsSettings,
    WebConfig,
    parse_web_config,
    read_web_config,
)
from tests.http.certificates import make_pair
from tests.http.serving import MemoryServed, need_promtool

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$2y$04$abcdefghijklmnopqrstuuBxA6WDZq5RFyhUU3rwvVxzVmXNMYmJm"
FULL = f"""
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
basic_auth_users:
  alice: {HASH}
"""


def write_files(directory: Path, text: str = FULL) -> str:
    authority = make_pair("ca", is_authority=True)
    authority.write(directory, "ca")
    make_pair("server", authority).write(directory, "server")
    path = directory / "web.yml"
    path.write_text(text)
    return str(path)


def test_reads_all_of_it(tmp_path: Path) -> None:
    config = read_web_config(write_files(tmp_path))
    assert config.tls == TlsSettings(
        cert_file=f"{tmp_path}/server.crt",
        key_file=f"{tmp_path}/server.key",
        client_ca_file=f"{tmp_path}/ca.crt",
        client_auth_type="RequireAndVerifyClientCert",
        client_allowed_sans=("prometheus.example",),
        cipher_suites=("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        curve_preferences=("CurveP256",),
    )
    assert config.users == {"alice": HASH.encode()}
    assert config.headers["X-Frame-Options"] == "deny"


def test_promtool_accepts_what_we_accept(tmp_path: Path) -> None:
    promtool = need_promtool()
    known_to_all = FULL.replace("  client_allowed_sans: [prometheus.example]\n", "")  # promtool 2.42 is too old for it
    checked = subprocess.run(
        [promtool, "check", "web-config", write_files(tmp_path, known_to_all)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("text", ["", "# nothing\n", "basic_auth_users:\n", "tls_server_config: {}\n"])
def test_nothing_asked_is_nothing_done(text: str) -> None:
    assert parse_web_config(text, "web.yml") == WebConfig()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("{interval: 1s, burst: 5}", RateLimit(1.0, 5)),
        ("{interval: 1m30s, burst: 1}", RateLimit(90.0, 1)),
        ("{interval: 250ms, burst: 1}", RateLimit(0.25, 1)),
        ("{interval: 0, burst: 1}", None),
    ],
)
def test_rate_limit_is_a_go_duration(text: str, limit: RateLimit | None) -> None:
    assert parse_web_config(f"rate_limit: {text}", "web.yml").rate_limit == limit


KEY_TEXT = "MI" + "u/8+" * 30 + "=="
KEY_PEM = f"-----BEGIN EXAMPLE KEY-----\n    {KEY_TEXT}\n    -----END EXAMPLE KEY-----"
TLS = "tls_server_config: {cert_file: a, key_file: b, "
SANS = "client_ca_file: c, client_allowed_sans: [x], client_auth_type: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("basic_auth_user: {}", ":1:1: unknown key 'basic_auth_user'; did you mean basic_auth_users?"),
        ("\n\ntls_server_config:\n  cert_fle: x", ":4:3: unknown key 'cert_fle'; did you mean cert_file?"),
        ("basic_auth_users: {a: x, a: y}", "given twice"),
        ("basic_auth_users: {alice: secret-password}", "no bcrypt hash"),
        ("basic_auth_users: [alice]", "mapping"),
        ("tls_server_config: {cert_file: a}", "key_file (or key) is missing"),
        ("tls_server_config: {key_file: a}", "cert_file (or cert) is missing"),
        ("tls_server_config: {cert_file: a, cert: b, key: c}", "both given"),
        ("tls_server_config: {min_version: TLS12}", "is missing"),
        (TLS + "min_version: TLS14}", "'TLS14' is not one of"),
        (TLS + "min_version: TLS13, max_version: TLS12}", "above max_version"),
        (TLS + "client_auth_type: RequireAndVerifyClientCert}", "needs a client_ca_file"),
        (TLS + "client_auth_type: RequireAnyClientCert}", "needs a client_ca_file"),
        (TLS + "client_auth_type: Sometimes}", "not one of"),
        (TLS + "client_ca_file: c}", "client_auth_type"),
        (TLS + "client_allowed_sans: [x]}", "client_allowed_sans without"),
        (TLS + SANS + "RequestClientCert}", "client_allowed_sans without"),
        (TLS + SANS + "VerifyClientCertIfGiven}", "client_allowed_sans without"),
        ("tls_server_config:\n  cert_file: c\n  key_file: |\n    -----BEGIN\n    hunter2", "a PEM belongs into key"),
        (f"tls_server_config:\n  cert_file: c\n  key_file: |\n    {KEY_PEM}", "a PEM belongs"),
        (f"tls_server_config:\n  cert_file: c\n  key_file: BEGIN EXAMPLE KEY-----{KEY_TEXT}", "a PEM belongs"),
        (f"tls_server_config:\n  min_version: |\n    {KEY_PEM}", "(not shown) is not one of TLS12"),
        (f"tls_server_config:\n  {KEY_TEXT}: x", "unknown key (not shown)"),
        (f"basic_auth_users: {{{HASH}: x, {HASH}: y}}", "key is given twice"),
        (f"rate_limit: {{interval: 1s, burst: {HASH}}}", "(not shown) is not a whole number"),
        ("basic_auth_users: {secret-password: alice}", "no bcrypt hash"),
        ("\nbasic_auth_users: {alice: *hunter2}", "web.yml:2:27: not YAML"),
        (f"basic_auth_users: {{{HASH}: alice}}", "no bcrypt hash; write NAME: HASH"),
        (TLS + "min_version: TLS10}", "'TLS10' is not one of TLS12, TLS13"),
        (TLS + "cipher_suites: TLS_AES_128_GCM_SHA256}", "a list"),
        ("http_server_config: {headers: {X-Other: y}}", "unknown key 'X-Other'"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nX: y"}}', "cannot hold"),
        ("rate_limit: {interval: soon, burst: 1}", "web.yml:1:24: interval 'soon' is not a duration"),
        ("rate_limit: {interval: 1s, burst: -1}", "whole number"),
        ("rate_limit: {interval: 1s}", "burst"),
        ("a: [", "web.yml"),
        ("[" * 1200, "web.yml"),
        ("- a", "mapping"),
        ("!!python/object:os.system {}", "unknown key"),
        ('"\\UFFFFFFFF": x', "web.yml"),
        ("a: *b", "web.yml"),
        ("\0", "web.yml"),
    ],
)
def test_mistakes_are_one_line_with_the_place(text: str, said: str) -> None:
    if "python/object" in text:
        assert parse_web_config(text, "web.yml") == WebConfig()  # a tag has no effect
        return
    with pytest.raises(SettingsError) as refused:
        parse_web_config(text, "web.yml")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    for secret in ("secret-password", "hunter2", HASH, KEY_TEXT[:60], KEY_TEXT[60:]):
        assert secret not in str(refused.value)


@given(st.one_of(st.text(), st.text("{}[]:,-&*!|>'\"%@# \nabtls_server_config", max_size=60)))
def test_any_text_is_read_or_refused(text: str) -> None:
    said = ""
    try:
        parse_web_config(text, "web.yml")
    except SettingsError as refused:
        said = str(refused)
    assert "\n" not in said


@pytest.mark.parametrize("missing", ["web.yml", "server.crt", "server.key", "ca.crt"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    path = write_files(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(SettingsError, match=missing):
        HttpServer([parse_listen("127.0.0.1:0")], MemoryServed(), web_config=path).open()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    path = write_files(tmp_path)
    (tmp_path / "server.key").write_text(make_pair("other").key_pem)
    with pytest.raises(SettingsError, match="not a certificate and its key") as refused:
        HttpServer([parse_listen("127.0.0.1:0")], MemoryServed(), web_config=path).open()
    assert "PRIVATE" not in str(refused.value)


def test_a_half_given_pair_never_becomes_plain_http(tmp_path: Path) -> None:
    path = write_files(tmp_path, "tls_server_config:\n  cert_file: server.crt\n")
    server = HttpServer([parse_listen("127.0.0.1:0")], MemoryServed(), web_config=path)
    with pytest.raises(SettingsError, match="key_file"):
        server.open()
    assert server.addresses == []


@pytest.mark.parametrize("kind", CLIENT_AUTH_TYPES)
def test_every_client_auth_type_is_known(tmp_path: Path, kind: str) -> None:
    write_files(tmp_path)
    authority = "" if kind == "NoClientCert" else f"{tmp_path}/ca.crt"
    context = make_context(
        TlsSettings(
            cert_file=f"{tmp_path}/server.crt",
            key_file=f"{tmp_path}/server.key",
            client_ca_file=authority or None,
            client_auth_type=kind,
        )
    )
    wanted = {
        "NoClientCert": ssl.CERT_NONE,
        "RequestClientCert": ssl.CERT_OPTIONAL,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    }
    assert context.verify_mode == wanted.get(kind, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    ],
)
def test_openssl_knows_the_suites_by_their_names_in_go(suite: str, name: str) -> None:
    pair = make_pair("server")
    context = make_context(TlsSettings(cert=pair.cert_pem, key=pair.key_pem, cipher_suites=(suite,)))
    assert [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"] == [name]


@pytest.mark.parametrize("unknown", ["TLS_RSA_WITH_RC4_128_SHA", "ECDHE-RSA-AES128-GCM-SHA256", "ALL", "TLS_ALL"])
def test_an_unknown_suite_is_not_left_out_silently(unknown: str) -> None:
    pair = make_pair("server")
    suites = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", unknown)
    with pytest.raises(SettingsError, match=f"OpenSSL does not know {unknown}; leave it out"):
        make_context(TlsSettings(cert=pair.cert_pem, key=pair.key_pem, cipher_suites=suites))


def test_suites_of_tls_13_alone_mean_tls_13() -> None:
    pair = make_pair("server")
    only_13 = TlsSettings(cert=pair.cert_pem, key=pair.key_pem, cipher_suites=("TLS_AES_128_GCM_SHA256",))
    assert make_context(only_13).minimum_version == ssl.TLSVersion.TLSv1_3


def test_suites_that_the_versions_have_no_use_for_are_refused() -> None:
    pair = make_pair("server")
    only_13 = TlsSettings(
        cert=pair.cert_pem, key=pair.key_pem, cipher_suites=("TLS_AES_128_GCM_SHA256",), max_version="TLS12"
    )
    with pytest.raises(SettingsError, match="none for TLS12"):
        make_context(only_13)


def test_what_stands_beside_a_certificate_does_not_matter(tmp_path: Path) -> None:
    """As in Go, which looks for the PEM blocks only."""
    pair = make_pair("server")
    inline = TlsSettings(cert=pair.cert_pem, key=pair.key_pem, client_ca=f"# Zürich CA\n{pair.cert_pem}")
    make_context(inline)
    (tmp_path / "ca.crt").write_text(f"# Zürich CA\n{pair.cert_pem}")
    make_context(replace(inline, client_ca=None, client_ca_file=str(tmp_path / "ca.crt")))
    with pytest.raises(SettingsError, match="holds no CA certificate"):
        make_context(replace(inline, client_ca="# Zürich"))


@pytest.mark.parametrize("path", ["srv\0.pem", "srv\ud800.pem"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        make_context(TlsSettings(cert_file=path, key_file=path))


def test_a_header_loses_the_space_around_it() -> None:
    """h11 refuses to send it, which left every answer empty."""
    values = "    Strict-Transport-Security: 'max-age=1 '\n    X-XSS-Protection: >\n      0\n"
    headers = parse_web_config(f"http_server_config:\n  headers:\n{values}", "web.yml").headers
    assert headers == {"Strict-Transport-Security": "max-age=1", "X-XSS-Protection": "0"}


def test_secrets_are_not_in_a_representation() -> None:
    config = WebConfig(tls=TlsSettings(cert="C", key="TOPSECRET"), users={"alice": b"$2y$TOPSECRET"})
    assert "TOPSECRET" not in repr(config)


def test_names_of_certificates() -> None:
    certificate = {"subjectAltName": (("DNS", "a.example"), ("IP Address", "2001:DB8:0:0:0:0:0:1"))}
    assert has_allowed_name(certificate, ("a.example",))
    assert has_allowed_name(certificate, ("2001:db8::1",))
    assert not has_allowed_name(certificate, ("b.example",))
    assert has_allowed_name(certificate, ())
    assert not has_allowed_name(None, ("a.example",))
    assert has_allowed_name(None, ())


def test_what_tls_never_does() -> None:
    pair = make_pair("server")
    options = make_context(TlsSettings(cert=pair.cert_pem, key=pair.key_pem)).options
    assert options & ssl.OP_NO_RENEGOTIATION
    assert options & ssl.OP_NO_COMPRESSION
    assert options & ssl.OP_CIPHER_SERVER_PREFERENCE
