"""What a person is answered with who asks for their recommendations."""

import datetime as dt
from typing import Literal

from msgspec import Struct, field

from service.fallback import Reason
from service.recommendations.batch import BasedOn, Batch, Recommendation


class RecommendationsAnswer(Struct, rename="camel"):
    """Up to five recommendations; for sample days, and why, where there are none of the caller's own."""

    source: Literal["user", "sample"]
    reason: Reason | None
    cached: bool
    stale: bool
    using_ai: bool = field(name="usingAI")
    engine: str
    generated_at: dt.datetime
    expires_at: dt.datetime
    based_on: BasedOn
    recommendations: list[Recommendation]


def answer_of(batch: Batch, reason: Reason | None) -> RecommendationsAnswer:
    """Make the answer of a batch; of one of sample days, for a `reason`."""
    return RecommendationsAnswer(
        source="sample" if reason else "user",
        reason=reason,
        cached=batch.cached,
        stale=batch.stale,
        using_ai=batch.engine not in {"rules", "general"},
        engine=batch.engine,
        generated_at=batch.generated_at,
        expires_at=batch.expires_at,
        based_on=batch.based_on,
        recommendations=batch.recommendations,
    )


def caching_of(expires_at: dt.datetime, now: dt.datetime) -> dict[str, str]:
    """Give the Cache-Control header of an answer: the caller alone may keep it, for as long as it is fresh."""
    left = int((expires_at - now).total_seconds())
    return {"Cache-Control": f"private, max-age={left}" if left > 0 else "no-store"}
