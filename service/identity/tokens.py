"""Bearer tokens: signed here for the operator, verified here for everybody."""

import base64
import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple, get_args
from uuid import UUID

import jwt
from jwt.api_jws import PyJWS

from service.caller import Caller, Role
from service.errors import InvalidToken
from service.setting_values import Secret

ALGORITHM = "HS256"
LONGEST_TOKEN = 8 * 1024  # bytes
LONGEST_LIFE = timedelta(hours=24)
MOST_REMEMBERED = 10_000  # tokens: 4 MB
LAST_SECOND = 253_402_300_799  # of year 9999
TYPES = {"jwt", "at+jwt"}

NIL = "00000000-0000-0000-0000-000000000000"  # nobody: RFC 9562, 5.9
SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
UUID_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ROLES = get_args(Role)


class _Verified(NamedTuple):
    """What a token was found to say, and from when to when (seconds since 1970) it may say so."""

    caller: Caller
    starts: float
    ends: float


class Tokens:
    """The tokens of one shared secret (HS256).

    `issuer` and `audience`, where given, are what `iss` must be and `aud` must name. A token that names an audience
    is refused where none is configured (RFC 7519, 4.1.3).

    What was verified once is remembered, and only looked up until it expires: front ends send the same token again and
    again.
    """

    def __init__(self, secret: Secret, issuer: str | None = None, audience: str | None = None) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._jws = PyJWS(algorithms=[ALGORITHM])
        # By digest: a token of 8 KiB takes no more room than one of 300 bytes, and none lies about in memory.
        self._verified: dict[bytes, _Verified] = {}

    def sign(self, caller: Caller, now: datetime, life: timedelta) -> str:
        """Give a token of `caller` that is good for `life` from `now`.

        Raises ValueError for a life that is not between one second and LONGEST_LIFE: it would not be accepted.
        """
        if not timedelta(seconds=1) <= life <= LONGEST_LIFE:
            raise ValueError(f"a token lives from 1 second to {LONGEST_LIFE // timedelta(hours=1)} hours")
        claims = {
            "sub": str(caller.user_id),
            "tenant_id": str(caller.tenant_id),
            "role": caller.role,
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
            "iss": self._issuer,
            "aud": self._audience,
            "sid": None if caller.session_id is None else str(caller.session_id),
        }
        return jwt.encode({name: value for name, value in claims.items() if value is not None}, self._secret, ALGORITHM)

    def verify(self, token: str, now: datetime) -> Caller:
        """Give the caller that `token` speaks for.

        Raises InvalidToken, with what is wrong with it, for everything that is not a whole, signed, unexpired token in
        the one form that we sign: what other parsers might read differently is refused, not interpreted.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("The token is too long")
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
        verified = self._verified.get(digest)
        if verified is None or not verified.starts <= now.timestamp() < verified.ends:
            verified = self._check(token, now)
            while len(self._verified) >= MOST_REMEMBERED:
                del self._verified[next(iter(self._verified))]  # the one that was verified first
            self._verified[digest] = verified
        return verified.caller

    def forget(self, session_id: UUID) -> None:
        """Forget what was verified of a session's tokens. That it has ended is for Postgres to say, each time."""
        for digest in [each for each, found in self._verified.items() if found.caller.session_id == session_id]:
            del self._verified[digest]

    def _check(self, token: str, now: datetime) -> _Verified:
        if not SHAPE.fullmatch(token):
            raise InvalidToken("The token is not a signed JWT")
        header, _, signature = token.split(".")
        _check_header(_parse(header))
        _decode(signature)
        try:
            payload = self._jws.decode(token, self._secret, algorithms=[ALGORITHM])
        except jwt.PyJWTError as error:
            raise InvalidToken("The signature does not match") from error
        claims = _parse_object(payload)
        self._check_claims(claims, now.timestamp())
        role = claims.get("role", "member")
        session_id = UUID(claims["sid"]) if "sid" in claims else None
        caller = Caller(UUID(claims["tenant_id"]), UUID(claims["sub"]), role, session_id)
        # As _check_times has it: a clock that is set back must not find accepted what it would refuse.
        starts = max(claims.get("nbf", 0), claims["exp"] - LONGEST_LIFE.total_seconds())
        return _Verified(caller, starts, claims["exp"])

    def _check_claims(self, claims: dict[str, Any], now: float) -> None:
        _check_times(claims, now)
        for claim in ("sub", "tenant_id", *({"sid"} & claims.keys())):
            value = claims.get(claim)
            if not isinstance(value, str) or not UUID_SHAPE.fullmatch(value) or value == NIL:
                raise InvalidToken(f"{claim} must be a UUID in lower case")
        if claims.get("role", "member") not in ROLES:
            raise InvalidToken(f"role must be {' or '.join(ROLES)}")
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise InvalidToken("The token has another issuer")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if self._audience not in named:
            raise InvalidToken("The token is for another audience")


def _check_times(claims: dict[str, Any], now: float) -> None:
    if "exp" not in claims:
        raise InvalidToken("The token needs exp")
    for claim in ("exp", "nbf", "iat"):
        value = claims.get(claim, 0)
        # bool is an int to Python.
        if type(value) is not int or not 0 <= value <= LAST_SECOND:
            raise InvalidToken(f"{claim} must be in whole seconds")
    if claims["exp"] <= now:
        raise InvalidToken("The token has expired")
    if claims["exp"] > now + LONGEST_LIFE.total_seconds():
        raise InvalidToken("The token lives longer than is allowed")
    if claims.get("nbf", 0) > now:
        raise InvalidToken("The token is not valid yet")


def _check_header(header: dict[str, Any]) -> None:
    if header.get("alg") != ALGORITHM:
        raise InvalidToken("The token is signed with an algorithm that is not accepted")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise InvalidToken("The token is of another type")
    # RFC 7515, 4.1.11: what we do not understand and is marked critical must be refused; we understand no extension.
    # The others bring or point at a key of the sender's own choosing.
    for name in ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip"):
        if name in header:
            raise InvalidToken(f"The token has {name} in its header")


def _parse(segment: str) -> dict[str, Any]:
    return _parse_object(_decode(segment))


def _decode(segment: str) -> bytes:
    """Decode base64url in its one canonical form, so that a token cannot be altered and still be accepted."""
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise InvalidToken("The token is not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise InvalidToken("The token is not base64url in its canonical form")
    return decoded


def _parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object that has no name twice: which of the two counts is what parsers disagree on."""
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("The token does not hold JSON") from error
    if not isinstance(parsed, dict):
        raise InvalidToken("The token does not hold a JSON object")
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise InvalidToken("The token holds a name twice")
    return parsed


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
