"""The routes of the service's own sessions: in, on and out again."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import ResponseHeader
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.address import UNKNOWN, address_of
from service.admission import count_login, count_refresh
from service.bodies import WITHOUT_NUL, StrictBody
from service.caller import Caller
from service.errors import (
    BodyTooLarge,
    Busy,
    Internal,
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidRequest,
    InvalidToken,
    MalformedBody,
    NoOwnSessions,
    NotFound,
    RefreshTokenSuperseded,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnknownTenant,
    UnsupportedMediaType,
)
from service.guards import require_caller, require_known_parameters, require_leaving_caller, require_room
from service.identity.passwords import LONGEST
from service.identity.sessions import Asker, Granted, OpenSession, Sessions
from service.openapi import BEARER, DescribedOperation, problems
from service.runtime import Connection, runtime_of, time_of

OF_A_CALLER = problems(
    InvalidRequest, Unauthenticated, InvalidToken, NoOwnSessions, TooManyRequests, Internal, Unavailable
)
CLEARED = ResponseHeader(
    "Clear-Site-Data", value='"cache"', description="That a browser is to forget what it kept of our answers (W3C)"
)
NOT_STORED = {"Cache-Control": "no-store"}  # RFC 6749, 5.1


class Credentials(Struct, rename="camel", forbid_unknown_fields=True):
    """Who logs in: the tenant's slug or id, and there the user's e-mail address and password."""

    tenant: Annotated[str, Meta(min_length=1, max_length=63, pattern=WITHOUT_NUL)]
    email: Annotated[str, Meta(min_length=1, max_length=254, pattern=WITHOUT_NUL)]
    password: Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class Refresh(Struct, rename="camel", forbid_unknown_fields=True):
    """The refresh token that was given last."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]


class OpenSessions(Struct):
    """A person's open sessions, newest first."""

    sessions: list[OpenSession]


class AuthController(Controller):
    """/api/auth."""

    path = "/api/auth"
    guards = (require_known_parameters,)
    tags = ("Sessions",)

    @post(
        "/login",
        guards=[require_room],
        dto=StrictBody,
        return_dto=None,
        status_code=200,
        security=[{}],
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest,
            MalformedBody,
            InvalidCredentials,
            NoOwnSessions,
            BodyTooLarge,
            UnsupportedMediaType,
            TooManyRequests,
            Internal,
            Unavailable,
            Busy,
        ),
    )
    async def post_login(self, request: Request[Any, Any, Any], data: JSONBody[Credentials]) -> Response[Granted]:
        """Log in with a password, where the tenant has no identity provider."""
        sessions, limits = _sessions_of(request), runtime_of(request).limits
        login = await sessions.find_login(data.tenant, data.email)
        await count_login(request, login.account)
        try:
            granted = await sessions.log_in(login, data.password, time_of(request), asker_of(request))
        except Busy:  # the password was not looked at
            await limits.give_back_login(login.account)
            raise
        await limits.give_back_login(login.account)
        return Response(granted, headers=NOT_STORED)

    @post(
        "/refresh",
        guards=[require_room],
        dto=StrictBody,
        return_dto=None,
        status_code=200,
        security=[{}],
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest,
            MalformedBody,
            InvalidRefreshToken,
            NoOwnSessions,
            RefreshTokenSuperseded,
            BodyTooLarge,
            UnsupportedMediaType,
            TooManyRequests,
            Internal,
            Unavailable,
        ),
    )
    async def post_refresh(self, request: Request[Any, Any, Any], data: JSONBody[Refresh]) -> Response[Granted]:
        """Exchange the refresh token for the next one and a new access token.

        Each is good for one use. Used a second time it was stolen, by one or the other: its session ends, for both.
        """
        sessions, now = _sessions_of(request), time_of(request)
        await count_refresh(request)
        granted = await sessions.refresh(data.refresh_token, now, asker_of(request))
        return Response(granted, headers=NOT_STORED)

    @post(
        "/logout",
        guards=[require_leaving_caller],
        status_code=204,
        response_headers=[CLEARED],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=OF_A_CALLER | problems(UnknownTenant),
    )
    async def post_logout(
        self,
        request: Request[Caller, Any, Any],
        everywhere: Annotated[bool, QueryParameter(description="End all of the person's sessions")] = False,
    ) -> None:
        """End this session, or all of them: their tokens stop working at once. Clears the kept recommendations."""
        await _sessions_of(request).log_out(request.user, time_of(request), asker_of(request), everywhere=everywhere)

    @get(
        "/sessions",
        guards=[require_caller],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=OF_A_CALLER,
    )
    async def get_sessions(self, request: Request[Caller, Any, Any]) -> Response[OpenSessions]:
        """Read one's open sessions."""
        found = await _sessions_of(request).find_open(request.user, time_of(request))
        return Response(OpenSessions(found), headers=NOT_STORED)

    @delete(
        "/sessions/{session_id:uuid}",
        guards=[require_leaving_caller],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest,
            Unauthenticated,
            InvalidToken,
            NotFound,
            NoOwnSessions,
            TooManyRequests,
            Internal,
            Unavailable,
        ),
    )
    async def delete_session(self, request: Request[Caller, Any, Any], session_id: FromPath[UUID]) -> None:
        """End one of one's sessions: its tokens stop working at once."""
        await _sessions_of(request).revoke(request.user, session_id, time_of(request), asker_of(request))


def _sessions_of(connection: Connection) -> Sessions:
    sessions = runtime_of(connection).sessions
    if sessions is None:
        raise NoOwnSessions
    return sessions


def asker_of(connection: Connection) -> Asker:
    """Say where a request comes from."""
    address = address_of(connection.scope, runtime_of(connection).settings)
    return Asker(None if address == UNKNOWN else address, connection.headers.get("user-agent"))
