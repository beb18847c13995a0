"""What a person made of the recommendations they were given: noted down, and remembered for the next ones."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from service.bodies import WITHOUT_NUL
from service.caller import Caller
from service.database import Database
from service.errors import NotFound
from service.queries import LIST_STANDINGS, SAVE_FEEDBACK, SAVE_VIEWED
from service.recommendations.advice import History, Standing
from service.recommendations.batch import Recommendation, as_recommendation

REMEMBERED = dt.timedelta(days=30)
NOT_AGAIN_WITHIN = dt.timedelta(days=14)


class Feedback(Struct, forbid_unknown_fields=True):
    """Whether a recommendation helped, and a note in the person's own words, of up to 500 characters."""

    helpful: bool
    note: Annotated[str, Meta(max_length=500, pattern=WITHOUT_NUL)] | None = None


async def mark_viewed(database: Database, caller: Caller, now: dt.datetime, which: UUID) -> Recommendation:
    """Note that the caller has seen a recommendation; the first time counts.

    Raises NotFound where the caller has no such recommendation, whoever else may have it, and Unavailable.
    """
    async with database.transaction(caller) as transaction:
        rows = await transaction.fetch(SAVE_VIEWED, id=which, now=now)
    if not rows:
        raise NotFound
    return as_recommendation(rows[0])


async def judge(
    database: Database, caller: Caller, now: dt.datetime, which: UUID, feedback: Feedback
) -> Recommendation:
    """Note whether a recommendation helped the caller; the last word counts. Raises as mark_viewed does."""
    async with database.transaction(caller) as transaction:
        rows = await transaction.fetch(
            SAVE_FEEDBACK, id=which, helpful=feedback.helpful, note=feedback.note or "", now=now
        )
    if not rows:
        raise NotFound
    return as_recommendation(rows[0])


async def find_history(database: Database, caller: Caller, now: dt.datetime) -> History:
    """Find what the caller made of the advice of the last 30 days, and of older advice that they judged in the last 14.

    Raises Unavailable.
    """
    rows = await database.read(
        caller, LIST_STANDINGS, given_after=now - REMEMBERED, judged_after=now - NOT_AGAIN_WITHIN
    )
    return History(
        # What was given before there were topics has no standing, but can have been refused.
        tuple(msgspec.convert([dict(row) for row in rows if row["topic"] is not None], list[Standing])),
        frozenset(text for row in rows for text in row["refused"]),
    )
