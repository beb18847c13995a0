"""The audit trail, for a tenant's admins: who came in, went out, or was kept out."""

import datetime as dt
import re
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.openapi.spec import OpenAPIType
from litestar.params import QueryParameter
from msgspec import Struct

from service.caller import NOBODY_KNOWN, Caller
from service.database import Database
from service.errors import (
    Forbidden,
    Internal,
    InvalidRequest,
    InvalidToken,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Wrong,
)
from service.guards import require_admin, require_known_parameters
from service.openapi import BEARER, DescribedOperation, problems
from service.queries import LIST_EVENTS
from service.runtime import runtime_of

# Microseconds since 1970 and an event's id.
CURSOR = r"^([0-9]{1,17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NEWEST = dt.datetime(9999, 1, 1, tzinfo=dt.UTC), UUID(int=0)


class Event(Struct, rename="camel"):
    """One thing that happened; `userId` is whose account it is about, null where nobody has the address tried."""

    id: UUID
    at: dt.datetime
    kind: str
    user_id: UUID | None
    session_id: UUID | None
    address: str | None
    detail: dict[str, Any]


class Trail(Struct):
    """A page of the audit trail, newest first; `next` is what to ask `before` for the page that follows."""

    events: list[Event]
    next: str | None


async def find_trail(database: Database, caller: Caller, before: str | None, size: int) -> Trail:
    """Find a page of the caller's tenant's audit trail. Raises InvalidRequest for a cursor that is none of ours."""
    instant, event_id = NEWEST if before is None else _parse_cursor(before)
    rows = await database.read(caller, LIST_EVENTS, before=instant, before_id=event_id, size=size + 1)
    events = [
        Event(
            row["event_id"],
            row["occurred_at"],
            row["kind"],
            None if row["user_id"] == NOBODY_KNOWN else row["user_id"],
            row["session_id"],
            row["address"],
            row["detail"],
        )
        for row in rows[:size]
    ]
    return Trail(events, _spell_cursor(events[-1]) if len(rows) > size else None)


def _spell_cursor(event: Event) -> str:
    return f"{(event.at - EPOCH) // dt.timedelta(microseconds=1)}-{event.id}"


def _parse_cursor(text: str) -> tuple[dt.datetime, UUID]:
    match = re.fullmatch(CURSOR, text, re.ASCII)
    if not match:
        raise InvalidRequest(errors=[Wrong("Expected the next of an earlier page", parameter="before")])
    return EPOCH + dt.timedelta(microseconds=int(match[1])), UUID(match[2])


class AuditController(Controller):
    """/api/audit."""

    path = "/api/audit"
    guards = (require_known_parameters, require_admin)
    tags = ("Audit",)

    @get(
        "/",
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest, Unauthenticated, InvalidToken, Forbidden, TooManyRequests, Internal, Unavailable
        ),
    )
    async def get_audit(
        self,
        request: Request[Caller, Any, Any],
        limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many events at most")] = 50,
        before: Annotated[
            str | None,
            QueryParameter(
                description="The `next` of the page before; the newest, if not given",
                schema_extra={"one_of": None, "type": OpenAPIType.STRING, "pattern": CURSOR},
            ),
        ] = None,
    ) -> Response[Trail]:
        """Read who came in, went out, or was kept out, newest first. For admins."""
        trail = await find_trail(runtime_of(request).database, request.user, before, limit)
        return Response(trail, headers={"Cache-Control": "no-store"})
