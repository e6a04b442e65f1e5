"""Who may enter by a password."""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import b64decode
from collections import OrderedDict
from typing import TYPE_CHECKING

import bcrypt

from fexp.outputs.http.networks import network_of
from fexp.outputs.http.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_PASSWORD_BYTES = 72  # bcrypt ignores or refuses what comes after
_REMEMBERED = 128
_WAITING = 64


class Users:
    """Checks Basic credentials.

    A check costs a hash whether the user exists or not. Verdicts are remembered by a keyed digest: a scraper
    costs one hash, and wrong passwords can neither push right ones out nor be told by their time.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = {name.encode(): hashed for name, hashed in hashes.items()}
        self._decoy = max(self._hashes.values(), key=_cost, default=b"")
        self._secret = secrets.token_bytes(32)
        self._verdicts: dict[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}
        self._turns = Turns(_WAITING)

    def __bool__(self) -> bool:
        """Tell whether anybody has to show credentials."""
        return bool(self._hashes)

    async def admits(
        self, authorization: str, client: str, off_loop: Callable[[Callable[[], bool]], Awaitable[bool]]
    ) -> bool:
        """Tell whether an Authorization header from this address is right. Raises BusyError.

        Hashing happens through ``off_loop``. However many guesses come from a network, they delay others by one each.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        user, password = credentials
        if len(password) > _PASSWORD_BYTES:
            return False
        digest = hashlib.blake2b(user + b"\0" + password, key=self._secret).digest()
        verdict = self._recall(digest)
        if verdict is None:
            async with self._turns.turn(network_of(client)):
                verdict = self._recall(digest)
                if verdict is None:
                    verdict = await off_loop(lambda: self._is_right(user, password))
                    self._remember(digest, verdict=verdict)
        return verdict

    def _is_right(self, user: bytes, password: bytes) -> bool:
        hashed = self._hashes.get(user, self._decoy)
        same = _checks(password, hashed)
        # A cheaper hash would tell that there is such a user. Each cost takes twice the work of the one before: these
        # fill up to the dearest.
        for cost in range(_cost(hashed), _cost(self._decoy)):
            _checks(password, b"%b%02d%b" % (self._decoy[:4], cost, self._decoy[6:]))
        return same and user in self._hashes

    def _recall(self, digest: bytes) -> bool | None:
        for verdict, known in self._verdicts.items():
            if digest in known:
                known.move_to_end(digest)
                return verdict
        return None

    def _remember(self, digest: bytes, *, verdict: bool) -> None:
        known = self._verdicts[verdict]
        known[digest] = None
        while len(known) > _REMEMBERED:
            known.popitem(last=False)


def _checks(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # a NUL in the password, for some versions
        return False


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(coded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
