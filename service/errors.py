"""Every wrong that a caller can meet: its code, its status, its title (RFC 9457)."""

import logging
from typing import Any, ClassVar, Self

import msgspec
from litestar.exceptions import HTTPException, ValidationException
from litestar.plugins.problem_details import ProblemDetailsException
from msgspec import Struct

log = logging.getLogger(__name__)


class Wrong(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with what was sent."""

    message: str
    pointer: str | None = None
    """Where in the body, as a JSON pointer (RFC 6901); the whole body is ''."""
    parameter: str | None = None
    """Which parameter of the URL."""


class Problem(Exception):
    """Something is wrong."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str | None = None, *, errors: list[Wrong] | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "")
        self.errors = errors or []
        self.headers: dict[str, str] = {}
        super().__init__(self.detail)

    def again(self) -> Self:
        """Give the same problem once more, for another request: an answer's own headers are written into it."""
        fresh = type(self).__new__(type(self), *self.args)
        fresh.__dict__.update(self.__dict__ | {"headers": dict(self.headers)})
        return fresh


class InvalidRequest(Problem):
    """The request is not as this route expects it; `errors` names everything that is wrong."""

    status, code, title = 400, "invalid_request", "Invalid request"


class MalformedBody(Problem):
    """The body is not JSON."""

    status, code, title = 400, "malformed_body", "Malformed body"


class Unauthenticated(Problem):
    """This route needs a bearer token in the Authorization header."""

    status, code, title = 401, "unauthenticated", "Authentication required"

    def __init__(self) -> None:
        super().__init__()
        # RFC 6750, 3.1: a request without any token is told no error code.
        self.headers["WWW-Authenticate"] = 'Bearer realm="daymark"'


class InvalidToken(Problem):
    """The bearer token is not valid."""

    status, code, title = 401, "invalid_token", "Invalid token"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = (
            f'Bearer realm="daymark", error="invalid_token", error_description="{self.detail}"'
        )


class SessionEnded(InvalidToken):
    """The session of this token has ended."""


class InvalidCredentials(Problem):
    """There is no such tenant, no such person in it, or that is not their password."""

    status, code, title = 401, "invalid_credentials", "Not logged in"

    def __init__(self) -> None:
        super().__init__()
        self.headers["WWW-Authenticate"] = 'Bearer realm="daymark"'  # RFC 9110, 15.5.2: a 401 says with what


class InvalidRefreshToken(Problem):
    """This refresh token is unknown, over, or was used before; log in again."""

    status, code, title = 401, "invalid_refresh_token", "Not refreshed"

    def __init__(self) -> None:
        super().__init__()
        self.headers["WWW-Authenticate"] = 'Bearer realm="daymark"'


class NoOwnSessions(Problem):
    """Here one logs in at an identity provider; the service has no sessions of its own."""

    status, code, title = 404, "no_own_sessions", "No sessions"


class RefreshTokenSuperseded(Problem):
    """This refresh token was used a moment ago; go on with the one that it was exchanged for."""

    status, code, title = 409, "refresh_token_superseded", "Refresh token superseded"


class UnknownTenant(Problem):
    """The token's tenant is not known here."""

    status, code, title = 403, "unknown_tenant", "Unknown tenant"


class Forbidden(Problem):
    """This route is for admins of the tenant."""

    status, code, title = 403, "forbidden", "Not allowed"

    def __init__(self) -> None:
        super().__init__()
        # RFC 6750, 3.1: the token holds, and does not reach so far.
        self.headers["WWW-Authenticate"] = (
            f'Bearer realm="daymark", error="insufficient_scope", error_description="{self.detail}"'
        )


class NotFound(Problem):
    """There is nothing here."""

    status, code, title = 404, "not_found", "Not found"


class NoData(Problem):
    """Nothing has been recorded in these days yet."""

    status, code, title = 404, "no_data", "No data yet"


class MethodNotAllowed(Problem):
    """This route does not take this method; `Allow` names those that it takes."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class RequestTimeout(Problem):
    """The body took longer than 30 seconds."""

    status, code, title = 408, "request_timeout", "Request timeout"

    def __init__(self) -> None:
        super().__init__()
        self.headers["Connection"] = "close"  # RFC 9110, 15.5.9: the rest of the body is not waited for


class BodyTooLarge(Problem):
    """A body may have at most 1 MiB."""

    status, code, title = 413, "body_too_large", "Body too large"


class UnsupportedMediaType(Problem):
    """This route takes application/json."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class TooManyRequests(Problem):
    """This has been asked for too often; `Retry-After` says when it can be asked for again."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, after: int) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(after)


class Internal(Problem):
    """Something went wrong on our side; the log has it under this response's X-Request-ID."""

    status, code, title = 500, "internal", "Internal error"


class Unavailable(Problem):
    """The database is away; try again shortly."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self) -> None:
        super().__init__()
        self.headers["Retry-After"] = "1"


class Busy(Problem):
    """Too many are logging in at this moment; try again shortly."""

    status, code, title = 503, "busy", "Temporarily unavailable"

    def __init__(self) -> None:
        super().__init__()
        self.headers["Retry-After"] = "2"


def document_of(problem: Problem) -> dict[str, object]:
    """Give what a caller is told of a problem (RFC 9457), as Litestar's plugin has it."""
    return {
        "status": problem.status,
        "type": f"urn:daymark:problem:{problem.code}",
        "title": problem.title,
        "detail": problem.detail,
        "code": problem.code,
    }


class ProviderUnavailable(Problem):
    """The identity provider is away, and this token cannot be checked without it; try again shortly."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, after: int) -> None:
        super().__init__()
        self.headers["Retry-After"] = str(after)


BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (Unauthenticated, NotFound, MethodNotAllowed, BodyTooLarge, UnsupportedMediaType, InvalidRequest)
}


def as_problem_details(error: Exception) -> ProblemDetailsException:
    """Turn whatever a route raised into the problem that its caller is told.

    What nobody foresaw is "internal" to the caller and whole in the log.
    """
    problem = _as_problem(error)
    if isinstance(problem, Internal):
        log.error("unexpected error", exc_info=error)
    elif isinstance(problem, Unavailable):
        log.warning("database unavailable: %r", problem.__cause__ or problem)
    extra: dict[str, Any] = {"code": problem.code}
    if problem.errors:
        extra["errors"] = msgspec.to_builtins(problem.errors)
    return ProblemDetailsException(
        type_=f"urn:daymark:problem:{problem.code}",
        title=problem.title,
        status_code=problem.status,
        detail=problem.detail,
        headers=problem.headers,
        extra=extra,
    )


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationException):
        return InvalidRequest(errors=[_as_wrong(found) for found in error.extra or []])
    if isinstance(error, HTTPException) and error.status_code in BY_STATUS:
        kind = BY_STATUS[error.status_code]
        # "Invalid host header": a 400 of Litestar's own names no field, so its sentence is all there is.
        problem = InvalidRequest(error.detail) if kind is InvalidRequest else kind()
        problem.headers.update(error.headers or {})  # Allow, with a 405
        return problem
    return Internal()


def _as_wrong(found: Any) -> Wrong:
    """Take over what Litestar found wrong with a parameter: {"key", "message", "source"}."""
    return Wrong(message=found["message"].replace("`", ""), parameter=found.get("key"))
