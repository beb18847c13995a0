"""Limits: never more in a window, exact where processes compete, and no statement where none is needed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from service import embedded
from service.caller import NOBODY_YET, Caller
from service.database import Connection, Database
from service.limits import Limits
from service.queries import DELETE_OLD_LIMITS, SAVE_USE
from service.seal import Seal
from service.setting_values import Rate, Secret
from service.settings import Settings
from service.windows import MOST_KEPT, LimitReached, Standing, headers_of
from tests.conftest import SEAL_KEY, MakeCaller, Serve, run_as_admin

ADDRESS = "203.0.113.7"
OFF = Rate(0, 1)


class Ticks:
    """A clock that only grows, when a test says so; the database's own goes on beside it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def make(database: Database, settings: Settings, ticks: Ticks) -> Callable[..., Limits]:
    """Make the limits of one more process."""

    def making(door: Database = database, **rates: Rate) -> Limits:
        return Limits(door, msgspec.structs.replace(settings, **rates), SEAL_KEY, ticks)

    return making


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> list[Caller]:
    """Note who each transaction is begun for."""
    noted: list[Caller] = []
    transaction = Database.transaction

    def noting(database: Database, caller: Caller) -> Any:
        noted.append(caller)
        return transaction(database, caller)

    monkeypatch.setattr(Database, "transaction", noting)
    return noted


@pytest.fixture
async def away(postgres: embedded.Server, own_database: str) -> AsyncIterator[Database]:
    """Give a door to a database that lets nobody in."""
    run_as_admin(postgres, "postgres", f"alter database {own_database} allow_connections false")
    opened = await Database.open(postgres.url("daymark_service", own_database), 4, Seal(SEAL_KEY))
    yield opened
    await opened.close()


async def passed(taking: Callable[[], Any], times: int) -> int:
    """Take as often as told; how often it was granted."""
    granted = 0
    for _ in range(times):
        try:
            await taking()
        except LimitReached:
            continue
        granted += 1
    return granted


async def test_a_use_says_what_is_left_and_for_how_long(make: Callable[..., Limits], caller: Caller) -> None:
    limits = make(limit_person=Rate(3, 60))

    assert [await limits.take_person(caller) for _ in range(3)] == [
        [Standing("person", Rate(3, 60), left, 60)] for left in (2, 1, 0)
    ]
    with pytest.raises(LimitReached) as refused:
        await limits.take_person(caller)

    assert refused.value.standing == Standing("person", Rate(3, 60), 0, 60)
    assert refused.value.headers == {"Retry-After": "60"}
    assert refused.value.detail == "There may be 3 of these within 60 seconds"


def test_headers_are_structured_fields_of_all_limits_that_count() -> None:
    person, login = Standing("person", Rate(600, 60), 599, 58), Standing("login", Rate(10, 900), 9, 900)

    assert headers_of([person]) == [
        (b"ratelimit-policy", b'"person";q=600;w=60'),
        (b"ratelimit", b'"person";r=599;t=58'),
    ]
    assert headers_of([person, login]) == [
        (b"ratelimit-policy", b'"person";q=600;w=60, "login";q=10;w=900'),
        (b"ratelimit", b'"person";r=599;t=58, "login";r=9;t=900'),
    ]
    assert headers_of([]) == []


async def test_a_limit_that_is_off_counts_nothing(
    make: Callable[..., Limits], caller: Caller, asked: list[Caller]
) -> None:
    limits = make(limit_person=OFF, limit_anonymous=OFF, limit_login=OFF, limit_login_address=OFF)

    assert await limits.take_person(caller) == []
    assert limits.take_anonymous(ADDRESS) == []
    assert await limits.take_login("ada", ADDRESS) == []
    await limits.give_back_login("ada")
    assert asked == []


async def test_a_person_of_another_tenant_with_the_same_id_has_a_limit_of_their_own(
    make: Callable[..., Limits], caller: Caller, stranger: Caller
) -> None:
    limits = make(limit_person=Rate(1, 60))
    await limits.take_person(caller)
    await limits.take_person(Caller(stranger.tenant_id, caller.user_id))

    with pytest.raises(LimitReached):
        await limits.take_person(Caller(caller.tenant_id, caller.user_id, "admin"))


@pytest.mark.parametrize("count", [1, 7, 10, 100, 1_000, 12_345])
async def test_of_many_at_once_over_four_processes_exactly_the_limit_passes(
    make: Callable[..., Limits], caller: Caller, count: int
) -> None:
    processes = [make(limit_person=Rate(count, 60)) for _ in range(4)]
    taken = await asyncio.gather(
        *(passed(lambda limits=limits: limits.take_person(caller), count) for limits in processes * 3)  # type: ignore[misc]
    )

    assert sum(taken) == count


async def test_a_process_strands_at_most_a_thousandth_of_a_limit(make: Callable[..., Limits], caller: Caller) -> None:
    idle, busy = make(limit_person=Rate(10_000, 60)), make(limit_person=Rate(10_000, 60))
    await idle.take_person(caller)

    assert await passed(lambda: busy.take_person(caller), 10_001) == 10_000 - 10


async def test_the_uses_of_a_large_limit_are_taken_many_at_once(
    make: Callable[..., Limits], caller: Caller, asked: list[Caller]
) -> None:
    limits = make(limit_person=Rate(50_000, 60))

    assert await passed(lambda: limits.take_person(caller), 5_000) == 5_000
    assert asked == [caller] * 100


async def test_of_a_very_large_limit_the_first_uses_cost_no_statement(
    make: Callable[..., Limits], caller: Caller, asked: list[Caller], ticks: Ticks
) -> None:
    limits = make(limit_person=Rate(600_000, 60))
    assert (await limits.take_person(caller))[0].left == 599_999
    for _ in range(15):
        await limits.take_person(caller)
    assert asked == []

    await limits.take_person(caller)
    assert asked == [caller]
    # The next window begins so again.
    ticks.now += 61
    await passed(lambda: limits.take_person(caller), 16)
    assert asked == [caller]


async def test_what_is_spent_unasked_is_set_aside_so_that_the_limit_still_holds(
    make: Callable[..., Limits], caller: Caller
) -> None:
    processes = [make(limit_person=Rate(100_000, 60)) for _ in range(4)]
    taken = await asyncio.gather(
        *(passed(lambda limits=limits: limits.take_person(caller), 30_000) for limits in processes)  # type: ignore[misc]
    )

    assert sum(taken) == 100_000 - 1_024 + 4 * 16


async def test_a_window_that_is_over_begins_anew(
    make: Callable[..., Limits], caller: Caller, admin: Connection, ticks: Ticks
) -> None:
    limits = make(limit_person=Rate(2, 60))
    assert await passed(lambda: limits.take_person(caller), 3) == 2
    await admin.execute("update app.rate_limits set ends_at = now() where tenant_id = $1", caller.tenant_id)
    ticks.now += 59
    assert await passed(lambda: limits.take_person(caller), 1) == 0
    ticks.now += 2

    assert await passed(lambda: limits.take_person(caller), 3) == 2
    [row] = await admin.fetch(
        "select used, ends_at > now() as runs from app.rate_limits where tenant_id = $1", caller.tenant_id
    )
    assert (row["used"], row["runs"]) == (2, True)


async def test_uses_that_were_taken_end_with_their_window(
    make: Callable[..., Limits], caller: Caller, asked: list[Caller], ticks: Ticks
) -> None:
    limits = make(limit_person=Rate(50_000, 60))
    await limits.take_person(caller)
    ticks.now += 59.9
    await limits.take_person(caller)
    assert asked == [caller]
    ticks.now += 0.2
    await limits.take_person(caller)

    assert asked == [caller] * 2


async def test_it_is_the_databases_clock_that_ends_a_window(
    make: Callable[..., Limits], caller: Caller, admin: Connection
) -> None:
    """A process that begins in the middle of a window knows when it ends."""
    await make(limit_person=Rate(1, 60)).take_person(caller)
    await admin.execute(
        "update app.rate_limits set ends_at = now() + interval '9.5 s' where tenant_id = $1", caller.tenant_id
    )

    with pytest.raises(LimitReached) as refused:
        await make(limit_person=Rate(1, 60)).take_person(caller)
    assert refused.value.headers == {"Retry-After": "10"}


async def test_who_waits_while_another_asks_is_asked_for_as_well(
    make: Callable[..., Limits], caller: Caller, asked: list[Caller]
) -> None:
    limits = make(limit_person=Rate(100, 60))
    await asyncio.gather(*(limits.take_person(caller) for _ in range(50)))

    assert len(asked) <= 2


async def test_who_gives_up_waiting_keeps_nobody_else_from_their_use(
    make: Callable[..., Limits], caller: Caller
) -> None:
    limits = make(limit_person=Rate(100, 60))
    asking = [asyncio.create_task(limits.take_person(caller)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in asking[:5]:
        task.cancel()
    ended = await asyncio.gather(*asking, return_exceptions=True)

    assert [isinstance(each, asyncio.CancelledError) for each in ended] == [True] * 5 + [False] * 5
    assert await passed(lambda: limits.take_person(caller), 100) >= 100 - 20


async def test_nothing_that_identifies_anybody_is_kept(
    make: Callable[..., Limits], caller: Caller, admin: Connection
) -> None:
    account = f"acme/{uuid4().hex}@example.test"
    limits = make(limit_person=Rate(10, 60))
    await limits.take_person(caller)
    await limits.take_login(account, ADDRESS)
    subjects = await admin.fetch("select subject from app.rate_limits")

    kept = {bytes(row["subject"]) for row in subjects}
    for name in (account.encode(), ADDRESS.encode(), caller.user_id.bytes, str(caller.user_id).encode()):
        # An address is found again by trying all of them, were it not for the key.
        assert not kept & {hashlib.sha256(name).digest(), hashlib.blake2b(name, digest_size=32).digest()}
    assert {len(subject) for subject in kept} == {32}


async def test_a_count_lies_under_its_persons_tenant_and_a_log_in_under_nobodys(
    make: Callable[..., Limits], caller: Caller, admin: Connection
) -> None:
    limits = make(limit_person=Rate(10, 60), limit_login_address=Rate(10, 60))
    before = await admin.fetchval("select count(*) from app.rate_limits where tenant_id = $1", NOBODY_YET.tenant_id)
    await limits.take_person(caller)
    await limits.take_login(uuid4().hex, f"2001:db8:{uuid4().hex[:4]}::1")
    own = await admin.fetchval("select count(*) from app.rate_limits where tenant_id = $1", caller.tenant_id)
    nobodys = await admin.fetchval("select count(*) from app.rate_limits where tenant_id = $1", NOBODY_YET.tenant_id)

    assert (own, nobodys - before) == (1, 2)


async def test_tries_to_log_in_are_counted_one_by_one_by_account_and_by_address(make: Callable[..., Limits]) -> None:
    account, address = uuid4().hex, f"2001:db8:{uuid4().hex[:4]}::1"
    processes = [make(limit_login=Rate(10, 900), limit_login_address=Rate(15, 900)) for _ in range(2)]
    tries = await asyncio.gather(
        *(
            passed(lambda limits=limits: limits.take_login(account, address), 7)  # type: ignore[misc]
            for limits in processes
        )
    )

    assert sum(tries) == 10
    # 14 of the address's 15 are spent: one more of another account, and it is over.
    assert await passed(lambda: processes[0].take_login(uuid4().hex, address), 3) == 1


async def test_an_account_that_is_called_like_an_address_is_not_that_address(make: Callable[..., Limits]) -> None:
    name = f"2001:db8:{uuid4().hex[:4]}::/64"
    limits = make(limit_login=Rate(2, 900), limit_login_address=Rate(2, 900))

    for left in (1, 0):
        assert [each.left for each in await limits.take_login(name, name.removesuffix("/64"))] == [left]


async def test_an_address_that_is_refused_spends_nothing_of_an_account(make: Callable[..., Limits]) -> None:
    account, address = uuid4().hex, f"2001:db8:{uuid4().hex[:4]}::1"
    limits = make(limit_login=Rate(2, 900), limit_login_address=Rate(1, 900))
    await limits.take_login(account, address)
    assert await passed(lambda: limits.take_login(account, address), 5) == 0

    elsewhere = [f"2001:db8:{uuid4().hex[:4]}:{number}::1" for number in range(2)]
    assert [await passed(lambda at=at: limits.take_login(account, at), 1) for at in elsewhere] == [1, 0]  # type: ignore[misc]


async def test_how_an_account_stands_only_a_refusal_tells(make: Callable[..., Limits]) -> None:
    account, address = uuid4().hex, f"2001:db8:{uuid4().hex[:4]}::1"
    limits = make(limit_login=Rate(1, 900), limit_login_address=Rate(9, 900))

    assert [each.policy for each in await limits.take_login(account, address)] == ["login-address"]
    with pytest.raises(LimitReached) as refused:
        await limits.take_login(account, address)
    assert refused.value.standing == Standing("login", Rate(1, 900), 0, 900)


async def test_a_try_that_is_given_back_is_one_and_other_processes_hear_of_it_within_seconds(
    make: Callable[..., Limits], ticks: Ticks
) -> None:
    account = uuid4().hex
    one, other = (make(limit_login=Rate(3, 900), limit_login_address=OFF) for _ in range(2))
    assert await passed(lambda: one.take_login(account, ADDRESS), 4) == 3
    assert await passed(lambda: other.take_login(account, ADDRESS), 1) == 0

    await one.give_back_login(account)
    assert await passed(lambda: one.take_login(account, ADDRESS), 2) == 1
    await one.give_back_login(account)
    assert await passed(lambda: other.take_login(account, ADDRESS), 1) == 0
    ticks.now += 5
    assert await passed(lambda: other.take_login(account, ADDRESS), 2) == 1
    assert await passed(lambda: one.take_login(account, ADDRESS), 1) == 0


async def test_giving_back_more_than_was_taken_makes_no_room(
    make: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    account, limits = uuid4().hex, make(limit_login=Rate(2, 900), limit_login_address=OFF)
    await limits.take_login(account, ADDRESS)
    for _ in range(5):
        await limits.give_back_login(account)

    assert caplog.records == []
    assert await passed(lambda: limits.take_login(account, ADDRESS), 9) == 2


async def test_of_an_address_ten_times_as_many_refreshes_as_log_ins_pass_over_all_processes(
    make: Callable[..., Limits],
) -> None:
    network = f"2001:db8:{uuid4().hex[:4]}"
    processes = [make(limit_login_address=Rate(3, 900)) for _ in range(2)]
    taken = await asyncio.gather(
        *(passed(lambda limits=limits: limits.take_refresh(f"{network}::1"), 20) for limits in processes)  # type: ignore[misc]
    )

    assert sum(taken) == 30
    with pytest.raises(LimitReached) as refused:
        await processes[0].take_refresh(f"{network}::2")
    assert refused.value.standing.policy == "refresh-address"
    # What is used up for refreshing is not for logging in.
    assert await passed(lambda: processes[0].take_login(uuid4().hex, f"{network}::1"), 4) == 3
    assert await make(limit_login_address=OFF).take_refresh(f"{network}::1") == []


async def test_who_is_nobody_costs_no_statement_and_is_held_to_the_limit(
    make: Callable[..., Limits], asked: list[Caller], ticks: Ticks
) -> None:
    limits = make(limit_anonymous=Rate(3, 60))

    assert [limits.take_anonymous(ADDRESS)[0].left for _ in range(3)] == [2, 1, 0]
    with pytest.raises(LimitReached) as refused:
        limits.take_anonymous(ADDRESS)
    assert refused.value.standing == Standing("anonymous", Rate(3, 60), 0, 60)
    assert limits.take_anonymous("203.0.113.8")[0].left == 2
    ticks.now += 60
    assert limits.take_anonymous(ADDRESS)[0].left == 2
    assert asked == []


async def test_a_network_of_ipv6_is_one_address(make: Callable[..., Limits]) -> None:
    limits = make(limit_anonymous=Rate(2, 60))
    limits.take_anonymous("2001:db8::1")
    limits.take_anonymous("2001:db8::ffff:0:0:2")

    with pytest.raises(LimitReached):
        limits.take_anonymous("2001:db8:0:0:1::")
    limits.take_anonymous("2001:db8:0:1::1")


def fill(limits: Limits, count: int, network: int = 10) -> None:
    """Have so many addresses come, once each."""
    for number in range(count):
        limits.take_anonymous(f"{network}.{number >> 16}.{number >> 8 & 255}.{number & 255}")


async def test_however_many_addresses_there_are_what_is_remembered_is_bounded(make: Callable[..., Limits]) -> None:
    limits = make(limit_anonymous=Rate(1, 60))
    fill(limits, MOST_KEPT + 10)

    assert len(limits._anonymous._windows) == MOST_KEPT
    with pytest.raises(LimitReached):
        limits.take_anonymous("10.0.0.10")
    limits.take_anonymous("10.0.0.9")


async def test_whoever_is_refused_and_goes_on_is_remembered_however_many_others_come(
    make: Callable[..., Limits],
) -> None:
    limits = make(limit_anonymous=Rate(1, 60))
    limits.take_anonymous(ADDRESS)
    for network in (10, 11, 12):
        with pytest.raises(LimitReached):
            limits.take_anonymous(ADDRESS)
        fill(limits, MOST_KEPT - 1, network)

    with pytest.raises(LimitReached):
        limits.take_anonymous(ADDRESS)


async def test_windows_that_are_over_make_room_before_any_that_runs(make: Callable[..., Limits], ticks: Ticks) -> None:
    limits = make(limit_anonymous=Rate(2, 60))
    fill(limits, MOST_KEPT - 1)
    ticks.now += 30
    for _ in range(2):
        limits.take_anonymous(ADDRESS)
    ticks.now += 29
    # All others are heard of after it, and over before it.
    fill(limits, MOST_KEPT - 1)
    ticks.now += 1
    limits.take_anonymous("192.0.2.1")

    assert len(limits._anonymous._windows) == 2
    with pytest.raises(LimitReached):
        limits.take_anonymous(ADDRESS)


async def test_what_is_over_is_looked_for_once_in_a_second_however_many_come(
    make: Callable[..., Limits], ticks: Ticks
) -> None:
    limits = make(limit_anonymous=Rate(1, 1))
    fill(limits, MOST_KEPT)
    ticks.now += 0.5
    limits.take_anonymous("192.0.2.1")  # looks for the first time, when none is over

    ticks.now += 0.75  # all that were filled in are over
    for number in range(1_000):
        limits.take_anonymous(f"198.51.{number >> 8}.{number & 255}")
    assert len(limits._anonymous._windows) == MOST_KEPT
    ticks.now += 0.25
    limits.take_anonymous("192.0.2.2")
    assert len(limits._anonymous._windows) == 1_001


async def test_while_the_database_is_away_a_limit_of_the_same_numbers_stands_in(
    make: Callable[..., Limits], away: Database, caller: Caller, asked: list[Caller]
) -> None:
    limits = make(away, limit_person=Rate(5, 60), limit_login=Rate(3, 900), limit_login_address=Rate(9, 900))

    assert await passed(lambda: limits.take_person(caller), 8) == 5
    assert await passed(lambda: limits.take_login("ada", ADDRESS), 5) == 3
    await limits.give_back_login("ada")
    assert await passed(lambda: limits.take_login("ada", ADDRESS), 2) == 1
    # It is asked once, and then left alone for a while.
    assert asked == [caller, NOBODY_YET]


async def test_a_database_that_is_back_is_asked_again(
    make: Callable[..., Limits], database: Database, away: Database, caller: Caller, ticks: Ticks
) -> None:
    limits = make(away, limit_person=Rate(5, 60))
    await limits.take_person(caller)
    limits._database = database
    ticks.now += 61

    assert await passed(lambda: limits.take_person(caller), 2) == 2
    with pytest.raises(LimitReached):
        await make(limit_person=Rate(2, 60)).take_person(caller)


async def test_a_database_that_goes_away_within_a_window_leaves_what_was_left_of_it(
    make: Callable[..., Limits], away: Database, caller: Caller
) -> None:
    limits = make(limit_person=Rate(5, 60))
    assert await passed(lambda: limits.take_person(caller), 3) == 3
    limits._database = away

    assert await passed(lambda: limits.take_person(caller), 9) == 2


async def test_a_login_that_was_refused_is_no_more_let_in_when_the_database_goes_away(
    make: Callable[..., Limits], away: Database, ticks: Ticks
) -> None:
    limits, account = make(limit_login=Rate(2, 900), limit_login_address=OFF), uuid4().hex
    assert await passed(lambda: limits.take_login(account, ADDRESS), 3) == 2
    limits._database = away
    ticks.now += 6

    assert await passed(lambda: limits.take_login(account, ADDRESS), 3) == 0


async def test_an_error_in_counting_is_no_error_of_a_request(
    make: Callable[..., Limits], postgres: embedded.Server, own_database: str, caller: Caller
) -> None:
    """A database of an earlier release has no table to count in."""
    run_as_admin(postgres, own_database, "drop table app.rate_limits")
    opened = await Database.open(postgres.url("daymark_service", own_database), 4, Seal(SEAL_KEY))
    try:
        assert await passed(lambda: make(opened, limit_person=Rate(2, 60)).take_person(caller), 1) == 1
        await make(opened).give_back_login("ada")
    finally:
        await opened.close()


async def test_a_seal_of_another_key_is_no_error_either(
    make: Callable[..., Limits], service_url: str, caller: Caller
) -> None:
    opened = await Database.open(service_url, 1, Seal(Secret("a key that the database does not hold" * 2)))
    try:
        assert await passed(lambda: make(opened, limit_person=Rate(2, 60)).take_person(caller), 1) == 1
    finally:
        await opened.close()


async def test_what_is_over_is_removed_and_what_runs_is_not(
    make_caller: MakeCaller, database: Database, admin: Connection
) -> None:
    over, running = await make_caller(), await make_caller()
    for caller in (over, running):
        async with database.transaction(caller) as transaction:
            await transaction.fetch(SAVE_USE, subject=bytes(32), wanted=1, most=5, seconds=60)
    await admin.execute("update app.rate_limits set ends_at = now() where tenant_id = $1", over.tenant_id)
    await database.read(NOBODY_YET, DELETE_OLD_LIMITS)

    left = await admin.fetch(
        "select tenant_id from app.rate_limits where tenant_id = any($1)", [over.tenant_id, running.tenant_id]
    )
    assert [row["tenant_id"] for row in left] == [running.tenant_id]


async def test_a_row_in_use_keeps_nobody_from_removing_others(
    make_caller: MakeCaller, database: Database, admin: Connection
) -> None:
    used, over = await make_caller(), await make_caller()
    for caller in (used, over):
        await admin.execute("insert into app.rate_limits values ($1, $2, 1, now())", caller.tenant_id, bytes(32))
    async with database.transaction(used) as transaction:
        [row] = await transaction.fetch(SAVE_USE, subject=bytes(32), wanted=1, most=5, seconds=60)
        async with asyncio.timeout(2):
            await database.read(NOBODY_YET, DELETE_OLD_LIMITS)

    left = await admin.fetch(
        "select used from app.rate_limits where tenant_id = any($1)", [used.tenant_id, over.tenant_id]
    )
    assert (row["granted"], [each["used"] for each in left]) == (1, [1])


async def test_a_service_removes_what_is_over_now_and_then(
    serve: Serve, caller: Caller, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.limits.TIDY_EVERY", 0.01)
    left = "select count(*) from app.rate_limits where tenant_id = $1"
    await admin.execute("insert into app.rate_limits values ($1, $2, 1, now())", caller.tenant_id, bytes(32))
    async with serve(), asyncio.timeout(5):
        while await admin.fetchval(left, caller.tenant_id):  # noqa: ASYNC110 - bounded by the time-out above
            await asyncio.sleep(0.01)
