"""What an injected statement would try, as the service's role: none of it reaches another tenant."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.queries import LIST_PATTERNS
from service.seal import Seal
from service.setting_values import Secret
from tests.conftest import NOW, SEAL_KEY, MakeCaller, enter
from tests.isolation.world import EVERYTHING, RELATIONS, ROWS, SECRETS, VIEWS, World, seed, tenants_seen

REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)
PUT = "select set_config('app.tenant_id', $1, false), set_config('app.seal', $2, false)"


@pytest.fixture
async def world(admin: Connection, make_caller: MakeCaller) -> World:
    return await seed(admin, make_caller)


@pytest.fixture
async def inside(as_service: Connection, world: World) -> Connection:
    """Give a bare connection inside the caller's own context."""
    await enter(as_service, world.caller)
    return as_service


@pytest.fixture
async def pooled(service_url: str) -> AsyncIterator[Database]:
    """Give a pool of one connection, so that each takes over what the one before left."""
    opened = await Database.open(service_url, 1, Seal(SEAL_KEY))
    yield opened
    await opened.close()


def sealed(caller: Caller, backend: int, life: timedelta = timedelta(minutes=1), key: Secret = SEAL_KEY) -> str:
    return Seal(key).sign(caller, backend, datetime.now(UTC) + life)


async def refuses(connection: Connection, statement: str = EVERYTHING) -> bool:
    """Whether a statement is refused for want of rights; what it says otherwise is the test's failure."""
    try:
        await connection.execute(statement)
    except REFUSED:
        return True
    return False


async def test_every_relation_of_the_schema_is_seeded_or_secret(admin: Connection) -> None:
    found = await admin.fetch(
        "select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')"
        " and not relispartition"
    )

    assert {row["relname"] for row in found} == {*RELATIONS, *SECRETS}


async def test_inside_a_context_one_sees_ones_own_tenant(inside: Connection, world: World) -> None:
    for relation in RELATIONS:
        assert await tenants_seen(inside, relation) == {world.caller.tenant_id}


# The context.


@pytest.mark.parametrize(
    "statement",
    [
        "set app.tenant_id = '{theirs}'",
        "select set_config('app.tenant_id', '{theirs}', false)",
        "set session app.tenant_id to '{theirs}'",
        "reset app.seal",
        "reset app.tenant_id",
        "reset all",
        "discard all",
        "set app.tenant_id = ''",
        "set app.seal = ''",
        "set app.tenant_id = '{theirs}'; set app.user_id = '{them}'; set app.role = 'admin'",
    ],
)
async def test_a_setting_of_ones_own_is_refused(
    inside: Connection, admin: Connection, world: World, statement: str
) -> None:
    try:
        await inside.execute(statement.format(theirs=world.stranger.tenant_id, them=world.stranger.user_id))
        for relation in RELATIONS:
            assert await refuses(inside, f"select from app.{relation}")
    finally:
        await admin.execute("alter role daymark_service reset all")


@pytest.mark.parametrize(
    "statement",
    [
        "set role postgres",
        "set role daymark_analyst",
        "set session authorization postgres",
        "set session_replication_role = replica",
        "alter role daymark_service bypassrls",
        "alter role daymark_service superuser",
        "grant daymark_analyst to daymark_service",
        "grant pg_read_all_data to daymark_service",
        "set lo_compat_privileges = on",
    ],
)
async def test_another_role_is_refused(inside: Connection, statement: str) -> None:
    assert await refuses(inside, statement)


@pytest.mark.parametrize("statement", ["set role none", "set session authorization default", "set row_security = on"])
async def test_the_same_role_sees_the_same(inside: Connection, world: World, statement: str) -> None:
    await inside.execute(statement)

    assert await tenants_seen(inside) == {world.caller.tenant_id}


async def test_without_row_security_nothing_is_read(inside: Connection) -> None:
    await inside.execute("set row_security = off")

    for relation in RELATIONS:
        assert await refuses(inside, f"select from app.{relation}")


def _changed(seal: str, world: World) -> dict[str, str]:
    """Give seals with one field changed each, to what an attacker would like there."""
    expires, backend, tenant, user, session, role, mac = seal.split("|")
    fields = {
        "expires": (str(int(expires) + 1), backend, tenant, user, session, role, mac),
        "backend": (expires, "0000000000", tenant, user, session, role, mac),
        "tenant": (expires, backend, str(world.stranger.tenant_id), user, session, role, mac),
        "user": (expires, backend, tenant, str(world.colleague.user_id), session, role, mac),
        "session": (expires, backend, tenant, user, str(world.colleague.user_id), role, mac),
        "role": (expires, backend, tenant, user, session, "admin", mac),
        "mac": (expires, backend, tenant, user, session, role, mac[:-1] + ("0" if mac[-1] != "0" else "1")),
        "no mac": (expires, backend, tenant, user, session, role, ""),
        "mac of nothing": (expires, backend, tenant, user, session, role, "0" * 64),
        "mac in capitals": (expires, backend, tenant, user, session, role, mac.upper()),
        "tenant in capitals": (expires, backend, tenant.upper(), user, session, role, mac),
        "one more field": (expires, backend, tenant, user, session, role, "admin", mac),
        "the fields moved": (backend, expires, tenant, user, session, role, mac),
    }
    changed = {name: "|".join(field) for name, field in fields.items()}
    ends = {
        "cut": seal[:-1],
        "longer": seal + "0",
        "a space before": " " + seal,
        "beheaded": seal[1:],
        "a line": seal + "\n",
    }
    return changed | ends | {"only the mac": mac, "only the context": seal[:-65], "twice": seal + seal, "empty": ""}


async def test_a_changed_seal_is_refused(inside: Connection, world: World) -> None:
    good = sealed(world.caller, inside.get_server_pid())
    changes = _changed(good, world)
    assert len(changes) == 22

    for name, bad in changes.items():
        for tenant in (world.caller.tenant_id, world.stranger.tenant_id):
            await inside.execute(PUT, str(tenant), bad)
            assert await refuses(inside), name
    await inside.execute(PUT, str(world.caller.tenant_id), good)
    assert await tenants_seen(inside) == {world.caller.tenant_id}


async def test_a_seal_is_good_for_its_own_time_connection_key_and_tenant_only(inside: Connection, world: World) -> None:
    pid, stranger = inside.get_server_pid(), world.stranger
    for name, seal, said in (
        ("expired", sealed(stranger, pid, -timedelta(seconds=1)), "expired"),
        ("another's connection", sealed(stranger, pid + 1), "of another connection"),
        ("an unknown key", sealed(stranger, pid, key=Secret("another key of the very same length here")), "not sealed"),
        ("another's seal", sealed(world.caller, pid), "not sealed"),
    ):
        await inside.execute(PUT, str(stranger.tenant_id), seal)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=said):
            await inside.fetch(EVERYTHING)
        assert name


async def test_a_context_that_is_read_out_is_of_no_use_on_another_connection(
    inside: Connection, world: World, service_url: str
) -> None:
    found = await inside.fetchrow("select current_setting('app.tenant_id'), current_setting('app.seal')")
    assert found is not None
    other: Connection = await asyncpg.connect(service_url)
    try:
        await other.execute(PUT, *found)
        assert await refuses(other)
    finally:
        await other.close()
    assert await tenants_seen(inside) == {world.caller.tenant_id}


async def test_a_context_expires_in_the_middle_of_a_transaction(as_service: Connection, world: World) -> None:
    await as_service.execute("begin")
    seal = sealed(world.caller, as_service.get_server_pid(), timedelta(seconds=1.5))
    await as_service.execute(PUT, str(world.caller.tenant_id), seal)
    assert await tenants_seen(as_service) == {world.caller.tenant_id}

    await as_service.execute("select pg_sleep(1.6)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="the context has expired"):
        await as_service.fetch(EVERYTHING)
    await as_service.execute("rollback")


# A switch in the middle of a statement.

SWITCHES = {
    "select list": "select set_config('app.tenant_id', '{theirs}', true), tenant_id from app.{table}",
    "union": "select null::uuid as tenant_id from set_config('app.tenant_id', '{theirs}', true)"
    " union all select tenant_id from app.{table}",
    "lateral": "select rows.tenant_id from set_config('app.tenant_id', '{theirs}', true) as given (tenant),"
    " lateral (select tenant_id from app.{table} where given.tenant is not null offset 0) as rows",
    "where": "select tenant_id from app.{table} where set_config('app.tenant_id', '{theirs}', true) is not null",
    "volatile cte": "with switched as materialized (select set_config('app.tenant_id', '{theirs}', true) as done)"
    " select tenant_id from app.{table} where (select done from switched) is not null",
    "correlated": "select (select tenant_id from app.{table} where step = 1 or switched is not null limit 1)"
    " from generate_series(1, 2) as step,"
    " lateral ("
    "select case when step = 2 then set_config('app.tenant_id', '{theirs}', true) end as switched offset 0) as x",
    "order by": "select tenant_id from app.{table} order by set_config('app.tenant_id', '{theirs}', true)",
    "returned": "with first as (select tenant_id from app.{table}),"
    " switch as (select set_config('app.tenant_id', '{theirs}', true) from first),"
    " rest as (select tenant_id from app.{table} where exists (select from switch))"
    " select tenant_id from first union all select tenant_id from rest",
}


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_switch_within_a_statement_reaches_nobody(
    inside: Connection, world: World, table: str, switch: str
) -> None:
    statement = SWITCHES[switch].format(theirs=world.stranger.tenant_id, table=table)
    try:
        seen = {row["tenant_id"] for row in await inside.fetch(f"select * from ({statement}) as q (tenant_id)")}
    except asyncpg.exceptions.InvalidColumnReferenceError:
        seen = {row["tenant_id"] for row in await inside.fetch(statement)}
    except REFUSED:
        seen = set()

    assert seen <= {world.caller.tenant_id, None}


# Whose rows are meant, one's own or everybody's, is read off the settings as they are; who may see them is not.
CLAIMS = ("", "admin")


@pytest.mark.parametrize("table", [table for table in ROWS if table not in {"tenants", "budget_use", "rate_limits"}])
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("claim", CLAIMS)
async def test_a_member_who_claims_to_be_more_within_a_statement_reaches_no_colleague(
    inside: Connection, world: World, table: str, switch: str, claim: str
) -> None:
    own = sealed(world.caller, inside.get_server_pid())
    claimed = f"{own[:133]}{claim}{own[-65:]}"
    switched = SWITCHES[switch].replace("app.tenant_id", "app.seal").replace("tenant_id", "user_id")
    try:
        seen = {row[-1] for row in await inside.fetch(switched.format(theirs=claimed, table=table))}
    except REFUSED:
        seen = set()

    assert seen <= {world.caller.user_id, None}


async def test_two_contexts_that_hold_on_one_connection_are_not_mixed_across_tenants(
    inside: Connection, world: World
) -> None:
    """An admin of one tenant who got hold of a member's context in another: the role is of no use there."""
    pid = inside.get_server_pid()
    boss = sealed(Caller(world.caller.tenant_id, world.caller.user_id, "admin"), pid)
    member = sealed(Caller(world.stranger.tenant_id, world.caller.user_id), pid)
    await inside.execute(PUT, str(world.stranger.tenant_id), member)
    statement = (
        "select tenant_id from app.pattern_data where"
        f" set_config('app.tenant_id', '{world.caller.tenant_id}', true) is not null"
        f" and set_config('app.seal', '{boss}', true) is not null"
    )

    assert await inside.fetch(f"{statement} and tenant_id = '{world.stranger.tenant_id}'") == []


# What a connection is left with.


@pytest.mark.parametrize(
    "query", [f"select tenant_id from app.{relation}" for relation in RELATIONS], ids=list(RELATIONS)
)
@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan", "auto"])
async def test_a_plan_made_for_one_tenant_gives_the_next_their_own(
    inside: Connection, world: World, query: str, mode: str
) -> None:
    await inside.execute(f"set plan_cache_mode = {mode}; prepare kept as {query}")
    for person in (world.caller, world.stranger) * 7:
        await enter(inside, person)
        assert {row["tenant_id"] for row in await inside.fetch("execute kept")} == {person.tenant_id}
    await inside.execute("reset app.seal")
    assert await refuses(inside, "execute kept")


async def test_a_cursor_that_is_held_has_its_makers_rows(inside: Connection, world: World) -> None:
    await inside.execute(f"declare held cursor with hold for {EVERYTHING}")
    await enter(inside, world.stranger)

    assert {row["tenant_id"] for row in await inside.fetch("fetch all from held")} == {world.caller.tenant_id}


async def test_rolling_back_to_a_savepoint_brings_back_the_context_that_was_sealed_there(
    as_service: Connection, world: World
) -> None:
    await as_service.execute("begin; savepoint nowhere")
    await enter(as_service, world.caller, local=True)
    await as_service.execute(f"savepoint inside; set local app.tenant_id = '{world.stranger.tenant_id}'")
    await as_service.execute("savepoint outside")
    assert await refuses(as_service)

    await as_service.execute("rollback to savepoint inside")
    assert await tenants_seen(as_service) == {world.caller.tenant_id}
    await as_service.execute("rollback to savepoint nowhere")
    assert await refuses(as_service)
    await as_service.execute("rollback")
    assert await refuses(as_service)


LEFTOVERS = [
    "set app.tenant_id = '{own}'; set app.user_id = '{me}'; set app.role = 'admin'; set app.seal = 'x'",
    "set search_path = public, pg_temp, app, pg_catalog",
    "set default_transaction_read_only = on",
    "set session characteristics as transaction read only",
    "set statement_timeout = 1",
    "set lock_timeout = 1",
    "set plan_cache_mode = force_generic_plan",
    "set enable_indexscan = off; set enable_seqscan = off; set cpu_operator_cost = 0",
    "set timezone = 'Pacific/Kiritimati'; set datestyle = 'SQL, DMY'; set bytea_output = 'escape'",
    "set client_min_messages = debug5; set debug_print_plan = on",
    "set row_security = off",
    "set role none",
    "listen gossip",
    "declare held cursor with hold for select 1",
    "prepare list_patterns as select 1",
    "deallocate all",
    "begin",
    "begin; set transaction read only",
    "discard all",
]


@pytest.mark.parametrize("leftover", LEFTOVERS)
async def test_whatever_a_connection_is_left_with_the_next_tenant_sees_their_own_or_nothing(
    pooled: Database, world: World, leftover: str
) -> None:
    days = {"days": 7, "until": "2026-11-22", "now": NOW, "known": []}
    theirs = await pooled.read(world.stranger, LIST_PATTERNS, **days)
    async with pooled._pool.lend() as held:
        await held.connection.execute(leftover.format(own=world.caller.tenant_id, me=world.caller.user_id))

    for _ in range(3):
        try:
            assert await pooled.read(world.stranger, LIST_PATTERNS, **days) == theirs
            async with pooled.transaction(world.stranger) as transaction:
                assert await transaction.fetch(LIST_PATTERNS, **days) == theirs
        except Exception as error:  # noqa: BLE001 - to be refused is no leak; to be answered wrongly is
            assert not isinstance(error, AssertionError)  # noqa: PT017 - whichever error it is
    async with pooled._pool.lend() as held:
        assert await refuses(held.connection)  # type: ignore[arg-type]  # a pool's proxy is as good


async def test_the_names_of_the_services_statements_cannot_be_listed_or_guessed(
    pooled: Database, world: World, as_service: Connection
) -> None:
    """Who knew one could prepare their own in its place, and be handed the next caller's seal."""
    await pooled.read(world.caller, LIST_PATTERNS, days=7, until="", now=NOW, known=[])
    assert await refuses(as_service, "select name from pg_prepared_statements")

    async with pooled._pool.lend() as held:
        names = [await _prepared_name(held.connection, number) for number in (1, 2)]
    assert all(re.fullmatch(r"__daymark_stmt_[0-9a-f]{32}__", name) for name in names)
    assert names[0] != names[1]


async def _prepared_name(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", number: int) -> str:
    return str((await connection.prepare(f"select {number}")).get_name())


# What a role may not do.

FORBIDDEN = [
    *(f"truncate app.{table}" for table in (*ROWS, *SECRETS)),
    *(f"delete from app.{table}" for table in (*ROWS, *SECRETS)),
    *(f"update app.{table} set tenant_id = gen_random_uuid()" for table in ROWS),
    *(f"select from app.{table}" for table in SECRETS),
    *(f"insert into app.{table} default values" for table in (*SECRETS, "tenants")),
    "call app.isolate('app.users')",
    "call app.add_partitions('2031-01-01', '2031-01-01')",
    *(f"copy app.{table} from stdin" for table in ROWS),
    "copy app.users to '/tmp/loot'",
    "copy (select 1) to '/tmp/loot'",
    "copy (select 1) to program 'true'",
    "copy app.users from '/etc/passwd'",
    "copy app.users from program 'true'",
    *(
        f"lock table app.{table} in {mode} mode"
        for table in ROWS
        for mode in (
            "row share",
            "row exclusive",
            "share update exclusive",
            "share",
            "share row exclusive",
            "exclusive",
            "access exclusive",
        )
        if mode != "row share"
    ),
    "create table app.own ()",
    "create table public.own ()",
    "create temporary table users ()",
    "create temporary view users as select 1",
    "create temporary sequence own",
    "create schema own",
    "create view app.own as select 1",
    "create materialized view app.own as select 1",
    "create sequence app.own",
    "create type app.own as enum ()",
    "create type pg_temp.uuid as enum ()",
    "create domain app.own as int",
    "create function app.own() returns int return 1",
    "create function public.set_config(text, text, boolean) returns text return ''",
    "create function pg_temp.seen(text) returns boolean language sql cost 0.0001 return true",
    "create function pg_temp.seen(text) returns boolean language plpgsql leakproof as 'begin return true; end'",
    "create operator public.= (leftarg = text, rightarg = text, function = texteq, restrict = scalarltsel)",
    "create operator pg_temp.<<< (leftarg = text, rightarg = text, function = texteq, restrict = scalarltsel)",
    "create aggregate public.own(int) (sfunc = int4pl, stype = int)",
    "create cast (text as uuid) with inout",
    "create collation public.own from \"C\"",
    "create extension dblink",
    "create extension postgres_fdw",
    "create extension file_fdw",
    "create language plperl",
    "create event trigger own on ddl_command_end execute function app.refuse()",
    "create trigger own before insert on app.users execute function suppress_redundant_updates_trigger()",
    "create rule own as on select to app.users do instead select 1",
    "create rule own as on insert to app.pattern_data do also select 1",
    "create policy own on app.users using (true)",
    "create index on app.users (email)",
    "create statistics app.own on tenant_id, user_id from app.users",
    "create publication own for table app.users",
    "create publication own for all tables",
    "create subscription own connection '' publication own with (connect = false)",
    "create server own foreign data wrapper own",
    "create foreign data wrapper own",
    "create tablespace own location '/tmp'",
    "create database own",
    "create role own",
    "alter table app.users disable row level security",
    "alter table app.users no force row level security",
    "alter table app.users owner to daymark_service",
    "alter policy tenant_floor on app.users using (true)",
    "drop policy tenant_floor on app.users",
    "drop table app.users",
    "alter view app.daily_averages set (security_invoker = false)",
    "alter function app.tenant_id() stable",
    "create or replace function app.tenant_id() returns uuid language sql stable return gen_random_uuid()",
    "alter system set row_security = off",
    "grant select on app.seal_keys to daymark_service",
    "comment on table app.users is ''",
    "reassign owned by postgres to daymark_service",
    "merge into app.tenants using (select 1) as s on true when matched then delete",
    "merge into app.users using (select 1) as s on true when matched then update set role = 'admin'",
    "merge into app.pattern_data using (select 1) as s on true when matched then delete",
    *(f"select {call}" for call in (
        "lo_create(0)", "lo_from_bytea(0, '')", "lo_get(1)", "lo_import('/etc/passwd')", "lo_export(1, '/tmp/loot')",
        "lo_open(1, 131072)", "loread(0, 1)", "pg_read_file('PG_VERSION')", "pg_read_binary_file('PG_VERSION')",
        "pg_ls_dir('.')", "pg_stat_file('PG_VERSION')", "pg_ls_logdir()", "pg_ls_waldir()", "pg_current_logfile()",
        "pg_create_physical_replication_slot('own')", "pg_create_logical_replication_slot('own', 'pgoutput')",
        "pg_logical_emit_message(false, 'x', 'y')", "pg_notify('x', 'y')", "pg_export_snapshot()",
        "pg_advisory_lock(1)", "pg_try_advisory_lock(1)", "pg_advisory_xact_lock(1)", "pg_reload_conf()",
        "pg_stat_get_activity(null)", "pg_terminate_backend(1)", "pg_cancel_backend(1)", "pg_stat_reset()",
        "pg_switch_wal()", "pg_rotate_logfile()", "set_config('session_preload_libraries', 'x', false)",
        "set_config('log_statement', 'all', false)",
    )),
    "select from pg_authid",
    "select from pg_statistic",
    "select from pg_hba_file_rules",
    "select from pg_largeobject",
    "select from pg_user_mapping",
    "select from pg_stat_activity",
    "select from pg_prepared_statements",
    "load 'auto_explain'",
    "checkpoint",
]  # fmt: skip


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_what_no_request_needs_is_refused(inside: Connection, statement: str) -> None:
    with pytest.raises(
        (*REFUSED, asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError, asyncpg.WrongObjectTypeError)
    ):
        await inside.execute(f"begin; {statement}" if statement.startswith("lock") else statement)
    await inside.execute("rollback")


async def test_no_partition_is_reached_directly(inside: Connection, admin: Connection) -> None:
    partitions = await admin.fetch(
        "select oid::regclass::text as name from pg_class where relispartition and relkind = 'r'"
    )
    assert len(partitions) > 12
    for partition in partitions:
        for verb in ("select from", "table", "delete from", "truncate", "copy (select 1 from"):
            tail = ") to stdout" if verb.startswith("copy") else ""
            assert await refuses(inside, f"{verb} {partition['name']}{tail}")


@pytest.mark.parametrize("relation", RELATIONS)
async def test_copy_gives_ones_own_rows(inside: Connection, world: World, tmp_path: Path, relation: str) -> None:
    target = tmp_path / "copied"
    await inside.copy_from_query(f"select tenant_id from app.{relation}", output=target)

    assert set(target.read_text().split()) == {str(world.caller.tenant_id)}


@pytest.mark.parametrize(
    "table", ["users", "tenants", "user_recommendations", "recommendation_runs", "budget_use", "rate_limits"]
)
async def test_copying_a_table_gives_ones_own_rows(
    inside: Connection, world: World, tmp_path: Path, table: str
) -> None:
    target = tmp_path / "copied"
    await inside.copy_from_table(table, schema_name="app", columns=["tenant_id"], output=target)

    assert set(target.read_text().split()) == {str(world.caller.tenant_id)}


async def test_a_role_that_changes_itself_gains_nothing(inside: Connection, admin: Connection, world: World) -> None:
    """Postgres lets a role do this; `daymark doctor` names what it finds."""
    theirs = world.stranger.tenant_id
    try:
        assert await refuses(inside, f"alter role daymark_service set app.tenant_id = '{theirs}'")
        await inside.execute(
            "alter role daymark_service set search_path = pg_temp; alter role daymark_service password 'x'"
        )
        assert await tenants_seen(inside) == {world.caller.tenant_id}
    finally:
        await admin.execute("alter role daymark_service reset all; alter role daymark_service password null")


@pytest.mark.parametrize("view", VIEWS)
async def test_a_leaky_condition_over_a_view_sees_ones_own_rows(inside: Connection, world: World, view: str) -> None:
    """The cheapest that there is without a function of one's own: an error that repeats the value."""
    with pytest.raises(asyncpg.InvalidTextRepresentationError) as told:
        await inside.fetch(f"select from app.{view} where (tenant_id::text || 'x')::uuid is not null")

    assert str(world.caller.tenant_id) in str(told.value)


async def test_another_persons_day_is_not_deleted(as_service: Connection, admin: Connection, world: World) -> None:
    await enter(as_service, world.colleague)
    assert await as_service.fetchval("select app.delete_pattern('2026-11-22')") is True
    assert await as_service.fetchval("select app.delete_pattern('2026-11-22')") is False

    left = await admin.fetch(
        "select user_id from app.pattern_data where user_id = any($1)", [person.user_id for person in world]
    )
    assert {row["user_id"] for row in left} == {world.caller.user_id, world.stranger.user_id}


async def test_a_member_sees_nothing_of_a_colleague(inside: Connection, world: World) -> None:
    for table in ("users", "pattern_data", "user_recommendations", "recommendation_runs"):
        seen = await inside.fetch(f"select user_id from app.{table}")
        assert {row["user_id"] for row in seen} == {world.caller.user_id}
    await inside.execute("update app.pattern_data set energy = 1")
    assert (
        await inside.execute(f"update app.pattern_data set energy = 1 where user_id = '{world.colleague.user_id}'")
        == "UPDATE 0"
    )


async def test_merge_changes_ones_own_rows_only(inside: Connection, admin: Connection, world: World) -> None:
    with suppress(asyncpg.InsufficientPrivilegeError):
        await inside.execute(
            "merge into app.pattern_data as mine using (values (1)) as given on true"
            " when matched then update set energy = 1"
        )
    rows = await admin.fetch(
        "select user_id from app.pattern_data where energy = 1 and user_id = any($1)",
        [person.user_id for person in world],
    )
    assert {row["user_id"] for row in rows} <= {world.caller.user_id}
