"""The Authorization header (RFC 6750): from a request to its Caller."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar.connection import ASGIConnection

from service.caller import Caller
from service.errors import InvalidToken, Unauthenticated
from service.identity.tokens import Tokens

Connection = ASGIConnection[Any, Any, Any, Any]


def identify(connection: Connection, tokens: Tokens, now: datetime) -> Caller:
    """Give the caller whose token the request carries.

    Raises Unauthenticated where it carries none, and InvalidToken where it carries one that does not hold, or two.
    """
    return identify_by(connection.headers.getall("authorization", []), tokens, now)


def identify_by(credentials: Sequence[str], tokens: Tokens, now: datetime) -> Caller:
    """Give the caller of these Authorization headers; raises as identify does."""
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
    return tokens.verify(token, now)
