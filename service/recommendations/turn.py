"""An engine's turn: it is asked, and what it made, or what stands in for that, is kept and noted in the ledger."""

import asyncio
import datetime as dt
import logging
import time
from functools import partial
from uuid import UUID

import asyncpg
import msgspec

from service.caller import Caller
from service.database import Database, Transaction
from service.errors import Unavailable
from service.patterns.analysis import Pattern
from service.recommendations.advice import Engine, EngineFailed, History, Usage
from service.recommendations.batch import Batch, Keeping, based_on, find_kept, keep, make_batch
from service.recommendations.ledger import Budget, Making, Run, begin_run, end_run, put_right, set_aside
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
        # Of which tenants it was said that their budget of a day is used up.
        self._spent: dict[UUID, dt.date] = {}

    async def begin(self, transaction: Transaction, run: Run, pattern: Pattern) -> bool:
        """Begin a run; False where another is making these recommendations."""
        return await begin_run(transaction, self._engine, run, based_on(pattern), self._limit + GRACE)

    async def set_aside(self, transaction: Transaction, run: Run) -> Run:
        """Have the budget hold ready what a run may take, and give the run as it is then."""
        return await set_aside(transaction, self._engine, run, self._budget)

    async def take(self, caller: Caller, run: Run, pattern: Pattern, history: History, at: dt.datetime) -> Batch:
        """Make recommendations of the instant `at` and keep them, whatever becomes of the engine.

        Gives what the person has, fresh or stale, where that is better than what would stand in.
        """
        began = time.monotonic()
        # No connection is held here: an engine may take seconds.
        try:
            made = await self._ask(caller, run, pattern, history)
        except asyncio.CancelledError:
            async with asyncio.timeout(LAST_WORD):
                usage = Usage(calls=1 if run.set_aside else 0)
                given_up = Making("abandoned", (), usage, time.monotonic() - began)
                await self._end(caller, run, given_up, None)
            raise
        if made.outcome == "made" and made.advice:
            batch = make_batch(self._engine.name, made.advice, pattern, at, at + self._keeping.life)
            return await self._end_with(caller, run, made, batch)
        kept = None if run.reason == "missed" else await self._find_good(caller, run.started_at)
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

    async def _ask(self, caller: Caller, run: Run, pattern: Pattern, history: History) -> Making:
        began = time.monotonic()
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
            endless = EngineFailed("timed_out", "it did not keep to its limit", Usage(calls=1))
            return self._failed(caller, run, endless, began)
        except Exception:
            log.exception("engine failed", extra={"engine": self._engine.name})
            return Making("failed", (), Usage(), time.monotonic() - began)
        return Making("made", advised.advice, advised.usage, time.monotonic() - began)

    def _failed(self, caller: Caller, run: Run, error: EngineFailed, began: float) -> Making:
        today = run.started_at.date()
        said = error.outcome == "over_budget" and self._spent.get(caller.tenant_id) == today
        if error.outcome == "over_budget":
            self._spent[caller.tenant_id] = today
        # Of a circuit that is open has been told when it opened; of a budget, once a day is enough.
        if error.outcome != "circuit_open" and not said:
            log.warning("no advice from %s: %s", self._engine.name, error, extra={"tenant": str(caller.tenant_id)})
        return Making(error.outcome, (), error.usage, time.monotonic() - began)

    async def _find_good(self, caller: Caller, now: dt.datetime) -> Batch | None:
        """Find what the person has, if that is better than what stands in for better: fresh, or stale by an engine."""
        try:
            kept = await find_kept(partial(self._database.read, caller), now, self._keeping)
        except Unavailable:
            return None
        return None if kept is None or (kept.stale and kept.fallback) else kept

    async def _end_with(self, caller: Caller, run: Run, made: Making, batch: Batch) -> Batch:
        """Keep a batch and end the run; where it cannot be kept, it is given all the same."""
        try:
            async with self._database.transaction(caller) as transaction:
                kept = await keep(transaction, batch)
                await end_run(transaction, run, made, batch.engine, self._budget)
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

    async def _end(self, caller: Caller, run: Run, made: Making, given: str | None) -> None:
        """End a run without a batch; where that fails, its lease ends it."""
        try:
            async with self._database.transaction(caller) as transaction:
                await end_run(transaction, run, made, given, self._budget)
        except Unavailable as error:
            log.warning("run not ended: %r", error.__cause__ or error)
        except Exception:
            log.exception("run not ended")
        else:
            await self._put_budget_right(caller, run, made)

    async def _put_budget_right(self, caller: Caller, run: Run, made: Making) -> None:
        """Give back what was set aside and not used; where that fails, the day's budget is the smaller for it."""
        try:
            async with self._database.transaction(caller) as transaction:
                await put_right(transaction, run, made)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("budget not put right: %r", error.__cause__ or error)


def without_ai(pattern: Pattern, history: History, now: dt.datetime) -> Batch:
    """Make a batch, not to be kept, of what the rules say, or of general advice where they have nothing to say."""
    try:
        advice = recommend(pattern, history)
    except Exception:
        log.exception("rules failed")
        advice = []
    return make_batch("rules" if advice else "general", advice or GENERAL_ADVICE, pattern, now, now)
