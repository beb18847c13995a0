"""The routes of a person's recommendations: read them, and say that one has been seen."""

import datetime as dt
from typing import Any, Literal
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath
from msgspec import Struct, field

from service.caller import Caller
from service.conditional import respond
from service.errors import (
    Internal,
    InvalidRequest,
    InvalidToken,
    NoData,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from service.fallback import EXCUSABLE, Handling, Reason
from service.guards import require_caller, require_known_parameters
from service.identity.bearer import identify
from service.openapi import (
    BEARER,
    BEARER_OR_NOBODY,
    NOT_MODIFIED,
    ConditionalOperation,
    DescribedOperation,
    problems,
)
from service.patterns.analysis import analyse
from service.patterns.sample import sample_days
from service.recommendations.rules import recommend
from service.recommendations.story import WINDOW_DAYS, BasedOn, Batch, Recommendation, Recommender, make_batch
from service.runtime import Runtime, runtime_of, time_of


class RecommendationsAnswer(Struct, rename="camel"):
    """Up to five recommendations; for sample days, and why, where there are none of the caller's own."""

    source: Literal["user", "sample"]
    reason: Reason | None
    cached: bool
    using_ai: bool = field(name="usingAI")
    engine: str
    generated_at: dt.datetime
    expires_at: dt.datetime
    based_on: BasedOn
    recommendations: list[Recommendation]


class RecommendationsController(Controller):
    """/api/insights/recommendations."""

    path = "/api/insights/recommendations"
    guards = (require_known_parameters,)
    tags = ("Recommendations",)

    @get(
        "/",
        security=BEARER_OR_NOBODY,
        operation_class=ConditionalOperation,
        responses=NOT_MODIFIED | problems(InvalidRequest, Unauthenticated, InvalidToken, NoData, Internal, Unavailable),
    )
    async def get_recommendations(self, request: Request[Any, Any, Any]) -> Response[RecommendationsAnswer]:
        """Read the recommendations of the last hour, or have new ones made."""
        runtime, now = runtime_of(request), time_of(request)
        handling = Handling(request, runtime.settings)
        try:
            caller = identify(request, runtime.tokens, now)
            batch = await _recommender(runtime).recommend(caller, now)
        except EXCUSABLE as problem:
            reason = handling.excuse(problem)
            pattern = analyse(sample_days(WINDOW_DAYS, now.date()))
            return handling.sample(_answer(make_batch("rules", recommend(pattern), pattern, now, now), reason), problem)
        left = int((batch.expires_at - now).total_seconds())
        caching = f"private, max-age={left}" if left > 0 else "no-store"
        return respond(request, _answer(batch, None), handling.headers | {"Cache-Control": caching})

    @post(
        "/{recommendation_id:uuid}/viewed",
        guards=[require_caller],
        status_code=200,
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(InvalidRequest, Unauthenticated, InvalidToken, NotFound, Internal, Unavailable),
    )
    async def post_viewed(
        self, request: Request[Caller, Any, Any], recommendation_id: FromPath[UUID]
    ) -> Recommendation:
        """Say that a recommendation has been seen. The first time sets viewedAt, later times change nothing."""
        return await _recommender(runtime_of(request)).mark_viewed(request.user, time_of(request), recommendation_id)


def _recommender(runtime: Runtime) -> Recommender:
    return Recommender(runtime.database, runtime.engine, dt.timedelta(seconds=runtime.settings.cache_ttl))


def _answer(batch: Batch, reason: Reason | None) -> RecommendationsAnswer:
    return RecommendationsAnswer(
        source="sample" if reason else "user",
        reason=reason,
        cached=batch.cached,
        using_ai=batch.engine not in {"rules", "general"},
        engine=batch.engine,
        generated_at=batch.generated_at,
        expires_at=batch.expires_at,
        based_on=batch.based_on,
        recommendations=batch.recommendations,
    )
