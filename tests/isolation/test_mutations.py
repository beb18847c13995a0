"""Mutation tests of the wall: weaken each part of it in turn, and see doctor or a real attack tell.

A mutant is what a mistaken migration, a careless operator or a clever intruder might leave behind. It is made inside a
transaction, doctor examines what it sees there, and all is rolled back. One that doctor lets pass is made for good in a
scratch database, where every attack is tried on it. One that neither notices has survived, which is a defect.

The attacks are real ones, as the logins of the service and of an analyst; each is itself shown to succeed once its part
of the wall is gone, so that none fails for another reason. `pytest -rP` prints each mutant and what killed it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest

from service import embedded, migrating
from service.caller import Caller
from service.database import Connection
from service.doctor import UNEXAMINED, examine
from service.probes import released_functions
from service.seal import Seal
from service.setting_values import Secret

SEAL = Seal(Secret("a seal key of the mutation tests, of no use elsewhere"))
LIFE = timedelta(minutes=5)

ADA, BOB, EVE = (Caller(UUID(int=tenant), UUID(int=user)) for tenant, user in ((1, 11), (1, 12), (2, 21)))
ANALYST = "ada_analyst"  # pinned to the tenant of Ada and Bob

ISOLATED = (
    "tenants",
    "users",
    "pattern_data",
    "pattern_data_default",
    "{month}",
    "user_recommendations",
    "recommendation_runs",
    "budget_use",
    "rate_limits",
)
# The rows of the tenant as a whole, and nobody's own.
TENANTS_OWN = ("tenants", "budget_use", "rate_limits")
PARTITIONS = ("pattern_data_default", "{month}")
SECRET = ("seal_keys", "pins")
VIEWS = ("daily_averages", "engine_use", "cache_hits")
CLUSTERS_OWN = "roles"
LANES = 2
ROLES = ("daymark_service", "daymark_analyst", ANALYST)


class Attack(NamedTuple):
    """Statements of one login, of which the last gives true if it got what it came for."""

    name: str
    login: str
    statements: tuple[str, ...]
    opened_by: str
    """The mutant that lets it through."""
    undone_by: str = "select"
    """What puts back what a scratch database does not keep to itself."""


class Mutant(NamedTuple):
    part: str
    """The part of the wall that it weakens."""
    sql: str


class Wall(NamedTuple):
    """A server of its own, for roles belong to all of its databases, and a database that is copied for each attack."""

    server: embedded.Server
    template: str
    month: str
    """The partition of this month."""
    version: int


@pytest.fixture(scope="module")
async def wall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wall]:
    with embedded.running(tmp_path_factory.mktemp("wall"), purpose="mutation tests", durable=False) as server:
        admin = await asyncpg.connect(server.url("postgres", "postgres"))
        await admin.execute("create database wall")
        migrating.up(server.url("postgres", "wall"))
        seeded = await asyncpg.connect(server.url("postgres", "wall"))
        await _seed(seeded)
        month = await seeded.fetchval("select 'pattern_data_' || to_char(current_date, 'YYYY_MM')")
        version = seeded.get_server_version().major
        await seeded.close()
        await admin.close()
        yield Wall(server, "wall", month, version)


async def _seed(connection: Connection) -> None:
    inner, outer = SEAL.pads
    await connection.execute(
        "insert into app.seal_keys (key_id, inner_pad, outer_pad) values ($1, $2, $3)", SEAL.key_id, inner, outer
    )
    for number, people in enumerate(((ADA, BOB), (EVE,)), start=1):
        await connection.execute(
            "insert into app.tenants (tenant_id, slug, name) values ($1, $2, $2)", people[0].tenant_id, f"t{number}"
        )
        for person in people:
            own = (person.tenant_id, person.user_id)
            await connection.execute("insert into app.users (tenant_id, user_id) values ($1, $2)", *own)
            await connection.execute(
                "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
                " values ($1, $2, current_date, 50, 50, 50)",
                *own,
            )
            await connection.execute(
                "insert into app.user_recommendations (tenant_id, user_id, id, generated_at, position, engine,"
                " recommendation, reasoning, based_on) values ($1, $2, $3, now(), 1, 'rules', 'sleep', 'well', '{}')",
                *own,
                uuid4(),
            )
            await connection.execute(
                "insert into app.recommendation_runs (tenant_id, user_id, run_id, reason, started_at, lease_until,"
                " engine, based_on) values ($1, $2, $3, 'missed', now(), now(), 'rules', '{}')",
                *own,
                uuid4(),
            )
        await connection.execute(
            "insert into app.budget_use (tenant_id, date, calls, tokens) values ($1, current_date, 1, 500)",
            people[0].tenant_id,
        )
        await connection.execute(
            "insert into app.rate_limits (tenant_id, subject, used, ends_at)"
            " values ($1, sha256('one'), 1, now() + interval '1 hour')",
            people[0].tenant_id,
        )
    await connection.execute(f"create role {ANALYST} login in role daymark_analyst")
    await connection.execute("insert into app.pins (login, tenant) values ($1, $2)", ANALYST, ADA.tenant_id)


async def test_the_wall_as_it_stands_is_without_a_finding(wall: Wall) -> None:
    async with _scratch(wall) as database, _connected(wall, "postgres", database) as admin:
        assert [finding for finding in await examine(admin, datetime.now(UTC)) if finding.verdict != "ok"] == []


async def test_no_attack_succeeds_on_the_wall_as_it_stands(wall: Wall) -> None:
    async with _scratch(wall) as database:
        assert await _succeeding(wall, database) == []


async def test_every_attack_succeeds_once_its_part_of_the_wall_is_gone(wall: Wall) -> None:
    failing = []
    for attack in ATTACKS:
        async with _scratch(wall) as database, _connected(wall, "postgres", database) as admin:
            await admin.execute(_named(attack.opened_by, wall))
            if not await _succeeds(wall, database, attack):
                failing.append(attack.name)
            await admin.execute(attack.undone_by)
    assert failing == []


async def test_every_mutant_of_the_wall_is_killed(wall: Wall) -> None:
    mutants = list(_mutants(wall.version))
    # What the databases of the server have in common is changed by one at a time.
    apart = [mutant for mutant in mutants if mutant.part != CLUSTERS_OWN]
    lanes = [_kill_all(wall, apart[lane::LANES]) for lane in range(LANES)]
    found = dict(pair for killed in await asyncio.gather(*lanes) for pair in killed.items())
    found |= await _kill_all(wall, [mutant for mutant in mutants if mutant.part == CLUSTERS_OWN])
    killers = {mutant: found[mutant] for mutant in mutants}

    print(_table(killers))
    assert [mutant for mutant, by in killers.items() if not by] == []


async def _kill_all(wall: Wall, mutants: list[Mutant]) -> dict[Mutant, list[str]]:
    async with _scratch(wall) as database, _connected(wall, "postgres", database) as admin:
        return {mutant: await _kill(wall, admin, mutant) for mutant in mutants}


async def _kill(wall: Wall, admin: Connection, mutant: Mutant) -> list[str]:
    """Give what notices a mutant: the checks of doctor that fail, or else the attacks that succeed."""
    transaction = admin.transaction()
    await transaction.start()
    try:
        await admin.execute(_named(mutant.sql, wall))
        findings = await examine(admin, datetime.now(UTC))
    finally:
        await transaction.rollback()
    # A check that only stumbled has noticed nothing.
    failed = [f.check for f in findings if f.verdict == "fail" and not f.dangers[0].startswith(UNEXAMINED)]
    # What is the whole cluster's would outlive the scratch database, and let later attacks succeed.
    if failed or mutant.part == CLUSTERS_OWN:
        return failed
    async with _scratch(wall) as database:
        async with _connected(wall, "postgres", database) as breaking:
            await breaking.execute(_named(mutant.sql, wall))
        return [f"attack: {name}" for name in await _succeeding(wall, database)]


async def _succeeding(wall: Wall, database: str) -> list[str]:
    return [attack.name for attack in ATTACKS if await _succeeds(wall, database, attack)]


async def _succeeds(wall: Wall, database: str, attack: Attack) -> bool:
    async with _connected(wall, attack.login, database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for statement in attack.statements:
                got = await connection.fetchval(_named(statement, wall, connection.get_server_pid()))
        except asyncpg.PostgresError:
            return False
        finally:
            await transaction.rollback()
    return got is True


def _named(sql: str, wall: Wall, backend: int = 0) -> str:
    """Put names and seals for what stands in braces."""
    later, earlier = datetime.now(UTC) + LIFE, datetime.now(UTC) - LIFE
    seal = SEAL.sign(ADA, backend, later)
    names = {
        "month": wall.month,
        "as_ada": f"select app.enter('{ADA.tenant_id}', '{ADA.user_id}', '{seal}')",
        "ada": ADA.user_id,
        "bob": BOB.user_id,
        "eve": EVE.user_id,
        "t1": ADA.tenant_id,
        "t2": EVE.tenant_id,
        "seal": seal,
        "forged_seal": f"{SEAL.sign(EVE, backend, later)[:-64]}{'0' * 64}",
        "expired_seal": SEAL.sign(EVE, backend, earlier),
        "foreign_seal": SEAL.sign(EVE, backend + 1, later),
    }
    return re.sub(r"\{([a-z_0-9]+)\}", lambda found: str(names[found[1]]), sql)


@asynccontextmanager
async def _scratch(wall: Wall) -> AsyncIterator[str]:
    """Give a copy of the wall that may be broken."""
    name = f"scratch_{uuid4().hex[:12]}"
    async with _connected(wall, "postgres", "postgres") as admin:
        await admin.execute(f"create database {name} template {wall.template}")
        # The rights on a database are not copied with it.
        await admin.execute(f"revoke all on database {name} from public")
        await admin.execute(f"grant connect on database {name} to daymark_service, daymark_analyst")
        try:
            yield name
        finally:
            await admin.execute(f"drop database {name} with (force)")


@asynccontextmanager
async def _connected(wall: Wall, login: str, database: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(wall.server.url(login, database))
    try:
        yield connection
    finally:
        await connection.close()


def _table(killers: dict[Mutant, list[str]]) -> str:
    """Give a line for each mutant and what killed it, then one for each part of the wall."""
    lines = [f"{mutant.part}: {mutant.sql}  <- {', '.join(by) or 'SURVIVED'}" for mutant, by in killers.items()]
    lines.append(f"\nmutants of the wall: {sum(map(bool, killers.values()))} of {len(killers)} killed")
    for part in dict.fromkeys(mutant.part for mutant in killers):
        deaths = [by for mutant, by in killers.items() if mutant.part == part]
        most = Counter(name for by in deaths for name in by).most_common(4)
        by = ", ".join(f"{name} {count}" for name, count in most)
        lines.append(f"  {part:<13} {sum(map(bool, deaths)):>3} of {len(deaths):>3}  {by}")
    return "\n".join(lines)


SERVICE = "daymark_service"
ENTER_FORGED = "select set_config('app.tenant_id', '{t2}', true), set_config('app.seal', '{%s}', true)"
SEES_EVE = "select exists (select from app.users where tenant_id = '{t2}')"


def _altered(function: str, old: str, new: str) -> str:
    """Give the statement that makes a function as the migrations do, but for one thing."""
    definition = released_functions()[function]
    assert old in definition, f"{function} has no {old!r}"
    return definition.replace(old, new)


VERIFIED = "verified_context"
WITHOUT_SEAL = _altered(VERIFIED, "and sha256(convert_to(right", "or sha256(convert_to(right")
WITHOUT_EXPIRY = _altered(VERIFIED, "<= clock_timestamp()", "is null")
WITHOUT_BACKEND = _altered(VERIFIED, "not in (0, pg_backend_pid())", "is null")
WITHOUT_REFUSAL = _altered("refuse", "raise insufficient_privilege using", "return reason; raise notice using")
CONSTANT_TENANT = "create or replace function app.tenant_id() returns uuid language sql stable return '{t2}'::uuid"
BOBS_IN_REACH = _altered("reach", "else nullif(", "when true then '{bob}'::uuid else nullif(")
LEAVE_NO_POLICY = "alter table app.users disable row level security"

ATTACKS = (
    Attack("read without a context", SERVICE, (SEES_EVE,), LEAVE_NO_POLICY),
    Attack(
        "read under a context without a seal",
        SERVICE,
        ("select set_config('app.tenant_id', '{t2}', true)", SEES_EVE),
        "create or replace function app.reach() returns table (tenant_id uuid, user_id uuid) language sql stable as"
        " $$ select current_setting('app.tenant_id')::uuid, '{eve}'::uuid $$",
    ),
    Attack(
        "read under a forged seal",
        SERVICE,
        (ENTER_FORGED % "forged_seal", "select app.tenant_id() = '{t2}'"),
        WITHOUT_SEAL,
    ),
    Attack(
        "read under an expired seal",
        SERVICE,
        (ENTER_FORGED % "expired_seal", "select app.tenant_id() = '{t2}'"),
        WITHOUT_EXPIRY,
    ),
    Attack(
        "read under the seal of another connection",
        SERVICE,
        (ENTER_FORGED % "foreign_seal", "select app.tenant_id() = '{t2}'"),
        WITHOUT_BACKEND,
    ),
    Attack(
        "take another tenant's setting under one's own seal",
        SERVICE,
        (ENTER_FORGED % "seal", "select app.tenant_id() is not null"),
        _altered(VERIFIED, "on given.tenant = substr(given.seal, 23, 36)", "on true"),
    ),
    *(
        Attack(
            f"read another tenant's {table}",
            SERVICE,
            ("{as_ada}", f"select exists (select from app.{table} where tenant_id = '{{t2}}')"),
            f"alter table app.{table} no force row level security; alter table app.{table} disable row level security",
        )
        for table in (
            "tenants",
            "users",
            "pattern_data",
            "user_recommendations",
            "recommendation_runs",
            "budget_use",
            "rate_limits",
        )
    ),
    *(
        Attack(
            f"read a colleague's {table}",
            SERVICE,
            ("{as_ada}", f"select exists (select from app.{table} where user_id = '{{bob}}')"),
            BOBS_IN_REACH,
        )
        for table in ("users", "pattern_data", "user_recommendations", "recommendation_runs")
    ),
    Attack(
        "be an admin as a member",
        SERVICE,
        ("{as_ada}", "select app.role() = 'admin'"),
        "create or replace function app.role() returns text language sql stable return 'admin'",
    ),
    Attack(
        "write into another tenant",
        SERVICE,
        (
            "{as_ada}",
            "insert into app.users (tenant_id, user_id) values ('{t2}', '00000000-0000-0000-0000-0000000000ff')",
            "select true",
        ),
        "alter policy tenant_floor on app.users with check (true);"
        " alter policy own_inserts on app.users with check (true)",
    ),
    Attack(
        "write as a colleague",
        SERVICE,
        (
            "{as_ada}",
            (
                "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
                " values ('{t1}', '{bob}', current_date - 1, 1, 1, 1)"
            ),
            "select true",
        ),
        f"alter policy own_inserts on app.pattern_data with check (true); {BOBS_IN_REACH}",
    ),
    Attack(
        "change a colleague's day",
        SERVICE,
        (
            "{as_ada}",
            (
                "with changed as (update app.pattern_data set energy = 1 where user_id = '{bob}' returning 1)"
                " select exists (select from changed)"
            ),
        ),
        f"alter policy own_updates on app.pattern_data using (true) with check (true); {BOBS_IN_REACH}",
    ),
    Attack(
        "delete a day that is not one's own",
        SERVICE,
        (
            "{as_ada}",
            (
                "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
                " values ('{t1}', '{ada}', current_date - 1, 1, 1, 1)"
            ),
            "select app.delete_pattern(current_date)",
            "select not app.delete_pattern(current_date - 1)",
        ),
        _altered("delete_pattern", "\n      and date = day", ""),
    ),
    Attack(
        "read the seal's keys",
        SERVICE,
        ("select exists (select from app.seal_keys)",),
        "alter table app.seal_keys disable row level security; grant select on app.seal_keys to daymark_service",
    ),
    Attack(
        "read a partition",
        SERVICE,
        ("{as_ada}", "select exists (select from app.{month})"),
        "grant select on app.{month} to daymark_service",
    ),
    Attack(
        "empty a table",
        SERVICE,
        ("truncate app.pattern_data", "select true"),
        "grant truncate on app.pattern_data to daymark_service",
    ),
    Attack(
        "lock a table for everybody",
        SERVICE,
        ("lock table app.pattern_data in exclusive mode", "select true"),
        "grant delete on app.pattern_data to daymark_service",
    ),
    Attack(
        "make a temporary table",
        SERVICE,
        ("create temporary table users (tenant_id uuid)", "select true"),
        "do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$",
    ),
    Attack(
        "make a function",
        SERVICE,
        ("create function public.seen(uuid) returns boolean language sql return true", "select true"),
        "grant usage, create on schema public to daymark_service",
    ),
    Attack(
        "become another role",
        SERVICE,
        ("set local role postgres", "select true"),
        "grant postgres to daymark_service",
        "revoke postgres from daymark_service",
    ),
    Attack(
        "leave a large object",
        SERVICE,
        ("select lo_create(0) > 0",),
        "grant execute on function pg_catalog.lo_create(oid) to public",
    ),
    Attack(
        "hold an advisory lock",
        SERVICE,
        ("select pg_try_advisory_lock(1)",),
        "grant execute on function pg_catalog.pg_try_advisory_lock(bigint) to public",
    ),
    Attack(
        "read a file",
        SERVICE,
        ("select length(pg_read_file('PG_VERSION')) > 0",),
        "grant execute on function pg_catalog.pg_read_file(text) to public",
    ),
    Attack("read another tenant's users as an analyst", ANALYST, (SEES_EVE,), LEAVE_NO_POLICY),
    Attack(
        "move an analyst's pin by a setting",
        ANALYST,
        ("select set_config('app.tenant_id', '{t2}', true)", "select app.tenant_id() = '{t2}'"),
        CONSTANT_TENANT,
    ),
    Attack(
        "write as an analyst",
        ANALYST,
        ("update app.users set role = 'admin'", "select true"),
        "grant update on app.users to daymark_analyst",
    ),
    Attack(
        "read as an analyst through a view that runs as its owner",
        ANALYST,
        ("select sum(people) = 3 from app.daily_averages",),
        "alter view app.daily_averages set (security_invoker = false)",
    ),
)


def _mutants(version: int) -> Iterator[Mutant]:
    for attack in ATTACKS:
        yield Mutant(CLUSTERS_OWN if attack.undone_by != "select" else "attacks", attack.opened_by)
    yield from (Mutant("policies", sql) for sql in _of_policies())
    yield from (Mutant("row security", sql) for sql in _of_row_security())
    yield from (Mutant("grants", sql) for sql in _of_grants(version))
    for part, statements in SINGLE.items():
        yield from (Mutant(part, sql) for sql in statements)
    yield from (Mutant(CLUSTERS_OWN, sql) for sql in _of_roles(version))


def _of_policies() -> Iterator[str]:
    for table in ISOLATED:
        yield f"drop policy tenant_floor on app.{table}"
        yield f"alter policy tenant_floor on app.{table} using (true)"
        yield f"alter policy tenant_floor on app.{table} with check (true)"
        yield f"alter policy tenant_floor on app.{table} using (tenant_id = current_setting('app.tenant_id')::uuid)"
        yield f"alter policy tenant_floor on app.{table} using (tenant_id = (select app.tenant_id()) or true)"
        yield f"alter policy tenant_floor on app.{table} to daymark_analyst"
        yield (
            f"drop policy tenant_floor on app.{table};"
            f" create policy tenant_floor on app.{table} as permissive for all to public"
            " using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()))"
        )
        yield (
            f"drop policy tenant_floor on app.{table};"
            f" create policy tenant_floor on app.{table} as restrictive for select to public"
            " using (tenant_id = (select app.tenant_id()))"
        )
        readable, checked = ["analyst_rows"], []
        if table in TENANTS_OWN:
            readable.append("tenant_rows")
            checked.append("tenant_rows")
        else:
            readable.extend(("readable_rows", "own_updates"))
            checked.extend(("own_inserts", "own_updates"))
            yield f"alter policy tenant_floor on app.{table} using ((tenant_id, true) = (select app.tenant_id(), true))"
            yield f"alter policy own_updates on app.{table} using (user_id = (select app.user_id()))"
        for policy in sorted({*readable, *checked}):
            yield f"drop policy {policy} on app.{table}"
            yield f"alter policy {policy} on app.{table} to public"
        yield from (f"alter policy {policy} on app.{table} using (true)" for policy in readable)
        yield from (f"alter policy {policy} on app.{table} with check (true)" for policy in checked)
        yield f"create policy mine on app.{table} for select to daymark_service using (true)"
    for table in SECRET:
        yield f"create policy mine on app.{table} for select to daymark_service using (true)"


def _of_row_security() -> Iterator[str]:
    for table in (*ISOLATED, *SECRET):
        yield f"alter table app.{table} disable row level security"
        yield f"alter table app.{table} no force row level security"


def _of_grants(version: int) -> Iterator[str]:
    maintain = ("maintain",) if version >= 17 else ()
    whole = ("insert", "update", "delete", "truncate", "references", "trigger", *maintain)
    for table in ISOLATED:
        yield from (f"grant {right} on app.{table} to daymark_service" for right in whole)
        yield from (f"grant {right} on app.{table} to daymark_analyst" for right in ("insert", "update", "truncate"))
        yield f"grant select on app.{table} to public"
        yield f"grant select on app.{table} to daymark_service with grant option"
        yield f"grant insert (tenant_id) on app.{table} to public"
        yield f"grant update (tenant_id) on app.{table} to daymark_service"
        yield f"grant references (tenant_id) on app.{table} to daymark_service"
    for table in PARTITIONS:
        yield f"grant select on app.{table} to daymark_service"
        yield f"grant select (energy) on app.{table} to daymark_analyst"
    for table in SECRET:
        for role in ("public", "daymark_service", "daymark_analyst", ANALYST):
            yield f"grant select on app.{table} to {role}"
        yield f"grant insert, update on app.{table} to daymark_service"
    yield "grant select (inner_pad) on app.seal_keys to daymark_service"
    yield "grant insert (role), update (role) on app.users to daymark_service"
    yield "grant update (viewed_at, recommendation) on app.user_recommendations to daymark_service"
    yield "grant all on all tables in schema app to daymark_service"
    for view in VIEWS:
        yield f"grant select on app.{view} to public"
        yield f"grant insert on app.{view} to daymark_service"
    yield "create role reporting; grant select on app.users to reporting"
    yield "revoke select on app.users from daymark_service"


def _of_roles(version: int) -> Iterator[str]:
    for role in ROLES:
        for attribute in ("superuser", "bypassrls", "createrole", "createdb", "replication"):
            yield f"alter role {role} {attribute}"
    groups = ["pg_read_all_data", "pg_write_all_data", "pg_execute_server_program", "pg_read_server_files"]
    groups += ["pg_write_server_files", "pg_monitor", "pg_signal_backend", "pg_checkpoint", "postgres"]
    groups += ["pg_maintain"] if version >= 17 else []
    for group in groups:
        yield f"grant {group} to daymark_service"
    yield from (f"grant {group} to {ANALYST}" for group in ("pg_read_all_data", "postgres", "daymark_service"))
    yield "grant pg_read_all_data to daymark_analyst"
    yield "grant daymark_service to daymark_analyst"
    yield "grant daymark_analyst to daymark_service"
    yield f"grant daymark_analyst to {ANALYST} with admin option"
    yield "create role owning bypassrls; grant owning to daymark_service"
    yield "create role hidden login bypassrls; grant daymark_service to hidden"
    yield "alter role daymark_analyst login"
    for kept in ("app.tenant_id = 'x'", "search_path = 'pg_temp'", "role = 'daymark_analyst'", "row_security = off"):
        yield f"alter role daymark_service set {kept}"
    yield "alter role daymark_service set session_preload_libraries = 'auto_explain'"
    yield f"alter role {ANALYST} set app.tenant_id = '{{t2}}'"
    yield "alter role all set row_security = off"
    for kept in ("row_security = off", "session_replication_role = replica", "app.seal = x"):
        yield f"do $$ begin execute format('alter database %I set {kept}', current_database()); end $$"


# Mutants that are one of a kind, by the part of the wall that they weaken.
SINGLE = {
    "functions": (
        WITHOUT_SEAL,
        WITHOUT_EXPIRY,
        WITHOUT_BACKEND,
        WITHOUT_REFUSAL,
        CONSTANT_TENANT,
        _altered(VERIFIED, "case when session_user <> 'daymark_service' then app.pinned_context() end", "null"),
        _altered("pinned_context", "session_user", "current_user"),
        _altered("pinned_context", "session_user", "current_setting('app.login', true)"),
        _altered("pinned_context", "where pin.login = session_user", "limit 1"),
        _altered("pinned_context", "|analyst'", "|admin'"),
        _altered(VERIFIED, "else app.refuse_session()", "else null"),
        _altered(
            VERIFIED,
            "then app.pinned_context() end,",
            "then app.pinned_context() end, current_setting('app.own', true),",
        ),
        BOBS_IN_REACH,
        _altered("reach", "= 'admin'", "<> 'member'"),
        _altered("reach", "= 'admin'", "in ('admin', 'member')"),
        _altered("reach", "= '9999999999'", "> '0'"),
        _altered("reach", "app.verified_context()", "current_setting('app.seal')"),
        _altered("claimed_reach", "app.pinned_context() is not null", "false"),
        "create or replace function app.claimed_reach() returns text language sql stable return 'tenant'",
        "create or replace function app.claimed_reach() returns text language sql stable return 'own'",
        _altered("tenant_id", "app.verified_context(), 23", "current_setting('app.seal'), 23"),
        _altered("user_id", "app.verified_context()", "current_setting('app.seal')"),
        _altered("user_id", "60, 36", "23, 36"),
        _altered("role", "app.verified_context()", "current_setting('app.seal')"),
        _altered("session_id", "app.verified_context()", "current_setting('app.seal')"),
        _altered("enter", "seal, true)", "seal, false)"),
        _altered("enter", "for_tenant::text, true)", "for_tenant::text, false)"),
        _altered("enter", "volatile", "volatile security definer"),
        _altered("delete_pattern", "tenant_id = app.tenant_id()", "true"),
        _altered("delete_pattern", "\n      and user_id = app.user_id()", ""),
        _altered("delete_pattern", "\n      and date = day", ""),
        _altered("forget_limits", "ends_at <= clock_timestamp()", "true"),
        _altered("isolate", "as restrictive", "as permissive"),
        _altered("isolate", ", force row level security", ""),
        _altered("isolate", "set statistics 0", "set statistics 1"),
        "alter function app.tenant_id() immutable",
        "alter function app.tenant_id() volatile",
        "alter function app.tenant_id() leakproof",
        "alter function app.tenant_id() parallel safe",
        "alter function app.user_id() immutable",
        "alter function app.role() immutable",
        "alter function app.verified_context() immutable",
        "alter function app.verified_context() security invoker",
        "alter function app.pinned_context() immutable",
        "grant execute on function app.pinned_context() to public",
        "grant execute on function app.reach() to public",
        "alter function app.reach() immutable",
        "alter function app.reach() security definer",
        "alter function app.claimed_reach() immutable",
        "alter function app.verified_context() reset search_path",
        "alter function app.verified_context() set search_path = pg_temp, pg_catalog",
        "alter function app.delete_pattern(date) reset search_path",
        "alter function app.delete_pattern(date) set role = 'postgres'",
        "alter function app.forget_limits() reset search_path",
        "alter function app.forget_limits() stable",
        "alter function app.verified_context() owner to daymark_analyst",
        "alter procedure app.isolate(regclass) security definer",
        "grant execute on function app.tenant_id() to public",
        "grant execute on function app.verified_context() to public",
        "grant execute on function app.enter(uuid, uuid, text) to public",
        "grant execute on function app.delete_pattern(date) to daymark_analyst",
        "grant execute on procedure app.isolate(regclass) to daymark_service",
        "grant execute on procedure app.add_partitions(date, date) to public",
        "revoke execute on function app.tenant_id() from daymark_service",
        "drop function app.delete_pattern(date)",
        "create function app.peek() returns setof app.users language sql security definer return null::app.users",
        "create function app.tenant_id(integer) returns uuid language sql return '{t2}'::uuid",
        (
            "create function public.peek() returns bigint language sql security definer return 1;"
            " grant usage on schema public to public"
        ),
        "create function public.leaky(text) returns boolean language plpgsql leakproof as 'begin return true; end'",
        "alter function pg_catalog.lower(text) leakproof",
    ),
    "keys": (
        "alter table app.users add constraint users_email_once unique (email)",
        "alter table app.users add constraint users_id_once unique (user_id)",
        "alter table app.users add constraint users_id_once unique (user_id, tenant_id)",
        "alter table app.{month} add constraint day_once unique (user_id, date)",
        "alter table app.user_recommendations add constraint one exclude using btree (id with =)",
        "alter table app.user_recommendations drop constraint user_recommendations_pkey, add primary key (id)",
        (
            "alter table app.user_recommendations drop constraint user_recommendations_pkey,"
            " add primary key (id, tenant_id)"
        ),
        (
            "alter table app.users add constraint swapped unique (tenant_id, user_id, email);"
            " alter table app.user_recommendations add constraint led_by_user foreign key (user_id, tenant_id)"
            " references app.users (user_id, tenant_id)"
        ),
        (
            "alter table app.users add constraint users_id_once unique (user_id);"
            " alter table app.pattern_data add constraint of_user foreign key (user_id) references app.users (user_id)"
        ),
        (
            "alter table app.users add constraint users_id_once unique (user_id);"
            " alter table app.user_recommendations add constraint crossed foreign key (tenant_id)"
            " references app.users (user_id) not valid"
        ),
        "create table public.notes (tenant_id uuid references app.tenants (tenant_id))",
        (
            "alter table app.users drop constraint users_tenant_fkey,"
            " add constraint users_tenant_fkey foreign key (tenant_id) references app.tenants (tenant_id) not valid"
        ),
        "alter table app.user_recommendations disable trigger all",
    ),
    "indexes": (
        "create index by_email on app.users (email)",
        "create index by_user on app.users (user_id, tenant_id)",
        "create index by_date on app.pattern_data (date)",
        "create index by_date on app.{month} (date)",
        "create index by_time on app.user_recommendations (generated_at)",
        "create index by_slug on app.tenants (slug)",
        "create index by_text on app.user_recommendations using hash (recommendation)",
        "create index by_minute on app.user_recommendations ((position + 1))",
        "create unique index by_mail on app.users (lower(email))",
    ),
    "statistics": (
        "alter table app.users alter column email set statistics 100",
        "alter table app.users alter column role set statistics -1",
        "alter table app.users alter column timezone set statistics 1",
        "alter table app.tenants alter column slug set statistics -1",
        "alter table app.tenants alter column name set statistics -1",
        "alter table app.user_recommendations alter column recommendation set statistics -1",
        "alter table app.user_recommendations alter column reasoning set statistics -1",
        "alter table app.user_recommendations alter column engine set statistics -1",
        "alter table app.user_recommendations alter column based_on set statistics -1",
        "alter table app.user_recommendations alter column note set statistics -1",
        "alter table app.recommendation_runs alter column based_on set statistics -1",
        "alter table app.recommendation_runs alter column outcome set statistics -1",
        "alter index app.users_email_key alter column 2 set statistics -1",
        "alter index app.tenants_slug_key alter column 1 set statistics 100",
        "alter table app.users add column nickname text",
        "alter table app.users add column nickname varchar(10)",
        "alter table app.users add column tags text[]",
        "create statistics app.together (mcv) on email, role from app.users",
    ),
    "views": (
        *(f"alter view app.{view} set (security_invoker = false)" for view in VIEWS),
        *(f"alter view app.{view} reset (security_invoker)" for view in VIEWS),
        *(f"alter view app.{view} set (security_barrier = off)" for view in VIEWS),
        "create view app.everyone as select * from app.users",
        "create view public.everyone with (security_barrier) as select * from app.users",
        (
            "create view public.everyone with (security_invoker, security_barrier) as select * from app.users;"
            " grant usage on schema public to daymark_service; grant select on public.everyone to daymark_service"
        ),
        (
            "create table public.copied as select * from app.users;"
            " grant usage on schema public to public; grant select on public.copied to public"
        ),
        "create materialized view app.everyone as select * from app.users",
        "create materialized view public.everyone as select * from app.users",
    ),
    "new tables": (
        "create table app.notes (body text)",
        "create table app.notes (tenant_id uuid)",
        "create table app.notes (tenant_id text not null, primary key (tenant_id))",
        "create table app.notes (tenant_id uuid not null, primary key (tenant_id))",
        "create table app.notes (tenant_id uuid primary key); alter table app.notes enable row level security",
        (
            "create table app.notes (tenant_id uuid primary key);"
            " alter table app.notes enable row level security, force row level security"
        ),
        (
            "create table app.notes (tenant_id uuid primary key);"
            " alter table app.notes enable row level security, force row level security;"
            " create policy mine on app.notes using (tenant_id = app.tenant_id())"
        ),
        (
            "create table app.notes (tenant_id uuid primary key); call app.isolate('app.notes');"
            " grant all on app.notes to daymark_service"
        ),
        (
            "create table app.notes (tenant_id uuid primary key, body text); call app.isolate('app.notes');"
            " alter table app.notes add column more text"
        ),
        (
            "create table app.notes (tenant_id uuid primary key); call app.isolate('app.notes');"
            " alter table app.notes add user_id uuid"
        ),
        "create table public.attic partition of app.pattern_data for values from ('1990-01-01') to ('1990-02-01')",
        "create table app.attic partition of app.pattern_data for values from ('1990-01-01') to ('1990-02-01')",
        "create table public.guests () inherits (app.users)",
        (
            "create table public.base (x int);"
            " create table app.notes (tenant_id uuid primary key) inherits (public.base); call app.isolate('app.notes')"
        ),
    ),
    "hooks": (
        (
            "create function public.seen() returns trigger language plpgsql as 'begin return new; end';"
            " create trigger seen before insert on app.users for each row execute function public.seen()"
        ),
        "create rule kept as on insert to app.users do also notify users",
        "create rule kept as on insert to app.daily_averages do instead nothing",
        "create sequence app.counter",
        (
            "create foreign data wrapper elsewhere; create server elsewhere foreign data wrapper elsewhere;"
            " create foreign table app.far (tenant_id uuid not null) server elsewhere"
        ),
        "create operator app.=== (leftarg = text, rightarg = text, function = texteq, restrict = scalarltsel)",
        "create publication all_of_it for all tables",
        "create publication some_of_it for table app.users",
        "create publication a_schema for tables in schema app",
    ),
    "rights": (
        "alter default privileges in schema app grant select on tables to daymark_service",
        "alter default privileges grant select on tables to public",
        "alter default privileges grant execute on functions to public",
        "alter default privileges in schema app grant execute on functions to daymark_analyst",
        "grant create on schema app to daymark_service",
        "grant create on schema app to public",
        f"grant create on schema app to {ANALYST}",
        "grant usage on schema app to public",
        "grant usage on schema app to daymark_service with grant option",
        "revoke usage on schema app from daymark_analyst",
        "grant usage on schema public to public",
        "grant create on schema public to public",
        "grant usage on schema migrations to daymark_service",
        "create schema playground; grant create on schema playground to public",
        "create schema playground authorization daymark_service",
        *(
            f"do $$ begin execute format('grant {right} on database %I to {role}', current_database()); end $$"
            for right in ("temporary", "create")
            for role in ("public", "daymark_service", ANALYST)
        ),
        "do $$ begin execute format('grant connect on database %I to public', current_database()); end $$",
        "alter table app.users owner to daymark_service",
        "alter table app.{month} owner to daymark_service",
        "alter view app.daily_averages owner to daymark_analyst",
        "alter schema app owner to daymark_service",
        "do $$ begin execute format('alter database %I owner to daymark_service', current_database()); end $$",
        "create role somebody; grant create on schema app to somebody; alter table app.users owner to somebody",
    ),
    "postgres": (
        "grant execute on function pg_catalog.lo_create(oid) to public",
        "grant execute on function pg_catalog.lo_get(oid) to daymark_service",
        "grant execute on function pg_catalog.pg_advisory_lock(bigint) to public",
        "grant execute on function pg_catalog.pg_stat_get_activity(integer) to public",
        "grant execute on function pg_catalog.pg_notify(text, text) to daymark_service",
        "grant execute on function pg_catalog.pg_read_file(text) to public",
        "grant execute on function pg_catalog.pg_read_file(text) to daymark_service",
        "grant execute on function pg_catalog.pg_ls_dir(text) to daymark_analyst",
        "grant select on pg_catalog.pg_authid to public",
        "grant select on pg_catalog.pg_statistic to daymark_service",
        "grant select (stavalues1) on pg_catalog.pg_statistic to public",
        "grant set on parameter session_replication_role to daymark_service",
        "grant alter system on parameter row_security to daymark_service",
        "set local row_security = off",
        "set local session_replication_role = replica",
        "set local lo_compat_privileges = on",
    ),
    "seal and pins": (
        "delete from app.seal_keys",
        (
            "insert into app.seal_keys (key_id, inner_pad, outer_pad)"
            " select repeat(n::text, 16), inner_pad, outer_pad from app.seal_keys, generate_series(1, 2) as n"
        ),
        "update app.seal_keys set outer_pad = inner_pad",
        (
            "update app.seal_keys"
            " set inner_pad = decode(repeat('36', 64), 'hex'), outer_pad = decode(repeat('5c', 64), 'hex')"
        ),
        "insert into app.pins (login, tenant) values ('nobody_yet', '{t2}')",
        "insert into app.pins (login, tenant) values ('daymark_service', '{t2}')",
        f"revoke daymark_analyst from {ANALYST}",
    ),
}
