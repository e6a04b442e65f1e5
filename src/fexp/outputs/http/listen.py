"""Listen addresses as people write them. Cheap to import: checking a command line loads no server."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from fexp.errors import SettingsError

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_UNIX_PATH_BYTES = 107  # sizeof(sockaddr_un.sun_path) - 1, see unix(7)


class Transport(StrEnum):
    """What kind of socket is listened on."""

    TCP = "tcp"
    UNIX = "unix"
    SYSTEMD = "systemd"


class Listen(NamedTuple):
    """One address to listen on."""

    text: str
    transport: Transport
    host: str = ""
    """Empty for all interfaces, IPv4 and IPv6."""
    port: int = 0
    """0 lets the system choose."""
    path: str = ""
    """Of a unix socket."""

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text


def parse_listen(text: str) -> Listen:
    """Return what ``:9877``, ``127.0.0.1:9877``, ``[::1]:9877``, ``host:9877``, ``unix:PATH`` or ``systemd`` means."""
    if text == "systemd":
        return Listen(text, Transport.SYSTEMD)
    if text.startswith("unix:"):
        return Listen(text, Transport.UNIX, path=_unix_path(text))
    if "://" in text:
        raise _mistake(text, "is a URL", "write HOST:PORT without the scheme, such as :9877")
    if text.isascii() and text.isdigit():
        raise _mistake(text, "is a port without a colon", f"write :{text}")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise _mistake(text, "has no port", "write HOST:PORT, such as 127.0.0.1:9877 or :9877")
    if host.count(":") and not host.startswith("["):
        raise _mistake(text, "has an IPv6 address without brackets", "write [ADDRESS]:PORT, such as [::1]:9877")
    return Listen(text, Transport.TCP, host=_host(text, host), port=_port(text, port))


def _mistake(text: str, what: str, way_out: str) -> SettingsError:
    return SettingsError(f"{text!r} {what}; {way_out}")


def _unix_path(text: str) -> str:
    path = text.removeprefix("unix:")
    if not path or "\0" in path:
        raise _mistake(text, "names no path", "write unix:PATH, such as unix:/run/fexp/fexp.sock")
    if len(path.encode(errors="surrogateescape")) > _UNIX_PATH_BYTES:
        raise _mistake(text, f"is longer than {_UNIX_PATH_BYTES} bytes, which sockets allow", "choose a shorter path")
    return path


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise _mistake(text, "has no port between 0 and 65535", "write HOST:PORT, such as :9877")
    return int(port)


def _host(text: str, host: str) -> str:
    import ipaddress

    try:
        if host.startswith("[") and host.endswith("]"):
            return str(ipaddress.IPv6Address(host[1:-1]))
        if re.fullmatch(r"[0-9.]+", host):
            return str(ipaddress.IPv4Address(host))
    except ipaddress.AddressValueError:
        raise _mistake(text, "is not an IP address", "write 127.0.0.1:9877, [::1]:9877 or :9877") from None
    if host and not _HOST_NAME.fullmatch(host):
        raise _mistake(text, "is not an address or a host name", "write HOST:PORT, such as 127.0.0.1:9877 or :9877")
    return host
