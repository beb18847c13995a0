"""A batch of recommendations, and how it is kept: made together, given together, fresh or stale together."""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import msgspec
from asyncpg import Record
from msgspec import Struct

from service.database import Transaction
from service.patterns.analysis import Pattern
from service.queries import FIND_LOCKED_PERSON, LIST_FRESH_RECOMMENDATIONS, SAVE_RECOMMENDATIONS
from service.recommendations.advice import Advice, DataPoint, Topic


class Keeping(Struct, frozen=True):
    """For how long a batch is given out."""

    life: dt.timedelta = dt.timedelta(hours=1)
    fallback_life: dt.timedelta = dt.timedelta(minutes=5)
    """Of a batch by the rules that stands in for one of an engine that failed; never longer than `life`."""
    stale: dt.timedelta = dt.timedelta(0)
    """How much longer it may be given, marked as stale, while another is made."""

    def life_of(self, *, fallback: bool) -> dt.timedelta:
        """For how long a batch is fresh."""
        return min(self.fallback_life, self.life) if fallback else self.life

    def expiry_of(self, generated_at: dt.datetime, *, fallback: bool) -> dt.datetime:
        """When a batch is not fresh any more."""
        return generated_at + self.life_of(fallback=fallback)

    def stale_before(self, now: dt.datetime) -> dt.datetime:
        """What was generated at this instant or before is given to nobody any more."""
        return now - self.life - self.stale


class BasedOn(Struct, frozen=True, rename="camel"):
    """What a batch was made from: so many recorded days, and their rounded averages."""

    data_points: int
    average_energy: int
    average_focus: int
    average_fulfillment: int


class Recommendation(Struct, frozen=True, rename="camel"):
    """One recommendation as the person is given it."""

    id: UUID
    recommendation: str
    reasoning: str
    data_point: DataPoint | None
    topic: Topic | None
    """None for what was made before there were topics."""
    viewed: bool = False
    viewed_at: dt.datetime | None = None
    helpful: bool | None = None
    """What the person said of it; None until they have."""


class Batch(Struct, frozen=True):
    """Up to five recommendations that were made together."""

    engine: str
    generated_at: dt.datetime
    expires_at: dt.datetime
    """When it is not fresh any more; for a batch that is not kept, when it was made."""
    based_on: BasedOn
    recommendations: list[Recommendation]
    fallback: bool = False
    """The rules stood in for an engine that failed."""
    cached: bool = False
    stale: bool = False
    revision: str = ""
    """Names what the kept rows are just now; empty where they are not read from there."""


class _Row(Struct, frozen=True):
    """What LIST_FRESH_RECOMMENDATIONS returns of a revision that was not known."""

    revision: str
    id: UUID
    recommendation: str
    reasoning: str
    data_point: DataPoint | None
    topic: Topic | None
    engine: str
    fallback: bool
    based_on: BasedOn
    generated_at: dt.datetime
    viewed: bool
    viewed_at: dt.datetime | None
    helpful: bool | None


def make_batch(
    engine: str, advice: Sequence[Advice], pattern: Pattern, generated_at: dt.datetime, expires_at: dt.datetime
) -> Batch:
    """Make a batch out of what an engine advised."""
    return Batch(
        engine=engine,
        generated_at=generated_at,
        expires_at=expires_at,
        based_on=based_on(pattern),
        recommendations=[
            Recommendation(uuid4(), each.recommendation, each.reasoning, each.data_point, each.topic) for each in advice
        ],
    )


def based_on(pattern: Pattern) -> BasedOn:
    """Say what a batch is made from."""
    averages = pattern.averages
    return BasedOn(len(pattern.patterns), averages.energy, averages.focus, averages.fulfillment)


async def keep(transaction: Transaction, batch: Batch) -> bool:
    """Keep a batch; False where another of the very same instant is kept already."""
    given = batch.recommendations
    await transaction.fetch(FIND_LOCKED_PERSON)
    saved = await transaction.fetch(
        SAVE_RECOMMENDATIONS,
        generated_at=batch.generated_at,
        engine=batch.engine,
        fallback=batch.fallback,
        based_on=batch.based_on,
        ids=[each.id for each in given],
        recommendations=[each.recommendation for each in given],
        reasonings=[each.reasoning for each in given],
        data_points=[each.data_point for each in given],
        topics=[each.topic for each in given],
    )
    return len(saved) == len(given)


async def find_kept(ask: Callable[..., Awaitable[list[Record]]], now: dt.datetime, keeping: Keeping) -> Batch | None:
    """Find a person's newest batch, fresh or stale, in one query; None where it is too old or there is none.

    `ask` runs a query as the person: a transaction's `fetch`, or the database's `read` with its caller filled in.
    """
    found = await ask(LIST_FRESH_RECOMMENDATIONS, stale_before=keeping.stale_before(now), known=[])
    return batch_of(found, now, keeping)


def batch_of(found: Sequence[Record], now: dt.datetime, keeping: Keeping) -> Batch | None:
    """Take over the rows of LIST_FRESH_RECOMMENDATIONS; None where they are too old or there are none."""
    if not found:
        return None
    rows = msgspec.convert(found, list[_Row])
    newest = rows[0]
    expires_at = keeping.expiry_of(newest.generated_at, fallback=newest.fallback)
    if expires_at + keeping.stale <= now:
        return None
    return Batch(
        engine=newest.engine,
        generated_at=newest.generated_at,
        expires_at=expires_at,
        based_on=newest.based_on,
        recommendations=[
            Recommendation(
                row.id,
                row.recommendation,
                row.reasoning,
                row.data_point,
                row.topic,
                row.viewed,
                row.viewed_at,
                row.helpful,
            )
            for row in rows
            # The newest five may reach into the batch before, where the newest has fewer.
            if row.generated_at == newest.generated_at
        ],
        fallback=newest.fallback,
        cached=True,
        stale=expires_at <= now,
        revision=newest.revision,
    )


def as_recommendation(row: Record) -> Recommendation:
    """Take over a row of SAVE_VIEWED or SAVE_FEEDBACK."""
    return msgspec.convert({**row, "dataPoint": row["data_point"], "viewedAt": row["viewed_at"]}, Recommendation)
