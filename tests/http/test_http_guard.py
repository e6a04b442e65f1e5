"""TLS, passwords and limits on a running server, and their change while it runs."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import logging
import os
import re
import socket
import ssl
import threading
import warnings
from base64 import b64encode
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import bcrypt
import pytest

from fexp.errors import SettingsError
from fexp.outputs.http import HttpServer, Limits
from fexp.outputs.http import guard as guarding
from fexp.outputs.http import users as passwords
from fexp.outputs.http.bucket import Bucket
from fexp.outputs.http.guard import Guard
from fexp.outputs.http.networks import network_of
from fexp.outputs.http.tls import make_context, restrict_curves
from fexp.outputs.http.turns import BusyError
from fexp.outputs.http.users import Users
from fexp.outputs.http.webconfig import RateLimit, read_web_config
from tests.http.certificates import Pair, make_pair
from tests.http.serving import (
    PATIENCE_SECONDS,
    MemoryServed,
    ask,
    connect,
    make_folder,
    port_of,
    read_to_end,
    running,
    watch_for_end,
)
from tests.servers import poll

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fexp.outputs.http.webconfig import TlsSettings, WebConfig


TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


def hashed(password: bytes) -> bytes:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).replace(b"$2b$", b"$2y$")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def write_users(path: Path, **passwords: str) -> str:
    lines = [f"  {user}: {hashed(password.encode()).decode()}\n" for user, password in passwords.items()]
    path.write_text("basic_auth_users:\n" + "".join(lines))
    return str(path)


class Site:
    """Certificates and a web config in a directory."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.directory = directory
        self.authority = make_pair("ca", is_authority=True)
        self.authority.write(directory, "ca")
        make_pair("server", self.authority).write(directory, "server")
        self.path = directory / "web.yml"
        self.path.write_text(TLS + extra)

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        if pair is not None:
            pair.write(self.directory, "client")
            context.load_cert_chain(self.directory / "client.crt", self.directory / "client.key")
        return context


def fails(server: HttpServer, tls: ssl.SSLContext) -> bool:
    try:
        ask(server, "/-/healthy", tls=tls)
    except (ssl.SSLError, ConnectionError, OSError):
        return True
    return False


def test_right_credentials_enter_others_do_not(tmp_path: Path) -> None:
    with running(web_config=write_users(tmp_path / "web.yml", alice="right", bob="x" * 72)) as server:

        def status(headers: dict[str, str]) -> int:
            return ask(server, "/metrics", headers=headers).status

        assert status(basic("alice", "right")) == 200
        assert status(basic("alice", "right")) == 200
        assert status(basic("bob", "x" * 72)) == 200
        for headers in (
            {},
            basic("alice", "wrong"),
            basic("alice", "wrong"),
            basic("carol", "right"),
            basic("bob", "x" * 73),
            basic("alice", "right\0"),
            basic("alice", ""),
            {"Authorization": "Basic !!!"},
            {"Authorization": "Basic"},
            {"Authorization": "Bearer right"},
            {"Authorization": "Basic " + b64encode(b"alice").decode()},
        ):
            reply = ask(server, "/metrics", headers=headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="fexp"'), headers


def test_every_path_asks_for_credentials(tmp_path: Path) -> None:
    with running(web_config=write_users(tmp_path / "web.yml", alice="right")) as server:
        for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/events", "/nothing"):
            assert ask(server, path).status == 401, path
        assert ask(server, "/-/reload", "POST").status == 401


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    compared: list[bytes] = []
    checkpw = bcrypt.checkpw

    def counting(password: bytes, against: bytes) -> bool:
        compared.append(against)
        return checkpw(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return compared


async def here(work: Callable[[], bool]) -> bool:
    return work()


def test_an_unknown_user_costs_the_same_hash_and_repeats_cost_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes 22a, 22d."""
    compared = count_hashes(monkeypatch)
    users = Users({"alice": hashed(b"right")})

    async def verdicts() -> list[bool]:
        tried = [("alice", "right"), ("alice", "wrong"), ("mallory", "right")] * 3
        return [await users.admits(basic(*pair)["Authorization"], "", here) for pair in tried]

    assert asyncio.run(verdicts()) == [True, False, False] * 3
    assert len(compared) == 3
    assert len({against[:7] for against in compared}) == 1  # the same cost


def test_wrong_passwords_do_not_push_right_ones_out(monkeypatch: pytest.MonkeyPatch) -> None:
    users = Users({"alice": hashed(b"right")})
    right = basic("alice", "right")["Authorization"]

    async def flood() -> bool:
        await users.admits(right, "", here)
        for number in range(200):
            await users.admits(basic("alice", str(number))["Authorization"], "", here)
        compared = count_hashes(monkeypatch)
        admitted = await users.admits(right, "", here)
        return admitted and not compared

    assert asyncio.run(flood())


def test_while_others_guess_the_right_password_comes_next() -> None:
    """The latest is checked first; of too many, who waited longest is told so, and never that it is wrong."""
    users = Users({"alice": hashed(b"right")})
    order: list[str] = []

    async def one(password: str, off_loop: Callable[[Callable[[], bool]], Awaitable[bool]]) -> str:
        try:
            verdict = await users.admits(basic("alice", password)["Authorization"], "", off_loop)
        except BusyError:
            return "busy"
        order.append(password)
        return "in" if verdict else "out"

    async def all_at_once() -> list[str]:
        go = asyncio.Event()

        async def slow(work: Callable[[], bool]) -> bool:
            await go.wait()
            return work()

        guesses = [asyncio.create_task(one(f"guess {number}", slow)) for number in range(70)]
        await asyncio.sleep(0)
        right = asyncio.create_task(one("right", slow))
        cancelled = asyncio.create_task(one("gone", slow))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        go.set()
        return [*await asyncio.gather(*guesses), await right]

    results = asyncio.run(all_at_once())
    assert results[-1] == "in"
    assert order[:2] == ["guess 0", "right"]
    assert "gone" not in order
    assert results.count("busy") == 70 - 1 - 64 + 2
    assert results[1:7] == ["busy"] * 6


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::3", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_attackers_many_addresses_are_one(address: str, network: str) -> None:
    assert network_of(address) == network


def test_passwords_are_checked_in_turns_of_networks() -> None:
    users = Users({"alice": hashed(b"right")})

    async def scenario() -> None:
        go = asyncio.Event()

        async def held(work: Callable[[], bool]) -> bool:
            await go.wait()
            return work()

        checks = [
            asyncio.create_task(users.admits(basic("alice", str(number))["Authorization"], f"2001:db8::{number}", held))
            for number in range(4)
        ]
        await asyncio.sleep(0)
        assert list(users._turns._waiting) == ["2001:db8::/64"]
        go.set()
        await asyncio.gather(*checks)

    asyncio.run(scenario())


@pytest.mark.slow
def test_who_floods_from_one_address_keeps_no_other_out(tmp_path: Path) -> None:
    """A flood that never pauses, over connections that are kept: 503 for some of it, 200 for the scraper."""
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users:\n  alice: {bcrypt.hashpw(b'right', bcrypt.gensalt(8)).decode()}\n")
    stop, refused = threading.Event(), threading.Semaphore(0)

    def guess(port: int, name: str) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=("127.0.0.2", 0))) as client:
            for number in itertools.count():
                if stop.is_set():
                    return
                client.request("GET", "/metrics", headers=basic("alice", f"{name} {number}"))
                answer = client.getresponse()
                answer.read()
                if answer.status == 503:
                    refused.release()

    with running(web_config=str(config)) as server:
        guessers = [
            threading.Thread(target=guess, args=(port_of(server), str(number)))
            for number in range(passwords._WAITING + 16)
        ]
        for guesser in guessers:
            guesser.start()
        try:
            assert refused.acquire(timeout=PATIENCE_SECONDS)
            answer = ask(server, "/metrics", headers=basic("alice", "right"))
            assert answer.status == 200
        finally:
            stop.set()
            for guesser in guessers:
                guesser.join()


def test_who_is_turned_away_waits_for_its_503_and_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would come again at once; and held back, it must not keep others out."""
    monkeypatch.setattr(passwords, "_WAITING", 1)
    go_on = threading.Event()
    begun = threading.Semaphore(0)

    def check(_password: bytes, _against: bytes) -> bool:
        begun.release()
        return go_on.wait(PATIENCE_SECONDS)

    config = write_users(tmp_path / "web.yml", alice="right")
    monkeypatch.setattr(bcrypt, "checkpw", check)
    limits = Limits(connections=3, turned_away_seconds=PATIENCE_SECONDS)

    def request(client: socket.socket, password: str) -> None:
        header = basic("alice", password)["Authorization"]
        client.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\n\r\n".encode())

    with running(web_config=config, limits=limits) as server, ExitStack() as clients:
        checked, turned_away, waiting = [clients.enter_context(connect(server)) for _ in range(3)]
        request(checked, "one")
        assert begun.acquire(timeout=PATIENCE_SECONDS)
        request(turned_away, "two")
        assert server._guard is not None
        assert server._server is not None
        poll(lambda: server._guard.rules.users._turns._waiting)
        request(waiting, "three")
        poll(lambda: any(one.is_turned_away for one in list(server._server._connections)))
        assert ask(server, "/").status == 401
        assert read_to_end(turned_away) == b""
        go_on.set()
        assert waiting.recv(12) == b"HTTP/1.1 200"


def test_hashing_is_done_one_at_a_time() -> None:
    """Mistake 22b."""
    users = Users({"alice": hashed(b"right")})
    under_way = 0
    most = 0

    async def off_loop(work: Callable[[], bool]) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return work()

    async def together() -> None:
        await asyncio.gather(
            *(users.admits(basic("alice", str(number))["Authorization"], "", off_loop) for number in range(5))
        )

    asyncio.run(together())
    assert most == 1


def test_bucket_refills_with_time() -> None:
    now = 0.0
    bucket = Bucket(RateLimit(2.0, 3), lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 2.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_rate_limit_answers_429(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("rate_limit: {interval: 1h, burst: 2}\n")
    with running(web_config=str(path)) as server:
        assert [ask(server, "/-/healthy").status for _ in range(3)] == [200, 200, 429]


def test_headers_of_the_file_are_sent(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=9, X-Frame-Options: sameorigin}}\n"
    )
    with running(web_config=str(path)) as server:
        headers = ask(server, "/").headers
    assert headers["strict-transport-security"] == "max-age=9"
    assert headers["x-frame-options"] == "sameorigin"


def test_tls_serves_and_plain_http_does_not(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with running(web_config=str(site.path)) as server:
        assert server.addresses[0].startswith("https://")
        assert ask(server, "/-/healthy", tls=site.client()).status == 200
        for _ in range(3):
            with connect(server) as plain, plain.makefile("rb") as answers:
                plain.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = answers.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert answer.endswith(b"\r\n\r\nhttps is spoken here\n")
        with connect(server) as silent:
            silent.shutdown(socket.SHUT_WR)
            assert read_to_end(silent) == b""
        assert ask(server, "/-/healthy", tls=site.client()).status == 200


def test_versions_below_the_minimum_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, "  min_version: TLS13\n")
    old = site.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with running(web_config=str(site.path)) as server:
        assert fails(server, old)
        assert not fails(server, site.client())


def test_client_certificates_are_verified(tmp_path: Path) -> None:
    site = Site(tmp_path, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n")
    with running(web_config=str(site.path)) as server:
        assert not fails(server, site.client(make_pair("prometheus", site.authority)))
        assert fails(server, site.client())
        assert fails(server, site.client(make_pair("prometheus")))


def test_an_intermediate_authority_will_do(tmp_path: Path) -> None:
    """As in Go: each certificate in client_ca_file is trusted by itself."""
    site = Site(tmp_path, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: inter.crt\n")
    intermediate = make_pair("inter", site.authority, is_authority=True)
    intermediate.write(tmp_path, "inter")
    with running(web_config=str(site.path)) as server:
        assert not fails(server, site.client(make_pair("prometheus", intermediate)))
        assert fails(server, site.client(make_pair("prometheus", site.authority)))


def test_tls_1_0_is_spoken_where_it_is_asked_for(tmp_path: Path) -> None:
    site = Site(tmp_path, "  min_version: TLS10\n")
    old = site.client()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    with running(web_config=str(site.path)) as server:
        assert not fails(server, old)


def test_names_in_client_certificates_are_held_to_the_list(tmp_path: Path) -> None:
    site = Site(
        tmp_path,
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
        "  client_allowed_sans: [prometheus.example]\n",
    )
    with running(web_config=str(site.path)) as server:
        assert not fails(server, site.client(make_pair("prometheus", site.authority)))
        assert fails(server, site.client(make_pair("mallory", site.authority)))


def test_a_half_open_handshake_is_cut_and_delays_nobody(tmp_path: Path) -> None:
    """Mistake 21b."""
    site = Site(tmp_path)
    limits = Limits(handshake_seconds=0.3, connections=30)
    with running(web_config=str(site.path), limits=limits) as server:
        silent = [connect(server) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01\x02")
        silent[1].sendall(b"\x16")
        assert ask(server, "/-/healthy", tls=site.client()).status == 200
        for client in silent:
            assert read_to_end(client) == b""
            client.close()


def test_half_open_handshakes_make_room(tmp_path: Path) -> None:
    """Mistake 21b."""
    site = Site(tmp_path)
    limits = Limits(connections=2)
    with (
        running(web_config=str(site.path), limits=limits) as server,
        connect(server) as first,
        connect(server),
    ):
        assert ask(server, "/-/healthy", tls=site.client()).status == 200
        assert read_to_end(first) == b""


def test_a_tls_client_that_sends_nothing_after_the_handshake_is_cut(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with running(web_config=str(site.path), limits=Limits(request_seconds=0.2)) as server:
        raw = socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE_SECONDS)
        with site.client().wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=True) as client:
            assert client.recv(1) == b""


def test_a_tls_client_that_never_reads_is_cut(tmp_path: Path) -> None:
    site = Site(tmp_path)
    folders = tuple(make_folder(f"/data/{number:05}/{'x' * 200}") for number in range(3000))
    limits = Limits(send_seconds=0.3)
    with (
        running(MemoryServed(folders=folders), web_config=str(site.path), limits=limits) as server,
        site.client().wrap_socket(connect(server), server_hostname="127.0.0.1") as client,
    ):
        ended = watch_for_end(server)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(PATIENCE_SECONDS)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def touch(path: Path, text: str) -> None:
    """Replace the file as careful programs do: at once, with another inode."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def certificate_of(server: HttpServer) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with connect(server) as raw, context.wrap_socket(raw) as client:
        return client.getpeercert(binary_form=True) or b""


def running_with_clock(server: HttpServer, clock: Clock) -> None:
    assert server._guard is not None
    server._guard._now = clock
    server._guard._looked_at = clock()


def test_a_new_certificate_is_picked_up_without_a_restart(tmp_path: Path) -> None:
    site, clock = Site(tmp_path), Clock()
    with running(web_config=str(site.path)) as server:
        running_with_clock(server, clock)
        before = certificate_of(server)
        make_pair("renewed", site.authority).write(tmp_path, "server")
        assert certificate_of(server) == before  # looked at once a second at most
        clock.seconds += 1
        assert certificate_of(server) != before


def test_a_broken_certificate_keeps_the_old_one_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, clock = Site(tmp_path), Clock()
    with running(web_config=str(site.path)) as server:
        running_with_clock(server, clock)
        before = certificate_of(server)
        touch(tmp_path / "server.key", "half a k")
        for _ in range(3):
            clock.seconds += 1
            assert certificate_of(server) == before
        told = [record for record in caplog.records if "stays in force" in record.getMessage()]
        assert len(told) == 1
        renewed = make_pair("renewed", site.authority)
        renewed.write(tmp_path, "server")
        clock.seconds += 1
        assert certificate_of(server) != before


def test_users_follow_the_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "web.yml", Clock()
    with running(web_config=write_users(path, alice="old")) as server:
        running_with_clock(server, clock)

        def enters(password: str) -> bool:
            return ask(server, "/-/healthy", headers=basic("alice", password)).status == 200

        assert enters("old")
        write_users(path, alice="new")
        clock.seconds += 1
        assert enters("new")
        assert not enters("old")


@pytest.mark.parametrize("text", ["", "basic_auth_users:\n", "nonsense: 1\n", "\0"])
def test_a_file_caught_half_written_does_not_open_the_door(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "web.yml", Clock()
    with running(web_config=write_users(path, alice="right")) as server:
        running_with_clock(server, clock)
        touch(path, text)
        for _ in range(2):
            clock.seconds += 1
            assert ask(server, "/-/healthy").status == 401
        assert ask(server, "/-/healthy", headers=basic("alice", "right")).status == 200
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    assert "right" not in caplog.text


MTLS = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


@pytest.mark.parametrize("less", [TLS, MTLS.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), MTLS])
def test_client_certificates_are_not_given_up_without_a_restart(tmp_path: Path, less: str) -> None:
    site = Site(tmp_path)
    site.path.write_text(MTLS + "  client_allowed_sans: [prometheus.example]\n")
    guard = Guard(str(site.path), logging.getLogger("fexp.test.guard"))
    touch(site.path, less)
    with pytest.raises(SettingsError, match="asks less of client certificates; restart fexp"):
        guard.reload()
    assert guard.rules.config.tls is not None
    assert guard.rules.config.tls.client_allowed_sans


def test_a_path_that_is_none_spoils_nothing(tmp_path: Path) -> None:
    """The good file is taken up again when it is back."""
    site = Site(tmp_path)
    guard = Guard(str(site.path), logging.getLogger("fexp.test.guard"))
    good = site.path.read_text()
    touch(site.path, TLS.replace("server.crt", '"a\\0b"'))
    with pytest.raises(SettingsError, match="cannot be read"):
        guard.reload()
    guard.look()
    touch(site.path, good)
    old = guard.rules
    guard.look()
    assert guard.rules is not old


def test_a_look_that_is_overtaken_by_a_reload_undoes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(write_users(path, alice="right"), logging.getLogger("fexp.test.guard"), now=iter(range(99)).__next__)

    async def overtaken(look: Callable[[], None]) -> None:
        write_users(path, bob="right")
        look()
        write_users(path, carol="right")
        guard.reload()

    assert set(asyncio.run(guard.refresh(overtaken)).config.users) == {"carol"}


@pytest.mark.parametrize("curves", ["CurveP256", "X25519", "CurveP256, CurveP384", "X25519, CurveP384"])
def test_curves_that_this_python_cannot_choose_are_not_ignored_without_a_word(
    curves: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, f"  curve_preferences: [{curves}]\n")
    guard = Guard(str(site.path), logging.getLogger("fexp.test.guard"))
    tls, context = guard.rules.config.tls, guard.rules.context
    assert tls is not None
    assert context is not None
    if restrict_curves(context, tls):
        assert not caplog.text
    else:
        assert f"curve_preferences: this Python cannot choose {curves}; OpenSSL's own choice holds" in caplog.text


def test_a_curve_that_openssl_refuses_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the Python of Debian 12 refuses X25519."""

    def refuse(self: ssl.SSLContext, name: str) -> None:
        raise ssl.SSLError(129, "[EC: UNKNOWN_GROUP] unknown group")

    monkeypatch.setattr(ssl.SSLContext, "set_ecdh_curve", refuse)
    monkeypatch.setattr(ssl.SSLContext, "set_groups", refuse, raising=False)
    site = Site(tmp_path, "  curve_preferences: [X25519]\n")
    with running(web_config=str(site.path)) as server:
        assert not fails(server, site.client())
    assert "this Python cannot choose X25519" in caplog.text


def test_a_file_that_vanishes_keeps_the_old_rules(tmp_path: Path) -> None:
    path, clock = tmp_path / "web.yml", Clock()
    with running(web_config=write_users(path, alice="right")) as server:
        running_with_clock(server, clock)
        path.unlink()
        clock.seconds += 1
        assert ask(server, "/-/healthy").status == 401


def test_files_that_hang_keep_nobody_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As on a dead network file system: the old rules hold, new passwords are checked, and one line says why."""
    config = tmp_path / "web.yml"
    write_users(config, alice="right")
    answering = threading.Event()
    with running(web_config=str(config)) as server:
        guard = server._guard
        assert guard is not None
        now, look = [guard._now()], guard.look
        guard._now = lambda: now[0]

        def hang() -> None:
            answering.wait(PATIENCE_SECONDS)
            look()

        guard.look = hang  # type: ignore[method-assign]
        for _ in range(3):
            now[0] += 2.0
            assert ask(server, "/metrics", headers=basic("alice", "right")).status == 200
        assert caplog.text.count("its files are slow to answer; the old rules hold meanwhile") == 1
        write_users(config, bob="right")
        answering.set()
        poll(lambda: set(guard.rules.config.users) == {"bob"})
        now[0] += 2.0
        assert ask(server, "/metrics", headers=basic("bob", "right")).status == 200


def test_a_look_that_fails_as_nobody_foresaw_is_told_and_spoils_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = write_users(tmp_path / "web.yml", alice="right")
    with running(web_config=config) as server:
        assert server._guard is not None
        server._guard._now = lambda: 1e9
        server._guard.look = lambda: 1 / 0  # type: ignore[method-assign, assignment]
        assert ask(server, "/metrics", headers=basic("alice", "right")).status == 200
    assert [record.message for record in caplog.records] == ["cannot look at the web config"]


@pytest.mark.parametrize("file", ["web.yml", "server.crt", "server.key", "ca.crt"])
def test_a_named_pipe_is_refused_at_once(tmp_path: Path, file: str) -> None:
    """Opening it would wait for its writer, for ever."""
    extra = "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n"
    site = Site(tmp_path, extra)
    (tmp_path / file).unlink()
    os.mkfifo(tmp_path / file)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError, match=rf"{file}.* cannot be read: not a regular file"):
        Guard(str(site.path), logging.getLogger())
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_new_rules_that_point_to_a_bad_file_are_taken_when_that_file_is_mended(tmp_path: Path) -> None:
    site = Site(tmp_path)
    guard = Guard(str(site.path), logging.getLogger("fexp.test.guard"))
    touch(site.path, TLS.replace("server.crt", "next.crt").replace("server.key", "next.key"))
    old = guard.rules
    guard.look()
    assert guard.rules is old
    make_pair("next", site.authority).write(tmp_path, "next")
    guard.look()
    assert guard.rules is not old


def test_a_reload_reads_the_files_at_once_and_refuses_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(write_users(path, alice="right"), logging.getLogger("fexp.test.guard"), wall_now=lambda: 7.0)
    assert guard.latest == (True, 7.0)
    old = guard.rules
    path.write_text("basic_auth_users: [")
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        guard.reload()
    assert guard.rules is old
    assert guard.latest == (False, 7.0)
    write_users(path, bob="right")
    guard.reload()
    assert set(guard.rules.config.users) == {"bob"}
    assert guard.latest == (True, 7.0)
    path.unlink()
    guard.look()
    assert set(guard.rules.config.users) == {"bob"}
    assert guard.latest == (False, 7.0)


def test_an_inline_pair_serves(tmp_path: Path) -> None:
    site = Site(tmp_path)
    pair = make_pair("inline", site.authority)
    text = f"tls_server_config:\n  cert: {pair.cert_pem!r}\n  key: {pair.key_pem!r}\n".replace("'", '"')
    site.path.write_text(text)
    with running(web_config=str(site.path)) as server:
        assert ask(server, "/-/healthy", tls=site.client()).status == 200


@pytest.mark.parametrize("order", [("dear", "cheap"), ("cheap", "dear")])
def test_whoever_asks_costs_as_much_as_the_dearest_hash(
    monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    """Each step of bcrypt's cost doubles the work."""
    compared = count_hashes(monkeypatch)
    hashes = {"cheap": hashed(b"right"), "dear": bcrypt.hashpw(b"right", bcrypt.gensalt(7))}
    users = Users({user: hashes[user] for user in order})

    async def ask_for(user: str) -> bool:
        return await users.admits(basic(user, "right")["Authorization"], "", here)

    for user, admitted in (("nobody", False), ("dear", True), ("cheap", True)):
        compared.clear()
        assert asyncio.run(ask_for(user)) is admitted
        assert sum(2 ** int(against[4:6]) for against in compared) == 2**7
        assert compared[0] == hashes.get(user, hashes["dear"])


def test_only_the_latest_wrong_passwords_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    users = Users({"alice": hashed(b"right")})
    compared = count_hashes(monkeypatch)
    assert passwords._REMEMBERED <= 128

    async def guess(number: int) -> int:
        """Tell how many hashes it costs."""
        compared.clear()
        assert not await users.admits(basic("alice", str(number))["Authorization"], "", here)
        return len(compared)

    async def scenario() -> None:
        for number in range(passwords._REMEMBERED):
            assert await guess(number) == 1
        assert await guess(0) == 0  # now the latest
        for number in range(1000, 1000 + passwords._REMEMBERED - 1):
            assert await guess(number) == 1
        assert await guess(0) == 0
        assert await guess(1) == 1
        assert sum(map(len, users._verdicts.values())) == passwords._REMEMBERED

    asyncio.run(scenario())


def test_what_waits_for_a_hash_is_bounded() -> None:
    users = Users({"alice": hashed(b"right")})
    most = passwords._WAITING
    assert most <= 64

    async def scenario() -> None:
        go = asyncio.Event()

        async def held(work: Callable[[], bool]) -> bool:
            await go.wait()
            return work()

        guesses = [
            asyncio.create_task(users.admits(basic("alice", str(number))["Authorization"], "", held))
            for number in range(most + 2)
        ]
        for _ in range(10):
            await asyncio.sleep(0)
        assert [guess for guess in guesses if guess.done()] == guesses[1:2]
        go.set()
        verdicts = await asyncio.gather(*guesses, return_exceptions=True)
        assert isinstance(verdicts.pop(1), BusyError)
        assert verdicts == [False] * (most + 1)

    asyncio.run(scenario())


LIMITED = "rate_limit: {interval: 1h, burst: 2}\n"


def test_who_is_known_and_what_is_spent_outlasts_a_change_of_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "web.yml"
    write_users(path, alice="right")
    users = path.read_text()
    touch(path, users + LIMITED)
    guard = Guard(str(path), logging.getLogger("fexp.test.guard"))
    right = basic("alice", "right")["Authorization"]
    assert asyncio.run(guard.rules.users.admits(right, "", here))
    assert [guard.rules.bucket.take() for _ in range(3)] == [True, True, False]
    touch(path, users + LIMITED + "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
    guard.look()
    assert guard.rules.config.headers == {"X-Frame-Options": "sameorigin"}
    compared = count_hashes(monkeypatch)
    assert asyncio.run(guard.rules.users.admits(right, "", here))
    assert compared == []
    assert not guard.rules.bucket.take()


@pytest.mark.parametrize("changed", ["users", "limit"])
def test_new_users_and_new_limits_hold_at_once(tmp_path: Path, changed: str) -> None:
    path = tmp_path / "web.yml"
    write_users(path, alice="right")
    users = path.read_text()
    touch(path, users + LIMITED)
    guard = Guard(str(path), logging.getLogger("fexp.test.guard"))
    assert [guard.rules.bucket.take() for _ in range(3)] == [True, True, False]
    if changed == "users":
        write_users(path, bob="right")
        touch(path, path.read_text() + LIMITED)
    else:
        touch(path, users + LIMITED.replace("2", "3"))
    guard.look()
    enters = asyncio.run(guard.rules.users.admits(basic("alice", "right")["Authorization"], "", here))
    assert enters is (changed == "limit")
    assert guard.rules.bucket.take()


@pytest.mark.parametrize("reading", ["first", "look", "reload"])
def test_a_config_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    path = tmp_path / "web.yml"
    write_users(path, alice="right")
    read = read_web_config

    def read_and_change(where: str) -> WebConfig:
        config = read(where)
        touch(path, path.read_text().replace("alice", "bob"))
        return config

    def change_while_read() -> None:
        monkeypatch.setattr(guarding, "read_web_config", read_and_change)

    if reading == "first":
        change_while_read()
    guard = Guard(str(path), logging.getLogger("fexp.test.guard"))
    if reading != "first":
        change_while_read()
        touch(path, path.read_text() + LIMITED)
        getattr(guard, reading)()
    monkeypatch.undo()
    assert set(guard.rules.config.users) == {"alice"}
    guard.look()
    assert set(guard.rules.config.users) == {"bob"}


def test_a_certificate_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    make = make_context

    def make_and_change(tls: TlsSettings) -> ssl.SSLContext:
        context = make(tls)
        touch(tmp_path / "server.crt", (tmp_path / "server.crt").read_text())
        return context

    monkeypatch.setattr(guarding, "make_context", make_and_change)
    guard = Guard(str(site.path), logging.getLogger("fexp.test.guard"))
    monkeypatch.undo()
    old = guard.rules
    guard.look()
    assert guard.rules is not old
    old = guard.rules
    guard.look()
    assert guard.rules is old


@pytest.mark.parametrize("field", ["st_mtime_ns", "st_ctime_ns", "st_ino", "st_size"])
def test_one_difference_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """A file renamed into place may keep time and size; one written in place and touched, inode, time and size."""
    path = tmp_path / "web.yml"
    found = {"st_mtime_ns": 1, "st_ctime_ns": 2, "st_ino": 3, "st_size": 4}
    monkeypatch.setattr(guarding, "os", SimpleNamespace(stat=lambda _: SimpleNamespace(**found)))
    guard = Guard(write_users(path, alice="right"), logging.getLogger("fexp.test.guard"))
    write_users(path, bob="right")
    guard.look()
    assert set(guard.rules.config.users) == {"alice"}
    found[field] += 10
    guard.look()
    assert set(guard.rules.config.users) == {"bob"}


def test_a_file_renamed_into_place_with_the_same_time_and_size_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    guard = Guard(write_users(path, alice="right"), logging.getLogger("fexp.test.guard"))
    before = path.stat()
    fresh = tmp_path / "fresh.yml"
    fresh.write_text(path.read_text().replace("alice", "carol"))
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(fresh, path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    guard.look()
    assert set(guard.rules.config.users) == {"carol"}
