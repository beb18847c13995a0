"""Another batch before the time: how often, when it is one, and what is left where it comes to nothing."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.errors import NoData, TooManyRequests
from service.queries import FIND_RUNNING, Query
from service.recommendations.advice import Usage
from service.recommendations.story import Recommender
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, Clock
from tests.recommendations.scripted import HOUR, Scripted, count_kept, failing, runs_of, texts, until_asked


class Waiting(Database):
    """Notes whether somebody waits through it for a run of another."""

    waiting = False

    async def read(self, caller: Caller, query: Query, **values: object) -> list[asyncpg.Record]:
        self.waiting |= query is FIND_RUNNING
        return await super().read(caller, query, **values)


async def until_waiting(databases: list[Waiting], most: int) -> None:
    async with asyncio.timeout(5):
        while sum(each.waiting for each in databases) < most:  # noqa: ASYNC110 - bounded by the time-out above
            await asyncio.sleep(0.001)


async def test_a_person_may_refresh_three_times_within_a_day(database: Database, person: Caller) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR)
    await recommender.recommend(person, clock())

    fresh = []
    for _ in range(3):
        clock.advance(minutes=10)
        fresh.append(await recommender.refresh(person, clock()))
    clock.advance(minutes=10)
    with pytest.raises(TooManyRequests) as refused:
        await recommender.refresh(person, clock())
    kept = await recommender.recommend(person, clock())
    clock.advance(seconds=int(refused.value.headers["Retry-After"]) - 1)
    with pytest.raises(TooManyRequests):
        await recommender.refresh(person, clock())
    clock.advance(seconds=1)
    again = await recommender.refresh(person, clock())

    assert [batch.cached for batch in fresh] == [False, False, False]
    assert len({batch.generated_at for batch in fresh}) == 3
    assert refused.value.headers["Retry-After"] == str(24 * 3600 - 30 * 60)
    assert (kept.cached, kept.recommendations) == (True, fresh[-1].recommendations)
    assert not again.cached
    assert len(engine.asked) == 5


async def test_refreshes_at_once_count_as_one(database: Database, admin: Connection, person: Caller) -> None:
    engine, clock = Scripted(), Clock()
    databases = [Waiting(database._pool, Seal(SEAL_KEY)) for _ in range(2)]
    both = [Recommender(each, engine, HOUR) for each in databases]
    await both[0].recommend(person, clock())
    clock.advance(minutes=10)
    engine.released.clear()
    waiting = [asyncio.create_task(each.refresh(person, clock())) for each in both * 5]
    await until_asked(engine, 2)
    await until_waiting(databases, 1)
    engine.released.set()

    batches = await asyncio.gather(*waiting)

    assert len({batch.recommendations[0].id for batch in batches}) == 1
    assert batches[0].generated_at == clock()
    assert len(engine.asked) == 2
    assert await runs_of(admin, person) == [("missed", "made", "scripted"), ("refreshed", "made", "scripted")]


async def test_a_refresh_that_fails_takes_nothing_away(database: Database, admin: Connection, person: Caller) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR)
    made = await recommender.recommend(person, clock())
    engine.error = failing("server_error")
    clock.advance(minutes=10)

    batch = await recommender.refresh(person, clock())

    assert (batch.engine, batch.cached, batch.recommendations) == ("scripted", True, made.recommendations)
    assert await count_kept(admin, person) == 5
    assert await runs_of(admin, person) == [("missed", "made", "scripted"), ("refreshed", "server_error", None)]


async def test_without_days_there_is_nothing_to_refresh(database: Database, caller: Caller) -> None:
    with pytest.raises(NoData):
        await Recommender(database, Scripted(), HOUR).refresh(caller, NOW)


async def test_refreshes_without_ai_do_not_count(database: Database, admin: Connection, person: Caller) -> None:
    engine, clock = Scripted(error=failing("circuit_open", Usage())), Clock()
    recommender = Recommender(database, engine, HOUR)

    for _ in range(5):
        clock.advance(minutes=1)
        assert (await recommender.refresh(person, clock())).engine == "rules"

    assert [outcome for _, outcome, _ in await runs_of(admin, person)] == ["circuit_open"] * 5


async def test_ten_attempts_that_come_to_nothing_are_enough_for_a_day(database: Database, person: Caller) -> None:
    engine, clock = Scripted(error=failing("server_error")), Clock()
    recommender = Recommender(database, engine, HOUR)
    await recommender.recommend(person, clock())
    for _ in range(10):
        clock.advance(minutes=1)
        assert (await recommender.refresh(person, clock())).engine == "rules"

    engine.error = None
    clock.advance(minutes=1)
    with pytest.raises(TooManyRequests) as refused:
        await recommender.refresh(person, clock())
    clock.advance(seconds=int(refused.value.headers["Retry-After"]))
    again = await recommender.refresh(person, clock())

    assert refused.value.headers["Retry-After"] == str(24 * 3600 - 10 * 60)
    assert again.engine == "scripted"


async def test_of_refreshes_at_once_that_fail_one_is_enough(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    # Each as little acquainted with the others as three processes are.
    databases = [Waiting(database._pool, Seal(SEAL_KEY)) for _ in range(3)]
    several = [Recommender(each, engine, HOUR) for each in databases]
    made = await several[0].recommend(person, clock())
    clock.advance(minutes=1)
    engine.error = failing("timed_out")
    engine.released.clear()
    asking = [asyncio.create_task(each.refresh(person, clock())) for each in several]
    await until_asked(engine, 2)
    await until_waiting(databases, 2)
    engine.released.set()
    batches = await asyncio.gather(*asking)

    assert [texts(batch) for batch in batches] == [texts(made)] * 3
    assert len(engine.asked) == 2
    assert await runs_of(admin, person) == [("missed", "made", "scripted"), ("refreshed", "timed_out", None)]


async def test_a_refresh_by_a_slow_clock_is_the_newest_all_the_same(database: Database, person: Caller) -> None:
    clock = Clock()
    await Recommender(database, Scripted(text="Old"), HOUR).recommend(person, clock())

    refreshed = await Recommender(database, Scripted(text="New"), HOUR).refresh(person, clock() - timedelta(seconds=3))
    clock.advance(seconds=1)
    kept = await Recommender(database, Scripted(), HOUR).recommend(person, clock())

    assert texts(refreshed)[0] == texts(kept)[0] == "New 5.1"


async def test_a_refresh_that_takes_too_long_gives_what_there_was(database: Database, person: Caller) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR, limit=0.3)
    made = await recommender.recommend(person, clock())
    engine.released.clear()
    clock.advance(minutes=1)

    batch = await recommender.refresh(person, clock())
    await recommender.close()

    assert (batch.cached, texts(batch)) == (True, texts(made))
