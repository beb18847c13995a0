"""The routes of a person's recommendations: read them, say that one was seen or whether it helped, ask for new ones."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post, put
from litestar.params import FromPath, JSONBody

from service.admission import admit
from service.bodies import StrictBody
from service.caller import Caller
from service.conditional import respond
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
    UnsupportedMediaType,
)
from service.express import PATH, raise_if_away
from service.fallback import EXCUSABLE, Handling
from service.guards import require_caller, require_known_parameters
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
from service.recommendations.answer import RecommendationsAnswer, answer_of, caching_of
from service.recommendations.batch import Recommendation, make_batch
from service.recommendations.feedback import Feedback, judge, mark_viewed
from service.recommendations.rules import recommend
from service.recommendations.story import WINDOW_DAYS
from service.runtime import runtime_of, time_of


class RecommendationsController(Controller):
    """/api/insights/recommendations."""

    path = PATH
    guards = (require_known_parameters,)
    tags = ("Recommendations",)

    @get(
        "/",
        security=BEARER_OR_NOBODY,
        operation_class=ConditionalOperation,
        responses=NOT_MODIFIED
        | problems(InvalidRequest, Unauthenticated, InvalidToken, NoData, TooManyRequests, Internal, Unavailable),
    )
    async def get_recommendations(self, request: Request[Any, Any, Any]) -> Response[RecommendationsAnswer]:
        """Read the recommendations of the last hour, or have new ones made."""
        runtime, now = runtime_of(request), time_of(request)
        handling = Handling(request, runtime.settings)
        try:
            caller = await admit(request)
            raise_if_away(request.scope)
            batch = await runtime.recommender.recommend(caller, now)
        except EXCUSABLE as problem:
            reason = handling.excuse(problem)
            pattern = analyse(sample_days(WINDOW_DAYS, now.date()))
            return handling.sample(
                answer_of(make_batch("rules", recommend(pattern), pattern, now, now), reason), problem
            )
        headers = handling.headers | caching_of(batch.expires_at, now)
        return respond(request, answer_of(batch, None), headers, runtime.recommender.answers.tag_of(batch))

    @post(
        "/refresh",
        guards=[require_caller],
        status_code=200,
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest, Unauthenticated, InvalidToken, NoData, TooManyRequests, Internal, Unavailable
        ),
    )
    async def post_refresh(self, request: Request[Caller, Any, Any]) -> Response[RecommendationsAnswer]:
        """Have new recommendations made before the hour is over: three times within a day.

        Where they cannot be made just now, those that are still fresh are given once more, `"cached": true`.
        """
        runtime, now = runtime_of(request), time_of(request)
        batch = await runtime.recommender.refresh(request.user, now)
        # What a browser keeps of the address that is read is outdated now: RFC 9111, 4.4.
        headers = {"Cache-Control": "no-store", "Content-Location": PATH}
        return Response(answer_of(batch, None), headers=headers)

    @post(
        "/{recommendation_id:uuid}/viewed",
        guards=[require_caller],
        status_code=200,
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest, Unauthenticated, InvalidToken, NotFound, TooManyRequests, Internal, Unavailable
        ),
    )
    async def post_viewed(
        self, request: Request[Caller, Any, Any], recommendation_id: FromPath[UUID]
    ) -> Recommendation:
        """Say that a recommendation has been seen. The first time sets viewedAt, later times change nothing."""
        return await mark_viewed(runtime_of(request).database, request.user, time_of(request), recommendation_id)

    @put(
        "/{recommendation_id:uuid}/feedback",
        guards=[require_caller],
        dto=StrictBody,
        return_dto=None,
        security=BEARER,
        operation_class=DescribedOperation,
        responses=problems(
            InvalidRequest,
            MalformedBody,
            Unauthenticated,
            InvalidToken,
            NotFound,
            BodyTooLarge,
            UnsupportedMediaType,
            TooManyRequests,
            Internal,
            Unavailable,
        ),
    )
    async def put_feedback(
        self, request: Request[Caller, Any, Any], recommendation_id: FromPath[UUID], data: JSONBody[Feedback]
    ) -> Recommendation:
        """Say whether a recommendation helped; the last word counts, and shapes what is recommended next.

        What was called unhelpful does not come back within 14 days. The note is kept, and sent nowhere.
        """
        return await judge(
            runtime_of(request).database,
            request.user,
            time_of(request),
            recommendation_id,
            data,
        )
