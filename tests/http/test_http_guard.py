"""The web config follows its files, and a broken one changes nothing."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

import pytest

from fexp.errors import SettingsError
from fexp.outputs.http import guard as guarding
from fexp.outputs.http.guard import Guard
from fexp.outputs.http.webconfig import read_web_config
from tests.http.certificates import make_pair
from tests.http.serving import ask, running
from tests.http.sites import TLS, Site, basic, enters, replace, users
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fexp.outputs.http.webconfig import WebConfig

LOG = logging.getLogger("fexp.test.guard")
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


def test_users_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    with running(web_config=replace(path, users(alice="old"))) as server:
        assert enters(server, headers=basic("alice", "old"))
        replace(path, users(alice="new"))
        poll(lambda: enters(server, headers=basic("alice", "new")))
        assert not enters(server, headers=basic("alice", "old"))


def test_headers_of_the_file_are_sent(tmp_path: Path) -> None:
    text = "http_server_config: {headers: {Strict-Transport-Security: max-age=9, X-Frame-Options: sameorigin}}\n"
    with running(web_config=replace(tmp_path / "web.yml", text)) as server:
        headers = ask(server, "/").headers
    assert headers["strict-transport-security"] == "max-age=9"
    assert headers["x-frame-options"] == "sameorigin"


@pytest.mark.parametrize("text", [None, "", "basic_auth_users:\n", "nonsense: 1\n", "\0"])
def test_a_file_that_is_gone_or_half_written_does_not_open_the_door(
    tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(replace(path, users(alice="right")), LOG)
    if text is None:
        path.unlink()
    else:
        replace(path, text)
    for _ in range(3):
        guard.look()
    assert set(guard.rules.config.users) == {"alice"}
    assert len(caplog.records) == 1  # once, not with every look
    assert "right" not in caplog.text
    replace(path, users(bob="right"))
    guard.look()
    assert set(guard.rules.config.users) == {"bob"}


@pytest.mark.parametrize(
    "less",
    [
        "",
        TLS,
        MUTUAL,
        MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
    ],
    ids=["no TLS", "no certificates", "any name", "certificates if given"],
)
def test_what_is_asked_of_clients_is_not_given_up_without_a_restart(tmp_path: Path, less: str) -> None:
    site = Site(tmp_path)
    site.path.write_text(MUTUAL + "  client_allowed_sans: [prometheus.example]\n")
    guard = Guard(str(site.path), LOG)
    replace(site.path, less)
    with pytest.raises(SettingsError, match="restart"):
        guard.reload()
    assert guard.rules.config.tls is not None
    assert guard.rules.config.tls.client_allowed_sans


def test_a_reload_reads_the_files_at_once_and_refuses_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(replace(path, users(alice="right")), LOG, wall_now=iter([7.0, 8.0]).__next__)
    assert guard.latest == (True, 7.0)
    old = guard.rules
    path.write_text("basic_auth_users: [")
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        guard.reload()
    assert guard.rules is old
    assert guard.latest == (False, 7.0)
    replace(path, users(bob="right"))
    guard.reload()
    assert set(guard.rules.config.users) == {"bob"}
    assert guard.latest == (True, 8.0)


def test_a_bad_certificate_keeps_the_old_one_until_it_is_mended(tmp_path: Path) -> None:
    """Also one that only the new web config names."""
    site = Site(tmp_path)
    guard = Guard(str(site.path), LOG)
    old = guard.rules
    replace(tmp_path / "server.key", "half a k")
    guard.look()
    assert guard.rules is old
    replace(site.path, TLS.replace("server.crt", "next.crt").replace("server.key", "next.key"))
    guard.look()
    assert guard.rules is old
    make_pair("next", site.authority).write(tmp_path, "next")
    guard.look()
    assert guard.rules is not old


@pytest.mark.parametrize("file", ["web.yml", "server.crt", "server.key", "ca.crt"])
def test_a_named_pipe_is_refused_at_once(tmp_path: Path, file: str) -> None:
    """Opening it would wait for its writer, for ever."""
    site = Site(tmp_path)
    site.path.write_text(MUTUAL)
    (tmp_path / file).unlink()
    os.mkfifo(tmp_path / file)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError, match=rf"{file}.* cannot be read: not a regular file"):
        Guard(str(site.path), LOG)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_reload_leaves_no_descriptor_of_an_inline_key_open(tmp_path: Path) -> None:
    pair = make_pair("inline")
    text = f"tls_server_config:\n  cert: {pair.cert_pem!r}\n  key: {pair.key_pem!r}\n".replace("'", '"')
    guard = Guard(replace(tmp_path / "web.yml", text), LOG)
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        guard.reload()
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("reading", [None, Guard.look, Guard.reload], ids=["first", "look", "reload"])
def test_a_config_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: Callable[[Guard], None] | None
) -> None:
    path = tmp_path / "web.yml"
    replace(path, users(alice="right"))

    def read_and_change(where: str) -> WebConfig:
        config = read_web_config(where)
        replace(path, path.read_text().replace("alice", "bob"))
        return config

    if reading is None:
        monkeypatch.setattr(guarding, "read_web_config", read_and_change)
    guard = Guard(str(path), LOG)
    if reading is not None:
        monkeypatch.setattr(guarding, "read_web_config", read_and_change)
        replace(path, path.read_text() + "rate_limit: {interval: 1h, burst: 2}\n")
        reading(guard)
    monkeypatch.undo()
    assert set(guard.rules.config.users) == {"alice"}
    guard.look()
    assert set(guard.rules.config.users) == {"bob"}


def test_a_file_renamed_into_place_with_the_same_time_and_size_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(replace(path, users(alice="right")), LOG)
    before = path.stat()
    fresh = tmp_path / "fresh.yml"
    fresh.write_text(path.read_text().replace("alice", "carol"))
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(fresh, path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    guard.look()
    assert set(guard.rules.config.users) == {"carol"}


def test_curves_are_not_ignored_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for curves in ("[X25519]", "[CurveP256, X25519MLKEM768]"):
        caplog.clear()
        Guard(str(Site(tmp_path, f"  curve_preferences: {curves}\n").path), LOG)
        (record,) = caplog.records
        assert "curve_preferences has no effect" in record.getMessage()
