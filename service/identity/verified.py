"""The tokens that have been verified, to be looked up again and not checked again."""

from collections.abc import Hashable
from datetime import datetime
from typing import NamedTuple

from service.caller import Caller


class Verified(NamedTuple):
    """What a token was found to say, and from when to when it may say so."""

    caller: Caller
    starts: datetime
    ends: datetime
    hangs_on: Hashable = None
    """What it holds no longer than: the provider's key that signed it, or the session that it belongs to."""


class VerifiedTokens:
    """Remembers `most` tokens by their digests; the one that was verified first makes room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_digest: dict[bytes, Verified] = {}
        self._hanging: dict[Hashable, set[bytes]] = {}
        self.find = self._by_digest.get  # a call less on the way of every request

    def __len__(self) -> int:
        """Count them."""
        return len(self._by_digest)

    def keep(self, digest: bytes, verified: Verified) -> None:
        """Remember one."""
        self._drop(digest)
        while len(self._by_digest) >= self._most:
            self._drop(next(iter(self._by_digest)))
        self._by_digest[digest] = verified
        if verified.hangs_on is not None:
            self._hanging.setdefault(verified.hangs_on, set()).add(digest)

    def forget(self, hung_on: Hashable) -> None:
        """Forget all that hang on a key that is gone, or on a session that has ended."""
        for digest in self._hanging.pop(hung_on, ()):
            del self._by_digest[digest]

    def _drop(self, digest: bytes) -> None:
        verified = self._by_digest.pop(digest, None)
        if verified is None or verified.hangs_on is None:
            return
        beside = self._hanging[verified.hangs_on]
        beside.discard(digest)
        if not beside:
            del self._hanging[verified.hangs_on]
