"""What is checked before a route runs, and before its body is read."""

import re
from functools import lru_cache

from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from service.admission import admit, admit_leaving, count_anonymous
from service.errors import Forbidden, InvalidRequest, NotFound, Wrong
from service.runtime import Connection, runtime_of

FILE_NAME = re.compile(r"/?[A-Za-z0-9._-]{1,100}")


async def require_caller(connection: Connection, _: BaseRouteHandler) -> None:
    """Let in whoever has a token that holds, as `request.user`; raises as admit does."""
    connection.scope["user"] = await admit(connection)


async def require_leaving_caller(connection: Connection, _: BaseRouteHandler) -> None:
    """Let in as require_caller does, however many other requests the person has made: for what only takes away."""
    connection.scope["user"] = await admit_leaving(connection)


async def require_admin(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let in whoever has a token of a tenant's admin, as require_caller does; raises Forbidden for all others."""
    await require_caller(connection, handler)
    if connection.user.role != "admin":
        raise Forbidden


async def require_room(connection: Connection, _: BaseRouteHandler) -> None:
    """Count a request by its address, whatever token it carries, before its route acts. Raises LimitReached."""
    count_anonymous(connection.scope, runtime_of(connection))


async def require_known_parameters(connection: Connection, handler: BaseRouteHandler) -> None:
    """Raise InvalidRequest for a query parameter that the route does not have, or that comes twice.

    Left alone, a misspelt parameter is no error but a wrong answer.
    """
    if connection.scope.get("method") == "OPTIONS":
        return  # a browser asks about the very URL that it is going to send
    known = _query_parameters(handler)
    given = connection.query_params
    wrongs = [
        Wrong("Not a parameter of this route" if name not in known else "Given more than once", parameter=name)
        for name in given
        if name not in known or len(given.getall(name)) > 1
    ]
    if wrongs:
        raise InvalidRequest(errors=wrongs)


async def require_file_name(connection: Connection, _: BaseRouteHandler) -> None:
    """Raise NotFound for a path that no file of ours has; Litestar asks the file system, which fails on some (NUL)."""
    if not FILE_NAME.fullmatch(connection.path_params["file_path"]):
        raise NotFound


@lru_cache
def _query_parameters(handler: BaseRouteHandler) -> frozenset[str]:
    return frozenset(
        name
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    )
