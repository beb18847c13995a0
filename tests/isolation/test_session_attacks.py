"""What an injected statement would try on logins, sessions and the audit trail, as the service's role."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from service.caller import NOBODY_YET, Caller
from service.database import SESSION_ENDED, Connection, Database
from service.errors import SessionEnded
from service.queries import ENTER, FIND_LOGIN, LIST_SESSIONS, Query
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, MakeCaller, enter
from tests.isolation.world import EVERYTHING, RELATIONS, World, seed, tenants_seen

STATEMENT = "select pg_backend_pid() as backend"
BACKEND = Query("backend", STATEMENT, (), ENTER.format(query=STATEMENT), ())


@pytest.fixture
async def world(admin: Connection, make_caller: MakeCaller) -> World:
    world = await seed(admin, make_caller)
    for person in world:
        await admin.execute(
            "insert into app.credentials values ($1, $2, '$argon2id$kept', $3)", person.tenant_id, person.user_id, NOW
        )
    return world


@pytest.fixture
async def inside(as_service: Connection, world: World) -> Connection:
    """Give a bare connection inside the caller's own context."""
    await enter(as_service, world.caller)
    return as_service


async def find(connection: Connection, person: Caller) -> list[Any]:
    return await connection.fetch(FIND_LOGIN.plain, f"t-{person.tenant_id.hex}", f"{person.user_id.hex}@example.test")


async def session_of(admin: Connection, person: Caller) -> Caller:
    session_id: UUID = await admin.fetchval(
        "select session_id from app.sessions where tenant_id = $1 and user_id = $2", person.tenant_id, person.user_id
    )
    return msgspec.structs.replace(person, session_id=session_id)


async def test_a_login_is_found_by_whoever_has_no_tenant_yet(as_service: Connection, world: World) -> None:
    await enter(as_service, NOBODY_YET)
    assert [tuple(row) for row in await find(as_service, world.stranger)] == [
        (
            world.stranger.tenant_id,
            f"{world.stranger.user_id.hex}@example.test",
            world.stranger.user_id,
            "member",
            "$argon2id$kept",
        )
    ]
    unknown = await as_service.fetch(FIND_LOGIN.plain, str(world.stranger.tenant_id), "nobody@example.test")
    assert [tuple(row) for row in unknown] == [(world.stranger.tenant_id, "nobody@example.test", None, None, None)]


async def test_within_a_tenant_nobodys_login_is_found(inside: Connection, world: World) -> None:
    for person in world:
        assert await find(inside, person) == []


async def test_without_a_context_no_login_is_found(as_service: Connection, world: World) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant in context"):
        await find(as_service, world.caller)
    await as_service.execute("select set_config('app.tenant_id', $1, false)", str(NOBODY_YET.tenant_id))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="the context is not sealed"):
        await find(as_service, world.caller)


@pytest.mark.usefixtures("world")
async def test_whoever_has_no_tenant_yet_sees_no_row_at_all(as_service: Connection) -> None:
    await enter(as_service, NOBODY_YET)
    for relation in RELATIONS:
        # But for what is counted of those who are nobody yet.
        assert await tenants_seen(as_service, relation) <= (
            {NOBODY_YET.tenant_id} if relation == "rate_limits" else set()
        )


@pytest.mark.parametrize(
    "statement",
    [
        "select from app.credentials",
        "select password_hash from app.credentials",
        "insert into app.credentials values ($1, $2, '$argon2id$mine', now())",
        "update app.credentials set password_hash = '$argon2id$mine'",
        "delete from app.credentials",
        "select app.session_lasts($1, $2, $2)",
        "select app.refuse_session()",
        "update app.audit_events set kind = 'logged_in'",
        "delete from app.audit_events",
        "truncate app.audit_events",
        "lock table app.audit_events in exclusive mode",
        (
            "insert into app.audit_events (tenant_id, event_id, user_id, occurred_at, kind)"
            " values ($1, gen_random_uuid(), $2, now(), 'logged_in')"
        ),
        "delete from app.sessions",
        "delete from app.refresh_tokens",
        "update app.sessions set session_id = gen_random_uuid()",
        "update app.refresh_tokens set token_hash = sha256('mine')",
        "update app.users set role = 'admin'",
    ],
)
async def test_what_nobody_was_granted_is_refused(inside: Connection, world: World, statement: str) -> None:
    own = [world.caller.tenant_id, world.caller.user_id][: statement.count("$1") + statement.count("$2")]
    async with inside.transaction():
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with inside.transaction():
                await inside.execute(statement, *own)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into app.audit_events (tenant_id, user_id, occurred_at, kind) values ($1, $2, now(), 'logged_in')",
        (
            "insert into app.sessions (tenant_id, session_id, user_id, created_at, used_at, expires_at)"
            " values ($1, gen_random_uuid(), $2, now(), now(), now())"
        ),
    ],
)
async def test_no_event_and_no_session_is_made_in_anothers_name(
    inside: Connection, world: World, statement: str
) -> None:
    for person in (world.colleague, world.stranger):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="violates row-level security policy"):
            await inside.execute(statement, person.tenant_id, person.user_id)


async def test_a_session_that_lasts_lets_its_statements_in(database: Database, admin: Connection, world: World) -> None:
    caller = await session_of(admin, world.caller)
    assert [row["session_id"] for row in await database.read(caller, LIST_SESSIONS, now=NOW)] == [caller.session_id]


@pytest.mark.parametrize("how", ["ended", "deleted", "another's", "of another tenant", "unknown"])
async def test_a_session_that_is_none_lets_nobody_in(
    database: Database, as_service: Connection, admin: Connection, world: World, how: str
) -> None:
    caller = await session_of(admin, world.caller)
    if how == "ended":
        await admin.execute(
            "update app.sessions set ended_at = now(), ended_reason = 'revoked' where session_id = $1",
            caller.session_id,
        )
    elif how == "deleted":
        await admin.execute("delete from app.sessions where session_id = $1", caller.session_id)
    elif how == "another's":
        caller = msgspec.structs.replace(caller, session_id=(await session_of(admin, world.colleague)).session_id)
    elif how == "of another tenant":
        caller = msgspec.structs.replace(caller, session_id=(await session_of(admin, world.stranger)).session_id)
    else:
        caller = msgspec.structs.replace(caller, session_id=uuid4())
    with pytest.raises(SessionEnded):
        await database.read(caller, LIST_SESSIONS, now=NOW)
    with pytest.raises(SessionEnded):
        async with database.transaction(caller) as transaction:
            await transaction.fetch(LIST_SESSIONS, now=NOW)
    await enter(as_service, caller)
    for statement in (EVERYTHING, *(f"select tenant_id from app.{relation}" for relation in RELATIONS)):
        with pytest.raises(asyncpg.PostgresError, match="the session has ended") as refused:
            await as_service.fetch(statement)
        assert refused.value.sqlstate == SESSION_ENDED


async def test_a_session_is_over_at_the_next_statement_of_an_open_transaction(
    as_service: Connection, admin: Connection, world: World
) -> None:
    caller = await session_of(admin, world.caller)
    await as_service.execute("begin")
    await enter(as_service, caller, local=True)
    assert await tenants_seen(as_service) == {caller.tenant_id}
    await admin.execute(
        "update app.sessions set ended_at = now(), ended_reason = 'revoked' where session_id = $1", caller.session_id
    )
    with pytest.raises(asyncpg.PostgresError, match="the session has ended"):
        await tenants_seen(as_service)
    await as_service.execute("rollback")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_a_snapshot_that_is_kept_does_not_outlive_the_session(
    as_service: Connection, admin: Connection, world: World, level: str
) -> None:
    caller = await session_of(admin, world.caller)
    await as_service.execute(f"begin isolation level {level}")
    await enter(as_service, caller, local=True)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="a snapshot that is kept"):
        await tenants_seen(as_service)
    await as_service.execute("rollback")


async def test_a_refused_session_leaves_the_connection_to_the_next(
    service_url: str, admin: Connection, world: World
) -> None:
    one, backends = await Database.open(service_url, 1, Seal(SEAL_KEY)), set()
    try:
        lasting, gone = await session_of(admin, world.caller), msgspec.structs.replace(world.caller, session_id=uuid4())
        for _ in range(3):
            with pytest.raises(SessionEnded):
                await one.read(gone, LIST_SESSIONS, now=NOW)
            with pytest.raises(SessionEnded):
                async with one.transaction(gone) as transaction:
                    await transaction.fetch(LIST_SESSIONS, now=NOW)
            assert len(await one.read(lasting, LIST_SESSIONS, now=NOW)) == 1
            backends.add((await one.read(lasting, BACKEND))[0]["backend"])
        assert len(backends) == 1
    finally:
        await one.close()
