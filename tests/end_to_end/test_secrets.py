"""What nobody may read: secrets, anywhere but in the environment that they came in; files, by HTTP."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.running import watching
from tests.outputs.scripted import ScriptedServer
from tests.servers import poll

if TYPE_CHECKING:
    from tests.outputs.scripted import Connection

TOKEN = "t0ken-of-the-gateway"
PASSWORD = "pa55word-of-remote-write"
_DOCUMENTS = ("/", "/metrics", "/-/ready", "/api/v1/metadata", "/api/v1/folders", "/api/v1/sd")


def _say_back(connection: Connection) -> None:
    """Refuse, and tell in the reason all that came in the header."""
    connection.read_request()
    head = connection.request.partition(b"\r\n\r\n")[0].replace(b"\r\n", b" ")
    connection.stream.sendall(b"HTTP/1.1 400 No\r\nConnection: close\r\n\r\nyou said " + head)


@pytest.mark.parametrize("by_file", [False, True], ids=["environment", "file"])
def test_no_secret_is_told(by_file: bool, tmp_path: Path) -> None:
    """Though both receivers say it back, and the log tells all there is to tell."""
    data, token_file, password_file = tmp_path / "data", tmp_path / "token", tmp_path / "password"
    data.mkdir()
    token_file.write_text(TOKEN + "\n")
    password_file.write_text(PASSWORD + "\n")
    files = ("--gateway-token-file", str(token_file), "--remote-write-password-file", str(password_file))
    with (
        ScriptedServer(_say_back) as server,
        watching(
            str(data), "--listen", "127.0.0.1:0", "--log-level", "debug", "--gateway", server.url,
            "--remote-write", f"{server.url}/write", "--remote-write-user", "anna", *(files if by_file else ()),
            launcher=("env",),  # a command line of its own
            FEXP_GATEWAY_TOKEN="" if by_file else TOKEN, FEXP_REMOTE_WRITE_PASSWORD="" if by_file else PASSWORD,
        ) as fexp,
    ):  # fmt: skip
        for output in ("gateway", "remote_write"):
            poll(lambda output=output: any(f"{output}: " in line and "you said" in line for line in fexp.lines))
        coded = base64.b64encode(f"anna:{PASSWORD}".encode()).decode()
        sent = "\n".join(server.heads)
        assert f"Bearer {TOKEN}" in sent
        assert f"Basic {coded}" in sent
        told = {path: fexp.get(path).text for path in _DOCUMENTS}
        told["command line"] = Path(f"/proc/{fexp.process.pid}/cmdline").read_text()
        assert fexp.stop() == 0
        told["log"] = "\n".join(fexp.lines)
    assert told["log"].count("***") >= 2
    for place, text in told.items():
        assert text, place
        for secret in (TOKEN, PASSWORD, coded):
            assert secret not in text, place


def _traversals(path: str) -> list[str]:
    """Return the ways in which servers were talked into serving a file."""
    up = "../" * 12
    target = path.lstrip("/")
    return [
        path,
        f"/{path}",
        f"/{up}{target}",
        f"/metrics/{up}{target}",
        f"/api/v1/folders/{up}{target}",
        f"/{up.replace('/', '%2f')}{target.replace('/', '%2F')}",
        f"/{up.replace('..', '%2e%2E')}{target}",
        f"/{up.replace('..', '%252e%252e').replace('/', '%252f')}{target}",
        f"/{up.replace('../', '....//')}{target}",
        f"/{up.replace('/', chr(92))}{target}",
        f"/{up.replace('..', '%c0%ae%c0%ae')}{target}",
        f"/..;/{up.replace('../', '..;/')}{target}",
        f"/{up}{target}%00.html",
        f"/metrics%00/{up}{target}",
        f"/?file={path}",
        f"/metrics?name[]={up}{target}",
        f"/api/v1/folders?folder={path}",
        f"/api/v1/folders{path}",
        f"file://{path}",
        f"http://127.0.0.1{path}",
        f"/static{path}",
        f"/~root{path}",
        f"/{target.rpartition('/')[2]}",
        f"{up}{target}",
    ]


def test_no_file_is_served(tmp_path: Path) -> None:
    """A watched folder's files are counted, never read out: whatever the path, there is no such thing here."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "private.txt").write_text("what only its owner may read")
    with watching(str(data), "--listen", "127.0.0.1:0", cwd=data) as fexp:
        port = int(fexp.url.rpartition(":")[2])
        for traversal in [*_traversals(str(data / "private.txt")), *_traversals(str(data))]:
            for method in ("GET", "PUT"):
                head, _, body = _ask(port, traversal, method).partition(b"\r\n\r\n")
                assert b"private" not in body, (method, traversal)
                assert b"only its owner" not in body, (method, traversal)
                answers = method == "GET" and "?" in traversal  # with the document; it knows no such query
                allowed = {b"200"} if answers else {b"400", b"404", b"405"}
                assert head.split()[1] in allowed, (method, traversal)
        assert fexp.value("fexp_files") == 1
        assert fexp.stop() == 0


def _ask(port: int, target: str, method: str) -> bytes:
    """Send a request target as it is: clients that know better would clean it."""
    head = f"{method} {target} HTTP/1.1", "Host: fexp", "Connection: close", "Content-Length: 0"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall("\r\n".join((*head, "", "")).encode())
        answer = b""
        while chunk := stream.recv(65536):
            answer += chunk
        return answer
