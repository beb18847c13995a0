"""Passwords: hashed with argon2id (RFC 9106), checked in a thread and without a hurry that would tell something."""

import asyncio
import base64
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from service.errors import Busy

# RFC 9106, 4: the second recommended choice. A check takes some 0.1 s and 64 MiB.
ROUNDS, MEMORY, LANES = 3, 65_536, 4
AT_ONCE = 2  # checks in one process: each has MEMORY KiB to itself
MOST_WAITING = 32

SHORTEST, LONGEST = 12, 1_000  # characters


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


# Nobody's: to check a password against it takes as long as against a real one, and never fits.
NOBODYS = f"$argon2id$v=19$m={MEMORY},t={ROUNDS},p={LANES}${_in_base64(bytes(16))}${_in_base64(bytes(32))}"


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(ROUNDS, MEMORY, LANES, type=Type.ID)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def hash(self, password: str) -> str:
        """Give the hash of `password`; takes some 0.1 s. Raises ValueError for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
        return self._hasher.hash(_normal(password))

    async def fit(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one whose hash is `kept`; where none is, that takes as long to deny.

        Raises Busy where too many wait for their turn already.
        """
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        # A caller who goes away does not stop the thread, nor end the turn.
        fits = await asyncio.shield(self._take_turn(kept or NOBODYS, password))
        return fits and kept is not None

    async def _take_turn(self, kept: str, password: str) -> bool:
        try:
            async with self._turns:
                return await asyncio.to_thread(self._verify, kept, password)
        finally:
            self._waiting -= 1

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _normal(password))
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    # NIST SP 800-63B, 3.1.1.2: the same letters, however a keyboard put them together.
    return unicodedata.normalize("NFKC", password)
