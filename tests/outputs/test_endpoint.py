"""What is refused before anything is sent: URLs, credentials, TLS files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fexp.errors import OutputError, SettingsError
from fexp.outputs.push.endpoint import Endpoint, shown_url
from fexp.outputs.push.gateway import GatewaySettings
from fexp.outputs.push.sender import is_upgrade

if TYPE_CHECKING:
    from pathlib import Path

    from tests.outputs.conftest import Authority

SECRET = "hunter2"


def complaint(url: str = "http://127.0.0.1:9091", **settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        GatewaySettings(url, **settings)
    text = str(caught.value)
    assert text.isprintable()
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "must begin with http:// or https://"),
        ("localhost:9091", "must begin with http:// or https://"),
        ("ftp://host/x", "must begin with http:// or https://"),
        ("//host:9091", "must begin with http:// or https://"),
        ("http:host", "must begin with http:// or https://"),
        ("http://", "not a URL"),
        ("http://:9091", "not a URL"),
        ("http://host:port", "not a URL"),
        ("http://host:99999", "not a URL"),
        ("http://host:0", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://ho st/", "not a URL"),
        ("http://höst/", "not a URL"),
        ("http://host/\r\nX: y", "not a URL"),
        ("http://host/#frag", "no #fragment"),
        ("http://host/#", "no #fragment"),
        (
            f"http://anna:{SECRET}@host",
            "no user and password in a URL; give gateway-user and gateway-password-file",
        ),
        (f"http://anna:{SECRET}/@host", "no"),
        (f"http://anna:{SECRET}?@host", "no user and password in a URL"),
        (f"http://anna:{SECRET}#@host", "no user and password in a URL"),
        (f"anna:{SECRET}@host:9091", "must begin with http:// or https://"),
        (f"https://{SECRET}@host", "gateway-password"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, text: str) -> None:
    assert text in complaint(url)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"user": "anna"}, "gateway-user without a password; give gateway-password-file too"),
        ({"password": SECRET}, "gateway-password without a user; give gateway-user too"),
        ({"user": "anna", "password": SECRET, "password_file": "x"}, "give one of them"),
        ({"token": SECRET, "token_file": "x"}, "give one of them"),
        ({"token": SECRET, "user": "anna", "password": SECRET}, "a token or a user with a password"),
        ({"token": SECRET, "user": "anna"}, "a token or a user with a password"),
        ({"user": "an:na", "password": SECRET}, "no ':'"),
        ({"user": "an\nna", "password": SECRET}, "no control characters"),
        ({"cert_file": "x"}, "belong together; give both"),
        ({"key_file": "x"}, "belong together; give both"),
        ({"deadline_seconds": 0}, "above zero"),
        ({"deadline_seconds": float("nan")}, "above zero"),
        ({"deadline_seconds": float("inf")}, "above zero"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], text: str) -> None:
    assert text in complaint(**settings)


@pytest.mark.parametrize("credentials", [{"user": "anna", "password": SECRET}, {"token": SECRET}, {"token_file": "x"}])
@pytest.mark.parametrize("host", ["gateway.example", "10.0.0.1", "[fe80::1]", "127.0.0.1.example", "localhost.example"])
def test_credentials_in_plain_text_to_another_machine_are_refused(host: str, credentials: dict[str, Any]) -> None:
    assert "plain text; use https, or insecure" in complaint(f"http://{host}:9091", **credentials)
    Endpoint(f"http://{host}:9091", insecure=True, **credentials)
    Endpoint(f"https://{host}:9091", **credentials)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_credentials_to_this_machine_are_fine(host: str) -> None:
    endpoint = Endpoint(f"http://{host}:9091", token=SECRET)
    assert SECRET not in repr(endpoint)


@given(st.text() | st.from_regex(r"(https?://)?[a-z:@/?#.\[\]0-9%-]*", fullmatch=True))
@example("http://[")
@example("http://a]b")
@example("http://h:٣")
def test_any_text_is_a_url_or_a_settings_error(url: str) -> None:
    try:
        endpoint = Endpoint(url)
        shown = endpoint.target
        assert "@" not in endpoint.parts.netloc
    except SettingsError as error:
        shown = str(error)
    assert shown.isprintable()


@given(
    st.text(alphabet="ab:@/?#", max_size=12),
    st.sampled_from(["http://", "https://", "", "//"]),
    st.text(alphabet="ab/?#", max_size=5),
)
def test_no_password_is_ever_shown(user: str, scheme: str, rest: str) -> None:
    assert SECRET not in shown_url(f"{scheme}{user}:{SECRET}@{rest}")
    assert SECRET not in shown_url(f"{scheme}host/{rest}?{SECRET}")


@given(st.text(), st.text())
def test_any_location_can_be_judged(url: str, location: str) -> None:
    is_upgrade(url, location)
    is_upgrade("http://h/x", "https://" + location)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\r\nX-Evil: 1", "ümlaut".encode(), b"\xff\xfe"])
def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        Endpoint("https://host", token_file=str(path)).check()
    assert "evil" not in str(caught.value).lower()


def test_files_that_cannot_be_used_are_named_at_start(tmp_path: Path, authority: Authority) -> None:
    missing = str(tmp_path / "missing")
    for settings in (
        {"token_file": missing},
        {"user": "anna", "password_file": missing},
        {"ca_file": missing},
        {"cert_file": str(authority.ca_file), "key_file": missing},
    ):
        with pytest.raises(SettingsError, match="missing: No such file or directory"):
            Endpoint("https://host", **settings).check()  # type: ignore[arg-type] # any of its own
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    cert_file, key_file = authority.issue("encrypted", password=b"open sesame")
    other_cert_file, _ = authority.issue("other")
    for tls in (
        {"ca_file": str(junk)},
        {"cert_file": str(junk), "key_file": str(junk)},
        {"cert_file": str(cert_file), "key_file": str(key_file)},
        {"cert_file": str(other_cert_file), "key_file": str(authority.issue("client")[1])},
    ):
        with pytest.raises(SettingsError, match="cannot use the TLS files"):
            Endpoint("https://host", **tls).check()  # type: ignore[arg-type] # any of its own


def test_an_encrypted_key_asks_nobody(tmp_path: Path, authority: Authority) -> None:
    """Whoever starts fexp on a terminal may not wait there; the right password is typed in, and not read."""
    cert_file, key_file = authority.issue("encrypted-too", password=b"open sesame")
    code = (
        "import os, sys\n"
        "os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that the leader of a session opens is the session's\n"
        "os.close(os.open('/dev/tty', os.O_RDWR))\n"
        "from fexp.outputs.push.gateway import GatewaySettings\n"
        "GatewaySettings('https://host', cert_file=sys.argv[1], key_file=sys.argv[2]).check()\n"
    )
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"open sesame\n")
        ended = subprocess.run(
            [sys.executable, "-c", code, cert_file, key_file],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=30,
            start_new_session=True,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(keyboard)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("fexp.errors.SettingsError: gateway: cannot use the TLS files: ")


def test_a_password_keeps_its_spaces_and_loses_the_line_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" pass wörd \n")
    endpoint = Endpoint("https://host", user="anna", password_file=str(path))
    header, secrets = endpoint.authorization()
    assert header == "Basic YW5uYTogcGFzcyB3w7ZyZCA="
    assert " pass wörd " in secrets


@pytest.mark.parametrize("option", ["password_file", "token_file"])
def test_a_secret_from_a_pipe_is_read_once_and_kept(option: str) -> None:
    """As `--gateway-token-file <(pass show gateway)` gives it; the check at the start must not swallow it."""
    reading, writing = os.pipe()
    os.write(writing, b"s3cr3t\n")
    os.close(writing)
    user = {"user": "anna"} if option == "password_file" else {}
    endpoint = Endpoint("https://host", **{option: f"/dev/fd/{reading}"}, **user)  # type: ignore[arg-type]
    endpoint.check()
    for _ in range(2):
        assert "s3cr3t" in endpoint.authorization()[1]
    os.close(reading)


def test_a_secret_from_a_named_pipe_is_read_each_time(tmp_path: Path) -> None:
    """An agent may feed it with a new one."""
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    endpoint = Endpoint("https://host", token_file=str(pipe))
    for token in ("one", "two"):
        writer = threading.Thread(target=pipe.write_text, args=(token,))
        writer.start()
        assert endpoint.authorization()[1] == (token,)
        writer.join(10)


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_password_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    with pytest.raises(SettingsError, match="gateway-password-file: the password is empty"):
        GatewaySettings("https://host", user="anna", password_file=str(path)).check()


def test_an_error_while_sending_is_no_settings_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        Endpoint("https://host", token_file=str(tmp_path / "missing")).authorization()
