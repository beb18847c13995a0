"""The Authorization header (RFC 6750): from a request to its Caller."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar.connection import ASGIConnection

from service.caller import Caller
from service.errors import InvalidToken, Unauthenticated
from service.identity.tokens import Tokens

Connection = ASGIConnection[Any, Any, Any, Any]


async def identify(connection: Connection, tokens: Tokens, now: datetime) -> Caller:
    """Give the caller whose token the request carries; an identity provider may be asked for a key meanwhile.

    Raises Unauthenticated where it carries none, InvalidToken where it carries one that does not hold, or two, and
    ProviderUnavailable where that cannot be said.
    """
    return await tokens.verify_asking(_token_of(connection.headers.getall("authorization", [])), now)


def identify_by(credentials: Sequence[str], tokens: Tokens, now: datetime) -> Caller:
    """Give the caller of these Authorization headers, by the keys that are at hand; raises as identify does."""
    return tokens.verify(_token_of(credentials), now)


def _token_of(credentials: Sequence[str]) -> str:
    if not credentials:
        raise Unauthenticated
    if len(credentials) > 1:
        raise InvalidToken("The request has two Authorization headers")
    scheme, _, token = credentials[0].partition(" ")
    if scheme.lower() != "bearer":
        # Another scheme is not a wrong token: RFC 9110, 11.6.1 has us name the one that we take.
        raise Unauthenticated
    token = token.strip(" ")
    if not token:
        raise InvalidToken("The Authorization header holds no token")
    return token
