"""What every route is given to work with, put together once by app.py."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from litestar.connection import ASGIConnection
from msgspec import Struct

from service.database import Database
from service.identity.sessions import Sessions
from service.identity.tokens import Tokens
from service.limits import Limits
from service.recommendations.circuit import Circuit
from service.recommendations.ledger import Budget
from service.recommendations.story import Recommender
from service.settings import Settings

Connection = ASGIConnection[Any, Any, Any, Any]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Runtime(Struct, frozen=True):
    """The settings, and what was made from them."""

    settings: Settings
    database: Database
    tokens: Tokens
    limits: Limits
    sessions: Sessions | None
    """None where an identity provider has them all."""
    recommender: Recommender
    budget: Budget
    circuit: Circuit | None
    """Around an engine that can fail; None where only rules make recommendations."""
    clock: Callable[[], datetime]


def runtime_of(connection: Connection) -> Runtime:
    """Give the runtime of the application that a request came to."""
    return cast("Runtime", connection.app.state.runtime)


def time_of(connection: Connection) -> datetime:
    """Give the one time that a request has: when it was first asked for."""
    state = connection.scope["state"]
    if "now" not in state:
        state["now"] = runtime_of(connection).clock()
    return cast("datetime", state["now"])
