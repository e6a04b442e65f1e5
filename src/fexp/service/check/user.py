"""Who fexp runs as. What a user may do is best known by being that user."""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING

import fexp
from fexp.errors import FexpError, SettingsError

if TYPE_CHECKING:
    from fexp.config.origin import Origin

_OF_THE_SESSION = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")
"""Directories of the user before."""


def become(name: str, origin: Origin) -> None:
    """Go on as this user, with all its groups and nothing else. There is no way back.

    Raise SettingsError for a user that is not there or that only root can be, FexpError for one that cannot run fexp.
    """
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(f"{origin} {name}: there is no such user; see `getent passwd`") from None
    if user.pw_uid == os.geteuid():
        return
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except PermissionError:
        raise SettingsError(f"{origin} {name}: only root can check for another user; run it with sudo") from None
    for variable in _OF_THE_SESSION:
        os.environ.pop(variable, None)
    for path, needed in ((sys.executable, os.X_OK), (fexp.__file__, os.R_OK)):
        if not os.access(path, needed):
            raise FexpError(f"{name} cannot run fexp: it may not read {path}; install fexp elsewhere, such as in /opt")


def user_name() -> str:
    """Return the name of the user that this process runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
