"""An engine's turn: it is asked, and what it made, or what stands in for that, is kept and noted in the ledger."""

import asyncio
import datetime as dt
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TypeGuard
from uuid import UUID, uuid4

import asyncpg
import msgspec

from service.caller import Caller
from service.database import Database, Undo
from service.errors import SessionEnded, Unavailable
from service.patterns.analysis import Pattern
from service.recommendations.advice import Engine, EngineFailed, History, Usage
from service.recommendations.batch import Batch, Keeping, based_on, find_kept, keep, make_batch
from service.recommendations.ledger import (
    Budget,
    Reason,
    Result,
    Run,
    begin_run,
    count_in,
    end_run,
    put_right,
    require_refresh_left,
    set_aside,
)
from service.recommendations.rules import GENERAL_ADVICE, recommend

log = logging.getLogger(__name__)

# How long past the engine's time limit the lease goes on, so that whoever holds it can still keep what was made.
# Seconds, as all below.
GRACE = 1.0
# The most that a stopping service waits to note down what it gave up.
LAST_WORD = 2.0


class Turns:
    """Asks `engine`, for `limit` seconds at most, and keeps what comes of it; the rules stand in where it fails."""

    def __init__(self, database: Database, engine: Engine, keeping: Keeping, budget: Budget, limit: float) -> None:
        self._database = database
        self._engine = engine
        self._keeping = keeping
        self._budget = budget
        self._limit = limit
        # Of which tenants it was said on this day that their budget is used up.
        self._spent: tuple[dt.date, set[UUID]] = (dt.date.min, set())

    async def begin(
        self, caller: Caller, now: dt.datetime, reason: Reason, pattern: Pattern, before: Batch | None
    ) -> Run | Batch | None:
        """Begin a run; or give the batch that somebody has made meanwhile, or None where somebody is making one.

        `before` is what the person had when they asked for another. Raises TooManyRequests, and asyncpg's PostgresError
        where the person was deleted meanwhile or somebody keeps the tenant's budget locked.
        """
        kept: Batch | None = None
        with suppress(Undo):
            async with self._database.transaction(caller) as transaction:
                run = Run(uuid4(), reason, now)
                if reason == "missed":
                    run = await count_in(transaction, run, self._keeping)
                lease = self._limit + GRACE
                if not await begin_run(transaction, self._engine, run, based_on(pattern), lease):
                    return None
                # Looked for once more, now that nobody else can be making it.
                kept = await find_kept(transaction.fetch, now, self._keeping)
                if _wanted(kept, before):
                    raise Undo
                if reason == "refreshed":
                    await require_refresh_left(transaction, run)
                if run.beyond_allowance:
                    return run
                return await set_aside(transaction, self._engine, run, self._budget)
        return kept

    async def take(self, caller: Caller, run: Run, pattern: Pattern, history: History, at: dt.datetime) -> Batch:
        """Make recommendations of the instant `at` and keep them, whatever becomes of the engine.

        Gives what the person has, fresh or stale, where that is better than what would stand in. Raises SessionEnded
        where the caller's session ended meanwhile: the run has ended then, with what it took, and nothing is kept.
        """
        began = time.monotonic()
        # No connection is held here: an engine may take seconds.
        try:
            made = await self._ask(caller, run, pattern, history)
        except asyncio.CancelledError:
            async with asyncio.timeout(LAST_WORD):
                given_up = Result("abandoned", (), _unknown(run), time.monotonic() - began)
                await self._end(caller, run, given_up, None)
            raise
        if made.outcome == "made" and made.advice:
            batch = make_batch(self._engine.name, made.advice, pattern, at, at + self._keeping.life)
            return await self._end_with(caller, run, made, batch)
        try:
            kept = None if run.reason == "missed" else await self._find_good(caller, run.started_at)
        except SessionEnded:
            await self._end(caller, run, made.given_up(), None)
            raise
        if kept is not None:
            await self._end(caller, run, made, None)
            return kept
        batch = without_ai(pattern, history, at)
        if batch.engine == "general":
            await self._end(caller, run, made, batch.engine)
            return batch
        life = self._keeping.life_of(fallback=True)
        standing_in = msgspec.structs.replace(batch, fallback=True, expires_at=at + life)
        return await self._end_with(caller, run, made, standing_in)

    async def _ask(self, caller: Caller, run: Run, pattern: Pattern, history: History) -> Result:
        began = time.monotonic()
        if run.beyond_allowance:
            # Nothing is logged: a person can have this as often as they like, and the ledger has it.
            return Result("over_budget", (), Usage(), 0.0)
        if run.set_aside is None:
            spent = EngineFailed("over_budget", "the tenant has used up its budget of the day")
            return self._failed(caller, run, spent, began)
        try:
            # An engine keeps to its limit by itself; one that does not shall not keep others waiting for ever.
            async with asyncio.timeout(self._limit + GRACE):
                advised = await self._engine.advise(pattern, history, run.calls_set_aside or None)
        except EngineFailed as error:
            return self._failed(caller, run, error, began)
        except TimeoutError:
            endless = EngineFailed("timed_out", "it did not keep to its limit", _unknown(run))
            return self._failed(caller, run, endless, began)
        except Exception:
            log.exception("engine failed", extra={"engine": self._engine.name})
            return Result("failed", (), _unknown(run), time.monotonic() - began)
        return Result("made", advised.advice, advised.usage, time.monotonic() - began)

    def _failed(self, caller: Caller, run: Run, error: EngineFailed, began: float) -> Result:
        said = error.outcome == "over_budget" and self._was_said(caller.tenant_id, run.started_at.date())
        # Of a circuit that is open has been told when it opened; of a budget, once a day is enough.
        if error.outcome != "circuit_open" and not said:
            log.warning("no advice from %s: %s", self._engine.name, error, extra={"tenant": str(caller.tenant_id)})
        return Result(error.outcome, (), error.usage, time.monotonic() - began)

    def _was_said(self, tenant_id: UUID, today: dt.date) -> bool:
        """Say whether this was asked of a tenant before on this day."""
        if self._spent[0] != today:
            self._spent = today, set()
        said = tenant_id in self._spent[1]
        self._spent[1].add(tenant_id)
        return said

    async def _find_good(self, caller: Caller, now: dt.datetime) -> Batch | None:
        """Find what the person has, if that is better than what stands in for better: fresh, or stale by an engine."""
        try:
            kept = await find_kept(partial(self._database.read, caller), now, self._keeping)
        except Unavailable:
            return None
        return None if kept is None or (kept.stale and kept.fallback) else kept

    async def _end_with(self, caller: Caller, run: Run, made: Result, batch: Batch) -> Batch:
        """Keep a batch and end the run; where it cannot be kept, it is given all the same."""
        try:
            async with self._database.transaction(caller) as transaction:
                kept = await keep(transaction, batch)
                await end_run(transaction, run, made, batch.engine, self._budget)
        except SessionEnded:
            # What a session has begun ends with it, and nobody is given it.
            await self._end(caller, run, made.given_up(), None)
            raise
        except Unavailable as error:
            log.warning("recommendations not kept: %r", error.__cause__ or error)
        except Exception:
            log.exception("recommendations not kept", extra={"engine": batch.engine})
            await self._end(caller, run, made, batch.engine)
        else:
            await self._put_budget_right(caller, run, made)
            # Another kept a batch of the very same instant: that one is the person's, not ours.
            return batch if kept else await self._find_good(caller, run.started_at) or batch
        return msgspec.structs.replace(batch, expires_at=batch.generated_at)

    async def _end(self, caller: Caller, run: Run, made: Result, given: str | None) -> None:
        """End a run without a batch; where that fails, its lease ends it."""
        try:
            async with self._database.transaction(_person(caller)) as transaction:
                await end_run(transaction, run, made, given, self._budget)
        except Unavailable as error:
            log.warning("run not ended: %r", error.__cause__ or error)
        except Exception:
            log.exception("run not ended")
        else:
            await self._put_budget_right(caller, run, made)

    async def _put_budget_right(self, caller: Caller, run: Run, made: Result) -> None:
        """Give back what was set aside and not used; where that fails, the day's budget is the smaller for it."""
        try:
            async with self._database.transaction(_person(caller)) as transaction:
                await put_right(transaction, run, made)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("budget not put right: %r", error.__cause__ or error)


def _person(caller: Caller) -> Caller:
    """Give the person without their session: what was used is noted down, whether or not that has ended."""
    return msgspec.structs.replace(caller, session_id=None)


def _unknown(run: Run) -> Usage:
    """What an engine took that did not live to tell: one call at least, where it makes any."""
    return Usage(calls=1 if run.set_aside else 0)


def without_ai(pattern: Pattern, history: History, now: dt.datetime) -> Batch:
    """Make a batch, not to be kept, of what the rules say, or of general advice where they have nothing to say."""
    try:
        advice = recommend(pattern, history)
    except Exception:
        log.exception("rules failed")
        advice = []
    return make_batch("rules" if advice else "general", advice or GENERAL_ADVICE, pattern, now, now)


def _wanted(kept: Batch | None, before: Batch | None) -> TypeGuard[Batch]:
    """Say whether a batch is fresh, and a later one than there was before."""
    return kept is not None and not kept.stale and (before is None or kept.generated_at > before.generated_at)
