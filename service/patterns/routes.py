"""The routes of a person's scores: read the patterns in them, store days, delete one."""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from service.admission import admit
from service.bodies import StrictBody
from service.caller import Caller
from service.conditional import form_of, not_modified, respond, revisions_named, tag_of
from service.errors import (
    BodyTooLarge,
    Internal,
    InvalidRequest,
    InvalidToken,
    MalformedBody,
    NoData,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnknownTenant,
    UnsupportedMediaType,
    Wrong,
)
from service.fallback import EXCUSABLE, Handling, Reason
from service.guards import require_caller, require_known_parameters
from service.openapi import (
    BEARER,
    BEARER_OR_NOBODY,
    NOT_MODIFIED,
    ConditionalOperation,
    DescribedOperation,
    problems,
)
from service.patterns.analysis import Averages, Day, Insight, Pattern, PatternDay, SignificantTrend, Trends, analyse
from service.patterns.sample import sample_days
from service.patterns.story import Stored, delete_day, find_days, store_days
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


# The answer depends on the recorded days and on nothing else but this release.
FORM = form_of()

# To Python these are strings: see _as_date.
DATE = {"one_of": None, "type": OpenAPIType.STRING, "format": OpenAPIFormat.DATE}

GivenDays = GivenDay | Annotated[list[GivenDay], Meta(min_length=1, max_length=1_000)]


class PatternsController(Controller):
    """/api/insights/patterns."""

    path = "/api/insights/patterns"
    guards = (require_known_parameters,)
    tags = ("Patterns",)

    @get(
        "/",
        security=BEARER_OR_NOBODY,
        operation_class=ConditionalOperation,
        responses=NOT_MODIFIED
        | problems(InvalidRequest, Unauthenticated, InvalidToken, NoData, TooManyRequests, Internal, Unavailable),
    )
    async def get_patterns(
        self,
        request: Request[Any, Any, Any],
        days: Annotated[int, QueryParameter(ge=1, le=90, description="How many days the window has")] = 7,
        until: Annotated[
            str | None, QueryParameter(description="Its last day; today, if not given", schema_extra=DATE)
        ] = None,
    ) -> Response[PatternsAnswer]:
        """Read the patterns of the last days."""
        last_day = None if until is None else _as_date(until, "until")
        runtime, now = runtime_of(request), time_of(request)
        handling = Handling(request, runtime.settings)
        try:
            caller = await admit(request)
            known = revisions_named(request.headers.getall("if-none-match", []), FORM)
            found = await find_days(runtime.database, caller, now, days, last_day, known)
        except EXCUSABLE as problem:
            reason = handling.excuse(problem)
            return handling.sample(_answer(analyse(sample_days(days, last_day or now.date())), reason), problem)
        tag = tag_of(found.revision, FORM)
        headers = handling.headers | {"Cache-Control": "private, no-cache"}
        if not found.days:
            return not_modified(headers | {"ETag": tag})
        return respond(request, _answer(analyse(found.days), None), headers, tag)

    @post(
        "/",
        dto=StrictBody,
        return_dto=None,
        guards=[require_caller],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest,
            MalformedBody,
            Unauthenticated,
            InvalidToken,
            UnknownTenant,
            BodyTooLarge,
            UnsupportedMediaType,
            TooManyRequests,
            Internal,
            Unavailable,
        ),
    )
    async def post_patterns(self, request: Request[Caller, Any, Any], data: JSONBody[GivenDays]) -> Stored:
        """Store one day, or up to 1,000: all of them or none. The same day again replaces it."""
        database, now = runtime_of(request).database, time_of(request)
        if isinstance(data, list):
            return await store_days(database, request.user, now, data)
        return await store_days(database, request.user, now, [data], pointer="/date")

    @delete(
        "/{day:str}",
        guards=[require_caller],
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest, Unauthenticated, InvalidToken, NotFound, TooManyRequests, Internal, Unavailable
        ),
    )
    async def delete_pattern(
        self, request: Request[Caller, Any, Any], day: Annotated[str, PathParameter(schema_extra=DATE)]
    ) -> None:
        """Delete one day."""
        if not await delete_day(runtime_of(request).database, request.user, _as_date(day, "day")):
            raise NotFound


def _as_date(text: str, parameter: str) -> dt.date:
    """Parse a date of the URL, where Litestar would take "null" for none given."""
    try:
        return msgspec.convert(text, dt.date)
    except msgspec.ValidationError as error:
        wrong = Wrong(f"Expected a day such as 2026-11-22, got {text!r}", parameter=parameter)
        raise InvalidRequest(errors=[wrong]) from error


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
