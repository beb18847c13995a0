"""What a hostile analyst would try, with psql and a login of their own: they read their tenant, and that is all."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from service.administrator import Administrator
from service.analysts import add_analyst
from service.database import Connection
from service.seal import ANY_BACKEND, Seal
from tests.conftest import SEAL_KEY, MakeCaller, make_caller
from tests.isolation.test_service_attacks import FORBIDDEN, REFUSED, SWITCHES, refuses
from tests.isolation.world import EVERYTHING_FOR_ANALYSTS, FOR_ANALYSTS, ROWS, World, seed, tenants_seen


@pytest.fixture(scope="module")
async def login(admin_url: str, admin: Connection) -> AsyncIterator[tuple[str, World]]:
    """Give an analyst of the caller's tenant; the tests of this file change nothing of it."""
    people: MakeCaller = _make_caller(admin)
    world, name = await seed(admin, people), f"an_{uuid4().hex[:12]}"
    async with Administrator.connect(admin_url) as administrator:
        await add_analyst(administrator, name, str(world.caller.tenant_id))
    yield name, world
    await admin.execute(f'drop role "{name}"')


def _make_caller(admin: Connection) -> MakeCaller:
    return make_caller.__wrapped__(admin)  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def world(login: tuple[str, World]) -> World:
    return login[1]


@pytest.fixture
async def analyst(login: tuple[str, World], admin_url: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(admin_url, user=login[0])
    yield connection
    await connection.close()


@pytest.mark.parametrize("relation", FOR_ANALYSTS)
async def test_an_analyst_reads_their_tenants_rows(analyst: Connection, world: World, relation: str) -> None:
    assert await tenants_seen(analyst, relation) == {world.caller.tenant_id}


async def test_an_analyst_reads_everybody_in_their_tenant(analyst: Connection, world: World) -> None:
    for table in ("users", "pattern_data", "user_recommendations", "recommendation_runs"):
        seen = await analyst.fetch(f"select user_id from app.{table}")
        assert {row["user_id"] for row in seen} == {world.caller.user_id, world.colleague.user_id}


SETTINGS = [
    "set app.tenant_id = '{theirs}'",
    "set app.tenant_id = '{theirs}'; set app.seal = '{seal}'",
    "set app.role = 'admin'",
    "set role daymark_analyst",
    "set role none",
    "set session authorization default",
    "reset all",
    "discard all",
    "set default_transaction_read_only = off",
    "set statement_timeout = 0",
    "set search_path = pg_temp, public",
    "set plan_cache_mode = force_generic_plan",
    "set enable_indexscan = off; set enable_bitmapscan = off",
]


@pytest.mark.parametrize("setting", SETTINGS)
async def test_whatever_an_analyst_sets_they_see_their_tenant(analyst: Connection, world: World, setting: str) -> None:
    seal = Seal(SEAL_KEY).sign(world.stranger, ANY_BACKEND, datetime.now(UTC) + timedelta(minutes=1))
    await analyst.execute(setting.format(theirs=world.stranger.tenant_id, seal=seal))

    for relation in FOR_ANALYSTS:
        assert await tenants_seen(analyst, relation) == {world.caller.tenant_id}


@pytest.mark.parametrize(
    "options",
    [
        "-c app.tenant_id={theirs}",
        "-c app.tenant_id={theirs} -c app.seal={seal}",
        "-c role=daymark_analyst",
        "-c default_transaction_read_only=off -c search_path=pg_temp",
        "-c application_name=daymark -c statement_timeout=0",
    ],
)
async def test_options_of_the_connection_change_nothing(login: tuple[str, World], admin_url: str, options: str) -> None:
    name, world = login
    seal = Seal(SEAL_KEY).sign(world.stranger, ANY_BACKEND, datetime.now(UTC) + timedelta(minutes=1))
    given = options.format(theirs=world.stranger.tenant_id, seal=seal)
    connection: Connection = await asyncpg.connect(admin_url, user=name, server_settings={"options": given})
    try:
        assert await tenants_seen(connection, everything=EVERYTHING_FOR_ANALYSTS) == {world.caller.tenant_id}
    finally:
        await connection.close()


async def test_an_analyst_does_not_read_what_limits_have_been_used(analyst: Connection) -> None:
    assert await refuses(analyst, "select from app.rate_limits")


async def test_without_row_security_an_analyst_reads_nothing(analyst: Connection) -> None:
    await analyst.execute("set row_security = off")
    for relation in FOR_ANALYSTS:
        assert await refuses(analyst, f"select from app.{relation}")


@pytest.mark.parametrize("role", ["postgres", "daymark_service", "pg_read_all_data", "pg_monitor"])
async def test_an_analyst_becomes_nobody_else(analyst: Connection, role: str) -> None:
    await analyst.execute("set default_transaction_read_only = off")
    for statement in (f"set role {role}", f"set session authorization {role}", f"grant {role} to daymark_analyst"):
        assert await refuses(analyst, statement)


@pytest.mark.parametrize(
    "statement",
    [
        *(f"insert into app.{table} (tenant_id) values (gen_random_uuid())" for table in ROWS),
        "update app.users set role = 'admin'",
        "update app.pattern_data set energy = 1",
        "update app.user_recommendations set viewed_at = now()",
        "select from app.users for update",
        "select from app.pattern_data for share",
        "select app.delete_pattern('2026-11-22')",
        "select * from app.enter(gen_random_uuid(), gen_random_uuid(), '')",
        "with gone as (delete from app.users returning 1) select from gone",
        "select 1 into app.own",
    ],
)
async def test_an_analyst_writes_nothing(analyst: Connection, statement: str) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await analyst.execute("create table app.own ()")

    await analyst.execute("set default_transaction_read_only = off")
    assert await refuses(analyst, statement)


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_what_the_service_may_not_do_an_analyst_may_not_either(analyst: Connection, statement: str) -> None:
    await analyst.execute("set default_transaction_read_only = off")
    with pytest.raises(
        (*REFUSED, asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError, asyncpg.WrongObjectTypeError)
    ):
        await analyst.execute(f"begin; {statement}" if statement.startswith("lock") else statement)
    await analyst.execute("rollback")


@pytest.mark.parametrize("table", [table for table in ROWS if table in FOR_ANALYSTS])
@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_switch_within_a_statement_changes_nothing(
    analyst: Connection, world: World, table: str, switch: str
) -> None:
    rows = await analyst.fetch(SWITCHES[switch].format(theirs=world.stranger.tenant_id, table=table))
    seen = {row[-1] for row in rows}

    assert seen <= {world.caller.tenant_id, None}
    assert world.caller.tenant_id in seen


async def test_an_analysts_statement_is_timed_out(analyst: Connection) -> None:
    assert await analyst.fetchval("show statement_timeout") == "30s"
    assert await analyst.fetchval("show idle_in_transaction_session_timeout") == "10min"


async def test_an_analyst_who_changes_their_own_role_gains_nothing(
    login: tuple[str, World], analyst: Connection, admin: Connection, admin_url: str
) -> None:
    name, world = login
    await analyst.execute("set default_transaction_read_only = off")
    assert await refuses(analyst, f"alter role \"{name}\" set app.tenant_id = '{world.stranger.tenant_id}'")
    await analyst.execute(f'alter role "{name}" set statement_timeout = 0; alter role "{name}" password \'x\'')
    try:
        again: Connection = await asyncpg.connect(admin_url, user=name)
        assert await tenants_seen(again, everything=EVERYTHING_FOR_ANALYSTS) == {world.caller.tenant_id}
        await again.close()
    finally:
        await admin.execute(f"alter role \"{name}\" set statement_timeout = '30s'")


async def test_a_deleted_tenant_leaves_the_login_with_nothing(
    admin: Connection, admin_url: str, make_caller: MakeCaller
) -> None:
    world, name = await seed(admin, make_caller), f"an_{uuid4().hex[:12]}"
    async with Administrator.connect(admin_url) as administrator:
        await add_analyst(administrator, name, str(world.caller.tenant_id))
    connection: Connection = await asyncpg.connect(admin_url, user=name)
    try:
        assert await tenants_seen(connection, everything=EVERYTHING_FOR_ANALYSTS) == {world.caller.tenant_id}
        await admin.execute("delete from app.tenants where tenant_id = $1", world.caller.tenant_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant in context"):
            await connection.fetch(EVERYTHING_FOR_ANALYSTS)
    finally:
        await connection.close()
        await admin.execute(f'drop role "{name}"')
