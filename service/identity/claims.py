"""What a token claims (RFC 7519): from its claims to a Caller."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

from msgspec import Struct

from service.caller import Caller, Role
from service.errors import InvalidToken
from service.setting_values import ClaimNames

LONGEST_LIFE: Final = timedelta(hours=24)
LONGEST_SECONDS: Final = LONGEST_LIFE.total_seconds()
LAST_SECOND: Final = 253_402_300_799  # of year 9999

NIL: Final = "00000000-0000-0000-0000-000000000000"  # nobody: RFC 9562, 5.9
UUID_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ROLES: Final = get_args(Role)

# Tokens that are no access tokens, whatever their `typ` says. A logout token or security event (RFC 8417) tells of
# something that has happened; one that is bound to a key (RFC 7800) is good only with a proof, which a bearer has not.
OTHER_KINDS: Final = {"events": "The token tells of an event", "cnf": "The token is bound to a key"}

_ABSENT: Final = object()


class Expected(Struct, frozen=True):
    """What the tokens of one issuer must say."""

    issuer: str | None = None
    """What `iss` must be. None: not looked at."""
    audience: str | None = None
    """What `aud` must name. None: nobody, since a token that names an audience is for somebody else."""
    leeway: int = 0
    """How far the issuer's clock may differ from ours, in seconds."""
    names: ClaimNames = ClaimNames()
    """Which claim says who, of which tenant and in which role."""


def check_address(claims: dict[str, Any], expected: Expected, now: float) -> None:
    """Check whom a token is from and for, and when it is good. Raises InvalidToken."""
    _check_times(claims, now, expected.leeway)
    if expected.issuer is not None and claims.get("iss") != expected.issuer:
        raise InvalidToken("The token has another issuer")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if expected.audience not in named:
        raise InvalidToken("The token is for another audience")
    for claim, kind in OTHER_KINDS.items():
        if claim in claims:
            raise InvalidToken(kind)


def span_of(claims: dict[str, Any], leeway: int) -> tuple[datetime, datetime]:
    """Give from when (included) to when (excluded) a token is good; its times have been checked.

    A clock that is set back must not find accepted what it would refuse.
    """
    ends = claims["exp"] + leeway
    starts = max(claims.get("nbf", 0) - leeway, ends - 2 * leeway - LONGEST_SECONDS)
    return datetime.fromtimestamp(starts, UTC), datetime.fromtimestamp(ends, UTC)


def _check_times(claims: dict[str, Any], now: float, leeway: int) -> None:
    if "exp" not in claims:
        raise InvalidToken("The token needs exp")
    for claim in ("exp", "nbf", "iat"):
        value = claims.get(claim, 0)
        # bool is an int to Python.
        if type(value) is not int or not 0 <= value <= LAST_SECOND:
            raise InvalidToken(f"{claim} must be in whole seconds")
    if claims["exp"] + leeway <= now:
        raise InvalidToken("The token has expired")
    if claims["exp"] - leeway > now + LONGEST_SECONDS:
        raise InvalidToken("The token lives longer than is allowed")
    if claims.get("nbf", 0) - leeway > now:
        raise InvalidToken("The token is not valid yet")


def caller_of(claims: dict[str, Any], names: ClaimNames) -> Caller:
    """Give whom a token speaks for. Raises InvalidToken.

    What is wrong is told by our names, not by those that an operator has set: they would have to fit in a header.
    """
    user_id = _uuid(find(claims, names.sub), "sub")
    tenant_id = _uuid(find(claims, names.tenant_id), "tenant_id")
    role = find(claims, names.role)
    if role is _ABSENT:
        role = "member"
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidToken(f"role must be {' or '.join(ROLES)}")
    return Caller(tenant_id, user_id, role)  # type: ignore[arg-type]  # it is one of them, as was looked at


def session_of(claims: dict[str, Any]) -> UUID | None:
    """Give the session of ours that a token of ours belongs to. Raises InvalidToken."""
    return _uuid(claims["sid"], "sid") if "sid" in claims else None


def _uuid(value: object, claim: str) -> UUID:
    if not isinstance(value, str) or not UUID_SHAPE.fullmatch(value) or value == NIL:
        raise InvalidToken(f"{claim} must be a UUID in lower case")
    return UUID(value)


def find(claims: dict[str, Any], name: str) -> object:
    """Find a claim by its name, or by a JSON pointer (RFC 6901); where there is none, give what no claim can be."""
    if not name.startswith("/"):
        return claims.get(name, _ABSENT)
    found: object = claims
    for step in name[1:].split("/"):
        found = _step(found, step.replace("~1", "/").replace("~0", "~"))
    return found


def _step(within: object, name: str) -> object:
    if isinstance(within, dict):
        return within.get(name, _ABSENT)
    # RFC 6901, 4: no leading zeros, nor other digits than these.
    if isinstance(within, list) and re.fullmatch(r"0|[1-9][0-9]{0,3}", name, re.ASCII) and int(name) < len(within):
        return within[int(name)]
    return _ABSENT
