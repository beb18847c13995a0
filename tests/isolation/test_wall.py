"""The wall between tenants, as Postgres keeps it: what the service's role can reach, whatever it is made to run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

from service import embedded
from service.caller import Caller
from service.database import Connection, Database
from service.queries import DELETE_PATTERN, Query
from service.seal import NOBODY, Seal
from tests.conftest import SEAL_KEY, MakeCaller, copy_database, enter, run_as_admin
from tests.isolation.world import ACCOUNT_ROWS

# A row of every table of schema app for one caller, and how that row is touched: a new table fails the tests until it
# has its line here. The tenant's and the person's own rows are made with the caller.
ROWS = {
    "tenants": None,
    "users": None,
    "pattern_data": (
        "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
        " values ($1, $2, '2026-11-22', 70, 80, 90)"
    ),
    "user_recommendations": (
        "insert into app.user_recommendations"
        " (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, based_on)"
        " values ($1, gen_random_uuid(), $2, '2026-11-22 09:00Z', 1, 'rules', 'Rest', 'It helps. It does.', '{}')"
    ),
    "recommendation_runs": (
        "insert into app.recommendation_runs"
        " (tenant_id, run_id, user_id, reason, started_at, lease_until, engine, based_on)"
        " values ($1, gen_random_uuid(), $2, 'missed', '2026-11-22 09:00Z', '2026-11-22 09:00:09Z', 'rules', '{}')"
    ),
    # The tenant's, not the person's: a day of its own for each who adds one.
    "budget_use": (
        "insert into app.budget_use (tenant_id, date, calls, tokens)"
        " select $1, '2026-11-22'::date - count(*)::integer, 1, 500 from app.budget_use"
        " where tenant_id = $1 and $2::uuid is not null"
    ),
    # The tenant's as well: a row for each who uses a limit.
    "rate_limits": (
        "insert into app.rate_limits (tenant_id, subject, used, ends_at)"
        " values ($1, sha256($2::uuid::text::bytea), 1, '2026-11-22 10:00Z')"
    ),
} | ACCOUNT_ROWS
UPDATES = {
    "sessions": "update app.sessions set used_at = '2026-11-22 10:00Z'",
    "refresh_tokens": "update app.refresh_tokens set used_at = '2026-11-22 10:00Z'",
    "budget_use": "update app.budget_use set calls = 2",
    "rate_limits": "update app.rate_limits set used = 2",
    "recommendation_runs": "update app.recommendation_runs set calls = 2",
    "pattern_data": "update app.pattern_data set energy = 1",
    "user_recommendations": "update app.user_recommendations set viewed_at = '2026-11-22 10:00Z'",
}
INSERTS = {"users": "insert into app.users (tenant_id, user_id) values ($1, gen_random_uuid())"} | {
    table: statement for table, statement in ROWS.items() if statement
}
TABLES = sorted(ROWS)
# The rows of the tenant as a whole, which all its people see.
TENANTS_OWN = {"tenants", "budget_use", "rate_limits"}
# What the wall itself stands on, which only the owner reads: no tenant's rows.
OWNERS = ["pins", "seal_keys"]
# A tenant's rows that are granted to nobody: app.find_login gives one out, to whoever has no tenant yet.
UNGRANTED = ["credentials"]
NO_TENANT = "no tenant in context"


@pytest.fixture
async def seeded(admin: Connection, caller: Caller, stranger: Caller, make_caller: MakeCaller) -> tuple[Caller, Caller]:
    """Give a person of each of two tenants, with a row in every table; each has a colleague with as many."""
    for person in (caller, stranger, await make_caller(caller), await make_caller(stranger)):
        for statement in filter(None, ROWS.values()):
            await admin.execute(statement, person.tenant_id, person.user_id)
    return caller, stranger


@pytest.fixture(scope="module")
def scratch(postgres: embedded.Server, template: str) -> Iterator[str]:
    name = copy_database(postgres, template)
    yield name
    run_as_admin(postgres, "postgres", f"drop database {name} with (force)")


@pytest.fixture
def ruined(postgres: embedded.Server, scratch: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Give the administrator of a database that the test may break, inside a transaction that is taken back."""
    with closing(psycopg.connect(postgres.url("postgres", scratch))) as connection:
        yield connection


def asking(statement: str) -> Query:
    """Make a query of a statement whose author forgot the tenant; it runs once the caller has entered."""
    after = f"select rows.* from ({statement}) as rows where caller.tenant_id is not null offset 0"
    return Query(
        "forgotten", statement, (), f"select q.* from app.enter($1, $2, $3) as caller, lateral ({after}) as q", ()
    )


@asynccontextmanager
async def context(connection: Connection, caller: Caller) -> AsyncIterator[None]:
    """Let a caller in by hand, for one transaction that is taken back."""
    transaction = connection.transaction()
    await transaction.start()
    await enter(connection, caller, local=True)
    try:
        yield
    finally:
        await transaction.rollback()


async def test_every_table_is_seeded_here(admin: Connection) -> None:
    found = await admin.fetch(
        "select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')"
        " and not relispartition order by relname"
    )

    assert [row["relname"] for row in found] == sorted([*TABLES, *OWNERS, *UNGRANTED])


async def test_two_tenants_have_rows_in_every_table(seeded: tuple[Caller, Caller], admin: Connection) -> None:
    for table in TABLES:
        for person in seeded:
            assert await admin.fetchval(f"select count(*) from app.{table} where tenant_id = $1", person.tenant_id) > 0


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_tenant_a_table_refuses(
    table: str, as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NO_TENANT):
        await as_service.fetch(f"select tenant_id from app.{table}")

    # Once a context has ended, the connection holds '' and not NULL.
    async with context(as_service, seeded[0]):
        assert await as_service.fetch(f"select tenant_id from app.{table}")
    assert await as_service.fetchval("select current_setting('app.tenant_id')") == ""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NO_TENANT):
        await as_service.fetch(f"select tenant_id from app.{table}")


@pytest.mark.parametrize(("table", "statement"), UPDATES.items())
@pytest.mark.usefixtures("seeded")
async def test_without_a_tenant_nothing_is_changed(table: str, statement: str, as_service: Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NO_TENANT):
        await as_service.execute(statement)
    assert table in TABLES


@pytest.mark.usefixtures("seeded")
async def test_without_a_tenant_no_day_is_deleted(as_service: Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=NO_TENANT):
        await as_service.execute("select app.delete_pattern('2026-11-22')")


@pytest.mark.parametrize(("table", "statement"), INSERTS.items())
async def test_without_a_tenant_nothing_is_inserted(
    table: str, statement: str, as_service: Connection, caller: Caller
) -> None:
    own = [caller.tenant_id, caller.user_id][: statement.count("$")]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_service.execute(statement, *own)
    assert table in TABLES


async def test_no_partition_can_be_read_whatever_the_tenant(
    admin: Connection, as_service: Connection, caller: Caller
) -> None:
    partitions = await admin.fetch(
        "select oid::regclass::text as name from pg_class where relispartition and relkind = 'r'"
    )

    assert len(partitions) >= 17
    for partition in partitions:
        for statement in (f"select from {partition['name']}", f"delete from {partition['name']}"):
            async with context(as_service, caller):
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                    await as_service.execute(statement)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "garbage", ["x", " ", "%", "0", "00000000-0000-0000-0000-00000000000", "null", "' or true --", "*"]
)
async def test_what_is_no_id_is_no_tenant(
    table: str, garbage: str, as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    async with context(as_service, seeded[0]):
        await as_service.execute("select set_config('app.tenant_id', $1, true)", garbage)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="the context is not sealed"):
            async with as_service.transaction():
                await as_service.fetch(f"select tenant_id from app.{table}")


async def test_an_id_that_nobody_has_sees_nothing(database: Database, seeded: tuple[Caller, Caller]) -> None:
    nobody = Caller(uuid4(), seeded[0].user_id, "admin")

    for table in TABLES:
        assert await database.read(nobody, asking(f"select tenant_id from app.{table}")) == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ["member", "admin"])
async def test_another_tenants_rows_are_never_read(
    table: str, role: str, database: Database, seeded: tuple[Caller, Caller]
) -> None:
    caller, stranger = Caller(seeded[0].tenant_id, seeded[0].user_id, role), seeded[1]  # type: ignore[arg-type]
    everything = asking(f"select tenant_id from app.{table}")
    theirs = asking(f"select tenant_id from app.{table} where tenant_id = '{stranger.tenant_id}'")
    either = asking(f"select tenant_id from app.{table} where tenant_id = '{stranger.tenant_id}' or true")

    for query, expected in ((everything, {caller.tenant_id}), (theirs, set()), (either, {caller.tenant_id})):
        read = await database.read(caller, query)
        async with database.transaction(caller) as transaction:
            fetched = await transaction.fetch(query)
        assert {row["tenant_id"] for row in read} == expected
        assert {row["tenant_id"] for row in fetched} == expected


@pytest.mark.parametrize(
    ("table", "statement"), [(table, statement) for table, statement in UPDATES.items() if table not in TENANTS_OWN]
)
async def test_only_ones_own_rows_are_changed_even_by_an_admin(
    table: str, statement: str, database: Database, admin: Connection, seeded: tuple[Caller, Caller]
) -> None:
    caller, stranger = Caller(seeded[0].tenant_id, seeded[0].user_id, "admin"), seeded[1]
    others = f"select * from app.{table} where user_id <> $1 and tenant_id = any($2) order by user_id"
    tenants = [caller.tenant_id, stranger.tenant_id]
    before = await admin.fetch(others, caller.user_id, tenants)

    async with database.transaction(caller) as transaction:
        theirs = await transaction.fetch(asking(f"{statement} where tenant_id = '{stranger.tenant_id}' returning 1"))
        changed = await transaction.fetch(asking(f"{statement} returning user_id"))

    assert theirs == []
    assert [row["user_id"] for row in changed] == [caller.user_id]
    assert len(before) == 3
    assert await admin.fetch(others, caller.user_id, tenants) == before


async def test_a_day_is_deleted_of_its_own_person_only_even_by_an_admin(
    database: Database, admin: Connection, seeded: tuple[Caller, Caller]
) -> None:
    """Of the four who have this day, and though the function that deletes it runs as the owner."""
    caller, stranger = Caller(seeded[0].tenant_id, seeded[0].user_id, "admin"), seeded[1]
    left = "select * from app.pattern_data where tenant_id = any($1) order by user_id"
    tenants = [caller.tenant_id, stranger.tenant_id]
    before = await admin.fetch(left, tenants)

    async with database.transaction(caller) as transaction:
        deleted = [await transaction.fetch(DELETE_PATTERN, date=date(2026, 11, 22)) for _ in range(2)]

    assert [[row["deleted"] for row in rows] for rows in deleted] == [[True], [False]]
    assert len(before) == 4
    assert await admin.fetch(left, tenants) == [row for row in before if row["user_id"] != caller.user_id]


@pytest.mark.parametrize("table", INSERTS)
async def test_no_row_is_inserted_for_another_tenant(
    table: str, as_service: Connection, admin: Connection, caller: Caller, stranger: Caller
) -> None:
    statement, count = INSERTS[table], f"select count(*) from app.{table} where tenant_id = $1"
    before = await admin.fetchval(count, stranger.tenant_id)
    own = [stranger.tenant_id, stranger.user_id][: statement.count("$")]

    for one in (caller, Caller(caller.tenant_id, stranger.user_id, "admin")):
        async with context(as_service, one):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="violates row-level security policy"):
                await as_service.execute(statement, *own)
    assert await admin.fetchval(count, stranger.tenant_id) == before


async def test_a_row_cannot_be_given_to_another_tenant(as_service: Connection, seeded: tuple[Caller, Caller]) -> None:
    for table in TABLES:
        async with context(as_service, seeded[0]):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await as_service.execute(f"update app.{table} set tenant_id = $1", seeded[1].tenant_id)


async def test_what_is_the_tenants_own_is_changed_by_its_people_and_for_no_other(
    database: Database, admin: Connection, seeded: tuple[Caller, Caller]
) -> None:
    caller, stranger = seeded
    theirs = "select * from app.budget_use where tenant_id = $1 order by date"
    before = await admin.fetch(theirs, stranger.tenant_id)

    async with database.transaction(caller) as transaction:
        update = UPDATES["budget_use"]
        none = await transaction.fetch(asking(f"{update} where tenant_id = '{stranger.tenant_id}' returning 1"))
        changed = await transaction.fetch(asking(f"{update} returning tenant_id"))

    assert none == []
    assert [row["tenant_id"] for row in changed] == [caller.tenant_id] * 2
    assert len(before) == 2
    assert await admin.fetch(theirs, stranger.tenant_id) == before


@pytest.mark.parametrize("table", [table for table in TABLES if table not in TENANTS_OWN])
async def test_a_member_sees_their_own_rows_and_an_admin_their_tenants(
    table: str, database: Database, seeded: tuple[Caller, Caller], make_caller: MakeCaller
) -> None:
    member = seeded[0]
    admin = await make_caller(member, role="admin")
    query = asking(f"select user_id from app.{table}")

    assert {row["user_id"] for row in await database.read(member, query)} == {member.user_id}
    seen = {row["user_id"] for row in await database.read(admin, query)}
    assert member.user_id in seen
    assert len(seen - {admin.user_id}) == 2


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_that_is_read_checks_the_context_once(
    table: str, as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    """The floor and the policy on it are one condition to the planner, for they are spelled alike."""
    async with context(as_service, seeded[0]):
        plan = await as_service.fetch(f"explain (verbose, costs off) select from app.{table}")

    assert "".join(row[0] for row in plan).count("app.verified_context()") == 1


@pytest.mark.parametrize("role", ["", "Admin", "superuser", "analyst", "tenant", "member' or 'admin", "admin "])
async def test_a_role_that_is_not_admin_is_none(
    role: str, as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    async with context(as_service, Caller(seeded[0].tenant_id, seeded[0].user_id, role)):  # type: ignore[arg-type]
        seen = await as_service.fetch("select user_id from app.pattern_data")

    assert [row["user_id"] for row in seen] == [seeded[0].user_id]


async def test_nobody_has_rows_of_their_own_without_a_person(
    as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    async with context(as_service, Caller(seeded[0].tenant_id, NOBODY)):
        assert await as_service.fetch("select user_id from app.pattern_data") == []


@pytest.mark.parametrize("table", TABLES)
async def test_a_read_that_would_run_before_its_caller_has_entered_is_refused(
    table: str, as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    """Nothing in such a query forces the order; whatever the planner chooses, it is refused or right."""
    caller = seeded[0]
    seal = Seal(SEAL_KEY).sign(caller, as_service.get_server_pid(), datetime.now(UTC) + timedelta(minutes=1))
    statement = f"select q.* from (select tenant_id from app.{table}) as q, app.enter($1, $2, $3)"
    await as_service.execute("set enable_material = off")
    seen, said = {caller.tenant_id}, NO_TENANT
    try:
        seen = {row["tenant_id"] for row in await as_service.fetch(statement, caller.tenant_id, caller.user_id, seal)}
    except asyncpg.InsufficientPrivilegeError as refused:
        said = str(refused.args[0])

    assert (seen, said) == ({caller.tenant_id}, NO_TENANT)


async def test_one_statement_in_another_tenants_place_does_not_reach_across(
    database: Database, seeded: tuple[Caller, Caller]
) -> None:
    """One connection serves both in turn; the plan that the first one left has nothing of theirs."""
    query = asking("select tenant_id, user_id from app.pattern_data")
    for _ in range(8):
        for person in seeded:
            assert [tuple(row) for row in await database.read(person, query)] == [(person.tenant_id, person.user_id)]


async def test_the_services_role_can_do_nothing_that_it_need_not(admin: Connection) -> None:
    role = await admin.fetchrow(
        "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit"
        " from pg_roles where rolname = 'daymark_service'"
    )
    assert role is not None
    assert list(role.values()) == [False] * 6
    assert (
        await admin.fetchval(
            "select count(*) from pg_auth_members where 'daymark_service'::regrole in (member, roleid)"
        )
        == 0
    )
    assert (
        await admin.fetchval(
            "select count(*) from pg_shdepend where refobjid = 'daymark_service'::regrole and deptype = 'o'"
        )
        == 0
    )


@pytest.mark.parametrize(
    "statement",
    [
        "create temporary table pinned ()",
        "create table app.own ()",
        "create table public.own ()",
        "create schema own",
        "create function app.own() returns int return 1",
        "create view app.own as select 1",
        "create role other",
        "alter table app.users disable row level security",
        "alter table app.users no force row level security",
        "drop policy tenant_floor on app.users",
        "truncate app.pattern_data",
        "lock table app.user_recommendations in share mode",
        "lock table app.users in share mode",
        "alter role daymark_service bypassrls",
        "set role postgres",
        "set session authorization postgres",
        "set session_replication_role = replica",
        "call app.isolate('app.users')",
        "call app.add_partitions('2031-01-01', '2031-01-01')",
        "insert into app.tenants (slug, name) values ('own', 'own')",
        "update app.users set role = 'admin'",
        "delete from app.users",
        "delete from app.pattern_data",
        "delete from app.user_recommendations",
        "delete from app.recommendation_runs",
        "delete from app.budget_use",
        "delete from app.rate_limits",
        "lock table app.rate_limits in share mode",
        "update app.tenants set daily_calls = null",
        "update app.recommendation_runs set lease_until = now()",
        "select from app.seal_keys",
        "select from app.pins",
        "select * from migrations.contents",
        "select lo_create(0)",
        "select pg_advisory_lock(1)",
        "select pg_notify('all', 'x')",
        "select pg_export_snapshot()",
        "select from pg_stat_get_activity(null)",
        "select pg_read_file('postgresql.conf')",
        "copy app.pattern_data to '/out'",
        "copy (select 1) to program 'true'",
    ],
)
async def test_what_the_services_role_may_not_do(statement: str, as_service: Connection, caller: Caller) -> None:
    async with context(as_service, caller):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await as_service.execute(statement)


async def test_turning_row_security_off_gives_an_error_and_no_rows(
    as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    async with context(as_service, seeded[0]):
        await as_service.execute("set local row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="affected by row-level security"):
            await as_service.fetch("select tenant_id from app.users")


async def test_rights_are_by_column_and_no_more_than_listed(admin: Connection) -> None:
    tables = await admin.fetch(
        "select format('%s %s %s', relname, grantee::regrole, string_agg(privilege_type, ', ' order by privilege_type))"
        " as granted from pg_class, aclexplode(relacl) where relnamespace = 'app'::regnamespace"
        " and grantee <> relowner group by relname, grantee order by granted"
    )
    columns = await admin.fetch(
        "select format("
        "'%s %s %s %s', relname, grantee::regrole, privilege_type, string_agg(attname, ', ' order by attnum)"
        ") as granted from pg_attribute join pg_class on pg_class.oid = attrelid, aclexplode(attacl)"
        " where relnamespace = 'app'::regnamespace and grantee <> relowner"
        " group by relname, grantee, privilege_type order by granted"
    )

    assert [row["granted"] for row in tables] == [
        "audit_events daymark_service SELECT",
        "budget_use daymark_analyst SELECT",
        "budget_use daymark_service SELECT",
        "cache_hits daymark_analyst SELECT",
        "cache_hits daymark_service SELECT",
        "daily_averages daymark_analyst SELECT",
        "daily_averages daymark_service SELECT",
        "engine_use daymark_analyst SELECT",
        "engine_use daymark_service SELECT",
        "pattern_data daymark_analyst SELECT",
        "pattern_data daymark_service SELECT",
        "rate_limits daymark_service SELECT",
        "recommendation_runs daymark_analyst SELECT",
        "recommendation_runs daymark_service SELECT",
        "refresh_tokens daymark_service SELECT",
        "sessions daymark_service SELECT",
        "tenants daymark_analyst SELECT",
        "tenants daymark_service SELECT",
        "user_recommendations daymark_analyst SELECT",
        "user_recommendations daymark_service SELECT",
        "users daymark_analyst SELECT",
        "users daymark_service SELECT",
    ]
    assert [row["granted"] for row in columns] == [
        "audit_events daymark_service INSERT tenant_id, user_id, occurred_at, kind, session_id, address, detail",
        "budget_use daymark_service INSERT tenant_id, date, calls, tokens",
        "budget_use daymark_service UPDATE calls, tokens",
        "pattern_data daymark_service INSERT tenant_id, user_id, date, energy, focus, fulfillment, recorded_at",
        "pattern_data daymark_service UPDATE energy, focus, fulfillment, recorded_at, revision",
        "rate_limits daymark_service INSERT tenant_id, subject, used, ends_at",
        "rate_limits daymark_service UPDATE used, ends_at",
        (
            "recommendation_runs daymark_service INSERT tenant_id, run_id, user_id, reason, started_at, lease_until,"
            " engine, model, prompt_version, based_on"
        ),
        (
            "recommendation_runs daymark_service UPDATE outcome, finished_at, given, calls, tokens_in, tokens_out,"
            " cost, duration_ms"
        ),
        "refresh_tokens daymark_service INSERT tenant_id, token_hash, user_id, session_id, issued_at",
        "refresh_tokens daymark_service UPDATE used_at",
        (
            "sessions daymark_service INSERT tenant_id, session_id, user_id, created_at, used_at, expires_at, address,"
            " agent"
        ),
        "sessions daymark_service UPDATE used_at, expires_at, ended_at, ended_reason",
        (
            "user_recommendations daymark_service INSERT tenant_id, id, user_id, generated_at, position, engine,"
            " recommendation, reasoning, data_point, based_on, topic, fallback, cleared_at"
        ),
        "user_recommendations daymark_service UPDATE viewed_at, helpful, note, judged_at, cleared_at",
        "users daymark_service INSERT tenant_id, user_id",
    ]


FLOORS = [
    "((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,\n    true))",
    (
        "((tenant_id,\nCASE\n    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id\n"
        "    ELSE '00000000-0000-0000-0000-000000000000'::uuid\nEND, true) = ( SELECT reach.tenant_id,\n"
        "    reach.user_id,\n    true\n   FROM app.reach() reach(tenant_id, user_id)))"
    ),
]


async def test_every_table_and_partition_is_enabled_forced_and_floored(admin: Connection) -> None:
    weak = await admin.fetch(
        """
        select relname
        from pg_class
        where relnamespace = 'app'::regnamespace
          and relkind in ('r', 'p')
          and not (
              relrowsecurity
              and relforcerowsecurity
              and exists (
                  select
                  from pg_policies
                  where schemaname = 'app'
                    and tablename = relname
                    and permissive = 'RESTRICTIVE'
                    and roles = '{public}'
                    and cmd = 'ALL'
                    and qual = any($1)
                    and with_check = qual
              )
          )
        """,
        FLOORS,
    )

    # Those have no policy at all: behind their row security there is no way in.
    assert sorted(row["relname"] for row in weak) == OWNERS


async def test_what_only_the_owner_reads_is_shut_even_to_whom_a_right_was_given(admin: Connection) -> None:
    shut = await admin.fetch(
        "select relname from pg_class where relnamespace = 'app'::regnamespace and relname = any($1)"
        " and relrowsecurity and relforcerowsecurity"
        " and not exists (select from pg_policy where polrelid = pg_class.oid) order by relname",
        OWNERS,
    )

    assert [row["relname"] for row in shut] == OWNERS


async def test_the_tenant_leads_every_key_and_index(admin: Connection) -> None:
    misled = await admin.fetch(
        """
        select indexrelid::regclass::text as name
        from pg_index
        join pg_class on pg_class.oid = indrelid
        where relnamespace = 'app'::regnamespace
          and indkey[0] <> (select attnum from pg_attribute where attrelid = indrelid and attname = 'tenant_id')
        """
    )

    # A slug is unique among all tenants; migration 0004 says why this index tells nobody anything.
    assert [row["name"] for row in misled] == ["app.tenants_slug_key"]


async def test_another_tenants_slug_is_not_looked_up_in_its_index(
    as_service: Connection, seeded: tuple[Caller, Caller]
) -> None:
    async with context(as_service, seeded[0]):
        await as_service.execute("set local enable_seqscan = off")
        lines = await as_service.fetch(
            f"explain (analyze, costs off) select from app.tenants where lower(slug) = 't-{seeded[1].tenant_id.hex}'"
        )
    plan = "\n".join(row[0] for row in lines)

    assert "tenants_slug_key" not in plan
    assert "tenants_pkey" in plan


async def test_no_statistics_are_kept_of_text(admin: Connection) -> None:
    kept = await admin.fetch(
        """
        select attrelid::regclass::text as relation, attname
        from pg_attribute
        join pg_class on pg_class.oid = attrelid
        where relnamespace = 'app'::regnamespace
          and relkind in ('r', 'p')
          and atttypid in ('text'::regtype, 'jsonb'::regtype)
          and not attisdropped
          and attstattarget is distinct from 0
        """
    )

    # The id of a key: nobody but the owner can have a plan made that looks at this table.
    assert [tuple(row) for row in kept] == [("app.seal_keys", "key_id")]


def test_force_binds_an_owner_who_is_no_superuser(ruined: psycopg.Connection[tuple[object, ...]]) -> None:
    ruined.execute("insert into app.tenants (slug, name) values ('one', 'x'), ('two', 'x')")
    ruined.execute("insert into app.users (tenant_id) select tenant_id from app.tenants")
    ruined.execute("create role landlord")
    ruined.execute("grant all on schema app to landlord; grant execute on all functions in schema app to landlord")
    ruined.execute("alter table app.users owner to landlord; set local role landlord")

    assert ruined.execute("select count(*) from app.users").fetchone() == (0,)
    # Even a policy that lets everything through does not open what the floor keeps shut.
    ruined.execute("create policy everything on app.users to landlord using (true)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=NO_TENANT), ruined.transaction():
        ruined.execute("select count(*) from app.users")
    ruined.execute("alter table app.users no force row level security")
    assert ruined.execute("select count(*) from app.users").fetchone() == (2,)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id uuid primary key", 'app.fresh needs a column "tenant_id uuid not null"'),
        ("tenant_id uuid", 'app.fresh needs a column "tenant_id uuid not null"'),
        ("tenant_id text not null", 'app.fresh needs a column "tenant_id uuid not null"'),
        ("tenant_id uuid not null, id uuid primary key", "app.fresh has keys that tenant_id does not lead: fresh_pkey"),
        (
            "tenant_id uuid not null, id uuid, primary key (id, tenant_id)",
            "app.fresh has keys that tenant_id does not lead: fresh_pkey",
        ),
        (
            "tenant_id uuid not null, slug text unique",
            "app.fresh has keys that tenant_id does not lead: fresh_slug_key",
        ),
        (
            (
                "tenant_id uuid not null, who uuid,"
                " constraint who_fkey foreign key (who, tenant_id) references app.users (user_id, tenant_id)"
            ),
            "app.fresh has keys that tenant_id does not lead: who_fkey",
        ),
        (
            (
                "tenant_id uuid not null, who uuid,"
                " constraint who_fkey foreign key (tenant_id, who) references app.users (user_id, tenant_id)"
            ),
            "app.fresh has keys that tenant_id does not lead: who_fkey",
        ),
    ],
)
def test_isolate_refuses_a_table_that_would_leak(
    ruined: psycopg.Connection[tuple[object, ...]], columns: str, said: str
) -> None:
    ruined.execute("create unique index on app.users (user_id, tenant_id)")
    ruined.execute(f"create table app.fresh ({columns})".encode())

    with pytest.raises(psycopg.errors.InvalidTableDefinition) as refused:
        ruined.execute("call app.isolate('app.fresh')")
    assert refused.value.diag.message_primary == said


@pytest.mark.parametrize("index", ["(made_at)", "(lower(what))", "(made_at, tenant_id)"])
def test_isolate_refuses_an_index_that_the_tenant_does_not_lead(
    ruined: psycopg.Connection[tuple[object, ...]], index: str
) -> None:
    ruined.execute(
        "create table app.fresh (tenant_id uuid not null, what text, made_at date, primary key (tenant_id, what))"
    )
    ruined.execute(f"create index fresh_misled on app.fresh {index}".encode())

    with pytest.raises(psycopg.errors.InvalidTableDefinition) as refused:
        ruined.execute("call app.isolate('app.fresh')")
    assert refused.value.diag.message_primary == (
        "app.fresh has indexes that tenant_id does not lead: app.fresh_misled"
    )


@pytest.mark.parametrize("expression", ["slug = 'a'", "app.plain(slug)"])
def test_isolate_takes_a_unique_name_of_a_tenant_only_where_row_security_keeps_its_index_unused(
    ruined: psycopg.Connection[tuple[object, ...]], expression: str
) -> None:
    ruined.execute("create table app.fresh (tenant_id uuid primary key, slug text not null)")
    ruined.execute("create unique index fresh_slug_key on app.fresh (lower(slug))")
    ruined.execute("call app.isolate('app.fresh')")

    # What is leakproof is looked up in an index before the policies are asked.
    ruined.execute(
        "create function app.plain(text) returns text language plpgsql immutable leakproof as 'begin return $1; end'"
    )
    ruined.execute(f"create index fresh_misled on app.fresh (({expression}))".encode())
    with pytest.raises(psycopg.errors.InvalidTableDefinition, match=r"does not lead: app\.fresh_misled\n"):
        ruined.execute("call app.isolate('app.fresh')")


def test_a_refused_table_is_left_as_it_was(ruined: psycopg.Connection[tuple[object, ...]]) -> None:
    ruined.execute("create table app.fresh (tenant_id uuid not null, id uuid primary key)")
    with pytest.raises(psycopg.errors.InvalidTableDefinition), ruined.transaction():
        ruined.execute("call app.isolate('app.fresh')")

    assert ruined.execute("select relrowsecurity from pg_class where relname = 'fresh'").fetchone() == (False,)


DAMAGES = [
    "drop policy tenant_floor on app.{table}",
    "alter policy tenant_floor on app.{table} using (true) with check (true)",
    "alter policy tenant_floor on app.{table} to daymark_service",
    "create policy hole on app.{table} using (true)",
    "alter table app.{table} disable row level security",
    "alter table app.{table} no force row level security",
    "grant all on app.{table} to public",
]


@pytest.mark.parametrize("table", TABLES)
def test_isolate_called_again_puts_right_what_was_altered_by_hand(
    ruined: psycopg.Connection[tuple[object, ...]], table: str
) -> None:
    def state() -> list[tuple[object, ...]]:
        return ruined.execute(
            """
            select relrowsecurity, relforcerowsecurity, relacl::text, array(
                select (polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                    pg_get_expr(polwithcheck, polrelid))::text
                from pg_policy where polrelid = pg_class.oid order by 1
            )
            from pg_class where oid = %s::regclass
            """,
            (f"app.{table}",),
        ).fetchall()

    before = state()
    for damage in DAMAGES:
        ruined.execute(damage.format(table=table).encode())
        assert state() != before

        ruined.execute("call app.isolate(%s)", (f"app.{table}",))
        assert state() == before


async def test_a_reference_into_another_tenant_is_refused_like_one_to_nobody(
    as_service: Connection, caller: Caller, stranger: Caller
) -> None:
    """A foreign key whose tenant did not lead would tell that this person exists."""
    said = []
    for person in (stranger.user_id, UUID(int=1)):
        async with context(as_service, Caller(caller.tenant_id, person)):
            with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
                await as_service.execute(INSERTS["pattern_data"], caller.tenant_id, person)
            said.append(str(refused.value).replace(str(person), "…"))

    assert said[0] == said[1]


def test_a_new_table_or_function_that_nobody_granted_is_shut_to_the_service(
    ruined: psycopg.Connection[tuple[object, ...]],
) -> None:
    ruined.execute("create table app.forgotten (tenant_id uuid not null)")
    ruined.execute("create function app.forgotten() returns int return 1")
    ruined.execute("set local role daymark_service")

    for statement in ("select from app.forgotten", "select app.forgotten()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), ruined.transaction():
            ruined.execute(statement.encode())
