"""Listen addresses: what is read, what is refused, what is bound."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.errors import SettingsError
from fexp.outputs.http import HttpServer, Listen, parse_listen, sockets
from fexp.outputs.http.listen import Transport
from fexp.outputs.http.sockets import open_all
from tests.http.serving import MemoryServed, port_of, running
from tests.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        (":9877", Listen(":9877", Transport.TCP, "", 9877)),
        ("127.0.0.1:9877", Listen("127.0.0.1:9877", Transport.TCP, "127.0.0.1", 9877)),
        ("[::1]:9877", Listen("[::1]:9877", Transport.TCP, "::1", 9877)),
        ("localhost:0", Listen("localhost:0", Transport.TCP, "localhost", 0)),
        ("node-1.example.org:65535", Listen("node-1.example.org:65535", Transport.TCP, "node-1.example.org", 65535)),
        ("unix:/run/fexp.sock", Listen("unix:/run/fexp.sock", Transport.UNIX, path="/run/fexp.sock")),
        ("systemd", Listen("systemd", Transport.SYSTEMD)),
    ],
)
def test_reads_and_writes_addresses(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("9877", ":9877"),
        ("127.0.0.1", "127.0.0.1:9877"),
        ("[::1]", "HOST:PORT"),
        ("::1:9877", "[::1]:9877"),
        ("127.0.0.1:65536", "port between 0 and 65535"),
        ("127.0.0.1:-1", "port"),
        (":٣", "port"),
        (":", "port"),
        ("", "HOST:PORT"),
        ("999.1.1.1:80", "not an IP address"),
        ("[::zz]:80", "not an IP address"),
        ("a b:80", "host name"),
        ("a\nb:80", "host name"),
        ("http://localhost:80", "without the scheme"),
        ("unix:", "unix:PATH"),
        ("unix:" + "x" * 200, "shorter"),
    ],
)
def test_refuses_in_one_line_with_the_way_out(text: str, way_out: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_listen(text)
    assert way_out in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        listen = parse_listen(text)
    except SettingsError:
        return
    assert parse_listen(str(listen)) == listen


def test_port_in_use_is_one_line() -> None:
    with running() as server:
        second = HttpServer([parse_listen(f"127.0.0.1:{port_of(server)}")], MemoryServed())
        with pytest.raises(SettingsError, match="somebody else listens there") as refused:
            second.open()
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_of_ipv6_is_all_of_ipv4_too_unless_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Go's servers do; and `--listen [::]:9877 --listen 0.0.0.0:9877` means what it says."""
    port, look_up = free_port(), socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **kw: look_up(host.replace("me", "127.0.0.1"), *rest, **kw)
    )
    for listens in ([f"[::]:{port}"], [f"[::]:{port}", f"0.0.0.0:{port}"], [f"[::]:{port}", f"me:{port}"]):
        bound = open_all([parse_listen(text) for text in listens])
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        socket.create_connection(("::1", port), timeout=5).close()
        for one in bound:
            one.close()


def test_one_bad_address_leaves_none_bound() -> None:
    with running() as server:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        busy = port_of(server)
        second = HttpServer([parse_listen(f"127.0.0.1:{free}"), parse_listen(f"127.0.0.1:{busy}")], MemoryServed())
        with pytest.raises(SettingsError):
            second.open()
        with socket.create_server(("127.0.0.1", free)):
            pass


def test_unix_socket_is_made_private_replaced_when_stale_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "fexp.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(listen=f"unix:{path}") as server:
        assert server.addresses == [f"unix:{path}"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /api/v1/sd HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n")
            assert b"\r\n\r\n[]" in client.makefile("rb").read()
    assert not path.exists()


def test_unix_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fexp.sock"
    with running(listen=f"unix:{path}"):
        with pytest.raises(SettingsError, match="somebody else"):
            HttpServer([parse_listen(f"unix:{path}")], MemoryServed()).open()
        assert path.exists()


def test_a_file_in_the_way_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(SettingsError, match="not a socket"):
        HttpServer([parse_listen(f"unix:{path}")], MemoryServed()).open()
    assert path.read_text() == "data"


def test_stop_leaves_a_socket_that_another_process_put_there(tmp_path: Path) -> None:
    path = tmp_path / "fexp.sock"
    with running(listen=f"unix:{path}"), socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))
    assert path.exists()


def test_all_interfaces_means_both_families() -> None:
    server = HttpServer([parse_listen(":0")], MemoryServed())
    server.open()
    try:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.connect((address, port_of(server)))
    except OSError:
        if socket.has_dualstack_ipv6():
            raise
    finally:
        server.stop()


def test_systemd_passed_nothing() -> None:
    with pytest.raises(SettingsError, match=r"\.socket unit"):
        HttpServer([parse_listen("systemd")], MemoryServed()).open()


def test_systemd_socket_is_taken_over() -> None:
    """Descriptor 3 and LISTEN_PID can only be had in a process of one's own."""
    script = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
from fexp.outputs.http import HttpServer, parse_listen
server = HttpServer([parse_listen("systemd")], None)
server.open()
assert "LISTEN_FDS" not in os.environ
assert not os.get_inheritable(3)
assert server.addresses == [f"http://127.0.0.1:{listener.getsockname()[1]}"], server.addresses
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ}, timeout=60)


def test_reading_an_address_loads_no_server() -> None:
    script = (
        "import sys; from fexp.outputs.http.listen import parse_listen; parse_listen(':1'); "
        "heavy = {'uvicorn', 'asyncio', 'bcrypt', 'yaml', 'ssl', 'prometheus_client'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_systemd_socket_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that forgot to unset the variables would hand us whatever its descriptor 3 is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(sockets, "_SYSTEMD_FIRST_FD", listener.fileno())
        for owner in ({}, {"LISTEN_PID": ""}, {"LISTEN_PID": str(os.getppid())}):
            environ = {"LISTEN_FDS": "1", **owner}
            with pytest.raises(SettingsError, match="systemd passed no socket"):
                list(sockets._from_systemd(environ))
            assert environ == {"LISTEN_FDS": "1", **owner}


def test_a_systemd_socket_is_not_inherited_by_what_fexp_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)  # as systemd passes it
    number = listener.detach()
    monkeypatch.setattr(sockets, "_SYSTEMD_FIRST_FD", number)
    (bound,) = sockets._from_systemd({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    try:
        assert bound.socket.fileno() == number
        script = f"import os, sys\ntry: os.fstat({number})\nexcept OSError: sys.exit(0)\nsys.exit('inherited')"
        subprocess.run([sys.executable, "-c", script], check=True, close_fds=False, timeout=60)
    finally:
        bound.close()
