"""The two doors: what they cost, how they end, and that nothing that goes wrong behind one is left there."""

import asyncio
import itertools
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from service import embedded
from service.caller import Caller
from service.database import COMMAND_TIMEOUT, MOST_SEALS, SEAL_USE, SERVER_SETTINGS, Connection, Database, Transaction
from service.errors import NotFound, Unavailable, UnknownTenant
from service.patterns.analysis import Day
from service.patterns.story import delete_day, find_pattern, store_days
from service.queries import (
    LIST_FRESH_RECOMMENDATIONS,
    LIST_PATTERNS,
    SAVE_PATTERNS,
    SAVE_VIEWED,
    Query,
)
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, MakeCaller, Serve, bearer, run_as_admin

Work = Callable[[Database, Caller], Coroutine[Any, Any, None]]

TODAY = Day(date(2026, 11, 22), 60, 70, 80)
SEAL = Seal(SEAL_KEY)
SLEEP = Query("sleep", "select pg_sleep(30)", (), "select pg_sleep(30) from app.enter($1, $2, $3)", ())
PID = Query(
    "pid", "select pg_backend_pid() as pid", (), "select pg_backend_pid() as pid from app.enter($1, $2, $3)", ()
)
BUSY = "select pg_sleep(0.1) from app.enter($1, $2, $3)"
WRONG = Query("wrong", "select 1 / 0", (), "select 1 / 0 from app.enter($1, $2, $3)", ())
CONTEXT = "select current_setting('app.tenant_id', true) || current_setting('app.seal', true)"


async def works(database: Database, caller: Caller) -> bool:
    """Read as the caller; True unless that raises."""
    return await database.read(caller, LIST_PATTERNS, days=7, until="2026-11-22", now=NOW, known=[]) is not None


@pytest.fixture
async def pair(service_url: str) -> AsyncIterator[Database]:
    """Give a pool of two connections."""
    opened = await Database.open(service_url, 2, SEAL)
    yield opened
    await opened.close()


async def count_days(admin: Connection, caller: Caller) -> int:
    counted = await admin.fetchval("select count(*) from app.pattern_data where tenant_id = $1", caller.tenant_id)
    return int(counted)


# What goes over the wire.


class Wire:
    """A relay between the service and Postgres that notes what the service sends until Postgres answers."""

    def __init__(self) -> None:
        self.trips: list[str] = []
        """A round trip each: the types of its messages, such as BES for bind, execute, sync."""
        self._answered = True

    async def carry(self, service: asyncio.StreamReader, to_service: asyncio.StreamWriter, socket: str) -> None:
        postgres, to_postgres = await asyncio.open_unix_connection(socket)
        back = asyncio.create_task(self._carry_back(postgres, to_service))
        try:
            length = await service.readexactly(4)
            to_postgres.write(length + await service.readexactly(int.from_bytes(length) - 4))
            while header := await service.read(1):
                length = await service.readexactly(4)
                body = await service.readexactly(int.from_bytes(length) - 4)
                if self._answered:
                    self.trips.append("")
                self._answered = False
                self.trips[-1] += header.decode()
                to_postgres.write(header + length + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            to_postgres.close()
            await back

    async def _carry_back(self, postgres: asyncio.StreamReader, to_service: asyncio.StreamWriter) -> None:
        while data := await postgres.read(65536):
            self._answered = True
            to_service.write(data)
        to_service.close()


@pytest.fixture
async def wire(postgres: embedded.Server) -> AsyncIterator[tuple[Wire, str]]:
    """Give a relay, and the folder of the socket on which it listens."""
    relay, target = Wire(), str(postgres.socket_directory / ".s.PGSQL.5432")
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        server = await asyncio.start_unix_server(
            lambda reader, writer: relay.carry(reader, writer, target), Path(folder, ".s.PGSQL.5432")
        )
        yield relay, folder
        server.close()


@pytest.fixture
async def watched(wire: tuple[Wire, str], database_name: str) -> AsyncIterator[tuple[Wire, Database]]:
    """Give a pool of one connection, and what it sends."""
    relay, folder = wire
    opened = await Database.open(f"postgresql://daymark_service@/{database_name}?host={folder}&port=5432", 1, SEAL)
    yield relay, opened
    await opened.close()


async def test_a_read_is_one_round_trip(watched: tuple[Wire, Database], caller: Caller) -> None:
    wire, database = watched
    stale_before = NOW - timedelta(hours=1)
    await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=stale_before, known=[])
    wire.trips.clear()

    await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=stale_before, known=[])

    assert wire.trips == ["BES"]


async def test_the_first_read_of_a_connection_prepares_and_runs(watched: tuple[Wire, Database], caller: Caller) -> None:
    wire, database = watched
    await database.ping()
    wire.trips.clear()

    await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=NOW, known=[])

    assert wire.trips[-1] == "BES"
    assert wire.trips.count("BES") == 1
    assert "Q" not in wire.trips


async def test_a_write_lets_the_tenant_in_once_for_all_its_statements(
    watched: tuple[Wire, Database], caller: Caller
) -> None:
    wire, database = watched
    await delete_day(database, caller, TODAY.date)
    await store_days(database, caller, NOW, [TODAY])
    wire.trips.clear()

    await delete_day(database, caller, TODAY.date)
    assert wire.trips == ["Q", "BES", "BES", "Q"]
    wire.trips.clear()

    await store_days(database, caller, NOW, [TODAY, Day(date(2026, 11, 21), 1, 2, 3)])
    assert wire.trips == ["Q", "BES", "BES", "BES", "Q"]


async def test_a_cached_recommendations_request_is_one_round_trip(
    serve: Serve, wire: tuple[Wire, str], database_name: str, database: Database, caller: Caller
) -> None:
    relay, folder = wire
    await store_days(database, caller, NOW, [TODAY])
    url = f"postgresql://daymark_service@/{database_name}?host={folder}&port=5432"
    async with serve(database_url=url, pool_size=1) as client:
        path, headers = "/api/insights/recommendations", bearer(caller)
        answers = [(await client.get(path, headers=headers)).json()["cached"] for _ in range(2)]
        relay.trips.clear()
        answers.append((await client.get(path, headers=headers)).json()["cached"])
        cached = list(relay.trips)
        relay.trips.clear()
        await client.get("/api/insights/patterns", headers=headers)
        await client.get("/api/insights/patterns", headers=headers)
        patterns = relay.trips[-1]

    assert answers == [False, True, True]
    assert cached == ["BES"]
    assert patterns == "BES"


async def test_nobodys_request_takes_no_round_trip_at_all(
    serve: Serve, wire: tuple[Wire, str], database_name: str
) -> None:
    relay, folder = wire
    url = f"postgresql://daymark_service@/{database_name}?host={folder}&port=5432"
    async with serve(database_url=url, pool_size=1) as client:
        for token in ({}, {"Authorization": "Bearer x.y.z"}):
            for path in ("/api/insights/recommendations", "/api/insights/patterns"):
                answer = await client.get(path, headers=token)
                assert answer.json()["source"] == "sample"

    assert relay.trips == []


# How the context ends.


async def left_behind(database: Database) -> set[str | None]:
    """What every connection of the pool still has of a context; '' or None where nothing."""
    async with database._pool.lend() as first, database._pool.lend() as second:
        return {await each.connection.fetchval(CONTEXT) for each in (first, second)}


async def test_the_context_ends_with_the_statement(pair: Database, caller: Caller) -> None:
    await asyncio.gather(*(works(pair, caller) for _ in range(4)))

    assert await left_behind(pair) <= {"", None}
    async with pair._pool.lend() as held:
        for table in ("tenants", "users", "pattern_data", "user_recommendations"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant in context"):
                await held.connection.fetch(f"select from app.{table}")


async def test_the_context_ends_with_the_transaction(pair: Database, caller: Caller) -> None:
    await store_days(pair, caller, NOW, [TODAY])
    with pytest.raises(NotFound):
        async with pair.transaction(caller):
            raise NotFound

    assert await left_behind(pair) <= {"", None}


async def test_a_transactions_person_cannot_be_overruled_by_a_value(
    database: Database, admin: Connection, caller: Caller, stranger: Caller
) -> None:
    async with database.transaction(caller) as transaction:
        await transaction.fetch(
            SAVE_PATTERNS,
            tenant_id=stranger.tenant_id,
            user_id=stranger.user_id,
            dates=[TODAY.date],
            energies=[1],
            focuses=[2],
            fulfillments=[3],
            now=NOW,
        )

    assert (await count_days(admin, caller), await count_days(admin, stranger)) == (1, 0)


# What goes wrong in the caller's statements.


async def test_an_error_in_a_transaction_takes_all_of_it_back_and_keeps_the_connection(
    pair: Database, admin: Connection, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    before = await pids(pair, caller)
    for _ in range(4):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await writing(pair, caller, WRONG)

    assert await count_days(admin, caller) == 0
    assert await pids(pair, caller) == before
    # The pool would end a transaction that was left open, and complain.
    assert caplog.records == []


async def test_a_problem_in_a_transaction_takes_all_of_it_back(
    pair: Database, admin: Connection, caller: Caller
) -> None:
    before = await pids(pair, caller)
    for _ in range(4):
        with pytest.raises(NotFound):
            await refusing(pair, caller, NotFound())

    assert await count_days(admin, caller) == 0
    assert await pids(pair, caller) == before


async def test_a_mistake_of_ours_in_a_transaction_takes_all_of_it_back(
    pair: Database, admin: Connection, caller: Caller
) -> None:
    for _ in range(4):
        with pytest.raises(KeyError):
            await writing(pair, caller, SAVE_VIEWED)

    assert await count_days(admin, caller) == 0
    assert await works(pair, caller)


async def reading(database: Database, caller: Caller, query: Query) -> None:
    await database.read(caller, query)


async def writing(database: Database, caller: Caller, *queries: Query) -> None:
    """Save a day, then run these."""
    async with database.transaction(caller) as transaction:
        await save_today(transaction)
        for query in queries:
            await transaction.fetch(query)


async def refusing(database: Database, caller: Caller, error: Exception) -> None:
    """Save a day, then think better of it."""
    async with database.transaction(caller) as transaction:
        await save_today(transaction)
        raise error


async def save_today(transaction: Transaction) -> None:
    await transaction.fetch(SAVE_PATTERNS, dates=[TODAY.date], energies=[1], focuses=[2], fulfillments=[3], now=NOW)


async def pids(database: Database, caller: Caller) -> set[int]:
    """The server processes behind a pool of two."""
    async with database.transaction(caller) as first, database.transaction(caller) as second:
        return {(await each.fetch(PID))[0]["pid"] for each in (first, second)}


async def test_a_wrong_argument_is_a_mistake_and_not_a_database_that_is_away(pair: Database, caller: Caller) -> None:
    for _ in range(4):
        with pytest.raises(asyncpg.DataError):
            await pair.read(caller, LIST_PATTERNS, days="seven", until="", now=NOW, known=[])
        with pytest.raises(asyncpg.DataError):
            await store_days(pair, caller, "now", [TODAY])  # type: ignore[arg-type]

    assert await works(pair, caller)


async def test_a_tenant_that_nobody_knows_is_named_as_such(database: Database) -> None:
    with pytest.raises(UnknownTenant):
        await store_days(database, Caller(uuid4(), uuid4()), NOW, [TODAY])


# What goes wrong with Postgres.


async def test_a_connection_killed_in_the_middle_is_unavailable_and_the_next_works(
    pair: Database, admin: Connection, caller: Caller
) -> None:
    for door in (reading(pair, caller, SLEEP), writing(pair, caller, SLEEP)):
        running = asyncio.create_task(door)
        await admin.execute("select pg_terminate_backend($1, 5000)", await sleeper(admin))
        with pytest.raises(Unavailable):
            await running
        assert await asyncio.gather(*(works(pair, caller) for _ in range(4))) == [True] * 4


async def sleeper(admin: Connection, count: int = 1) -> int:
    """The process of the service that sleeps, once `count` do."""
    async with asyncio.timeout(5):
        while True:  # each look is a round trip
            found = await admin.fetch(
                "select pid from pg_stat_activity where wait_event = 'PgSleep' and application_name = 'daymark'"
            )
            if len(found) >= count:
                return int(found[0]["pid"])


async def test_connections_killed_while_idle_are_replaced(pair: Database, admin: Connection, caller: Caller) -> None:
    before = await pids(pair, caller)
    for pid in before:
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
    # That they are gone is told to us by the same event loop that runs this test.
    await asyncio.sleep(0.01)

    assert await works(pair, caller)
    assert not await pids(pair, caller) & before


async def test_a_commit_that_is_lost_is_unavailable(pair: Database, admin: Connection, caller: Caller) -> None:
    with pytest.raises(Unavailable):
        await dying(pair, caller, admin)

    assert await count_days(admin, caller) == 0
    assert await works(pair, caller)


async def dying(database: Database, caller: Caller, admin: Connection) -> None:
    """Save a day on a connection that is killed before it can commit."""
    async with database.transaction(caller) as transaction:
        await save_today(transaction)
        [row] = await transaction.fetch(PID)
        await admin.execute("select pg_terminate_backend($1, 5000)", row["pid"])


@pytest.mark.parametrize("error", [NotFound(), KeyError("ours"), asyncpg.DivisionByZeroError("its own")])
async def test_an_error_raised_while_the_connection_dies_stays_what_it_is(
    pair: Database, admin: Connection, caller: Caller, error: Exception
) -> None:
    with pytest.raises(type(error)):
        await dying_of(pair, caller, admin, error)

    assert await works(pair, caller)
    assert pair._pool.slots._value == 2


async def dying_of(database: Database, caller: Caller, admin: Connection, error: Exception) -> None:
    async with database.transaction(caller) as transaction:
        [row] = await transaction.fetch(PID)
        await admin.execute("select pg_terminate_backend($1, 5000)", row["pid"])
        raise error


async def test_a_frozen_server_process_is_unavailable_within_the_limit_and_blocks_nobody_after(
    service_url: str, admin: Connection, caller: Caller
) -> None:
    """All at once, for each takes its five seconds: reads and writes on frozen processes, and what only is slow."""
    pools = [await Database.open(service_url, 2, SEAL) for _ in range(3)]
    frozen = [pid for pool in pools[:2] for pid in await pids(pool, caller)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        outcomes = await asyncio.gather(
            *(works(pools[0], caller) for _ in range(2)),
            *(store_days(pools[1], caller, NOW, [TODAY]) for _ in range(2)),
            *(reading(pools[2], caller, SLEEP) for _ in range(2)),
            # Nobody waits for a connection longer than for an answer.
            *(shed(pool, caller) for pool in pools),
            return_exceptions=True,
        )
        took = time.monotonic() - began
        after = [await works(pool, caller) for pool in pools for _ in range(4)]
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    for pool in pools:
        await pool.close()

    assert [type(outcome) for outcome in outcomes[:6]] == [Unavailable] * 6
    assert all(isinstance(seconds, float) and seconds < 3 for seconds in outcomes[6:])
    assert took < COMMAND_TIMEOUT + 1.5
    assert after == [True] * 12
    assert await count_days(admin, caller) == 0


async def shed(database: Database, caller: Caller) -> float:
    """How long somebody waits who finds every connection taken."""
    began = time.monotonic()
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await works(database, caller)
    return time.monotonic() - began


async def test_fifty_callers_share_two_connections(pair: Database, make_caller: MakeCaller) -> None:
    people = [await make_caller() for _ in range(10)] * 5
    await asyncio.gather(*(store_days(pair, person, NOW, [TODAY]) for person in people))

    found = await asyncio.gather(*(find_pattern(pair, person, NOW, 7) for person in people))

    assert [len(pattern.patterns) for pattern in found] == [1] * 50


async def test_the_server_keeps_its_own_limits(database: Database) -> None:
    async with database._pool.lend() as held:
        shown = {name: await held.connection.fetchval(f"show {name}") for name in SERVER_SETTINGS}

    assert shown == {
        "application_name": "daymark",
        "default_transaction_isolation": "read committed",
        "enable_bitmapscan": "off",
        "idle_in_transaction_session_timeout": "10s",
        "jit": "off",
        "search_path": "",
        "statement_timeout": "5s",
        "timezone": "UTC",
    }


async def test_a_statement_that_the_server_cuts_off_is_unavailable(pair: Database, caller: Caller) -> None:
    hurried = "select set_config('statement_timeout', '20ms', true)"
    with pytest.raises(Unavailable):
        await writing(pair, caller, Query("hurry", hurried, (), hurried, ()), SLEEP)

    assert await works(pair, caller)
    async with pair._pool.lend() as held:
        assert await held.connection.fetchval("show statement_timeout") == "5s"


async def test_a_server_that_only_reads_is_unavailable_to_writers(
    postgres: embedded.Server, own_database: str, caller: Caller
) -> None:
    run_as_admin(postgres, own_database, f"alter database {own_database} set default_transaction_read_only = on")
    opened = await Database.open(postgres.url("daymark_service", own_database), 2, SEAL)

    with pytest.raises(Unavailable):
        await store_days(opened, caller, NOW, [TODAY])
    assert await works(opened, caller)
    await opened.close()


@pytest.mark.parametrize(
    ("role", "database", "statement"),
    [
        ("daymark_service", "no_such_database", "select"),
        ("no_such_role", "{database}", "select"),
        ("cannot_log_in", "{database}", "create role cannot_log_in"),
        ("may_not_connect", "{database}", "create role may_not_connect login"),
        ("one_too_many", "{database}", "create role one_too_many login connection limit 0"),
    ],
)
async def test_whoever_is_not_let_in_has_no_database(
    postgres: embedded.Server, own_database: str, role: str, database: str, statement: str
) -> None:
    run_as_admin(postgres, own_database, statement)
    opened = await Database.open(postgres.url(role, database.format(database=own_database)), 2, SEAL)
    try:
        for _ in range(4):
            with pytest.raises(Unavailable):
                await opened.ping()
    finally:
        await opened.close()
        if statement != "select":
            run_as_admin(postgres, own_database, f"drop role {role}")


async def test_a_wrong_password_is_a_database_that_is_away(postgres: embedded.Server, own_database: str) -> None:
    rules = postgres.directory / "postgres/pg_hba.conf"
    before = rules.read_text()
    run_as_admin(postgres, own_database, "create role by_password login password 'right' in role daymark_service")
    try:
        rules.write_text(f"local {own_database} by_password scram-sha-256\n{before}")
        run_as_admin(postgres, own_database, "select pg_reload_conf()")
        url = postgres.url("by_password", own_database).replace("by_password@", "by_password:{}@")
        right, wrong = (
            await Database.open(url.format("right"), 1, SEAL),
            await Database.open(url.format("wrong"), 1, SEAL),
        )
        async with asyncio.timeout(5):
            while not await refuses(wrong):  # until the rules are read
                pass
        await right.ping()
        await right.close()
        await wrong.close()
    finally:
        rules.write_text(before)
        run_as_admin(postgres, own_database, "select pg_reload_conf()", "drop role by_password")


async def refuses(database: Database) -> bool:
    try:
        await database.ping()
    except Unavailable:
        return True
    return False


async def test_where_nobody_listens_there_is_no_database(tmp_path: Path, caller: Caller) -> None:
    opened = await Database.open(f"postgresql://daymark_service@/x?host={tmp_path}&port=5432", 2, SEAL)
    for _ in range(4):
        with pytest.raises(Unavailable):
            await works(opened, caller)
    await opened.close()


# Who is cancelled.


class CancelledAt:
    """Runs a coroutine and cancels it where it waits for the n-th time: at once, or just as what it waits for comes."""

    def __init__(self, work: Coroutine[Any, Any, object], wait: int, *, late: bool) -> None:
        self._work = work
        self._wait = wait
        self._late = late
        self.reached = False

    async def run(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.create_task(self._driven())

    async def _driven(self) -> None:
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._work.__await__()
        error: BaseException | None = None
        for count in itertools.count():
            try:
                future = steps.send(None) if error is None else steps.throw(error)
            except StopIteration:
                return
            if count == self._wait:
                self.reached = True
                if self._late and future is not None:
                    future.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            error = None
            try:
                yield future
            except BaseException as thrown:  # noqa: BLE001 - handed on to the coroutine
                error = thrown


async def read_days(database: Database, caller: Caller) -> None:
    await works(database, caller)


async def count_own_days(database: Database, caller: Caller) -> int:
    return len(await database.read(caller, LIST_PATTERNS, days=7, until="2026-11-22", now=NOW, known=[]))


async def store_two_days(database: Database, caller: Caller) -> None:
    await store_days(database, caller, NOW, [TODAY, Day(date(2026, 11, 21), 1, 2, 3)])


@pytest.fixture(params=[False, True], ids=["connecting", "connected"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Say whether the pool has its connections already."""
    return bool(request.param)


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("work", [read_days, store_two_days])
async def test_cancelled_wherever_it_waits_nothing_is_left_half_done(
    work: Work, *, late: bool, warm: bool, make_caller: MakeCaller, service_url: str
) -> None:
    opened = await Database.open(service_url, 2, SEAL)
    for wait in itertools.count():
        caller = await make_caller()
        if warm:
            await asyncio.gather(works(opened, caller), works(opened, caller))
        else:
            await opened.close()
            opened = await Database.open(service_url, 2, SEAL)

        cancelled = CancelledAt(work(opened, caller), wait, late=late)
        await cancelled.run()

        assert await asyncio.gather(*(works(opened, caller) for _ in range(4))) == [True] * 4
        assert await left_behind(opened) <= {"", None}
        assert opened._pool.slots._value == 2
        assert await count_own_days(opened, caller) in {0, 2}
        if not cancelled.reached:
            break
    await opened.close()

    assert wait >= 1


async def test_cancelled_while_it_waits_for_its_turn_nobody_loses_theirs(pair: Database, caller: Caller) -> None:
    busy = [asyncio.create_task(reading(pair, caller, Query("busy", "", (), BUSY, ()))) for _ in range(2)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(works(pair, caller)) for _ in range(10)]
    await asyncio.sleep(0.01)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*busy)

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 5
    assert pair._pool.slots._value == 2


@pytest.mark.parametrize("left", ["deallocate all", "set row_security = off"])
async def test_a_connection_on_which_something_was_left_is_used_once_and_no_more(
    service_url: str, caller: Caller, left: str
) -> None:
    database = await Database.open(service_url, 1, Seal(SEAL_KEY))
    try:
        await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=NOW, known=[])
        async with database._pool.lend() as held:
            await held.connection.execute(left)
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSQLStatementNameError)):
            await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=NOW, known=[])
        assert await database.read(caller, LIST_FRESH_RECOMMENDATIONS, stale_before=NOW, known=[]) == []
    finally:
        await database.close()


class CountingSeal(Seal):
    """Notes whose contexts it seals, and for which connection."""

    def __init__(self) -> None:
        super().__init__(SEAL_KEY)
        self.sealed: list[tuple[Caller, int]] = []

    def sign(self, caller: Caller, backend: int, expires: datetime) -> str:
        self.sealed.append((caller, backend))
        return super().sign(caller, backend, expires)


async def test_a_seal_is_used_again_for_seconds_by_its_own_person_on_its_own_connection(
    service_url: str, caller: Caller, stranger: Caller
) -> None:
    seal = CountingSeal()
    opened = await Database.open(service_url, 1, seal)
    for _ in range(3):
        for who in (caller, stranger):
            [row] = await opened.read(who, PID)
    at_once = list(seal.sealed)
    used_for = [each.until - time.monotonic() for each in opened._sealed.values()]
    # As old as they may become.
    opened._sealed = {key: each._replace(until=time.monotonic()) for key, each in opened._sealed.items()}
    await opened.read(caller, PID)
    await opened.close()

    assert at_once == [(caller, row["pid"]), (stranger, row["pid"])]
    assert all(SEAL_USE - 5 < seconds <= SEAL_USE for seconds in used_for)
    assert seal.sealed == [*at_once, (caller, row["pid"])]


async def test_no_more_seals_are_remembered_than_there_is_room_for(service_url: str) -> None:
    opened = await Database.open(service_url, 1, SEAL)
    most = 0
    for _ in range(MOST_SEALS + 1):
        await opened.read(Caller(uuid4(), uuid4()), PID)
        most = max(most, len(opened._sealed))
    await opened.close()

    assert most == MOST_SEALS
    assert len(opened._sealed) == 1
