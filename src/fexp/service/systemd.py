"""Notifications to systemd: sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEND_TIMEOUT_SECONDS = 1.0
_STATUS_LENGTH_MAX = 512  # characters; systemd drops a notification of more than 4096 bytes


class Notifier:
    """Sends the state of the service to the manager that started it; does nothing when none did.

    Any thread may call it. No notification raises, and none blocks for longer than a second: a manager that went
    away is no reason to stop watching.
    """

    def __init__(self, address: bytes | None = None, watchdog_interval_seconds: float | None = None) -> None:
        """``address``: of the manager's datagram socket; an abstract one starts with a NUL byte. May raise OSError."""
        self.watchdog_interval_seconds = watchdog_interval_seconds
        """How often to call ``watchdog``: half of what the manager tolerates, None when it expects no call."""
        self.has_manager = address is not None
        self._address = address or b""
        if self.has_manager:
            # Kept: a service without a free descriptor is as alive as any.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(_SEND_TIMEOUT_SECONDS)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Notifier:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        return cls(_notify_address(environ), _watchdog_interval_seconds(environ))

    def ready(self, status: str = "") -> None:
        """Report that start-up, or the reload, is over."""
        self._send("READY=1", *([_status(status)] if status else []))

    def status(self, text: str) -> None:
        """Report in one line how the service is. What cannot be printed is left out."""
        self._send(_status(text))

    def reloading(self) -> None:
        """Report that a reload begins; ``ready`` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the shutdown begins."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Prove that the caller is alive. To be called by the thread whose hanging matters."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for at least this much time from now on to start, reload or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def close(self) -> None:
        """Send nothing more."""
        if self.has_manager:
            self._socket.close()

    def _send(self, *assignments: str) -> None:
        if not self.has_manager:
            return
        message = "\n".join(assignments).encode("utf-8", "replace")
        with suppress(OSError):  # the manager is gone or stuck; the next notification tries again
            self._socket.sendto(message, self._address)


def _notify_address(environ: Mapping[str, str]) -> bytes | None:
    path = environ.get("NOTIFY_SOCKET", "")
    if path.startswith("@"):
        return b"\0" + os.fsencode(path[1:])
    return os.fsencode(path) if path.startswith("/") else None


def _watchdog_interval_seconds(environ: Mapping[str, str]) -> float | None:
    if "WATCHDOG_PID" in environ and _number(environ, "WATCHDOG_PID") != os.getpid():
        return None
    timeout_usec = _number(environ, "WATCHDOG_USEC")
    return timeout_usec / 2 / 1_000_000 if timeout_usec else None


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None


def _status(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return "STATUS=" + " ".join(printable.split())[:_STATUS_LENGTH_MAX]
