"""Made-up data: how much there is of it, that it says what the rules say, whole parcels only, and nothing twice."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import asyncpg
import pytest

from service import embedded
from service.administrator import Administrator, AdministratorError, Person
from service.database import Connection, Database
from service.demo import Saved, Size, five_pieces, load, parcels, save_parcel
from service.patterns.analysis import Day, Score, analyse
from service.patterns.sample import sample_days
from service.patterns.story import find_pattern
from service.recommendations.batch import Keeping, based_on, find_kept
from service.recommendations.rules import recommend
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, Clock

ADA = Person("ada@acme.test")
BOB = Person("bob@acme.test")


@pytest.fixture
def own_url(postgres: embedded.Server, own_database: str) -> str:
    return postgres.url("postgres", own_database)


@pytest.fixture
async def own(own_url: str) -> AsyncIterator[Administrator]:
    """Give the administrator of a database that is the test's own."""
    async with Administrator.connect(own_url) as connected:
        yield connected


@pytest.fixture
async def own_door(postgres: embedded.Server, own_database: str) -> AsyncIterator[Database]:
    """Give the service's door to it."""
    opened = await Database.open(postgres.url("daymark_service", own_database), 1, Seal(SEAL_KEY))
    yield opened
    await opened.close()


def a_week(energy: Score, focus: Score, fulfillment: Score) -> list[Day]:
    return [Day(NOW.date() - timedelta(days=back), energy, focus, fulfillment) for back in reversed(range(7))]


async def count(connection: Connection) -> tuple[int, int, int, int]:
    """Count tenants, users, days and recommendations."""
    tables = ("tenants", "users", "pattern_data", "user_recommendations")
    found = [await connection.fetchval(f"select count(*) from app.{table}") for table in tables]
    return found[0], found[1], found[2], found[3]


def test_a_tenant_is_divided_into_parcels_of_a_thousand_people_at_most() -> None:
    divided = list(parcels(7, Size(tenants=9, people=2_500, days=30)))

    assert [len(people) for people in divided] == [1_000, 1_000, 500]
    assert [people[0].email for people in divided] == [
        "person-1@demo-7.test",
        "person-1001@demo-7.test",
        "person-2001@demo-7.test",
    ]


def test_people_of_many_days_come_in_smaller_parcels_and_one_by_one_at_least() -> None:
    assert [len(people) for people in parcels(1, Size(tenants=1, people=50, days=3_650))] == [27, 23]
    assert [len(people) for people in parcels(1, Size(tenants=1, people=2, days=1_000_000))] == [1, 1]


def test_what_the_rules_say_in_five_pieces_is_left_as_it_is() -> None:
    pattern = analyse(sample_days(7, NOW.date()))

    assert len(recommend(pattern)) == 5
    assert five_pieces(pattern) == recommend(pattern)


def test_fewer_pieces_are_followed_by_habits_on_other_topics() -> None:
    pattern = analyse(a_week(75, 75, 80))

    assert [piece.topic for piece in recommend(pattern)] == ["sleep", "reflection"]
    assert [piece.topic for piece in five_pieces(pattern)] == [
        "sleep",
        "reflection",
        "attention",
        "movement",
        "people",
    ]


async def test_so_many_tenants_have_so_many_people_days_and_five_recommendations_each(own_url: str) -> None:
    told: list[Saved] = []

    await load(own_url, Size(tenants=3, people=4, days=10), Clock(), told.append)

    assert told == [Saved(people=4, days=40, recommendations=20)] * 3
    assert sum(told, Saved()) == Saved(people=12, days=120, recommendations=60)
    connection = await asyncpg.connect(own_url)
    assert await count(connection) == (3, 12, 120, 60)
    slugs = await connection.fetchval("select array_agg(slug order by slug) from app.tenants")
    assert slugs == ["demo-1", "demo-2", "demo-3"]
    await connection.close()


async def test_the_service_gives_out_what_was_loaded_as_if_it_had_made_it(
    own: Administrator, own_door: Database
) -> None:
    await save_parcel(own, "acme", [ADA, BOB], 30, NOW)
    caller = await own.find_caller("acme", "bob@acme.test")

    pattern = await find_pattern(own_door, caller, NOW, 7)
    batch = await find_kept(partial(own_door.read, caller), NOW, Keeping())

    assert batch is not None
    assert (batch.engine, batch.generated_at, batch.fallback) == ("rules", NOW, False)
    assert batch.based_on == based_on(pattern)
    assert [(each.recommendation, each.reasoning, each.data_point, each.topic) for each in batch.recommendations] == [
        (piece.recommendation, piece.reasoning, piece.data_point, piece.topic) for piece in five_pieces(pattern)
    ]


async def test_loaded_again_only_what_is_missing_is_saved(own: Administrator) -> None:
    later = NOW + timedelta(days=1)
    assert await save_parcel(own, "acme", [ADA], 30, NOW) == Saved(people=1, days=30, recommendations=5)

    assert await save_parcel(own, "acme", [ADA], 30, NOW) == Saved(people=1)
    # Who has recommendations keeps them, however old: the service makes the next when asked.
    assert await save_parcel(own, "acme", [ADA, BOB], 30, later) == Saved(people=2, days=31, recommendations=5)


async def test_scores_that_a_person_recorded_themselves_are_what_is_spoken_of(
    own: Administrator, own_door: Database
) -> None:
    await save_parcel(own, "acme", [ADA], 30, NOW)
    await own.connection.execute("delete from app.user_recommendations")
    await own.connection.execute("delete from app.pattern_data where date < '2026-11-20'")
    await own.connection.execute("update app.pattern_data set energy = 31")

    assert await save_parcel(own, "acme", [ADA], 30, NOW) == Saved(people=1, recommendations=5)

    caller = await own.find_caller("acme", "ada@acme.test")
    batch = await find_kept(partial(own_door.read, caller), NOW, Keeping())
    assert batch is not None
    assert (batch.based_on.data_points, batch.based_on.average_energy) == (3, 31)
    assert batch.recommendations[0].reasoning.startswith("Your energy averages 31, which is under 70. ")


async def test_a_parcel_is_saved_whole_or_not_at_all(own: Administrator, own_url: str) -> None:
    await own.connection.execute(
        "alter table app.user_recommendations add constraint none_of_these check (position < 5) not valid"
    )

    with pytest.raises(AdministratorError, match="none_of_these"):
        await load(own_url, Size(tenants=2, people=3, days=5), Clock(), lambda _: None)

    assert await count(own.connection) == (0, 0, 0, 0)
