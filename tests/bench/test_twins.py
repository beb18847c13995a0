"""The twins read the same rows, one without a wall and one behind the wall that everybody builds."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest

from service import embedded
from service.caller import Caller
from service.database import Connection, Database
from service.patterns.analysis import Day
from service.patterns.story import store_days
from service.queries import LIST_FRESH_RECOMMENDATIONS
from service.recommendations.batch import Keeping
from service.recommendations.rules import Rules
from service.recommendations.story import Recommender
from service.seal import Seal
from tests.bench import twins
from tests.conftest import NOW, SEAL_KEY

STALE_BEFORE = NOW - timedelta(hours=1)


class World(NamedTuple):
    """A database with both twins, and two people of one tenant who have recommendations."""

    url: str
    caller: Caller
    other: Caller
    given: list[UUID]


@pytest.fixture
async def world(postgres: embedded.Server, own_database: str) -> AsyncIterator[World]:
    admin: Connection = await asyncpg.connect(postgres.url("postgres", own_database))
    url = postgres.url("daymark_service", own_database)
    database = await Database.open(url, 2, Seal(SEAL_KEY))
    tenant = await admin.fetchval("insert into app.tenants (slug, name) values ('acme', 'Acme') returning tenant_id")
    caller, other = Caller(tenant, uuid4()), Caller(tenant, uuid4())
    week = [Day(date(2026, 11, 15) + timedelta(days=number), 60, 70, 80) for number in range(7)]
    recommender = Recommender(database, Rules(), Keeping())
    for person in (other, caller):
        await store_days(database, person, NOW, week)
        batch = await recommender.recommend(person, NOW)
    await twins.make_schemas(admin)
    yield World(url, caller, other, [each.id for each in batch.recommendations])
    await recommender.close()
    await database.close()
    await admin.close()


async def test_without_a_wall_the_same_rows_come_to_anybody(world: World) -> None:
    query = twins.in_schema("bench_open", LIST_FRESH_RECOMMENDATIONS)
    assert "set_config" not in query.entered
    connection = await asyncpg.connect(world.url)
    rows = await connection.fetch(query.entered, world.caller.tenant_id, world.caller.user_id, "", STALE_BEFORE, [])
    assert [row["id"] for row in rows] == world.given
    assert len(await connection.fetch("select from bench_open.user_recommendations")) == 2 * len(world.given)
    await connection.close()


async def test_with_what_everybody_does_the_same_rows_come_to_their_own(world: World) -> None:
    database = await twins.CommonDatabase.open(world.url, 2, Seal(SEAL_KEY))
    query = twins.in_schema("bench_common", LIST_FRESH_RECOMMENDATIONS)
    rows = await database.read(world.caller, query, stale_before=STALE_BEFORE, known=[])
    assert [row["id"] for row in rows] == world.given
    await database.close()


async def test_the_wall_that_everybody_builds_keeps_others_rows(world: World) -> None:
    connection = await asyncpg.connect(world.url)
    async with connection.transaction():
        await connection.fetch(twins.ENTER_BY_SETTINGS, str(world.other.tenant_id), str(world.other.user_id), "member")
        rows = await connection.fetch("select id from bench_common.user_recommendations")
    assert len(rows) == len(world.given)
    assert not {row["id"] for row in rows} & set(world.given)
    with pytest.raises(asyncpg.InvalidTextRepresentationError):  # the setting is empty again
        await connection.fetch("select from bench_common.user_recommendations")
    await connection.close()
