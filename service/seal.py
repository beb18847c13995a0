"""The seal of a context: what makes Postgres believe who is asking. See migrations/0007.sealed-context.sql."""

import hashlib
import hmac
from datetime import datetime
from uuid import UUID

from service.caller import Caller
from service.setting_values import Secret

NOBODY = UUID(int=0)
ANY_BACKEND = 0
BLOCK = 64  # bytes: SHA-256's, and so the length of HMAC's pads


class Seal:
    """Seals contexts with one key.

    `secret` is the setting, of any length from 32 bytes; the key is its SHA-256.
    """

    def __init__(self, secret: Secret) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()

    def sign(self, caller: Caller, backend: int, expires: datetime) -> str:
        """Give the seal of a caller's context, good until `expires`, on the connection of this backend (a process id).

        `backend` may be ANY_BACKEND, and the caller's user NOBODY.
        """
        context = (
            f"{int(expires.timestamp()):010}|{backend:010}"
            f"|{caller.tenant_id}|{caller.user_id}|{caller.session_id or NOBODY}|{caller.role}"
        )
        return f"{context}|{hmac.digest(self._key, context.encode(), 'sha256').hex()}"

    @property
    def key_id(self) -> str:
        """What tells this key from others, and nothing else of it: 16 hexadecimal digits."""
        return hashlib.sha256(self._key).hexdigest()[:16]

    @property
    def pads(self) -> tuple[bytes, bytes]:
        """HMAC's inner and outer pad (RFC 2104), which is how Postgres keeps the key."""
        block = self._key.ljust(BLOCK, b"\0")
        return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
