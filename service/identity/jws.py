"""A signed token taken apart (RFC 7515, compact): nothing in it is believed yet."""

import base64
import re
from typing import Any, Final

from msgspec import Struct

from service.errors import InvalidToken
from service.strict_json import parse_object

LONGEST_TOKEN: Final = 8 * 1024  # bytes
LONGEST_KEY_ID: Final = 256  # characters
TYPES: Final = {"jwt", "at+jwt", "application/at+jwt"}  # RFC 7519, 5.1; RFC 9068, 4
SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

# RFC 7515, 4.1.11: what we do not understand and is marked critical must be refused; we understand no extension.
# The others bring or point at a key of the sender's own choosing, or say that what is signed is not what it seems.
UNWANTED: Final = ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "cty", "enc")


class Parts(Struct, frozen=True):
    """What a token says, and what is signed of it."""

    algorithm: str
    key_id: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def take_apart(token: str, algorithms: frozenset[str]) -> Parts:
    """Take a token apart that is signed with one of `algorithms`.

    Raises InvalidToken, with what is wrong with it, for everything that is not a signed token in the one form that has
    no second reading: what other parsers might read differently is refused, not interpreted.
    """
    if not SHAPE.fullmatch(token):
        raise InvalidToken("The token is not a signed JWT")
    first, second, third = token.split(".")
    header = _parse(first)
    key_id = _check_header(header, algorithms)
    signature = _decode(third)
    return Parts(header["alg"], key_id, _parse(second), f"{first}.{second}".encode(), signature)


def _check_header(header: dict[str, Any], algorithms: frozenset[str]) -> str | None:
    """Give the id of the key that the header names, if it names one."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidToken("The token is signed with an algorithm that is not accepted")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise InvalidToken("The token is of another type")
    for name in UNWANTED:
        if name in header:
            raise InvalidToken(f"The token has {name} in its header")
    key_id = header.get("kid")
    if "kid" in header and (not isinstance(key_id, str) or len(key_id) > LONGEST_KEY_ID):
        raise InvalidToken(f"kid must be a text of at most {LONGEST_KEY_ID} characters")
    return key_id


def _parse(segment: str) -> dict[str, Any]:
    try:
        return parse_object(_decode(segment))
    except ValueError as error:
        raise InvalidToken(f"The token {error}") from error


def _decode(segment: str) -> bytes:
    """Decode base64url in its one canonical form, so that a token cannot be altered and still be accepted."""
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise InvalidToken("The token is not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise InvalidToken("The token is not base64url in its canonical form")
    return decoded
