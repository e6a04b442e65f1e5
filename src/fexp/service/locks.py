"""What keeps two runs of fexp from delivering to the same place."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
