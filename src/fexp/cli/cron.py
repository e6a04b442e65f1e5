"""What a run needs that nobody looks at: to be alone at its place, to spread a fleet's load, and to end."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import signal
import tempfile
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import TYPE_CHECKING

from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


_GRACE_SECONDS = 2.0
"""How long what was told to end may take to do so."""


def splay(longest_seconds: float) -> None:
    """Wait a random while, so that a fleet does not push at once."""
    if longest_seconds > 0:
        Event().wait(random.uniform(0, longest_seconds))  # noqa: S311  # spreads load, keeps no secret


@contextmanager
def alone(place: str | None, *, shown: str) -> Iterator[None]:
    """Run the block unless another run of this user's delivers to the same place, if any. Raises FexpError then.

    It knows of the other run only where both have the same directory for locks. The lock is the kernel's: it goes with
    its process, however that ends. The empty file stays.
    """
    if place is None:
        yield
        return
    name = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]
    path = os.path.join(_lock_directory(), f"fexp-{os.geteuid()}-{name}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield  # no place for a lock: delivering matters more than being alone
        return
    with suppress(OSError):
        os.fchmod(file, 0o600)  # whatever the umask: the next run wants to open it too
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise FexpError(f"{shown}: another fexp is still at work there; this one leaves it alone") from None
    try:
        yield
    finally:
        os.close(file)


def _lock_directory() -> str:
    """Where this user's locks lie: in a place of its own if there is one, as in /tmp others could take the names."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_RUNTIME_DIR")
    if given:
        return given
    return "/run" if os.geteuid() == 0 and os.access("/run", os.W_OK) else tempfile.gettempdir()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End the block with a FexpError when it takes longer; or the process, if no signal gets through.

    Only for the main thread.
    """
    reason = f"not done after {seconds:g} s: the folder or the other side hangs; --deadline allows more"

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise FexpError(reason)

    def end() -> None:
        from fexp.cli import tell

        tell(reason)
        os._exit(1)

    # On a dead network mount the main thread waits in the kernel, which lets it obey only what ends the process.
    last_resort = Timer(seconds + _GRACE_SECONDS, end)
    last_resort.daemon = True
    last_resort.start()
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        last_resort.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
