"""What recommendations cost a tenant, for its admins."""

import datetime as dt
from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.params import QueryParameter
from msgspec import Struct

from service.caller import Caller
from service.database import Database
from service.errors import (
    Forbidden,
    Internal,
    InvalidRequest,
    InvalidToken,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from service.guards import require_admin, require_known_parameters
from service.openapi import BEARER, DescribedOperation, problems
from service.queries import FIND_BUDGET, LIST_USAGE
from service.recommendations.ledger import Budget
from service.runtime import runtime_of, time_of


class Used(Struct):
    """How much of a day's budget is used; what runs may still take is set aside, and counts."""

    limit: int
    used: int


class BudgetToday(Struct):
    """A tenant's budget of AI for today (UTC)."""

    date: dt.date
    calls: Used
    tokens: Used


class DayOfUse(Struct, rename="camel"):
    """What one engine made on a day (UTC), and what it took."""

    date: dt.date
    engine: str
    model: str | None
    runs: int
    made: int
    """Runs whose advice was the engine's own; in the others the rules stood in."""
    people: int
    calls: int
    """Requests sent to the engine's API, retries included."""
    tokens_in: int
    tokens_out: int
    cost: float | None
    """US dollars; null where the model's price is not known."""
    duration_ms: int | None
    """The mean, in milliseconds."""


class Usage(Struct):
    """A tenant's use of the engines, by day, newest first; `budget` is null for a tenant that is not known here."""

    since: dt.date
    budget: BudgetToday | None
    days: list[DayOfUse]


async def find_usage(database: Database, caller: Caller, now: dt.datetime, days: int, budget: Budget) -> Usage:
    """Find what the caller's tenant used in the last days, today included (UTC). Raises Unavailable."""
    today = now.astimezone(dt.UTC).date()
    since = today - dt.timedelta(days=days - 1)
    found = await database.read(
        caller, FIND_BUDGET, date=today, most_calls=budget.daily_calls, most_tokens=budget.daily_tokens
    )
    used = await database.read(caller, LIST_USAGE, since=dt.datetime.combine(since, dt.time(), dt.UTC))
    return Usage(
        since=since,
        budget=next(
            (
                BudgetToday(today, Used(row["calls"], row["used_calls"]), Used(row["tokens"], row["used_tokens"]))
                for row in found
            ),
            None,
        ),
        days=[DayOfUse(**{**row, "cost": None if row["cost"] is None else float(row["cost"])}) for row in used],
    )


class UsageController(Controller):
    """/api/insights/usage."""

    path = "/api/insights/usage"
    guards = (require_known_parameters,)
    tags = ("Recommendations",)

    @get(
        "/",
        guards=[require_admin],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest, Unauthenticated, InvalidToken, Forbidden, TooManyRequests, Internal, Unavailable
        ),
    )
    async def get_usage(
        self,
        request: Request[Caller, Any, Any],
        days: Annotated[int, QueryParameter(ge=1, le=90, description="Days up to today (UTC), 1 to 90")] = 30,
    ) -> Response[Usage]:
        """Read what recommendations took the tenant, by day, and what is left of today's budget. For its admins."""
        runtime = runtime_of(request)
        usage = await find_usage(runtime.database, request.user, time_of(request), days, runtime.budget)
        return Response(usage, headers={"Cache-Control": "no-store"})
