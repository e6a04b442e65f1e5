"""Turns listen addresses into listening sockets, or says in one line why not."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fexp.errors import SettingsError
from fexp.outputs.http.listen import Listen, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping

_BACKLOG = 1024
_UNIX_MODE = 0o660
_SYSTEMD_FIRST_FD = 3
_NOT_PERMITTED = "not permitted; choose a port above 1023, or a directory that fexp may write to"
_REASONS = {
    errno.EADDRINUSE: "somebody else listens there; stop it or choose another address",
    errno.EACCES: _NOT_PERMITTED,
    errno.EPERM: _NOT_PERMITTED,
    errno.EADDRNOTAVAIL: "this host does not have that address; see `ip address`",
    errno.ENOENT: "the directory does not exist; make it first",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """One listening socket."""

    socket: socket.socket
    unix_path: str | None = None
    """The socket file that we made and have to remove."""
    unix_inode: tuple[int, int] | None = None

    def url(self, scheme: str) -> str:
        """Return where it listens, for people."""
        name = self.socket.getsockname()
        if not isinstance(name, tuple):
            return f"unix:{name}" if isinstance(name, str) else f"unix:@{name[1:].decode(errors='replace')}"
        host, port = name[:2]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def close(self) -> None:
        """Stop listening, and remove the socket file if it is still ours."""
        self.socket.close()
        if self.unix_path is None:
            return
        try:
            found = os.lstat(self.unix_path)
            if (found.st_dev, found.st_ino) == self.unix_inode:
                os.unlink(self.unix_path)
        except OSError:
            pass  # somebody was faster, or the directory is gone: nothing of ours is left


def open_all(listens: Iterable[Listen]) -> list[Bound]:
    """Listen on all addresses or on none."""
    opened: list[Bound] = []
    try:
        for listen in sorted(listens, key=lambda listen: listen.host == "::"):  # it takes the IPv4 that nobody wants
            ipv4 = [bound.socket.getsockname() for bound in opened if bound.socket.family == socket.AF_INET]
            opened.extend(_open(listen, dualstack=listen.port not in (port for _, port in ipv4)))
    except BaseException:
        for bound in opened:
            bound.close()
        raise
    for bound in opened:
        bound.socket.setblocking(False)
    return opened


def check_free(listen: Listen) -> None:
    """Raise SettingsError if fexp cannot listen on an address. Listens nowhere, makes and removes nothing."""
    with _explained(listen):
        match listen.transport:
            case Transport.SYSTEMD:
                pass  # it has the sockets
            case Transport.UNIX:
                _check_unix(listen.path)
            case Transport.TCP:
                for family, address in _addresses(listen):
                    with socket.socket(family, socket.SOCK_STREAM) as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as create_server does
                        if family == socket.AF_INET6:
                            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(listen.host))
                        probe.bind(address)


def _addresses(listen: Listen) -> set[tuple[socket.AddressFamily, tuple[object, ...]]]:
    if not listen.host:
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        return {(family, ("", listen.port))}
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return {(family, address) for family, _, _, _, address in found}


def _check_unix(path: str) -> None:
    directory = os.path.dirname(path) or "."
    os.stat(directory)
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if os.path.lexists(path):
        _check_stale(path)


def _open(listen: Listen, *, dualstack: bool) -> Iterator[Bound]:
    with _explained(listen):
        match listen.transport:
            case Transport.SYSTEMD:
                yield from _from_systemd(os.environ)
            case Transport.UNIX:
                yield _open_unix(listen.path)
            case Transport.TCP:
                yield from map(Bound, _open_tcp(listen.host, listen.port, dualstack=dualstack))


@contextmanager
def _explained(listen: Listen) -> Iterator[None]:
    """Run the block. Raise SettingsError for what keeps it from listening."""
    try:
        yield
    except socket.gaierror as error:
        raise SettingsError(
            f"cannot listen on {listen}: no address of {listen.host} found: {error.strerror}"
        ) from error
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise SettingsError(f"cannot listen on {listen}: {reason}") from error


def _open_tcp(host: str, port: int, *, dualstack: bool) -> Iterator[socket.socket]:
    if (not host or (host == "::" and dualstack)) and socket.has_dualstack_ipv6():
        yield socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    elif not host:
        yield socket.create_server(("", port), backlog=_BACKLOG)
    else:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            yield socket.create_server(address, family=family, backlog=_BACKLOG)


def _open_unix(path: str) -> Bound:
    _clear_the_way(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, _UNIX_MODE)
        listener.listen(_BACKLOG)
        made = os.lstat(path)
    except BaseException:
        listener.close()
        raise
    return Bound(listener, path, (made.st_dev, made.st_ino))


def _clear_the_way(path: str) -> None:
    """Remove the socket file of a process that is gone. Nothing else is ever removed."""
    try:
        _check_stale(path)
        os.unlink(path)
    except FileNotFoundError:
        return


def _check_stale(path: str) -> None:
    """Raise SettingsError for what is no socket, OSError (EADDRINUSE) for one that somebody listens on."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise SettingsError(f"cannot listen on unix:{path}: what is there is not a socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _from_systemd(environ: MutableMapping[str, str]) -> Iterator[Bound]:
    """Yield the sockets that systemd opened, see sd_listen_fds(3)."""
    way_out = "start fexp through its .socket unit, or name an address to listen on"
    count = environ.get("LISTEN_FDS", "0")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or not int(count):
        raise SettingsError(f"cannot listen on systemd: systemd passed no socket; {way_out}")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    for number in range(_SYSTEMD_FIRST_FD, _SYSTEMD_FIRST_FD + int(count)):
        try:
            os.set_inheritable(number, False)
            listener = socket.socket(fileno=number)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on systemd: file descriptor {number}: {error.strerror}; {way_out}"
            ) from None
        yield Bound(listener)
        if listener.type != socket.SOCK_STREAM or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise SettingsError(
                "cannot listen on systemd: a passed socket does not listen; use ListenStream=, Accept=no"
            )
