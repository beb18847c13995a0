"""Who is let in, and how often: each request counts once, for the person whose token holds or for its address.

Who has no token is counted by front.py, before anything else; a token's person, and whoever's does not hold, here. A
route for everybody that does something counts by address before it does it, whatever token comes along; what one that
does nothing answers to a token is counted as it is answered.
"""

from collections.abc import Awaitable
from typing import Any

from litestar.types import Scope

from service.address import address_of
from service.caller import Caller
from service.errors import InvalidToken, Unauthenticated
from service.identity.bearer import identify
from service.runtime import Connection, Runtime, runtime_of, time_of
from service.windows import LimitReached, Standing

STANDINGS = "standings"
REFUSED = "refused"


async def admit(connection: Connection) -> Caller:
    """Give the caller whose token a request carries, and count the request.

    Raises Unauthenticated, InvalidToken and LimitReached.
    """
    caller = await _identify(connection)
    await count_person(connection.scope, runtime_of(connection), caller)
    return caller


async def admit_leaving(connection: Connection) -> Caller:
    """Give the caller as admit does; counts apart from all else that the person does. Raises as admit does."""
    caller = await _identify(connection)
    await _note(connection.scope, runtime_of(connection).limits.take_leaving(caller))
    return caller


async def _identify(connection: Connection) -> Caller:
    runtime = runtime_of(connection)
    try:
        return await identify(connection, runtime.tokens, time_of(connection))
    except (Unauthenticated, InvalidToken):
        count_anonymous(connection.scope, runtime)
        raise


async def count_person(scope: Scope, runtime: Runtime, caller: Caller) -> None:
    """Count a request of a person, unless it has been counted. Raises LimitReached."""
    _raise_if_refused(scope)
    if not is_counted(scope):
        await _note(scope, runtime.limits.take_person(caller))


def count_anonymous(scope: Scope, runtime: Runtime) -> None:
    """Count a request of nobody's by where it comes from, unless it has been counted. Raises LimitReached."""
    _raise_if_refused(scope)
    if not is_counted(scope):
        try:
            taken = runtime.limits.take_anonymous(address_of(scope, runtime.settings))
        except LimitReached as problem:
            _refuse(scope, problem)
            raise
        _state_of(scope)[STANDINGS] = taken


async def count_login(connection: Connection, account: str) -> None:
    """Count a try to log in to an account, besides the request, before its password is looked at.

    `account` is whatever names it, in one spelling, whether there is one or not. Raises LimitReached.
    """
    runtime = runtime_of(connection)
    address = address_of(connection.scope, runtime.settings)
    await _note(connection.scope, runtime.limits.take_login(account, address))


async def count_refresh(connection: Connection) -> None:
    """Count the use of a refresh token, besides the request, before it is looked for. Raises LimitReached."""
    runtime = runtime_of(connection)
    address = address_of(connection.scope, runtime.settings)
    await _note(connection.scope, runtime.limits.take_refresh(address))


def is_counted(scope: Scope) -> bool:
    """Whether a request has been counted, or refused."""
    return STANDINGS in _state_of(scope)


def standings_of(scope: Scope) -> list[Standing]:
    """Give how whoever sent a request stands with the limits that it was counted for."""
    found: list[Standing] = _state_of(scope).get(STANDINGS, [])
    return found


async def _note(scope: Scope, taking: Awaitable[list[Standing]]) -> None:
    try:
        taken = await taking
    except LimitReached as problem:
        _refuse(scope, problem)
        raise
    _state_of(scope)[STANDINGS] = standings_of(scope) + taken


def _refuse(scope: Scope, problem: LimitReached) -> None:
    state = _state_of(scope)
    state[REFUSED], state[STANDINGS] = problem, [*standings_of(scope), problem.standing]


def _raise_if_refused(scope: Scope) -> None:
    problem: LimitReached | None = _state_of(scope).get(REFUSED)
    if problem is not None:
        raise problem


def _state_of(scope: Scope) -> dict[str, Any]:
    state: dict[str, Any] = scope.setdefault("state", {})
    return state
