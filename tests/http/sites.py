"""Web configs on disk, and clients that have what these ask for."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import bcrypt

from tests.http.certificates import Pair, make_pair
from tests.http.serving import ask

if TYPE_CHECKING:
    from pathlib import Path

    from fexp.outputs.http import HttpServer

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode().replace("$2b$", "$2y$")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def users(**passwords: str) -> str:
    lines = [f"  {user}: {hashed(password)}\n" for user, password in passwords.items()]
    return "basic_auth_users:\n" + "".join(lines)


def replace(path: Path, text: str) -> str:
    """Replace the file as careful programs do: at once, with another inode."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)
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


def enters(server: HttpServer, tls: ssl.SSLContext | None = None, headers: dict[str, str] | None = None) -> bool:
    """Return whether a client gets an answer."""
    try:
        return ask(server, "/-/healthy", headers=headers, tls=tls).status == 200
    except OSError:  # ssl.SSLError is one
        return False
