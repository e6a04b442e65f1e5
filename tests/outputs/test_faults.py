"""Everything that the other side of a push can do wrong, and what fexp makes of it."""

from __future__ import annotations

import base64
import gc
import gzip
import html
import json
import logging
import shutil
import socket
import ssl
import threading
import traceback
import urllib.parse
from abc import ABC, abstractmethod
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import pytest

from fexp.config.settings import DeliverySettings
from fexp.errors import OutputError
from fexp.metrics import FexpCollector
from fexp.outputs.publisher import Publisher
from fexp.outputs.push.endpoint import Endpoint
from fexp.outputs.push.gateway import GatewayMode, GatewayOutput, GatewaySettings
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from fexp.outputs.push.sender import RefusedError, Sender
from fexp.outputs.queueing import publisher_for
from fexp.outputs.text import render_text
from tests.end_to_end.running import samples
from tests.engine.live import watching
from tests.outputs.conftest import Authority
from tests.outputs.samples import Numbers, TurnedClock, textfile_output
from tests.outputs.scripted import ScriptedServer, answer, close_at_once, deaf, drip, hang, raw
from tests.servers import free_port, poll, running_prometheus, running_pushgateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fexp.outputs import Output
    from tests.outputs.scripted import Connection, Step

SECRET = "s3cr3t-of-the-gateway"


def send(url: str, clock: TurnedClock | None = None, *, deadline_seconds: float = 20.0, **settings: Any) -> Sender:
    clock = clock or TurnedClock()
    endpoint = GatewaySettings(url, mode=GatewayMode.IMPORT, deadline_seconds=deadline_seconds, **settings)
    return Sender(endpoint, clock=clock, wall_clock=clock, wait=clock.wait, jitter=lambda: 0.5)


def failure(sender: Sender, body: bytes = b"fexp_files 1\n") -> OutputError:
    with pytest.raises(OutputError) as caught:
        sender.send("PUT", body=body)
    return caught.value


@pytest.mark.parametrize("status", [200, 202, 204])
def test_every_2xx_is_a_success(status: int) -> None:
    """Mistake 18e: a Pushgateway says 200, one without consistency check 202, VictoriaMetrics 204."""
    with ScriptedServer(answer(status)) as server:
        assert send(server.url).send("PUT", body=b"x").status == status
        assert server.attempts == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 418, 422])
def test_a_4xx_is_not_tried_again_and_its_reason_is_told(status: int) -> None:
    """Mistakes 15c, 15d: retrying 400, hiding the body."""
    clock = TurnedClock()
    with ScriptedServer(answer(status, b"\n  pushed metrics are \x1b[31minvalid\r\nsecond line")) as server:
        error = failure(send(server.url, clock))
    assert isinstance(error, RefusedError)
    assert error.status == status
    assert error.final
    assert str(error).startswith(f"{server.url}: answered {status}: pushed metrics are \\x1b[31minvalid second line")
    assert server.attempts == 1
    assert clock.waits == []


@pytest.mark.parametrize(
    "step",
    [
        answer(200, b"<!DOCTYPE html><p>Please log in", Content_Type="text/plain"),
        answer(200, b"Please log in", Content_Type="text/html; charset=utf-8"),
        answer(202, b"\n  <?xml version='1.0'?><error/>"),
        answer(200, b"x" * (128 * 1024)),
    ],
)
def test_a_success_that_no_receiver_sends_is_none(step: Step) -> None:
    """A captive portal answers everything with 200 and a page of its own."""
    with ScriptedServer(step) as server:
        error = failure(send(server.url, deadline_seconds=0.3))
    assert "with a page that no receiver sends" in str(error)
    assert not error.final


def test_what_a_receiver_says_of_its_success_is_a_success() -> None:
    with ScriptedServer(
        answer(200, b"ok\n"), answer(200, b'{"status": "success"}', Content_Type="application/json")
    ) as server:
        sender = send(server.url)
        sender.send("PUT")
        sender.send("POST")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_is_tried_again_with_growing_pauses(status: int) -> None:
    """Mistake 15b: no retry."""
    clock = TurnedClock()
    with ScriptedServer(answer(status, b"try later")) as server:
        error = failure(send(server.url, clock))
        assert server.attempts == 7
    assert clock.waits == [0.375, 0.75, 1.5, 3.0, 6.0, 7.5]
    assert not error.final
    assert str(error) == f"{server.url}: answered {status}: try later (7 tries)"


def test_it_comes_back_within_the_deadline() -> None:
    with ScriptedServer(close_at_once, answer(500), raw(b"nonsense\r\n\r\n"), answer(200)) as server:
        assert send(server.url).send("PUT", body=b"the same every time").status == 200
        assert server.attempts == 4
        assert server.bodies[-1] == b"the same every time"


def test_a_stop_ends_the_pause_and_the_group_is_still_deleted() -> None:
    """A receiver that is well again is waited for by nobody, and must not keep the numbers of a stopped fexp."""
    with ScriptedServer(answer(503, Retry_After="50"), answer(202)) as server:
        endpoint = GatewaySettings(server.url, instance="h", deadline_seconds=60.0)
        publisher = Publisher(GatewayOutput(endpoint), Numbers(), DeliverySettings())
        publisher.start()
        poll(lambda: server.attempts == 1)
        publisher.stop(retract=True)
        assert publisher.join(30)
        assert server.heads[1].startswith("DELETE ")


def test_a_stop_ends_the_answer_under_way_too_and_what_follows_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that hung once must not keep the numbers of a stopped fexp."""
    monkeypatch.setattr("fexp.outputs.push.sender._LAST_ANSWER_SECONDS", 0.1)
    with ScriptedServer(hang, answer(503), answer(202)) as server:
        endpoint = GatewaySettings(server.url, instance="h", deadline_seconds=60.0)
        publisher = Publisher(GatewayOutput(endpoint), Numbers(), DeliverySettings())
        publisher.start()
        poll(lambda: server.requests)
        publisher.stop(retract=True)
        assert publisher.join(30)
        assert [head.partition(" ")[0] for head in server.heads] == ["PUT", "DELETE", "DELETE"]


def test_after_a_stop_it_is_tried_again_for_a_moment_only() -> None:
    """Whoever pressed Ctrl-C looks at a prompt that does not come."""
    clock = TurnedClock()
    with ScriptedServer(answer(503)) as server:
        sender = send(server.url, clock)
        sender.hurry()
        failure(sender)
        assert server.attempts == 3
    assert clock.waits == [0.375, 0.75]
    clock.now += 100.0
    with ScriptedServer(answer(503), answer(200)) as server:
        late = send(server.url, clock)
        late.hurry()
        clock.now += 2.0
        failure(late)
        assert server.attempts == 1
        assert late.send("DELETE").status == 200


def test_retry_after_is_honoured() -> None:
    clock = TurnedClock()
    with ScriptedServer(answer(429, Retry_After="7"), answer(200)) as server:
        send(server.url, clock).send("PUT", body=b"x")
    assert clock.waits == [7.0]


def test_retry_after_beyond_the_deadline_is_handed_up_at_once() -> None:
    clock = TurnedClock()
    with ScriptedServer(answer(503, Retry_After="3600")) as server:
        error = failure(send(server.url, clock))
    assert (error.retry_after_seconds, clock.waits) == (3600.0, [])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:17:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 40, 1e40),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("", None),
    ],
)
def test_retry_after_as_a_date_or_as_nonsense(value: str, seconds: float | None) -> None:
    with ScriptedServer(answer(503, Retry_After=value)) as server:
        error = failure(send(server.url, TurnedClock(1000.0), deadline_seconds=0.2))
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_place_named(status: int) -> None:
    """Mistake 14a: a POST that follows becomes a GET and the data is lost."""
    location = "https://sso:pw@login.example/start?token=abc#x"
    with ScriptedServer(answer(status, Location=location)) as server:
        error = failure(send(server.url))
        assert server.attempts == 1
    assert error.final
    assert f"answered {status}: points to https://…@login.example/start?…;" in str(error)


@pytest.mark.parametrize("location", ["", "/login", "http://[", "//", "https://127.0.0.1:0x/", "ht tp://x", "\x7f"])
def test_a_redirect_to_nonsense_is_refused(location: str) -> None:
    with ScriptedServer(answer(301, Location=location)) as server:
        assert "answered 301: points to" in str(failure(send(server.url)))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_upgrade_to_https_of_the_same_host_keeps_the_method(
    status: int, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    """Mistake 14b."""
    with ScriptedServer(answer(200), tls=server_tls) as secure:
        with ScriptedServer(answer(status, Location=f"{secure.url}/metrics/job/x")) as plain:
            output = send(f"{plain.url}/metrics/job/x", ca_file=str(ca_file), user="u", password=SECRET)
            assert output.send("PUT", body=b"data").status == 200
        assert secure.heads[0].startswith("PUT /metrics/job/x HTTP/1.1")
        assert secure.bodies == [b"data"]


@pytest.mark.parametrize(
    "location",
    [
        "https://localhost:{port}/metrics",
        "https://127.0.0.1:{port}/login",
        "https://u@127.0.0.1:{port}/metrics",
    ],
)
def test_an_upgrade_to_another_host_or_path_is_refused(
    location: str, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    """Mistake 14c: a login page would say 200 to anything."""
    with ScriptedServer(answer(200), tls=server_tls) as secure:
        with ScriptedServer(answer(301, Location=location.format(port=secure.port))) as plain:
            failure(send(f"{plain.url}/metrics", ca_file=str(ca_file)))
        assert secure.attempts == 0


def test_nobody_listens() -> None:
    port = free_port()
    clock = TurnedClock()
    error = failure(send(f"http://127.0.0.1:{port}", clock))
    assert str(error) == f"http://127.0.0.1:{port}: Connection refused (7 tries)"
    assert not error.final


def test_the_name_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    error = failure(send("http://gateway.invalid:9091"))
    assert str(error) == "http://gateway.invalid:9091: Name or service not known (7 tries)"


def test_looking_up_the_name_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistake 15a: no time-out of a socket covers the resolver."""
    forever = threading.Event()

    def hangs(*_: object, **__: object) -> None:
        forever.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Try again")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        assert_ends_in_time("http://gateway.invalid:9091")
    finally:
        forever.set()


def assert_ends_in_time(url: str, body: bytes = b"x") -> None:
    began_at = monotonic()
    sender = Sender(Endpoint(url, deadline_seconds=0.2))
    error = failure(sender, body)
    assert monotonic() - began_at < 30  # of the 60 that the server would take
    assert "no whole answer in time" in str(error)
    assert not error.final


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(hang, id="hangs"),
        pytest.param(drip(b"", b"H"), id="drips from the start"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Long: "), id="drips a header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), id="drips the body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="drips chunks"),
        pytest.param(drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), id="drips continues"),
    ],
)
def test_the_deadline_is_total(step: Step) -> None:
    """Mistake 15a: a time-out per socket operation lets a dripping server hold a push for ever."""
    with ScriptedServer(step) as server:
        assert_ends_in_time(server.url)


def test_one_request_may_have_less_time_than_the_deadline() -> None:
    """But never more."""
    for within_seconds, tries in ((0.0, 0), (1.0, 2), (1000.0, 7)):
        with ScriptedServer(answer(503)) as server, pytest.raises(OutputError):
            send(server.url).send("POST", within_seconds=within_seconds)
        assert server.attempts == tries


def test_the_deadline_covers_a_server_that_does_not_read() -> None:
    """Mistake 15a."""

    with ScriptedServer(deaf) as server:
        assert_ends_in_time(server.url, b"x" * 50_000_000)


def test_the_deadline_covers_a_tls_handshake_that_hangs() -> None:
    """Mistake 15a."""
    with ScriptedServer(hang) as server:
        assert_ends_in_time(server.url.replace("http:", "https:"))


def test_without_a_thread_it_is_tried_again_and_the_way_out_is_named(no_thread: Callable[[], None]) -> None:
    clock = TurnedClock()
    sender = send("http://gateway.example", clock, deadline_seconds=1.0)
    no_thread()
    assert "can't start new thread; allow more with ulimit -u" in str(failure(sender))
    assert clock.waits


def test_nothing_is_left_of_an_exchange_that_was_given_up() -> None:
    """Memory and threads stay bounded however long the other side plays."""
    with ScriptedServer(drip(b"HTTP/1.1 200 OK\r\nX-Long: ")) as server:
        for _ in range(3):
            assert_ends_in_time(server.url)
        assert_no_exchange_is_left()


def assert_no_exchange_is_left() -> None:
    gc.collect()  # the outputs of other tests, with their threads
    poll(lambda: not [one for one in threading.enumerate() if one.name == "fexp-exchange"], seconds=30)


def test_nothing_is_left_of_a_tunnel_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(drip(b"HTTP/1.1 200 OK\r\nX-Long: ")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        assert_ends_in_time("https://gateway.example/x")
        assert_no_exchange_is_left()


def test_nothing_is_left_of_a_handshake_that_was_given_up() -> None:
    with ScriptedServer(drip(b"\x16\x03\x03\x40\x00")) as server:
        assert_ends_in_time(server.url.replace("http:", "https:"))
        assert_no_exchange_is_left()


def test_what_was_given_up_is_not_sent_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that went out once the name is found would bring back the group that the stop has deleted."""
    looked_up, found = socket.getaddrinfo, threading.Event()

    def slow(*arguments: Any, **named: Any) -> Any:
        found.wait(60)
        return looked_up(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with ScriptedServer(answer(200)) as server:
        try:
            assert_ends_in_time(server.url)
            assert server.attempts == 0
        finally:
            found.set()
        assert_no_exchange_is_left()
        poll(lambda: server.attempts == 1)
    assert not any(server.requests)


def test_an_endless_body_is_cut() -> None:
    def flood(connection: Connection) -> None:
        connection.read_request()
        connection.stream.sendall(b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n")
        while not connection.stopping.is_set():
            connection.stream.sendall(b"x" * 65536)

    with ScriptedServer(flood) as server:
        error = failure(send(server.url, deadline_seconds=0.3))
    assert str(error) == f"{server.url}: answered 500: {'x' * 700} … {'x' * 300}"


def test_closing_ends_the_waiting() -> None:
    with ScriptedServer(hang) as server:
        sender = Sender(Endpoint(server.url, deadline_seconds=60))
        closer = threading.Timer(0.1, sender.close)
        closer.start()
        began_at = monotonic()
        failure(sender)
        assert monotonic() - began_at < 30
        closer.join()


def test_closing_ends_the_pause_before_the_next_try() -> None:
    with ScriptedServer(answer(503, Retry_After="60")) as server:
        sender = Sender(Endpoint(server.url, deadline_seconds=60))
        closer = threading.Timer(0.1, sender.close)
        closer.start()
        began_at = monotonic()
        failure(sender)
        assert monotonic() - began_at < 30
        closer.join()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200", id="half a status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: x\r\n", id="no end of the header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf a body", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", id="half a chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no status"),
    ],
)
def test_closed_in_the_middle_is_no_success(content: bytes) -> None:
    """Mistake 15e: a cut "HTTP/1.1 200" counted as success."""
    with ScriptedServer(raw(content)) as server:
        error = failure(send(server.url, deadline_seconds=1.0))
        assert server.attempts == 2
    assert not error.final
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "the header of its answer is too long to be one"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "the header of its answer is too long to be one"),
    ],
)
def test_what_is_no_answer_is_named(content: bytes, reason: str) -> None:
    with ScriptedServer(raw(content)) as server:
        error = failure(send(server.url, deadline_seconds=0.2))
    assert str(error) == f"{server.url}: {reason}"


def test_answers_that_only_inform_are_passed_over() -> None:
    """RFC 9110, 15.2."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with ScriptedServer(raw(hints + hints + b"HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n")) as server:
        assert send(server.url).send("PUT").status == 204


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><head><title>401 Authorization\n Required</title></head></html>", "401 Authorization Required"),
        (b"<html>\n<center>nginx</center></html>", ""),
        (b"inconsistent: 2 error(s) occurred:\n* a\n* b", "inconsistent: 2 error(s) occurred: * a * b"),
        (b"metric" + b" label:<x>" * 500 + b" is not a COUNTER", " is not a COUNTER"),
    ],
)
def test_the_reason_is_what_a_person_needs(body: bytes, reason: str) -> None:
    with ScriptedServer(answer(401, body)) as server:
        error = str(failure(send(server.url)))
    assert error.endswith(f"{reason}; check the credentials" if reason else "answered 401: check the credentials")
    assert "\n" not in error


@pytest.mark.parametrize(
    ("token", "body"),
    [
        ("A1b2C3d4" * 80, "invalid token: {}"),
        (SECRET, "x" * 690 + " {}"),
        ('pa"ss\\wö<&', '{{"error":"bad password {json}"}}'),
        ('pa"ss\\wö<&', "<html><title>bad {html}</title>"),
        ("pa ss/w", "bad ?password={url}"),
    ],
)
def test_an_echo_of_the_secret_is_hidden_however_it_is_cut_or_written(token: str, body: str) -> None:
    forms = {"json": json.dumps(token)[1:-1], "html": html.escape(token), "url": urllib.parse.quote_plus(token)}
    with ScriptedServer(answer(400, body.format(token, **forms).encode())) as server:
        error = str(failure(send(server.url, user="anna", password=token)))
    assert "***" in error
    for form in (token, *forms.values()):
        assert form[:6] not in error


def test_an_echo_by_a_go_program_is_hidden() -> None:
    secret = "a&b<c>'d\"/e"
    body = r"""{"error":"bad a\u0026b\u003cc\u003e'd\"/e"} a&amp;b&lt;c&gt;&#39;d&#34;/e a%26b%3cc%3e%27d%22%2fe"""
    with ScriptedServer(answer(400, body.encode())) as server:
        error = str(failure(send(server.url, user="anna", password=secret)))
    assert error.endswith('{"error":"bad ***"} *** ***')


@pytest.mark.parametrize(
    "form",
    [
        r"""a+b\/c d'e\"f&g=h""",  # PHP's JSON
        """a&#43;b/c d&#39;e&#34;f&amp;g=h""",  # Go's HTML
        """a+b%2Fc%20d%27e%22f&g=h""",  # Go's path of a URL
        """a%2Bb%2Fc%20d'e%22f%26g%3Dh""",  # JavaScript's part of a URL
        """a+b/c%20d'e%22f&g=h""",  # JavaScript's whole URL
        """a%2Bb/c%20d%27e%22f%26g%3Dh""",  # Python's path of a URL
        """a%2Bb%2Fc%20d%27e%22f%26g%3Dh""",  # whoever is strict
    ],
)
def test_an_echo_is_hidden_as_other_programs_write_it(form: str) -> None:
    with ScriptedServer(answer(400, f"bad {form}!".encode())) as server:
        error = str(failure(send(server.url, user="anna", password="a+b/c d'e\"f&g=h")))
    assert error.endswith("bad ***!")


def test_an_echo_is_hidden_as_python_writes_bytes() -> None:
    with ScriptedServer(answer(400, rb"bad b'p\xc3\xa4+s'")) as server:
        error = str(failure(send(server.url, user="anna", password="pä+s")))
    assert error.endswith("bad b'***'")


def test_an_echo_of_the_proxys_password_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = base64.b64encode(f"anna:{SECRET}".encode()).decode()
    with ScriptedServer(answer(407, f"denied: Basic {coded} anna:{SECRET}".encode())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//anna:{SECRET}@"))
        error = str(failure(send("http://gateway.example:9091")))
    assert error.endswith("answered 407: denied: Basic *** anna:***; check the credentials of the proxy")


def test_an_echo_of_the_query_is_hidden() -> None:
    with ScriptedServer(answer(400, f'no route for "/x?a=1&authKey={SECRET}", key {SECRET}'.encode())) as server:
        error = str(failure(send(f"{server.url}/x?a=1&authKey={SECRET}")))
    assert error.endswith('answered 400: no route for "/x?***", key ***')


def test_a_huge_body_is_not_read() -> None:
    body = b"x" * 10_000_000
    with ScriptedServer(answer(400, body)) as server:
        error = failure(send(server.url))
    assert len(str(error)) < 1200
    with ScriptedServer(answer(200, body)) as server:
        reply = send(server.url).send("GET")
    assert (len(reply.body), reply.cut) == (64 * 1024, True)


@pytest.mark.parametrize("how", ["token", "token_file", "password", "password_file"])
def test_no_secret_in_any_message(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also when the other side says back what it was told."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    settings: dict[str, Any] = {how: str(path) if how.endswith("file") else SECRET}
    if how.startswith("password"):
        settings["user"] = "anna"

    def echo(connection: Connection) -> None:
        connection.read_request()
        heard = b" ".join(line for line in connection.request.split(b"\r\n") if b"uthorization" in line)
        connection.stream.sendall(b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\nyou said " + heard + SECRET.encode())

    with ScriptedServer(echo) as server:
        sender = send(server.url, **settings)
        error = failure(sender)
    head = server.heads[0]
    sent = head.partition("uthorization: ")[2].splitlines()[0].split()[1]
    assert sent == (SECRET if "token" in how else "YW5uYTpzM2NyM3Qtb2YtdGhlLWdhdGV3YXk=")
    with_traceback = "".join(traceback.format_exception(error))
    for text in (str(error), repr(error), repr(sender._endpoint), caplog.text, with_traceback):
        assert SECRET not in text
        assert sent not in text
    assert "***" in str(error)


def test_a_rotated_token_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    with ScriptedServer(answer(200)) as server:
        sender = send(server.url, token_file=str(path))
        sender.send("PUT")
        path.write_text("new\n")
        sender.send("PUT")
        assert ["Bearer old" in server.heads[0], "Bearer new" in server.heads[1]] == [True, True]
        path.unlink()
        assert f"gateway-token-file {path}: No such file or directory" in str(failure(sender))
        assert server.attempts == 2


def rotate(there: Path, new: Path) -> None:
    """Put a file in the place of another, as tools that renew certificates do."""
    (there.parent / "new").write_bytes(new.read_bytes())
    (there.parent / "new").replace(there)


def test_a_rotated_authority_is_taken_up(tmp_path: Path, authority: Authority, server_tls: ssl.SSLContext) -> None:
    other_authority = Authority(tmp_path)
    path = tmp_path / "now.pem"
    rotate(path, other_authority.ca_file)
    with ScriptedServer(answer(200), tls=server_tls) as server:
        sender = send(server.url, ca_file=str(path))
        assert "the certificate is not valid: " in str(failure(sender))
        rotate(path, authority.ca_file)
        assert sender.send("PUT").status == 200
        rotate(path, other_authority.ca_file)
        assert "the certificate is not valid: " in str(failure(sender))


def test_a_rotated_client_certificate_is_taken_up(tmp_path: Path, authority: Authority) -> None:
    names: list[str] = []

    def who(connection: Connection) -> None:
        assert isinstance(connection.stream, ssl.SSLSocket)
        certificate: Any = connection.stream.getpeercert()
        names.append(certificate["subject"][0][0][1])
        answer(200)(connection)

    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*authority.issue("server-that-asks"))
    server_tls.load_verify_locations(authority.ca_file)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    with ScriptedServer(who, tls=server_tls) as server:
        sender = send(server.url, ca_file=str(authority.ca_file), cert_file=str(cert_file), key_file=str(key_file))
        for name in ("client-of-spring", "client-of-summer"):
            new_cert_file, new_key_file = authority.issue(name)
            rotate(cert_file, new_cert_file)
            rotate(key_file, new_key_file)
            assert sender.send("PUT").status == 200
    assert names == ["client-of-spring", "client-of-summer"]


def test_who_sends_and_gzip() -> None:
    with ScriptedServer(answer(200)) as server:
        GatewayOutput(GatewaySettings(server.url, instance="h", gzip=True)).publish(Numbers())
    assert "user-agent: fexp/" in server.heads[0].lower()
    assert "content-encoding: gzip" in server.heads[0].lower()
    assert gzip.decompress(server.bodies[0]) == render_text(Numbers())


def test_an_unknown_certificate_is_refused_at_once(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(answer(200), tls=server_tls) as server:
        error = failure(send(server.url))
        assert server.attempts == 1
    assert error.final
    assert "the certificate is not valid: " in str(error)


def test_a_certificate_for_another_name_is_refused(server_tls: ssl.SSLContext, ca_file: Path) -> None:
    with ScriptedServer(answer(200), tls=server_tls) as server:
        error = failure(send(server.url.replace("127.0.0.1", "localhost"), ca_file=str(ca_file)))
    assert "the certificate is not valid: Hostname mismatch" in str(error)


def test_https_to_a_plain_port_is_a_mistake_of_the_settings() -> None:
    with ScriptedServer(lambda connection: connection.stream.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        error = failure(send(server.url.replace("http:", "https:")))
    assert error.final
    assert "TLS: " in str(error)


def test_a_proxy_from_the_environment_is_used_and_its_password_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(answer(502, b"bad gateway")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//anna:{SECRET}@"))
        error = failure(send("http://gateway.example:9091/metrics", deadline_seconds=0.3))
    assert proxy.heads[0].startswith("PUT http://gateway.example:9091/metrics HTTP/1.1")
    assert "proxy-authorization: basic" in proxy.heads[0].lower()
    assert str(error) == "http://gateway.example:9091/metrics: answered 502: bad gateway"


def test_https_goes_through_the_proxy_as_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failure(send("https://gateway.example/x", deadline_seconds=0.3))
        assert proxy.attempts == 1
    assert proxy.heads[0].startswith("CONNECT gateway.example:443 HTTP/1.")
    assert str(error) == f"https://gateway.example/x: through the proxy {proxy.url}: it answered 407"


def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy_url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("http_proxy", proxy_url)
    error = failure(send("http://gateway.example:9091", deadline_seconds=0.3))
    assert f"through the proxy {proxy_url}: Connection refused" in str(error)


def test_a_proxys_password_may_hold_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(answer(200)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//us%40er:p%40ss%2Fw%C3%BC@"))
        send("http://gateway.example:9091").send("PUT")
    expected = base64.b64encode("us@er:p@ss/wü".encode()).decode()
    assert f"Proxy-Authorization: Basic {expected}" in proxy.heads[0]


@pytest.mark.parametrize("proxy_url", [f"http://anna:{SECRET}@:99999", "http://[::1", f"http://anna:{SECRET}@"])
def test_a_proxy_that_is_no_url_is_refused(proxy_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy_url)
    error = failure(send("http://gateway.example:9091", deadline_seconds=0.3))
    assert error.final
    assert "from the environment is none that fexp can use" in str(error)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [("10.0.0.0/8", "10.9.9.9"), ("x, fd00::/8", "[fd00::1]"), ("fd00::1", "[fd00::1]"), ("[fd00::1]", "[fd00::1]")],
)
def test_no_proxy_may_name_networks(no_proxy: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fexp.outputs.push.proxy import proxy_for

    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for(f"http://{host}:9091", loopback=False) is None
    assert proxy_for("http://192.0.2.1:9091", loopback=False) is not None


@pytest.mark.parametrize("no_proxy", ["gateway.example", "*", ".example", "gateway.example:9091"])
def test_no_proxy_is_honoured(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fexp.outputs.push.proxy import proxy_for

    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    assert proxy_for("http://gateway.example:9091", loopback=False) == "http://proxy.example:3128"
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for("http://gateway.example:9091", loopback=False) is None


def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    with ScriptedServer(answer(200)) as server:
        assert send(server.url).send("PUT").status == 200


def test_a_socks_proxy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", f"socks5://anna:{SECRET}@proxy.example:1080")
    error = failure(send("http://gateway.example:9091"))
    assert error.final
    assert "the proxy socks5://…@proxy.example:1080 from the environment" in str(error)


class OtherSide(ABC):
    """The other side of one output: it comes and goes, and says what it was told last."""

    name: str
    path = ""

    def __init__(self, directory: Path, wall_clock: Callable[[], float]) -> None:
        self.directory = directory / self.name
        self.port = free_port()
        self.wall_clock = wall_clock

    @abstractmethod
    def output(self) -> Output:
        """Make the output."""

    @abstractmethod
    def there(self) -> AbstractContextManager[None]:
        """Be there for a while."""

    @abstractmethod
    def told(self) -> dict[str, float]:
        """Return what it was told last."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def sender(self) -> Sender:
        """Have the pauses between the tries of one delivery take no time."""
        clock = TurnedClock()
        return Sender(Endpoint(self.url), clock=clock, wall_clock=clock, wait=clock.wait)


class GatewaySide(OtherSide):
    name = "gateway"

    def output(self) -> Output:
        return GatewayOutput(GatewaySettings(self.url, instance="h"), sender=self.sender())

    @contextmanager
    def there(self) -> Iterator[None]:
        with running_pushgateway(self.directory, port=self.port) as self.server:
            yield

    def told(self) -> dict[str, float]:
        return told_in(self.server.get("/metrics").text)


class RemoteWriteSide(OtherSide):
    name = "remote_write"
    path = "/api/v1/write"

    def output(self) -> Output:
        sender = self.sender()
        settings = RemoteWriteSettings(self.url, job="away", instance="h")
        return RemoteWriteOutput(settings, sender=sender, clock=sender._clock, wall_clock=self.wall_clock)

    @contextmanager
    def there(self) -> Iterator[None]:
        with running_prometheus(self.directory, port=self.port) as self.server:
            yield

    def told(self) -> dict[str, float]:
        return {name: values[-1] for name, values in self.history().items()}

    def history(self) -> dict[str, list[float]]:
        series = self.server.query('{job="away"}[20m]')
        return {one["metric"]["__name__"]: [float(value) for _, value in one["values"]] for one in series}


class TextfileSide(OtherSide):
    name = "textfile"

    def output(self) -> Output:
        return textfile_output(str(self.directory / "x.prom"))

    @contextmanager
    def there(self) -> Iterator[None]:
        self.directory.mkdir()
        yield
        shutil.rmtree(self.directory)

    def told(self) -> dict[str, float]:
        return told_in((self.directory / "x.prom").read_text())


def told_in(text: str) -> dict[str, float]:
    return {name: value for (name, _), value in samples(text).items()}


@pytest.mark.parametrize("side_type", [GatewaySide, RemoteWriteSide, TextfileSide], ids=lambda one: one.name)
def test_who_was_away_for_ten_minutes_slowed_nobody_and_gets_the_truth(
    side_type: type[OtherSide], tmp_path: Path
) -> None:
    """By the same output as before: the state as it is now, and counters that missed nothing."""
    clock, began_at = TurnedClock(0.0), time() - 12 * 60
    side = side_type(tmp_path, lambda: began_at + clock.now)
    data, neighbours = tmp_path / "data", tmp_path / "neighbours.prom"
    data.mkdir()
    (data / "0").touch()
    with watching(data) as live:
        source = FexpCollector(live.engine.snapshot)
        publisher = publisher_for(side.output(), source, DeliverySettings(), clock=clock)
        neighbour = Publisher(textfile_output(str(neighbours)), source, DeliverySettings(min_interval_seconds=0.0))
        with side.there():
            publisher.start()
            neighbour.start()
            poll(lambda: publisher.snapshot().deliveries == 1)
            assert side.told()["fexp_files"] == 1
        poll(neighbours.exists)
        for minute in range(1, 12):
            (data / str(minute)).write_text("x" * minute)
            if minute % 3 == 0:
                (data / str(minute - 1)).unlink()
            live.quiet()
            clock.now += 60
            publisher.announce()
            neighbour.announce()
            poll(lambda minute=minute: publisher.snapshot().failures == minute, every_seconds=0.005)
            truth = {
                "fexp_files": 1 + minute - minute // 3,
                "fexp_size_bytes": sum(range(1, minute + 1)) - sum(range(2, minute, 3)),
                "fexp_arrivals_total": minute,
                "fexp_departures_total": minute // 3,
                "fexp_departed_bytes_total": sum(range(2, minute, 3)),
            }
            poll(lambda truth=truth: truth.items() <= told_in(neighbours.read_text()).items(), every_seconds=0.005)
        with side.there():
            clock.now += 60
            publisher.announce()
            poll(lambda: publisher.snapshot().deliveries >= 2)
            poll(lambda: truth.items() <= side.told().items())
            if isinstance(side, RemoteWriteSide):  # also how it came to that
                poll(lambda: side.history()["fexp_arrivals_total"] == [*range(12), 11])
        assert publisher.snapshot().failures == 11
        assert not publisher.snapshot().dropped
        assert neighbour.snapshot().failures == 0
        for one in (neighbour, publisher):
            one.stop(retract=False)
        assert neighbour.join()
        publisher.join()


def test_a_tls_connection_closed_in_the_handshake_is_tried_again() -> None:
    with ScriptedServer(close_at_once) as server:
        error = failure(send(server.url.replace("http:", "https:"), deadline_seconds=1.0))
        assert server.attempts == 2
    assert not error.final
    assert "closed before the whole answer was there" in str(error) or "reset by peer" in str(error)
