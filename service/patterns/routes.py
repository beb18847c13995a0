"""The routes of a person's scores: read the patterns in them, store days, delete one."""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.bodies import StrictBody
from service.caller import Caller
from service.errors import InvalidRequest, NotFound, Wrong
from service.fallback import EXCUSABLE, Handling, Reason
from service.guards import require_caller, require_known_parameters
from service.identity.bearer import identify
from service.patterns.analysis import Averages, Day, Insight, Pattern, PatternDay, SignificantTrend, Trends, analyse
from service.patterns.sample import sample_days
from service.patterns.story import Stored, delete_day, find_pattern, store_days
from service.runtime import runtime_of, time_of


class PatternsAnswer(Struct, rename="camel"):
    """What the recorded days of a window say; of sample days, and why, where the caller's own cannot be shown."""

    source: Literal["user", "sample"]
    reason: Reason | None
    patterns: list[PatternDay]
    averages: Averages
    trends: Trends
    significant_trends: list[SignificantTrend]
    insights: list[Insight]


class GivenDay(Day, frozen=True, forbid_unknown_fields=True):
    """The scores of one day, 0 to 100 each; `date` is by the person's own calendar, and not in the future."""


GivenDays = GivenDay | Annotated[list[GivenDay], Meta(min_length=1, max_length=1_000)]


class PatternsController(Controller):
    """/api/insights/patterns."""

    path = "/api/insights/patterns"
    guards = (require_known_parameters,)
    tags = ("Patterns",)

    @get("/")
    async def get_patterns(
        self,
        request: Request[Any, Any, Any],
        days: Annotated[int, QueryParameter(ge=1, le=90, description="How many days the window has")] = 7,
        until: Annotated[dt.date | None, QueryParameter(description="Its last day; today, if not given")] = None,
    ) -> Response[PatternsAnswer]:
        """Read the patterns of the last days."""
        runtime, now = runtime_of(request), time_of(request)
        handling = Handling(request, runtime.settings)
        try:
            caller = identify(request, runtime.tokens, now)
            pattern = await find_pattern(runtime.database, caller, now, days, until)
        except EXCUSABLE as problem:
            reason = handling.excuse(problem)
            return handling.sample(_answer(analyse(sample_days(days, until or now.date())), reason), problem)
        return Response(_answer(pattern, None), headers=handling.headers | {"Cache-Control": "private, no-cache"})

    @post("/", dto=StrictBody, return_dto=None, guards=[require_caller])
    async def post_patterns(self, request: Request[Caller, Any, Any], data: JSONBody[GivenDays]) -> Stored:
        """Store one day, or up to 1,000: all of them or none. The same day again replaces it."""
        database, now = runtime_of(request).database, time_of(request)
        if isinstance(data, list):
            return await store_days(database, request.user, now, data)
        return await store_days(database, request.user, now, [data], pointer="/date")

    @delete("/{day:str}", guards=[require_caller])
    async def delete_pattern(self, request: Request[Caller, Any, Any], day: FromPath[str]) -> None:
        """Delete one day."""
        try:
            date = msgspec.convert(day, dt.date)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                errors=[Wrong(f"Expected a day such as 2026-11-22, got {day!r}", parameter="day")]
            ) from error
        if not await delete_day(runtime_of(request).database, request.user, date):
            raise NotFound


def _answer(pattern: Pattern, reason: Reason | None) -> PatternsAnswer:
    return PatternsAnswer(
        source="sample" if reason else "user",
        reason=reason,
        patterns=pattern.patterns,
        averages=pattern.averages,
        trends=pattern.trends,
        significant_trends=pattern.significant_trends,
        insights=pattern.insights,
    )
