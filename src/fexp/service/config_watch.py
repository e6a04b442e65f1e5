"""Notices when config files change: edited, replaced, or swapped behind a symlink."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from fexp.config.config_file import config_files
from fexp.errors import SettingsError
from fexp.limits import starting_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Identity = tuple[object, ...]

_log = logging.getLogger("fexp")

_LOOK_SECONDS = 1.0


def identity(paths: Sequence[str]) -> Identity:
    """Return what changes with any change of the files, of their names, or of where links lead."""
    try:
        return tuple((path, *_identity_of(path)) for path in config_files(paths))
    except SettingsError as error:
        return (str(error),)


def _identity_of(path: str) -> Identity:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        return (type(error).__name__,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class ConfigWatch:
    """Calls ``reload`` once the files have changed and stay as they are: none is read while it is being written."""

    def __init__(self, paths: Sequence[str], reload: Callable[[], object]) -> None:
        """``reload`` is called from a thread of the watch, and must not raise."""
        self._paths = paths
        self._reload = reload
        self._stopped = threading.Event()
        self._in_force = self._seen = identity(paths)
        self._thread = threading.Thread(target=self._run, name="fexp-config", daemon=True)

    def start(self) -> None:
        """Follow from now on. Raise OSError when no thread can be had."""
        with starting_threads():
            self._thread.start()

    def stop(self) -> None:
        """Follow no more. Files that hang are left behind."""
        self._stopped.set()

    def look(self) -> bool:
        """Look at the files. Return whether they have changed and are at rest, for the first time."""
        now = identity(self._paths)
        is_at_rest, self._seen = now == self._seen, now
        if now == self._in_force or not is_at_rest:
            return False
        self._in_force = now
        return True

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            try:
                if self.look():
                    _log.info("the config changed")
                    self._reload()
            except Exception:  # noqa: BLE001 - a fault that nobody foresaw must not end the following
                _log.exception("cannot look at the config")
