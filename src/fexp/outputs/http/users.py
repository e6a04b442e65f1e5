"""Who may enter by a password."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64decode
from typing import TYPE_CHECKING

import bcrypt

from fexp.outputs.http.fairness import FairLock, client_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

_PASSWORD_BYTES = 72  # bcrypt ignores or refuses what comes after
_MAX_WAITING = 64


class Users:
    """Checks Basic credentials.

    A check costs a hash whether the user exists or not. Right ones are remembered by a keyed digest: a scraper costs
    one hash.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        """``hashes``: bcrypt's, by user; there is one."""
        self._hashes = {name.encode(): hashed for name, hashed in hashes.items()}
        self._decoy = max(self._hashes.values(), key=lambda hashed: int(hashed[4:6]))
        self._secret = secrets.token_bytes(32)
        self._right: set[bytes] = set()
        self._checking = FairLock(_MAX_WAITING)

    async def admits(self, authorization: str, client: str, workers: Executor) -> bool:
        """Return whether an Authorization header from this address is right. Raise BusyError.

        However many guesses come from a network, they delay others by one each.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        user, password = credentials
        if len(password) > _PASSWORD_BYTES:
            return False
        digest = hashlib.blake2b(user + b"\0" + password, key=self._secret).digest()
        if digest not in self._right:
            async with self._checking.hold(client_network(client)):
                if digest not in self._right:
                    check = asyncio.get_running_loop().run_in_executor(workers, self._is_right, user, password)
                    if await check:
                        self._right.add(digest)
        return digest in self._right

    def _is_right(self, user: bytes, password: bytes) -> bool:
        try:
            same = bcrypt.checkpw(password, self._hashes.get(user, self._decoy))
        except ValueError:  # a NUL in the password, for some versions
            return False
        return same and user in self._hashes


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(coded.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (user, password) if colon else None
