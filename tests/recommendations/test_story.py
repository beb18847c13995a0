"""Recommendations, kept for an hour: made when they are missed, and with no connection held meanwhile."""

import asyncio
import time
from datetime import date, timedelta
from uuid import uuid4

import asyncpg
import pytest

from service import embedded
from service.caller import Caller
from service.database import Connection, Database
from service.errors import NoData, Unavailable
from service.patterns.analysis import Day, analyse
from service.patterns.story import find_pattern, store_days
from service.queries import Query
from service.recommendations import turn
from service.recommendations.advice import DataPoint, EngineFailed
from service.recommendations.batch import BasedOn, Keeping
from service.recommendations.feedback import Feedback, judge
from service.recommendations.rules import GENERAL_ADVICE, recommend
from service.recommendations.story import Recommender
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, Clock, MakeCaller, run_as_admin
from tests.recommendations.scripted import DAY, HOUR, Scripted, count_kept, failing, runs_of, texts, until_asked

LIFE = timedelta(hours=1)


async def test_what_was_made_is_kept_for_its_hour_to_the_second(database: Database, person: Caller) -> None:
    engine, clock = Scripted(5, 3), Clock()
    recommender = Recommender(database, engine, HOUR)

    made = await recommender.recommend(person, clock())
    clock.advance(minutes=59, seconds=59.999999)
    kept = await recommender.recommend(person, clock())
    clock.advance(seconds=0.000001)
    anew = await recommender.recommend(person, clock())

    assert (made.cached, kept.cached, anew.cached) == (False, True, False)
    assert kept.recommendations == made.recommendations
    assert (kept.generated_at, kept.expires_at) == (NOW, NOW + LIFE)
    assert (anew.generated_at, anew.expires_at) == (NOW + LIFE, NOW + 2 * LIFE)
    assert made.based_on == kept.based_on == BasedOn(1, 60, 70, 81)
    assert kept.recommendations[0].data_point == DataPoint("energy", "average", 60)
    assert len(engine.asked) == 2


async def test_a_newer_batch_of_three_is_not_mixed_with_the_five_before_it(database: Database, person: Caller) -> None:
    engine, clock = Scripted(5, 3), Clock()
    await Recommender(database, engine, HOUR).recommend(person, clock())
    clock.advance(minutes=30)
    # Half an hour is stale to this one, so that there are two batches younger than an hour.
    await Recommender(database, engine, Keeping(timedelta(minutes=30))).recommend(person, clock())

    kept = await Recommender(database, engine, HOUR).recommend(person, clock())

    assert texts(kept) == ["Rest 3.1", "Rest 3.2", "Rest 3.3"]
    assert kept.generated_at == NOW + timedelta(minutes=30)
    assert kept.cached


@pytest.mark.parametrize("sizes", [(3, 5), (5, 3)])
async def test_a_batch_is_kept_whole_or_not_at_all_while_another_of_its_instant_is_being_saved(
    sizes: tuple[int, int], database: Database, admin: Connection, person: Caller
) -> None:
    """The first is saved but not committed when the second is."""
    recommender = Recommender(database, Scripted(*sizes), HOUR)
    async with admin.transaction():
        await admin.execute(
            """
            insert into app.user_recommendations
                (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, based_on)
            select $1, gen_random_uuid(), $2, $3, position, 'other', 'Other ' || position, 'It is.',
                '{"dataPoints": 1, "averageEnergy": 1, "averageFocus": 1, "averageFulfillment": 1}'
            from generate_series(1, 3) as position
            """,
            person.tenant_id,
            person.user_id,
            NOW,
        )
        waiting = asyncio.create_task(recommender.recommend(person, NOW))
        async with asyncio.timeout(5):
            while not await admin.fetchval(
                "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'"
                " and application_name = 'daymark' and datname = current_database()"
            ):
                assert not waiting.done()

    assert texts(await waiting) == ["Other 1", "Other 2", "Other 3"]
    assert await count_kept(admin, person) == 3


async def test_fifty_people_waiting_on_a_slow_engine_hold_no_connection(
    service_url: str, admin: Connection, make_caller: MakeCaller
) -> None:
    database = await Database.open(service_url, 2, Seal(SEAL_KEY))
    people = [await make_caller() for _ in range(50)]
    await asyncio.gather(*(store_days(database, person, NOW, [DAY]) for person in people))
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR)
    waiting = [asyncio.create_task(recommender.recommend(person, NOW)) for person in people]
    async with asyncio.timeout(10):
        while len(engine.asked) < 50:
            await database.ping()

    took = []
    for person in people[:5]:
        began = time.monotonic()
        await find_pattern(database, person, NOW, 7)
        took.append(time.monotonic() - began)
    busy = await admin.fetchval(
        "select count(*) from pg_stat_activity where application_name = 'daymark' and xact_start is not null"
    )
    engine.released.set()
    batches = await asyncio.gather(*waiting)
    await database.close()

    assert min(took) < 0.2
    assert busy == 0
    assert all(len(batch.recommendations) == 5 for batch in batches)


async def test_the_engine_is_given_the_last_seven_days(database: Database, person: Caller) -> None:
    engine = Scripted()
    days = [Day(date(2026, 11, 22) - timedelta(days=back), 10 + back, 20, 30) for back in range(10)]
    await store_days(database, person, NOW, days)

    await Recommender(database, engine, HOUR).recommend(person, NOW)

    assert [day.energy for day in engine.asked[0].patterns] == [16, 15, 14, 13, 12, 11, 10]


async def test_without_days_nothing_is_made(database: Database, caller: Caller) -> None:
    engine = Scripted()

    with pytest.raises(NoData):
        await Recommender(database, engine, HOUR).recommend(caller, NOW)
    assert engine.asked == []


async def test_who_has_refused_all_that_the_rules_can_say_is_given_general_advice_that_is_not_kept(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(error=failing("server_error")), Clock()
    recommender = Recommender(database, engine, HOUR)
    heard: set[str] = set()
    while (batch := await recommender.recommend(person, clock())).engine == "rules":
        assert heard.isdisjoint(texts(batch))
        heard.update(texts(batch))
        for each in batch.recommendations:
            await judge(database, person, clock(), each.id, Feedback(helpful=False))
        clock.advance(minutes=5)
    kept = await count_kept(admin, person)

    assert texts(batch) == [advice.recommendation for advice in GENERAL_ADVICE]
    assert (batch.engine, batch.cached, batch.expires_at) == ("general", False, clock())
    assert kept == len(heard) >= 15
    assert (await runs_of(admin, person))[-1] == ("missed", "server_error", "general")


async def test_where_engine_and_rules_fail_there_is_general_advice_that_is_not_kept(
    database: Database,
    admin: Connection,
    person: Caller,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of rules")

    # No pattern and no history make the rules raise: a defect of theirs has to be put there.
    monkeypatch.setattr(turn, "recommend", fail)
    engine = Scripted(error=RuntimeError("out of ideas"))

    batch = await Recommender(database, engine, HOUR).recommend(person, NOW)

    assert texts(batch) == [advice.recommendation for advice in GENERAL_ADVICE]
    assert (batch.engine, batch.cached, batch.expires_at) == ("general", False, NOW)
    assert await count_kept(admin, person) == 0
    assert [(record.message, record.exc_info is not None) for record in caplog.records] == [
        ("engine failed", True),
        ("rules failed", True),
    ]
    assert await runs_of(admin, person) == [("missed", "failed", "general")]


@pytest.mark.parametrize("given", [(6, "Rest"), (5, "x" * 500), (5, "a NUL \0"), (5, "half a pair \ud800")], ids=ascii)
async def test_what_cannot_be_kept_is_given_all_the_same(
    given: tuple[int, str], database: Database, admin: Connection, person: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    size, text = given
    batch = await Recommender(database, Scripted(size, text=text), HOUR).recommend(person, NOW)

    assert len(batch.recommendations) == size
    assert (batch.cached, batch.expires_at) == (False, NOW)
    assert await count_kept(admin, person) == 0
    assert [record.message for record in caplog.records] == ["recommendations not kept"]
    assert await runs_of(admin, person) == [("missed", "made", "scripted")]


async def test_where_the_database_went_away_while_they_were_made_they_are_given_all_the_same(
    postgres: embedded.Server, own_database: str
) -> None:
    person = Caller(uuid4(), uuid4())
    added = f"insert into app.tenants (tenant_id, slug, name) values ('{person.tenant_id}', 'acme', 'Acme')"
    run_as_admin(postgres, own_database, added)
    database = await Database.open(postgres.url("daymark_service", own_database), 2, Seal(SEAL_KEY))
    await store_days(database, person, NOW, [DAY])
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR)
    waiting = asyncio.create_task(recommender.recommend(person, NOW))
    async with asyncio.timeout(5):
        while not engine.asked:
            await database.ping()
    run_as_admin(
        postgres,
        "postgres",
        f"alter database {own_database} allow_connections false",
        f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{own_database}'",
    )
    engine.released.set()

    batch = await waiting
    with pytest.raises(Unavailable):
        await recommender.recommend(person, NOW)
    await database.close()

    assert len(batch.recommendations) == 5
    assert (batch.cached, batch.expires_at) == (False, NOW)


async def test_an_engine_without_advice_is_stood_in_for_by_the_rules(database: Database, person: Caller) -> None:
    batch = await Recommender(database, Scripted(0), HOUR).recommend(person, NOW)

    assert batch.engine == "rules"
    assert len(batch.recommendations) >= 3


@pytest.mark.parametrize("error", [failing("timed_out"), failing("invalid"), RuntimeError("a defect")], ids=repr)
async def test_where_the_engine_fails_the_rules_stand_in_for_five_minutes(
    error: Exception, database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(error=error), Clock()
    recommender = Recommender(database, engine, HOUR)

    first = await recommender.recommend(person, clock())
    clock.advance(minutes=4, seconds=59.999999)
    kept = await recommender.recommend(person, clock())
    engine.error = None
    clock.advance(seconds=0.000001)
    anew = await recommender.recommend(person, clock())

    assert (first.engine, first.cached, first.expires_at) == ("rules", False, NOW + timedelta(minutes=5))
    assert texts(first) == [each.recommendation for each in recommend(analyse([DAY]))]
    assert (kept.cached, kept.expires_at, kept.recommendations) == (True, first.expires_at, first.recommendations)
    assert (anew.engine, anew.cached, anew.expires_at) == ("scripted", False, clock() + LIFE)
    outcome = error.outcome if isinstance(error, EngineFailed) else "failed"
    assert await runs_of(admin, person) == [("missed", outcome, "rules"), ("missed", "made", "scripted")]


async def test_a_stale_batch_is_given_at_once_while_one_caller_has_another_made(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, Keeping(stale=timedelta(hours=23)))
    made = await recommender.recommend(person, clock())
    engine.released.clear()
    clock.advance(hours=23, minutes=59, seconds=59)

    began = time.monotonic()
    batches = await asyncio.gather(*(recommender.recommend(person, clock()) for _ in range(20)))
    took = time.monotonic() - began
    await until_asked(engine, 2)
    engine.released.set()
    async with asyncio.timeout(5):
        while (renewed := await recommender.recommend(person, clock())).stale:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.005)

    assert took < 1
    assert all(
        (batch.stale, batch.cached, batch.recommendations) == (True, True, made.recommendations) for batch in batches
    )
    assert batches[0].expires_at == NOW + LIFE
    assert (renewed.stale, renewed.cached, renewed.generated_at) == (False, True, clock())
    assert len(engine.asked) == 2
    assert await runs_of(admin, person) == [("missed", "made", "scripted"), ("renewed", "made", "scripted")]


async def test_a_renewal_that_fails_leaves_the_stale_batch_and_is_tried_again_after_five_minutes(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, Keeping(stale=timedelta(hours=12)))
    made = await recommender.recommend(person, clock())
    engine.error = failing("server_error")
    clock.advance(hours=1)

    given = []
    for _ in range(6):
        given.append(await recommender.recommend(person, clock()))
        await asyncio.gather(*(making.task for making in recommender._makings.values()))
        clock.advance(minutes=1)
    engine.error = None
    clock.advance(minutes=4)
    given.append(await recommender.recommend(person, clock()))
    await asyncio.gather(*(making.task for making in recommender._makings.values()))
    renewed = await recommender.recommend(person, clock())

    assert [(batch.engine, batch.stale, texts(batch)) for batch in given] == [("scripted", True, texts(made))] * 7
    assert (renewed.stale, renewed.generated_at) == (False, clock())
    assert await runs_of(admin, person) == [
        ("missed", "made", "scripted"),
        ("renewed", "server_error", None),
        ("renewed", "server_error", None),
        ("renewed", "made", "scripted"),
    ]


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.2])
async def test_on_a_slow_database_the_answer_is_not_later(
    service_url: str, make_caller: MakeCaller, pause: float
) -> None:
    class Slow(Database):
        async def read(self, caller: Caller, query: Query, **values: object) -> list[asyncpg.Record]:
            await asyncio.sleep(pause)
            return await super().read(caller, query, **values)

    database = await Slow.open(service_url, 2, Seal(SEAL_KEY))
    person = await make_caller()
    await store_days(database, person, NOW, [DAY])
    engine = Scripted()
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR, limit=0.8)

    began = time.monotonic()
    batch = await recommender.recommend(person, NOW)
    took = time.monotonic() - began
    await recommender.close()
    await database.close()

    assert took < 0.8 + 0.2
    assert (batch.engine, batch.expires_at) == ("rules", NOW)


async def test_a_batch_past_its_stale_time_is_not_given(database: Database, person: Caller) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, Keeping(stale=timedelta(minutes=10)))
    await recommender.recommend(person, clock())
    clock.advance(hours=1, minutes=10)

    batch = await recommender.recommend(person, clock())

    assert (batch.stale, batch.cached, batch.generated_at) == (False, False, clock())
