"""Locks, so that two fexp processes of the same user do not deliver to the same place."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from glob import escape as glob_escape
from glob import glob
from typing import TYPE_CHECKING

from fexp.errors import FexpError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@contextmanager
def alone(place: str | None, *, shown: str) -> Iterator[None]:
    """Run the block. Raise FexpError if another fexp process of the same user delivers to this place."""
    if place is None:
        yield
        return
    with one_at_a_time(place) as is_alone:
        if not is_alone:
            raise FexpError(f"{shown}: another fexp is still at work there; this one leaves it alone")
        yield


@contextmanager
def one_at_a_time(place: str, *, waits: bool = False) -> Iterator[bool]:
    """Run the block; yield whether no other process of the same user is in such a block for this place.

    ``waits``: until that is so. Both processes must have the same directory for locks. The kernel holds the lock, so
    it ends with its process, however that ends. The empty file stays.
    """
    try:
        path = os.path.join(_lock_directory(), f"fexp-{os.geteuid()}-{_digest(place)}.lock")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # also of a system without any temporary directory that can be written
        yield True  # no place for a lock: delivering matters more than being alone
        return
    try:
        with suppress(OSError):
            os.fchmod(file, 0o600)  # whatever the umask: the next run wants to open it too
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except OSError:
            is_alone = False
        else:
            is_alone = True
        yield is_alone
    finally:
        os.close(file)


def holder(place: str) -> int | None:
    """Return the process that keeps a place now, of any user and with any usual directory for locks.

    Makes no file. 0: a process that cannot be seen. None: nobody keeps it, as far as this process may know.
    """
    directories = {_lock_directory(), tempfile.gettempdir(), "/run", *glob("/run/fexp*"), *glob("/run/user/*")}
    for directory in directories:
        for path in glob(os.path.join(glob_escape(directory), f"fexp-*-{_digest(place)}.lock")):
            process = _locking(path)
            if process is not None:
                return process
    return None


def _locking(path: str) -> int | None:
    """Return the process that has locked a file, 0 for one that cannot be seen; None if there is none."""
    try:
        found = os.stat(path)
        with open("/proc/locks", encoding="ascii") as table:
            rows = [line.split() for line in table]
    except OSError:
        return None
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    # proc(5). Of one that waits for the lock the second word is an arrow.
    process = next((max(0, int(row[4])) for row in rows if row[1] == "FLOCK" and row[5] == wanted), None)
    return 0 if process is None and _is_locked(path) else process


def _is_locked(path: str) -> bool:
    """Try it for a moment: the table has no locks of other containers, and other numbers of some devices."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


class Places:
    """The places that this process keeps for itself."""

    def __init__(self) -> None:
        self._held: dict[str, ExitStack] = {}

    def hold(self, places: Mapping[str, str]) -> None:
        """Keep these places, each with what it is called. Raise FexpError, and keep no more, if one is another's."""
        taken: dict[str, ExitStack] = {}
        with ExitStack() as undo:
            for place, shown in places.items():
                if place not in self._held:
                    taken[place] = undo.enter_context(ExitStack())
                    taken[place].enter_context(alone(place, shown=shown))
            undo.pop_all()
        self._held.update(taken)

    def keep(self, places: Collection[str | None]) -> None:
        """Leave all places but these to others."""
        for place in self._held.keys() - set(places):
            self._held.pop(place).close()


def _digest(place: str) -> str:
    return hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]


def _lock_directory() -> str:
    """Return the directory of this user's locks: a private one if there is one, as others may take names in /tmp."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_RUNTIME_DIR")
    if given:
        return given
    return "/run" if os.geteuid() == 0 and os.access("/run", os.W_OK) else tempfile.gettempdir()
