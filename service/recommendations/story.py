"""How a person gets recommendations: the ones that are kept, or new ones, made by one and given to all who wait."""

import asyncio
import datetime as dt
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TypeGuard
from uuid import UUID, uuid4

import msgspec

from service.caller import Caller
from service.database import Database, Transaction, Undo
from service.errors import Problem, Unavailable
from service.patterns.analysis import Pattern
from service.patterns.story import find_pattern
from service.queries import FIND_RUNNING
from service.recommendations.advice import Engine, EngineFailed, History, Usage
from service.recommendations.batch import Batch, Keeping, based_on, find_kept, keep, make_batch
from service.recommendations.feedback import find_history
from service.recommendations.ledger import (
    Budget,
    Making,
    Reason,
    Run,
    begin_run,
    end_run,
    require_refresh_left,
    set_aside,
)
from service.recommendations.rules import GENERAL_ADVICE, recommend

log = logging.getLogger(__name__)

WINDOW_DAYS = 7

# How long past the engine's time limit the lease goes on, so that whoever holds it can still keep what was made.
# Seconds, as all below.
GRACE = 1.0
# How much longer than the time limit somebody waits, so that what came at the last moment can still be kept.
MARGIN = 0.1
# How often one who waits looks whether the other is done: soon at first, then less and less.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
# The most that a stopping service waits to note down what it gave up.
LAST_WORD = 2.0


class Recommender:
    """Gives recommendations out of `database`, made by `engine`, or by the rules where it fails.

    `limit` is the time limit, in seconds, that the engine keeps to, and the longest that anybody waits for whoever is
    making theirs. One object for each process: it knows which recommendations are being made in it, so that a hundred
    who ask for the same at once are one who asks.
    """

    def __init__(
        self, database: Database, engine: Engine, keeping: Keeping, budget: Budget | None = None, limit: float = 8.0
    ) -> None:
        self._database = database
        self._engine = engine
        self._keeping = keeping
        self._budget = budget or Budget()
        self._limit = limit
        self._makings: dict[tuple[UUID, UUID, bool], asyncio.Task[Batch]] = {}

    async def recommend(self, caller: Caller, now: dt.datetime) -> Batch:
        """Give the caller's recommendations.

        Raises NoData where the caller has recorded nothing in the last days, and Unavailable.
        """
        kept = await self._find_kept(caller, now)
        if kept is None:
            return await self._made(caller, now, "missed")
        if kept.stale:
            self._make(caller, now, "renewed")
        return kept

    async def refresh(self, caller: Caller, now: dt.datetime) -> Batch:
        """Make the caller new recommendations before the time; the ones they have where there are none to be had.

        Raises TooManyRequests from the fourth time within a day on, NoData and Unavailable.
        """
        return await self._made(caller, now, "refreshed")

    async def _find_kept(self, caller: Caller, now: dt.datetime) -> Batch | None:
        return await find_kept(partial(self._database.read, caller), now, self._keeping)

    async def close(self) -> None:
        """Give up what is being made, and note that down."""
        makings = list(self._makings.values())
        for making in makings:
            making.cancel()
        await asyncio.gather(*makings, return_exceptions=True)

    async def _made(self, caller: Caller, now: dt.datetime, reason: Reason) -> Batch:
        try:
            async with asyncio.timeout(self._limit + MARGIN):
                # Shielded: who goes away, or has waited long enough, takes it from none of the others.
                return await asyncio.shield(self._make(caller, now, reason))
        except TimeoutError:
            return await self._stand_in(caller, now)
        except Problem as problem:
            raise problem.again() from problem

    async def _stand_in(self, caller: Caller, now: dt.datetime) -> Batch:
        """Give one who has waited long enough what there is: a batch, be it stale, or what the rules say."""
        kept = await self._find_kept(caller, now)
        if kept is not None:
            return kept
        pattern = await find_pattern(self._database, caller, now, WINDOW_DAYS)
        return _without_ai(pattern, await find_history(self._database, caller, now), now)

    def _make(self, caller: Caller, now: dt.datetime, reason: Reason) -> asyncio.Task[Batch]:
        """Have recommendations made by a task of its own, or by the one that is already at it."""
        # A refresh can be refused, which is no answer for one who only has none yet.
        key = (caller.tenant_id, caller.user_id, reason == "refreshed")
        making = self._makings.get(key)
        if making is None:
            making = asyncio.create_task(self._story(caller, now, reason))
            self._makings[key] = making
            making.add_done_callback(partial(self._done, key, reason))
        return making

    def _done(self, key: tuple[UUID, UUID, bool], reason: Reason, making: "asyncio.Task[Batch]") -> None:
        del self._makings[key]
        # Asked for, so that asyncio knows that it is known. Whoever waits is told; a renewal has nobody waiting.
        if not making.cancelled() and (error := making.exception()) and reason == "renewed":
            log.warning("recommendations not renewed: %r", error)

    async def _story(self, caller: Caller, now: dt.datetime, reason: Reason) -> Batch:
        # A refresh is for a later batch than this. Looked for first of all: of two at once, one may be done by and by.
        before = await self._find_kept(caller, now) if reason == "refreshed" else None
        pattern = await find_pattern(self._database, caller, now, WINDOW_DAYS)
        history = await find_history(self._database, caller, now)
        while True:
            begun = await self._begin(caller, now, reason, pattern, before)
            if isinstance(begun, Batch):
                return begun
            if begun is not None:
                return await self._run(caller, now, begun, pattern, history)
            await self._wait(caller)
            kept = await self._find_kept(caller, now)
            if _wanted(kept, before, now):
                return kept

    async def _begin(
        self, caller: Caller, now: dt.datetime, reason: Reason, pattern: Pattern, before: Batch | None
    ) -> Run | Batch | None:
        """Begin a run; or give the batch that somebody has made meanwhile, or None where somebody is making one.

        Raises TooManyRequests.
        """
        kept: Batch | None = None
        with suppress(Undo):
            async with self._database.transaction(caller) as transaction:
                run = Run(uuid4(), reason, now)
                if not await begin_run(transaction, self._engine, run, based_on(pattern), self._limit + GRACE):
                    return None
                # Looked for once more, now that nobody else can be making it.
                kept = await find_kept(transaction.fetch, now, self._keeping)
                if _wanted(kept, before, now):
                    raise Undo
                if reason == "refreshed":
                    await require_refresh_left(transaction, run)
                tokens = await set_aside(transaction, self._engine, run, self._budget)
                return msgspec.structs.replace(run, set_aside=tokens)
        return kept

    async def _run(self, caller: Caller, now: dt.datetime, run: Run, pattern: Pattern, history: History) -> Batch:
        """Make recommendations and keep them, whatever becomes of the engine."""
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
        batch = self._as_batch(made, pattern, history, now)
        if made.outcome != "made" and run.reason == "refreshed":
            # What the person has is better than what stands in for better: it stays.
            kept = await self._find_fresh(caller, now)
            if kept is not None:
                await self._end(caller, run, made, None)
                return kept
        if batch.expires_at == now:
            await self._end(caller, run, made, batch.engine)
            return batch
        return await self._end_with(caller, now, run, made, batch)

    async def _ask(self, caller: Caller, run: Run, pattern: Pattern, history: History) -> Making:
        began = time.monotonic()
        if run.set_aside is None:
            spent = EngineFailed("over_budget", "the tenant has used up its budget of the day")
            return self._failed(caller, spent, began)
        try:
            # An engine keeps to its limit by itself; one that does not shall not keep others waiting for ever.
            async with asyncio.timeout(self._limit + GRACE):
                advised = await self._engine.advise(pattern, history)
        except EngineFailed as error:
            return self._failed(caller, error, began)
        except TimeoutError:
            endless = EngineFailed("timed_out", "it did not keep to its limit", Usage(calls=1))
            return self._failed(caller, endless, began)
        except Exception:
            log.exception("engine failed", extra={"engine": self._engine.name})
            return Making("failed", (), Usage(), time.monotonic() - began)
        return Making("made", advised.advice, advised.usage, time.monotonic() - began)

    def _failed(self, caller: Caller, error: EngineFailed, began: float) -> Making:
        # Of a circuit that is open has been told when it opened.
        if error.outcome != "circuit_open":
            log.warning("no advice from %s: %s", self._engine.name, error, extra={"tenant": str(caller.tenant_id)})
        return Making(error.outcome, (), error.usage, time.monotonic() - began)

    def _as_batch(self, made: Making, pattern: Pattern, history: History, now: dt.datetime) -> Batch:
        """Make a batch of what the engine advised, else of what stands in for it."""
        if made.outcome == "made" and made.advice:
            return make_batch(self._engine.name, made.advice, pattern, now, now + self._keeping.life)
        batch = _without_ai(pattern, history, now)
        if batch.engine == "general":
            return batch
        # There will be no AI before tomorrow for whose budget is used up: nothing is to be tried again soon.
        fallback = made.outcome != "over_budget"
        expires_at = now + self._keeping.life_of(fallback=fallback)
        return msgspec.structs.replace(batch, fallback=fallback, expires_at=expires_at)

    async def _find_fresh(self, caller: Caller, now: dt.datetime) -> Batch | None:
        try:
            kept = await self._find_kept(caller, now)
        except Unavailable:
            return None
        return kept if kept is not None and not kept.stale else None

    async def _end_with(self, caller: Caller, now: dt.datetime, run: Run, made: Making, batch: Batch) -> Batch:
        """Keep a batch and end the run; where it cannot be kept, it is given all the same."""
        try:
            async with self._database.transaction(caller) as transaction:
                kept = await keep(transaction, batch)
                await self._note_end(transaction, run, made, batch.engine)
        except Unavailable as error:
            log.warning("recommendations not kept: %r", error.__cause__ or error)
        except Exception:
            log.exception("recommendations not kept", extra={"engine": batch.engine})
            await self._end(caller, run, made, batch.engine)
        else:
            # Another kept a batch of the very same instant: that one is the person's, not ours.
            return batch if kept else await self._find_fresh(caller, now) or batch
        return msgspec.structs.replace(batch, expires_at=now)

    async def _end(self, caller: Caller, run: Run, made: Making, given: str | None) -> None:
        """End a run without a batch; where that fails, its lease ends it."""
        try:
            async with self._database.transaction(caller) as transaction:
                await self._note_end(transaction, run, made, given)
        except Unavailable as error:
            log.warning("run not ended: %r", error.__cause__ or error)
        except Exception:
            log.exception("run not ended")

    async def _note_end(self, transaction: Transaction, run: Run, made: Making, given: str | None) -> None:
        await end_run(transaction, run, made, given, self._budget)

    async def _wait(self, caller: Caller) -> None:
        """Wait, without a connection, until another's run has ended, or its lease has."""
        pause = FIRST_PAUSE
        running = True
        while running:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            running = bool(await self._database.read(caller, FIND_RUNNING))


def _without_ai(pattern: Pattern, history: History, now: dt.datetime) -> Batch:
    """Make a batch, not to be kept, of what the rules say, or of general advice where they have nothing to say."""
    try:
        advice = recommend(pattern, history)
    except Exception:
        log.exception("rules failed")
        advice = []
    return make_batch("rules" if advice else "general", advice or GENERAL_ADVICE, pattern, now, now)


def _wanted(kept: Batch | None, before: Batch | None, now: dt.datetime) -> TypeGuard[Batch]:
    """Say whether a batch is fresh, and a later one than there was before, or of the very instant of the request."""
    if kept is None or kept.stale:
        return False
    return before is None or kept.generated_at > before.generated_at or kept.generated_at == now
