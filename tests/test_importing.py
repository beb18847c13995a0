"""An import into a tenant: whose days it takes, which it refuses, and that it is whole or goes on where it stopped."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import asyncpg
import pytest

from service import importing
from service.administrator import Administrator, AdministratorError
from service.caller import Caller
from service.database import Connection
from service.dayfile import DayFileError, Faults, GivenDay
from service.importing import DayImport, Outcome
from tests.conftest import NOW, MakeCaller

TODAY = NOW.date()
YESTERDAY = TODAY - dt.timedelta(days=1)
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
async def administrator(admin_url: str) -> AsyncIterator[Administrator]:
    """Give a connection of its own for each import: its temporary tables end with it."""
    async with Administrator.connect(admin_url) as connected:
        yield connected


def a_day(user: object, date: dt.date = TODAY, energy: int = 60) -> GivenDay:
    return GivenDay(date, energy, 70, 80, str(user))


def email_of(caller: Caller) -> str:
    return f"{caller.user_id.hex}@example.test"


async def bring(
    administrator: Administrator,
    tenant_id: UUID,
    days: Sequence[GivenDay],
    *,
    whole: bool = True,
    now: dt.datetime = NOW,
) -> Outcome:
    """Import days without a fault among them."""
    outcome, faults = Outcome(), Faults()
    day_import = DayImport(administrator, tenant_id, now, outcome, lambda _stage, _lines: None)
    await day_import.check(enumerate(days, 1), faults)
    assert faults.first == []
    await day_import.store(whole=whole)
    return outcome


async def faults_in(administrator: Administrator, tenant_id: UUID, days: Sequence[GivenDay]) -> list[tuple[int, str]]:
    faults, outcome = Faults(), Outcome()
    day_import = DayImport(administrator, tenant_id, NOW, outcome, lambda _stage, _lines: None)
    await day_import.check(enumerate(days, 1), faults)
    assert faults.count + outcome.good == len(days)
    return [(fault.line, fault.sentence) for fault in faults.first]


async def days_of(admin: Connection, caller: Caller) -> list[tuple[dt.date, int, int, dt.datetime]]:
    rows = await admin.fetch(
        "select date, energy, revision, recorded_at from app.pattern_data"
        " where tenant_id = $1 and user_id = $2 order by date",
        caller.tenant_id,
        caller.user_id,
    )
    return [tuple(row) for row in rows]


async def test_days_are_stored_for_users_named_by_address_or_id_in_any_case(
    administrator: Administrator, make_caller: MakeCaller, admin: Connection
) -> None:
    ada = await make_caller()
    bob = await make_caller(ada)

    outcome = await bring(
        administrator,
        ada.tenant_id,
        [
            a_day(email_of(ada).upper(), TODAY),
            a_day(email_of(ada), YESTERDAY),
            a_day(str(bob.user_id).upper(), TODAY),
            a_day(bob.user_id, YESTERDAY),
        ],
    )

    assert (outcome.good, outcome.stored, outcome.created, outcome.replaced, outcome.unchanged) == (4, 4, 4, 0, 0)
    for person in (ada, bob):
        assert await days_of(admin, person) == [(YESTERDAY, 60, 1, NOW), (TODAY, 60, 1, NOW)]


async def test_a_day_that_is_there_is_replaced_and_one_that_is_the_same_is_left_alone(
    administrator: Administrator, admin_url: str, caller: Caller, admin: Connection
) -> None:
    await bring(administrator, caller.tenant_id, [a_day(caller.user_id, TODAY, 1), a_day(caller.user_id, YESTERDAY, 2)])
    async with Administrator.connect(admin_url) as again:
        days = [a_day(caller.user_id, TODAY, 1), a_day(caller.user_id, YESTERDAY, 3)]
        outcome = await bring(again, caller.tenant_id, days, now=LATER)

    assert (outcome.stored, outcome.created, outcome.replaced, outcome.unchanged) == (2, 0, 1, 1)
    assert await days_of(admin, caller) == [(YESTERDAY, 3, 2, LATER), (TODAY, 1, 1, NOW)]


async def test_another_tenants_user_is_as_unknown_as_nobody(
    administrator: Administrator, caller: Caller, stranger: Caller
) -> None:
    nobody = uuid4()

    assert await faults_in(
        administrator,
        caller.tenant_id,
        [a_day(stranger.user_id), a_day(email_of(stranger)), a_day(nobody), a_day(caller.user_id), a_day("")],
    ) == [
        (1, f"user: there is no '{stranger.user_id}' in this tenant"),
        (2, f"user: there is no '{email_of(stranger)}' in this tenant"),
        (3, f"user: there is no '{nobody}' in this tenant"),
        (5, "user: there is no '' in this tenant"),
    ]


@pytest.mark.parametrize("name", ["a\0@b.test", "\ud800@b.test", "x" * 300 + "@b.test", "ada", "%@%", "' or true --@x"])
async def test_a_name_that_can_be_nobodys_is_unknown(name: str, administrator: Administrator, caller: Caller) -> None:
    [(line, sentence)] = await faults_in(administrator, caller.tenant_id, [a_day(name)])

    assert line == 1
    assert sentence.startswith("user: there is no ")


async def test_the_future_begins_at_each_persons_own_midnight(
    administrator: Administrator, make_caller: MakeCaller
) -> None:
    east = await make_caller(timezone="Pacific/Kiritimati")
    west = await make_caller(east, timezone="Pacific/Pago_Pago")
    tomorrow = TODAY + dt.timedelta(days=1)

    # 09:00 in UTC is 23:00 in the one place and 22:00 of the day before in the other.
    assert await faults_in(
        administrator,
        east.tenant_id,
        [
            a_day(east.user_id, TODAY),
            a_day(east.user_id, tomorrow),
            a_day(west.user_id, YESTERDAY),
            a_day(west.user_id),
        ],
    ) == [
        (2, "date: 2026-11-23 is in the future: it is 2026-11-22 where this person lives"),
        (4, "date: 2026-11-22 is in the future: it is 2026-11-21 where this person lives"),
    ]


async def test_the_same_day_twice_for_one_person_is_named_with_where_it_stood_first(
    administrator: Administrator, make_caller: MakeCaller
) -> None:
    ada = await make_caller()
    bob = await make_caller(ada)

    assert await faults_in(
        administrator,
        ada.tenant_id,
        [a_day(ada.user_id), a_day(bob.user_id), a_day(email_of(ada)), a_day(str(ada.user_id).upper())],
    ) == [
        (3, "date: 2026-11-22 stands at line 1 already for this person"),
        (4, "date: 2026-11-22 stands at line 1 already for this person"),
    ]


async def test_of_days_given_twice_the_first_is_the_one_that_may_be_stored(
    administrator: Administrator, caller: Caller, admin: Connection
) -> None:
    outcome, faults = Outcome(), Faults()
    day_import = DayImport(administrator, caller.tenant_id, NOW, outcome, lambda _stage, _lines: None)
    days = [a_day(caller.user_id, TODAY, energy) for energy in (7, 8, 9)]

    await day_import.check(enumerate(days, 1), faults)
    await day_import.store(whole=False)

    assert (faults.count, outcome.good, outcome.stored, outcome.created) == (2, 1, 1, 1)
    assert await days_of(admin, caller) == [(TODAY, 7, 1, NOW)]


async def test_to_check_stores_nothing(administrator: Administrator, caller: Caller, admin: Connection) -> None:
    assert await faults_in(administrator, caller.tenant_id, [a_day(caller.user_id)]) == []

    assert await days_of(admin, caller) == []


async def test_no_line_at_all_is_an_error(administrator: Administrator, caller: Caller) -> None:
    with pytest.raises(DayFileError, match=r"^holds no day$"):
        await faults_in(administrator, caller.tenant_id, [])


async def test_days_older_than_any_months_partition_are_stored(
    administrator: Administrator, caller: Caller, admin: Connection
) -> None:
    long_ago = dt.date(1969, 7, 20)

    await bring(administrator, caller.tenant_id, [a_day(caller.user_id, long_ago)])

    assert await days_of(admin, caller) == [(long_ago, 60, 1, NOW)]


async def test_more_lines_people_and_days_than_are_taken_together_are_all_stored(
    monkeypatch: pytest.MonkeyPatch, administrator: Administrator, make_caller: MakeCaller, admin: Connection
) -> None:
    for limit in ("BATCH", "SLICE", "MOST_PEOPLE"):
        monkeypatch.setattr(importing, limit, 2)
    ada = await make_caller()
    people = [ada, *[await make_caller(ada) for _ in range(4)]]
    days = [a_day(person.user_id, date) for date in (TODAY, YESTERDAY, dt.date(2026, 10, 1)) for person in people]

    outcome = await bring(administrator, ada.tenant_id, days)

    assert (outcome.good, outcome.stored, outcome.created) == (15, 15, 15)
    for person in people:
        assert [date for date, *_ in await days_of(admin, person)] == [dt.date(2026, 10, 1), YESTERDAY, TODAY]


@pytest.mark.parametrize(("whole", "left"), [(True, []), (False, [TODAY - dt.timedelta(days=3), YESTERDAY])])
async def test_cut_short_an_import_leaves_nothing_if_whole_or_else_what_it_had_stored(  # noqa: PLR0913, PLR0917 - fixtures
    whole: bool,
    left: list[dt.date],
    monkeypatch: pytest.MonkeyPatch,
    administrator: Administrator,
    admin_url: str,
    caller: Caller,
    admin: Connection,
) -> None:
    monkeypatch.setattr(importing, "SLICE", 2)
    days = [a_day(caller.user_id, TODAY - dt.timedelta(days=back)) for back in (0, 1, 3)]
    holder = await asyncpg.connect(admin_url)
    try:
        # Somebody else is storing the last of them, and does not come to an end.
        holding = holder.transaction()
        await holding.start()
        insert = "insert into app.pattern_data values ($1, $2, $3, 1, 2, 3)"
        await holder.execute(insert, caller.tenant_id, caller.user_id, TODAY)
        importing_days = asyncio.create_task(bring(administrator, caller.tenant_id, days, whole=whole))
        await until_waiting(True, admin, administrator)
        importing_days.cancel()
        with pytest.raises(asyncio.CancelledError):
            await importing_days
        await until_waiting(False, admin, administrator)
        await holding.rollback()
    finally:
        await holder.close()
    assert [date for date, *_ in await days_of(admin, caller)] == left

    async with Administrator.connect(admin_url) as again:
        outcome = await bring(again, caller.tenant_id, days, whole=whole, now=LATER)

    assert (outcome.stored, outcome.created, outcome.unchanged) == (3, 3 - len(left), len(left))
    assert [(date, revision) for date, _, revision, _ in await days_of(admin, caller)] == [
        (TODAY - dt.timedelta(days=3), 1),
        (YESTERDAY, 1),
        (TODAY, 1),
    ]


async def until_waiting(waiting: bool, admin: Connection, administrator: Administrator) -> None:
    """Wait until the administrator's backend waits for a lock, or no longer does."""
    question = "select coalesce(wait_event_type = 'Lock', false) from pg_stat_activity where pid = $1"
    backend = administrator.connection.get_server_pid()
    async with asyncio.timeout(10):
        while True:
            if await admin.fetchval(question, backend) == waiting:
                return
            await asyncio.sleep(0.01)


async def test_a_user_who_goes_in_the_middle_ends_it_in_a_sentence(
    administrator: Administrator, caller: Caller, admin: Connection
) -> None:
    day_import = DayImport(administrator, caller.tenant_id, NOW, Outcome(), lambda _stage, _lines: None)
    await day_import.check(enumerate([a_day(caller.user_id)], 1), Faults())
    await admin.execute("delete from app.users where user_id = $1", caller.user_id)

    with pytest.raises(AdministratorError, match="a user was deleted while their days were imported"):
        await day_import.store(whole=True)


async def test_how_far_it_is_is_told_in_lines(
    monkeypatch: pytest.MonkeyPatch, administrator: Administrator, caller: Caller
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "SLICE", 2)
    told: list[tuple[str, int]] = []
    day_import = DayImport(
        administrator, caller.tenant_id, NOW, Outcome(), lambda stage, lines: told.append((stage, lines))
    )

    days = [a_day(caller.user_id, TODAY - dt.timedelta(days=back)) for back in range(3)]
    await day_import.check(enumerate(days, 1), Faults())
    await day_import.store(whole=True)

    assert told == [("reading", 2), ("reading", 3), ("storing", 2), ("storing", 3)]
