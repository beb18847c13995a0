"""How a person gets recommendations: the ones kept from the last hour, or new ones, made and kept."""

import datetime as dt
import logging
from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from service.caller import Caller
from service.database import Database
from service.errors import NotFound, Unavailable
from service.patterns.analysis import Pattern
from service.patterns.story import find_pattern
from service.queries import LIST_FRESH_RECOMMENDATIONS, SAVE_RECOMMENDATIONS, SAVE_VIEWED
from service.recommendations.advice import Advice, DataPoint, Engine
from service.recommendations.rules import GENERAL_ADVICE

log = logging.getLogger(__name__)

WINDOW_DAYS = 7


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
    viewed: bool = False
    viewed_at: dt.datetime | None = None


class Batch(Struct, frozen=True):
    """Up to five recommendations that were made together."""

    engine: str
    generated_at: dt.datetime
    expires_at: dt.datetime
    """When it is not given any more; for a batch that is not kept, when it was made."""
    based_on: BasedOn
    recommendations: list[Recommendation]
    cached: bool = False


class _Row(Struct, frozen=True):
    """What LIST_FRESH_RECOMMENDATIONS returns."""

    id: UUID
    recommendation: str
    reasoning: str
    data_point: DataPoint | None
    engine: str
    based_on: BasedOn
    generated_at: dt.datetime
    viewed: bool
    viewed_at: dt.datetime | None


class Recommender(Struct, frozen=True):
    """Gives recommendations out of `database`, made by `engine`, each batch for `life`."""

    database: Database
    engine: Engine
    life: dt.timedelta

    async def recommend(self, caller: Caller, now: dt.datetime) -> Batch:
        """Give the caller's recommendations.

        Raises NoData where the caller has recorded nothing in the last days, and Unavailable.
        """
        kept = await self._find_kept(caller, now)
        if kept is not None:
            return kept
        pattern = await find_pattern(self.database, caller, now, WINDOW_DAYS)
        # No connection is held here: an engine may take seconds.
        try:
            advice = await self.engine.advise(pattern)
        except Exception:
            log.exception("engine failed", extra={"engine": self.engine.name})
            return make_batch("general", GENERAL_ADVICE, pattern, now, now)
        batch = make_batch(self.engine.name, advice, pattern, now, now + self.life)
        try:
            return await self._keep(caller, now, batch)
        except Unavailable as error:
            log.warning("recommendations not kept: %r", error.__cause__ or error)
        except Exception:
            log.exception("recommendations not kept", extra={"engine": self.engine.name})
        return msgspec.structs.replace(batch, expires_at=now)

    async def _find_kept(self, caller: Caller, now: dt.datetime) -> Batch | None:
        rows = msgspec.convert(
            await self.database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=now - self.life), list[_Row]
        )
        if not rows:
            return None
        newest = rows[0]
        return Batch(
            engine=newest.engine,
            generated_at=newest.generated_at,
            expires_at=newest.generated_at + self.life,
            based_on=newest.based_on,
            recommendations=[
                Recommendation(row.id, row.recommendation, row.reasoning, row.data_point, row.viewed, row.viewed_at)
                for row in rows
                # The newest five may reach into the batch before, where the newest has fewer.
                if row.generated_at == newest.generated_at
            ],
            cached=True,
        )

    async def _keep(self, caller: Caller, now: dt.datetime, batch: Batch) -> Batch:
        given = batch.recommendations
        async with self.database.transaction(caller) as transaction:
            saved = await transaction.fetch(
                SAVE_RECOMMENDATIONS,
                generated_at=batch.generated_at,
                engine=batch.engine,
                based_on=batch.based_on,
                ids=[each.id for each in given],
                recommendations=[each.recommendation for each in given],
                reasonings=[each.reasoning for each in given],
                data_points=[each.data_point for each in given],
            )
        if len(saved) == len(given):
            return batch
        # Another request kept a batch of the very same instant: that one is the person's, not ours.
        return await self._find_kept(caller, now) or batch

    async def mark_viewed(self, caller: Caller, now: dt.datetime, which: UUID) -> Recommendation:
        """Note that the caller has seen a recommendation; the first time counts.

        Raises NotFound where the caller has no such recommendation, whoever else may have it, and Unavailable.
        """
        async with self.database.transaction(caller) as transaction:
            rows = await transaction.fetch(SAVE_VIEWED, id=which, now=now)
        if not rows:
            raise NotFound
        row = rows[0]
        return Recommendation(
            row["id"],
            row["recommendation"],
            row["reasoning"],
            msgspec.convert(row["data_point"], DataPoint | None),
            row["viewed"],
            row["viewed_at"],
        )


def make_batch(
    engine: str, advice: Sequence[Advice], pattern: Pattern, generated_at: dt.datetime, expires_at: dt.datetime
) -> Batch:
    """Make a batch out of what an engine advised."""
    return Batch(
        engine=engine,
        generated_at=generated_at,
        expires_at=expires_at,
        based_on=BasedOn(
            len(pattern.patterns), pattern.averages.energy, pattern.averages.focus, pattern.averages.fulfillment
        ),
        recommendations=[
            Recommendation(uuid4(), each.recommendation, each.reasoning, each.data_point) for each in advice
        ],
    )
