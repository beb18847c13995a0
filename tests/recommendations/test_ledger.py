"""One run at a time for each person, whoever asks and from wherever; what it took; how often, and for how much."""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.patterns.analysis import Day
from service.patterns.story import store_days
from service.queries import LIST_STANDINGS, Query
from service.recommendations.advice import Usage
from service.recommendations.feedback import Feedback, judge
from service.recommendations.ledger import Budget
from service.recommendations.story import Recommender
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, Clock, MakeCaller
from tests.recommendations.scripted import DAY, HOUR, Scripted, failing, runs_of, until_asked


async def test_of_all_who_ask_at_once_one_asks_the_engine(
    service_url: str, admin: Connection, make_caller: MakeCaller
) -> None:
    database = await Database.open(service_url, 2, Seal(SEAL_KEY))
    person = await make_caller()
    await store_days(database, person, NOW, [DAY])
    engine = Scripted()
    engine.released.clear()
    # Two recommenders know as little of each other as two processes do.
    both = [Recommender(database, engine, HOUR) for _ in range(2)]
    waiting = [asyncio.create_task(each.recommend(person, NOW)) for each in both * 100]
    await until_asked(engine)
    await asyncio.sleep(0.2)
    busy = await admin.fetchval(
        "select count(*) from pg_stat_activity where application_name = 'daymark' and xact_start is not null"
    )
    engine.released.set()
    batches = await asyncio.gather(*waiting)
    await database.close()

    assert busy == 0
    assert len(engine.asked) == 1
    assert len({tuple(each.id for each in batch.recommendations) for batch in batches}) == 1
    assert await runs_of(admin, person) == [("missed", "made", "scripted")]


async def test_who_waits_for_another_process_too_long_is_given_the_rules(database: Database, person: Caller) -> None:
    engine = Scripted()
    engine.released.clear()
    first = asyncio.create_task(Recommender(database, engine, HOUR, limit=5).recommend(person, NOW))
    await until_asked(engine)

    began = time.monotonic()
    batch = await Recommender(database, engine, HOUR, limit=0.5).recommend(person, NOW)
    took = time.monotonic() - began
    engine.released.set()

    assert 0.2 < took < 0.9
    assert (batch.engine, batch.cached, batch.expires_at) == ("rules", False, NOW)
    assert (await first).engine == "scripted"
    assert len(engine.asked) == 1


async def test_an_engine_that_keeps_to_no_limit_keeps_nobody_waiting(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR, limit=0.2)

    began = time.monotonic()
    first = await recommender.recommend(person, NOW)
    took = time.monotonic() - began
    async with asyncio.timeout(5):
        while (later := await recommender.recommend(person, NOW)).expires_at == NOW:
            assert later.engine == "rules"

    assert took < 0.4
    assert (first.engine, first.expires_at) == ("rules", NOW)
    assert (later.engine, later.fallback, later.expires_at) == ("rules", True, NOW + timedelta(minutes=5))
    assert await runs_of(admin, person) == [("missed", "timed_out", "rules")]
    assert len(engine.asked) == 1


async def test_a_lease_that_is_over_is_taken_by_the_next(database: Database, admin: Connection, person: Caller) -> None:
    await admin.execute(
        "insert into app.recommendation_runs"
        " (tenant_id, run_id, user_id, reason, started_at, lease_until, engine, based_on)"
        " values ($1, gen_random_uuid(), $2, 'missed', $3, clock_timestamp() + interval '0.4 s', 'scripted', '{}')",
        person.tenant_id,
        person.user_id,
        NOW - timedelta(seconds=3),
    )

    began = time.monotonic()
    batch = await Recommender(database, Scripted(), HOUR).recommend(person, NOW)

    assert 0.2 < time.monotonic() - began < 1.5
    assert batch.engine == "scripted"
    assert await runs_of(admin, person) == [("missed", "lost", None), ("missed", "made", "scripted")]


async def test_who_goes_away_takes_it_from_none_of_the_others(database: Database, person: Caller) -> None:
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR)
    gone, stays = (asyncio.create_task(recommender.recommend(person, NOW)) for _ in range(2))
    await until_asked(engine)

    gone.cancel()
    await asyncio.sleep(0)
    engine.released.set()

    assert (await stays).engine == "scripted"
    assert gone.cancelled()


async def test_a_service_that_stops_gives_up_its_lease_and_notes_it(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR)
    waiting = asyncio.create_task(recommender.recommend(person, NOW))
    await until_asked(engine)

    await recommender.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    engine.released.set()
    began = time.monotonic()
    batch = await Recommender(database, engine, HOUR).recommend(person, NOW + timedelta(minutes=1))

    assert batch.engine == "scripted"
    assert time.monotonic() - began < 1
    assert await runs_of(admin, person) == [("missed", "abandoned", None), ("missed", "made", "scripted")]
    used = await admin.fetchrow("select calls, tokens from app.budget_use where tenant_id = $1", person.tenant_id)
    # What the call that was given up may have cost stays set aside.
    assert used is not None
    assert tuple(used) == (2, 4_000 + 1_000)


async def used(admin: Connection, caller: Caller) -> list[tuple[object, ...]]:
    """Give what the caller's tenant has used, a day in turn: calls, tokens."""
    rows = await admin.fetch(
        "select calls, tokens from app.budget_use where tenant_id = $1 order by date", caller.tenant_id
    )
    return [tuple(row) for row in rows]


async def test_the_ledger_has_what_a_run_took(database: Database, admin: Connection, person: Caller) -> None:
    budget = Budget(input_price=Decimal("0.15"), output_price=Decimal("0.60"))
    engine = Scripted(usage=Usage(calls=2, tokens_in=700, tokens_out=300))

    await Recommender(database, engine, HOUR, budget).recommend(person, NOW)

    row = await admin.fetchrow("select * from app.recommendation_runs where user_id = $1", person.user_id)
    assert row is not None
    assert row["tenant_id"] == person.tenant_id
    assert (row["engine"], row["model"], row["prompt_version"]) == ("scripted", "scripted-1", "7")
    assert (row["reason"], row["outcome"], row["given"]) == ("missed", "made", "scripted")
    assert (row["calls"], row["tokens_in"], row["tokens_out"]) == (2, 700, 300)
    assert row["cost"] == Decimal("0.000285")
    assert row["started_at"] == NOW
    assert 0 <= row["duration_ms"] < 1_000
    assert row["finished_at"] - NOW < timedelta(seconds=1)
    assert row["based_on"] == '{"dataPoints": 1, "averageFocus": 70, "averageEnergy": 60, "averageFulfillment": 81}'
    assert await used(admin, person) == [(2, 1_000)]


async def test_what_costs_an_unknown_price_costs_an_unknown_sum(
    database: Database, admin: Connection, person: Caller
) -> None:
    await Recommender(database, Scripted(), HOUR, Budget(input_price=Decimal(1))).recommend(person, NOW)

    rows = await admin.fetch("select cost from app.recommendation_runs where user_id = $1", person.user_id)
    assert [row["cost"] for row in rows] == [None]


async def test_beyond_the_days_calls_come_the_rules(  # noqa: PLR0913, PLR0917 - fixtures
    database: Database,
    admin: Connection,
    person: Caller,
    stranger: Caller,
    make_caller: MakeCaller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR, Budget(daily_calls=2))
    people = [person, await make_caller(person), await make_caller(person), stranger]
    for each in people[1:]:
        await store_days(database, each, NOW, [DAY])

    batches = [await recommender.recommend(each, clock()) for each in people]
    clock.advance(hours=1)
    later = await recommender.recommend(people[2], clock())
    clock.now = NOW.replace(day=23, hour=0, minute=0)
    tomorrow = await recommender.recommend(people[2], clock())

    assert [batch.engine for batch in batches] == ["scripted", "scripted", "rules", "scripted"]
    # Others may give back what they set aside, and the day may end: it is tried again soon.
    assert batches[2].expires_at == NOW + timedelta(minutes=5)
    assert (later.engine, tomorrow.engine) == ("rules", "scripted")
    assert await runs_of(admin, people[2]) == [
        ("missed", "over_budget", "rules"),
        ("missed", "over_budget", "rules"),
        ("missed", "made", "scripted"),
    ]
    assert await used(admin, person) == [(2, 2_000), (1, 1_000)]
    assert len(engine.asked) == 4
    said = "no advice from scripted: over_budget: the tenant has used up its budget of the day"
    assert [record.getMessage() for record in caplog.records] == [said]


async def test_that_a_budget_is_used_up_is_said_once_a_day_and_tenant(
    database: Database, person: Caller, stranger: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    recommender = Recommender(database, Scripted(), HOUR, Budget(daily_calls=0))
    said = []
    for hours in (0, 1, 24, 1):
        clock.advance(hours=hours)
        for each in (person, stranger):
            await store_days(database, each, clock(), [Day(clock().date(), 60, 70, 81)])
            await recommender.recommend(each, clock())
        said.append(len(caplog.records))

    assert said == [2, 2, 4, 4]


async def test_a_run_that_ends_in_a_defect_is_charged_for_what_it_may_have_taken(
    database: Database, admin: Connection, person: Caller
) -> None:
    await Recommender(database, Scripted(error=RuntimeError("a defect")), HOUR).recommend(person, NOW)

    assert await runs_of(admin, person) == [("missed", "failed", "rules")]
    assert await used(admin, person) == [(1, 4_000)]


async def test_a_tenants_own_budget_wins_over_the_settings(
    database: Database, admin: Connection, person: Caller, make_caller: MakeCaller
) -> None:
    other = await make_caller(person)
    await store_days(database, other, NOW, [DAY])
    recommender = Recommender(database, Scripted(), HOUR, Budget(daily_calls=1))

    for calls, whose, engine in ((0, person, "rules"), (1, other, "scripted")):
        await admin.execute("update app.tenants set daily_calls = $2 where tenant_id = $1", person.tenant_id, calls)
        assert (await recommender.recommend(whose, NOW)).engine == engine


async def test_of_runs_at_once_no_more_begin_than_the_days_tokens_can_pay(
    database: Database, admin: Connection, person: Caller, make_caller: MakeCaller
) -> None:
    people = [person, *[await make_caller(person) for _ in range(9)]]
    for each in people[1:]:
        await store_days(database, each, NOW, [DAY])
    engine = Scripted()
    engine.released.clear()
    # Each may take 4,000, and takes 1,000 in the end.
    recommender = Recommender(database, engine, HOUR, Budget(daily_tokens=11_999))
    waiting = [asyncio.create_task(recommender.recommend(each, NOW)) for each in people]
    async with asyncio.timeout(10):
        while sum(task.done() for task in waiting) < 8:  # noqa: ASYNC110 - bounded by the time-out above
            await asyncio.sleep(0.01)
    set_aside = await used(admin, person)
    engine.released.set()
    batches = await asyncio.gather(*waiting)

    assert set_aside == [(2, 8_000)]
    assert sorted(batch.engine for batch in batches) == ["rules"] * 8 + ["scripted"] * 2
    assert await used(admin, person) == [(2, 2_000)]
    assert len(engine.asked) == 2


@pytest.mark.parametrize(
    ("outcome", "usage", "counted"),
    [
        ("rejected", Usage(calls=1), (1, 0)),
        ("circuit_open", Usage(), (0, 0)),
        ("invalid", Usage(calls=1, tokens_in=700, tokens_out=20), (1, 720)),
        # Whether what was cut short is billed, nobody can tell: the worst is assumed.
        ("timed_out", Usage(calls=3), (3, 4_000)),
        ("refused", Usage(calls=1), (1, 4_000)),
    ],
)
async def test_a_run_that_fails_counts_for_what_it_took(  # noqa: PLR0913, PLR0917 - fixtures
    outcome: str, usage: Usage, counted: tuple[int, int], database: Database, admin: Connection, person: Caller
) -> None:
    await Recommender(database, Scripted(error=failing(outcome, usage)), HOUR).recommend(person, NOW)

    assert await used(admin, person) == [counted]
    assert await runs_of(admin, person) == [("missed", outcome, "rules")]


async def test_the_days_last_call_is_made_without_a_second_try(
    database: Database, admin: Connection, person: Caller, make_caller: MakeCaller
) -> None:
    engine = Scripted(error=failing("server_error", Usage(calls=3)))
    engine.most_calls = 3
    people = [person, await make_caller(person), await make_caller(person)]
    for each in people[1:]:
        await store_days(database, each, NOW, [DAY])
    recommender = Recommender(database, engine, HOUR, Budget(daily_calls=4))

    await recommender.recommend(people[0], NOW)
    engine.error = None
    batches = [await recommender.recommend(each, NOW) for each in people[1:]]

    assert engine.allowed == [3, 1]
    assert [batch.engine for batch in batches] == ["scripted", "rules"]
    assert await used(admin, person) == [(4, 1_000)]


async def test_a_budget_that_somebody_keeps_locked_keeps_nobody_else_waiting(
    service_url: str, admin_url: str, make_caller: MakeCaller
) -> None:
    """Six of one tenant want it at once, over a pool of four connections."""
    database = await Database.open(service_url, 4, Seal(SEAL_KEY))
    locked, other = await make_caller(), await make_caller()
    people = [locked, *[await make_caller(locked) for _ in range(5)]]
    for each in [*people, other]:
        await store_days(database, each, NOW, [DAY])
    recommender = Recommender(database, Scripted(), HOUR)
    await recommender.recommend(people[0], NOW)
    holder: Connection = await asyncpg.connect(admin_url)
    async with holder.transaction():
        await holder.execute("select from app.budget_use where tenant_id = $1 for update", locked.tenant_id)
        waiting = [asyncio.create_task(recommender.recommend(each, NOW)) for each in people[1:]]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        theirs = await recommender.recommend(other, NOW)
        took = time.monotonic() - began
        batches = await asyncio.gather(*waiting)
    await holder.close()
    afterwards = await recommender.recommend(people[1], NOW)
    await database.close()

    assert theirs.engine == "scripted"
    assert took < 1.5
    assert [(batch.engine, batch.expires_at) for batch in batches] == [("rules", NOW)] * 5
    assert afterwards.engine == "scripted"


async def test_what_the_person_says_while_they_wait_is_heeded(database: Database, person: Caller) -> None:
    """The first process does not get to an end; meanwhile the person judges, and then the second asks the engine."""
    stuck, engine, clock = Scripted(), Scripted(), Clock()
    before = await Recommender(database, engine, HOUR).recommend(person, clock())
    clock.advance(hours=1)
    stuck.released.clear()
    first_one = Recommender(database, stuck, HOUR, limit=5)
    first = asyncio.create_task(first_one.recommend(person, clock()))
    await until_asked(stuck)
    second_one = Recommender(database, engine, HOUR, limit=5)
    second = asyncio.create_task(second_one.recommend(person, clock()))
    async with asyncio.timeout(5):
        while not any(making.pattern for making in second_one._makings.values()):  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.001)
    await judge(database, person, clock(), before.recommendations[0].id, Feedback(helpful=False))
    await first_one.close()
    await asyncio.gather(first, return_exceptions=True)
    await second

    assert engine.histories[-1].refused == frozenset({"Rest 5.1"})


async def test_who_is_deleted_before_a_run_begins_is_answered_all_the_same(
    database: Database, admin: Connection, person: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    class Deleting(Database):
        async def read(self, caller: Caller, query: Query, **values: object) -> list[asyncpg.Record]:
            rows = await super().read(caller, query, **values)
            if query is LIST_STANDINGS:
                await admin.execute("delete from app.users where user_id = $1", person.user_id)
            return rows

    deleting = Deleting(database._pool, Seal(SEAL_KEY))
    batch = await Recommender(deleting, Scripted(), HOUR).recommend(person, NOW)

    assert (batch.engine, batch.expires_at) == ("rules", NOW)
    assert [record.message for record in caplog.records] == ["run not begun"]
