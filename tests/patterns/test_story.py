"""A person's days: found, stored, deleted."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.errors import InvalidRequest, NoData, UnknownTenant, Wrong
from service.patterns.analysis import Day
from service.patterns.story import Stored, delete_day, find_pattern, store_days
from tests.conftest import NOW, Clock, MakeCaller


def days(first: str, count: int = 1, score: int = 50) -> list[Day]:
    start = date.fromisoformat(first)
    return [Day(start + timedelta(days=number), score, score, score) for number in range(count)]


async def recorded(database: Database, caller: Caller, count: int = 90) -> list[str]:
    pattern = await find_pattern(database, caller, NOW, count, date(2026, 11, 22))
    return [day.date.isoformat() for day in pattern.patterns]


async def test_days_are_found_as_they_were_stored_oldest_first(database: Database, caller: Caller) -> None:
    stored = await store_days(
        database, caller, NOW, [Day(date(2026, 11, 22), 0, 100, 50), Day(date(2026, 11, 20), 1, 2, 3)]
    )
    pattern = await find_pattern(database, caller, NOW, 7)

    assert stored == Stored(stored=2, created=2, replaced=0)
    assert [(str(day.date), day.day, day.energy, day.focus, day.fulfillment) for day in pattern.patterns] == [
        ("2026-11-20", "Fri", 1, 2, 3),
        ("2026-11-22", "Sun", 0, 100, 50),
    ]


async def test_the_same_day_again_replaces_it(database: Database, caller: Caller) -> None:
    await store_days(database, caller, NOW, days("2026-11-21", 2, score=10))

    stored = await store_days(database, caller, NOW, days("2026-11-20", 2, score=90))

    assert stored == Stored(stored=2, created=1, replaced=1)
    pattern = await find_pattern(database, caller, NOW, 7)
    assert [(day.date.day, day.energy) for day in pattern.patterns] == [(20, 90), (21, 90), (22, 10)]


async def test_a_replaced_day_counts_its_revisions_and_knows_when_it_was_last_recorded(
    database: Database, admin: Connection, caller: Caller
) -> None:
    clock = Clock()
    for _ in range(3):
        clock.advance(minutes=1)
        await store_days(database, caller, clock(), days("2026-11-22"))

    row = await admin.fetchrow(
        "select revision, recorded_at from app.pattern_data where tenant_id = $1", caller.tenant_id
    )
    assert row is not None
    assert tuple(row) == (3, NOW + timedelta(minutes=3))


@pytest.mark.parametrize(("count", "oldest"), [(1, "2026-11-22"), (7, "2026-11-16"), (90, "2026-08-25")])
async def test_a_window_has_so_many_days_and_today_is_one(
    count: int, oldest: str, database: Database, caller: Caller
) -> None:
    await store_days(database, caller, NOW, days("2026-08-01", 114))

    pattern = await find_pattern(database, caller, NOW, count)

    assert [str(pattern.patterns[0].date), str(pattern.patterns[-1].date)] == [oldest, "2026-11-22"]
    assert len(pattern.patterns) == count


async def test_a_window_may_end_earlier(database: Database, caller: Caller) -> None:
    await store_days(database, caller, NOW, days("2026-10-28", 10))

    pattern = await find_pattern(database, caller, NOW, 3, date(2026, 11, 1))

    assert [str(day.date) for day in pattern.patterns] == ["2026-10-30", "2026-10-31", "2026-11-01"]


@pytest.mark.parametrize("until", ["0001-01-01", "9999-12-31"])
async def test_a_window_may_end_at_the_ends_of_time(until: str, database: Database, caller: Caller) -> None:
    with pytest.raises(NoData):
        await find_pattern(database, caller, NOW, 90, date.fromisoformat(until))


async def test_without_days_in_the_window_there_is_no_data(database: Database, caller: Caller) -> None:
    await store_days(database, caller, NOW, days("2026-11-15"))

    with pytest.raises(NoData):
        await find_pattern(database, caller, NOW, 7)


# 22 November, 9:00 UTC; in Kiritimati it is 23:00 still, in Pago Pago 22:00 of the day before.
@pytest.mark.parametrize(
    ("timezone", "now", "today"),
    [
        ("UTC", "2026-11-22T23:59:59", "2026-11-22"),
        ("UTC", "2026-11-23T00:00:00", "2026-11-23"),
        ("Pacific/Kiritimati", "2026-11-22T09:59:59", "2026-11-22"),
        ("Pacific/Kiritimati", "2026-11-22T10:00:00", "2026-11-23"),
        ("Pacific/Pago_Pago", "2026-11-22T10:59:59", "2026-11-21"),
        ("Pacific/Pago_Pago", "2026-11-22T11:00:00", "2026-11-22"),
        ("Asia/Kathmandu", "2026-11-22T18:14:59", "2026-11-22"),
        ("Asia/Kathmandu", "2026-11-22T18:15:00", "2026-11-23"),
        # An hour less from UTC in winter than in summer.
        ("Europe/Berlin", "2026-10-24T22:00:00", "2026-10-25"),
        ("Europe/Berlin", "2026-10-25T22:59:59", "2026-10-25"),
        ("Europe/Berlin", "2026-10-25T23:00:00", "2026-10-26"),
    ],
)
async def test_a_day_is_the_persons_own(
    timezone: str, now: str, today: str, database: Database, make_caller: MakeCaller
) -> None:
    caller = await make_caller(timezone=timezone)
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    tomorrow = str(date.fromisoformat(today) + timedelta(days=1))

    await store_days(database, caller, instant, days(today))
    with pytest.raises(InvalidRequest) as refused:
        await store_days(database, caller, instant, days(tomorrow))

    assert refused.value.errors == [
        Wrong(f"{tomorrow} is in the future: it is {today} where this person lives", pointer="/0/date")
    ]
    pattern = await find_pattern(database, caller, instant, 1)
    assert [str(day.date) for day in pattern.patterns] == [today]


async def test_every_wrong_day_is_named_and_none_is_stored(database: Database, caller: Caller) -> None:
    given = [*days("2026-11-21", 3), *days("2026-11-21"), *days("2027-01-01"), *days("2026-11-21")]

    with pytest.raises(InvalidRequest) as refused:
        await store_days(database, caller, NOW, given)

    assert refused.value.errors == [
        Wrong("2026-11-23 is in the future: it is 2026-11-22 where this person lives", pointer="/2/date"),
        Wrong("2026-11-21 is in this list already, at 0", pointer="/3/date"),
        Wrong("2027-01-01 is in the future: it is 2026-11-22 where this person lives", pointer="/4/date"),
        Wrong("2026-11-21 is in this list already, at 0", pointer="/5/date"),
    ]
    with pytest.raises(NoData):
        await recorded(database, caller)


async def test_a_refused_first_write_makes_no_user(database: Database, admin: Connection, caller: Caller) -> None:
    unmet = Caller(caller.tenant_id, (await admin.fetchval("select gen_random_uuid()")))

    with pytest.raises(InvalidRequest):
        await store_days(database, unmet, NOW, days("2026-11-23"))

    assert await admin.fetchval("select count(*) from app.users where user_id = $1", unmet.user_id) == 0


async def test_somebody_new_becomes_a_user_of_their_tenant_with_their_first_day(
    database: Database, admin: Connection, caller: Caller
) -> None:
    unmet = Caller(caller.tenant_id, (await admin.fetchval("select gen_random_uuid()")), "admin")
    with pytest.raises(NoData):
        await find_pattern(database, unmet, NOW, 7)

    await store_days(database, unmet, NOW, days("2026-11-22"))

    row = await admin.fetchrow(
        "select tenant_id, email, role, timezone from app.users where user_id = $1", unmet.user_id
    )
    assert row is not None
    assert tuple(row) == (caller.tenant_id, None, "member", "UTC")
    assert await recorded(database, unmet) == ["2026-11-22"]


async def test_somebody_new_who_writes_ten_times_at_once_becomes_one_user(
    database: Database, admin: Connection, caller: Caller
) -> None:
    unmet = Caller(caller.tenant_id, (await admin.fetchval("select gen_random_uuid()")))

    stored = await asyncio.gather(*(store_days(database, unmet, NOW, days("2026-11-20", 3)) for _ in range(10)))

    assert sum(each.created for each in stored) == 3
    assert sum(each.replaced for each in stored) == 27
    assert await admin.fetchval("select count(*) from app.users where user_id = $1", unmet.user_id) == 1


async def test_writers_of_the_same_days_in_another_order_do_not_deadlock(database: Database, caller: Caller) -> None:
    forwards = days("2026-09-01", 60)
    lists = [forwards, forwards[::-1], forwards[30:] + forwards[:30]] * 4

    stored = await asyncio.gather(*(store_days(database, caller, NOW, each) for each in lists))

    assert sum(each.created for each in stored) == 60
    assert len(await recorded(database, caller)) == 60


async def test_a_tenant_that_nobody_knows_is_refused(database: Database, admin: Connection) -> None:
    row = await admin.fetchrow("select gen_random_uuid() as tenant_id, gen_random_uuid() as user_id")
    assert row is not None

    with pytest.raises(UnknownTenant):
        await store_days(database, Caller(row["tenant_id"], row["user_id"]), NOW, days("2026-11-22"))


async def test_a_thousand_days_are_stored_at_once(database: Database, caller: Caller) -> None:
    assert await store_days(database, caller, NOW, days("2024-02-27", 1000)) == Stored(1000, 1000, 0)
    assert (await recorded(database, caller))[-1] == "2026-11-22"


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2024-02-29"])
async def test_days_of_any_year_are_kept(day: str, database: Database, caller: Caller) -> None:
    await store_days(database, caller, NOW, days(day))

    pattern = await find_pattern(database, caller, NOW, 1, date.fromisoformat(day))
    assert [str(each.date) for each in pattern.patterns] == [day]


async def test_a_deleted_day_is_gone_and_the_others_are_not(
    database: Database, caller: Caller, make_caller: MakeCaller
) -> None:
    colleague = await make_caller(caller, role="admin")
    for person in (caller, colleague):
        await store_days(database, person, NOW, days("2026-11-20", 3))

    assert await delete_day(database, caller, date(2026, 11, 21)) is True
    assert await delete_day(database, caller, date(2026, 11, 21)) is False

    assert await recorded(database, caller) == ["2026-11-20", "2026-11-22"]
    assert await recorded(database, colleague) == ["2026-11-20", "2026-11-21", "2026-11-22"]


async def test_an_admins_pattern_is_of_their_own_days_only(
    database: Database, caller: Caller, make_caller: MakeCaller
) -> None:
    await store_days(database, caller, NOW, days("2026-11-22"))

    with pytest.raises(NoData):
        await find_pattern(database, await make_caller(caller, role="admin"), NOW, 7)
