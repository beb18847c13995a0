"""How a person gets recommendations: the ones that are kept, or new ones, made by one and given to all who wait."""

import asyncio
import datetime as dt
import logging
from functools import partial
from uuid import UUID

import asyncpg

from service.caller import Caller
from service.database import Database
from service.errors import Problem, Unavailable
from service.patterns.analysis import Pattern
from service.patterns.story import find_pattern
from service.queries import FIND_RUNNING
from service.recommendations.advice import Engine, History
from service.recommendations.answers import Answers
from service.recommendations.batch import Batch, Keeping, find_kept
from service.recommendations.feedback import find_history
from service.recommendations.ledger import Budget, Reason
from service.recommendations.turn import Turns, without_ai

log = logging.getLogger(__name__)

WINDOW_DAYS = 7

# How much longer than the time limit somebody waits, so that what came at the last moment can still be kept.
# Seconds, as all below.
MARGIN = 0.1
# How often one who waits looks whether the other is done: soon at first, then less and less.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
# Of so many people a failed renewal is remembered, before those that are over are forgotten.
MOST_NOTED = 10_000


class _Making:
    """Recommendations that are being made for a person: by whom, and what is known so far."""

    task: "asyncio.Task[Batch]"

    def __init__(self) -> None:
        self.before: Batch | None = None
        """What the person had when they asked for another batch."""
        self.pattern: Pattern | None = None
        self.history = History()

    def stand_in(self, now: dt.datetime) -> Batch:
        """Give one who has waited long enough what there is. Raises Unavailable where nothing is known of them yet."""
        if self.before is not None:
            return self.before
        if self.pattern is None:
            raise Unavailable
        return without_ai(self.pattern, self.history, now)

    def instant(self, now: dt.datetime) -> dt.datetime:
        """Say when what is made was made: later than what was there, however the clocks of two machines differ."""
        return now if self.before is None else max(now, self.before.generated_at + dt.timedelta(microseconds=1))


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
        self._turns = Turns(database, engine, keeping, budget or Budget(), limit)
        self._keeping = keeping
        self.answers = Answers(database, keeping)
        self._limit = limit
        self._makings: dict[tuple[Caller, bool], _Making] = {}
        # Whose renewal failed, and when the next may be tried.
        self._renewed: dict[tuple[UUID, UUID], dt.datetime] = {}

    async def recommend(self, caller: Caller, now: dt.datetime) -> Batch:
        """Give the caller's recommendations.

        Raises NoData where the caller has recorded nothing in the last days, and Unavailable.
        """
        until = self._longest()
        kept = await self.find_kept(caller, now)
        if kept is None:
            return await self._made(caller, now, "missed", until)
        if kept.stale and now >= self._renewed.get((caller.tenant_id, caller.user_id), now):
            self._make(caller, now, "renewed")
        return kept

    async def refresh(self, caller: Caller, now: dt.datetime) -> Batch:
        """Make the caller new recommendations before the time; the ones they have where there are none to be had.

        Raises TooManyRequests from the fourth time within a day on, NoData and Unavailable.
        """
        return await self._made(caller, now, "refreshed", self._longest())

    def _longest(self) -> float:
        return asyncio.get_running_loop().time() + self._limit + MARGIN

    async def find_kept(self, caller: Caller, now: dt.datetime) -> Batch | None:
        """Find what the caller has, fresh or stale, in one round trip; None where there is none. Raises Unavailable."""
        return await find_kept(partial(self._database.read, caller), now, self._keeping)

    async def close(self) -> None:
        """Give up what is being made, and note that down."""
        tasks = [making.task for making in self._makings.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _made(self, caller: Caller, now: dt.datetime, reason: Reason, until: float) -> Batch:
        making = self._make(caller, now, reason)
        try:
            async with asyncio.timeout_at(until):
                # Shielded: who goes away, or has waited long enough, takes it from none of the others.
                return await asyncio.shield(making.task)
        except TimeoutError:
            return making.stand_in(now)
        except Problem as problem:
            raise problem.again() from problem

    def _make(self, caller: Caller, now: dt.datetime, reason: Reason) -> _Making:
        """Have recommendations made by a task of its own, or by the one that is already at it."""
        # A refresh can be refused, which is no answer for one who only has none yet. By caller and not by person: what
        # is begun in the name of a session ends with that, and with no other of the same person.
        key = (caller, reason == "refreshed")
        making = self._makings.get(key)
        if making is None:
            making = self._makings[key] = _Making()
            making.task = asyncio.create_task(self._story(caller, now, reason, making))
            making.task.add_done_callback(partial(self._done, key, reason))
        return making

    def _done(self, key: tuple[Caller, bool], reason: Reason, task: "asyncio.Task[Batch]") -> None:
        del self._makings[key]
        # Asked for, so that asyncio knows that it is known. Whoever waits is told; a renewal has nobody waiting.
        if not task.cancelled() and (error := task.exception()) and reason == "renewed":
            log.warning("recommendations not renewed: %r", error)

    async def _story(self, caller: Caller, now: dt.datetime, reason: Reason, making: _Making) -> Batch:
        if reason == "refreshed":
            # Looked for first of all: of two who refresh at once, one may be done by and by.
            making.before = await self.find_kept(caller, now)
        while True:
            making.pattern = pattern = await find_pattern(self._database, caller, now, WINDOW_DAYS)
            making.history = await find_history(self._database, caller, now)
            try:
                begun = await self._turns.begin(caller, now, reason, pattern, making.before)
            except asyncpg.PostgresError:
                # The person was deleted meanwhile, or somebody keeps the budget locked: all is answered but by AI.
                log.exception("run not begun")
                return without_ai(pattern, making.history, now)
            if isinstance(begun, Batch):
                return begun
            if begun is not None:
                batch = await self._turns.take(caller, begun, pattern, making.history, making.instant(now))
                self._note_renewal(caller, now, failed=batch.stale)
                return batch
            await self._wait(caller)
            kept = await self.find_kept(caller, now)
            # Where the other refreshed in vain, so would this one.
            if kept is not None and not kept.stale:
                return kept

    def _note_renewal(self, caller: Caller, now: dt.datetime, *, failed: bool) -> None:
        """Note whether a renewal failed, so that not everybody who is given a stale batch has the next one tried."""
        person = caller.tenant_id, caller.user_id
        self._renewed.pop(person, None)
        if failed:
            if len(self._renewed) >= MOST_NOTED:
                self._renewed = {each: after for each, after in self._renewed.items() if after > now}
            self._renewed[person] = now + self._keeping.life_of(fallback=True)

    async def _wait(self, caller: Caller) -> None:
        """Wait, without a connection, until another's run has ended, or its lease has."""
        pause = FIRST_PAUSE
        running = True
        while running:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            running = bool(await self._database.read(caller, FIND_RUNNING))
