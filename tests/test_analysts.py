"""Analysts: logins of psql that see their tenant, read-only, whatever they SET; and how they are made and dropped."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from service.administrator import Administrator, AdministratorError
from service.analysts import Analyst, add_analyst, drop_analyst, list_analysts, scram_verifier
from service.caller import Caller
from service.database import Connection


@pytest.fixture
async def administrator(admin_url: str) -> AsyncIterator[Administrator]:
    async with Administrator.connect(admin_url) as connected:
        yield connected


@pytest.fixture
async def login(administrator: Administrator) -> AsyncIterator[str]:
    """Give a name that no role has; what a test makes of it is dropped."""
    name = f"an_{uuid4().hex[:12]}"
    yield name
    await administrator.execute(f'drop role if exists "{name}"')


async def test_an_analyst_is_made_listed_and_dropped(administrator: Administrator, login: str, caller: Caller) -> None:
    password = await add_analyst(administrator, login, str(caller.tenant_id))
    assert len(password) == 32
    assert Analyst(login, f"t-{caller.tenant_id.hex}") in await list_analysts(administrator)

    await drop_analyst(administrator, login)
    assert login not in [analyst.login for analyst in await list_analysts(administrator)]
    with pytest.raises(AdministratorError, match=f"there is no analyst '{login}'"):
        await drop_analyst(administrator, login)


async def test_an_analyst_is_found_by_the_tenants_slug(
    administrator: Administrator, login: str, caller: Caller
) -> None:
    await add_analyst(administrator, login, f"t-{caller.tenant_id.hex}")

    assert login in [analyst.login for analyst in await list_analysts(administrator)]


async def test_an_analyst_has_no_right_but_to_log_in(
    administrator: Administrator, login: str, caller: Caller, admin: Connection
) -> None:
    await add_analyst(administrator, login, str(caller.tenant_id))
    role = await admin.fetchrow(
        "select rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit,"
        " rolconfig, array(select roleid::regrole::text from pg_auth_members where member = pg_roles.oid) as groups"
        " from pg_roles where rolname = $1",
        login,
    )

    assert role is not None
    assert list(role.values()) == [
        True,
        *[False] * 5,
        10,
        [
            "statement_timeout=30s",
            "default_transaction_read_only=on",
            "idle_in_transaction_session_timeout=10min",
            "search_path=app",
        ],
        ["daymark_analyst"],
    ]


async def test_the_password_is_kept_as_a_verifier_only(
    administrator: Administrator, login: str, caller: Caller, admin: Connection
) -> None:
    password = await add_analyst(administrator, login, str(caller.tenant_id))
    kept = await admin.fetchval("select rolpassword from pg_authid where rolname = $1", login)

    assert kept.startswith("SCRAM-SHA-256$4096:")
    assert password not in kept
    assert scram_verifier("one") != scram_verifier("one")


@pytest.mark.parametrize(
    "name", ["", "Ada", "ada-b", "1ada", "pg_ada", "daymark_service", "daymark_ada", 'a"; drop table x', "a" * 64, "ä"]
)
async def test_a_login_that_is_no_plain_name_is_refused(
    administrator: Administrator, caller: Caller, name: str
) -> None:
    with pytest.raises(AdministratorError, match="a login has 1 to 63 of"):
        await add_analyst(administrator, name, str(caller.tenant_id))


async def test_an_unknown_tenant_makes_no_login(administrator: Administrator, login: str, admin: Connection) -> None:
    with pytest.raises(AdministratorError, match="there is no tenant 'nowhere'"):
        await add_analyst(administrator, login, "nowhere")

    assert await admin.fetchval("select count(*) from pg_roles where rolname = $1", login) == 0


async def test_a_login_that_is_there_is_not_taken_over(
    administrator: Administrator, login: str, caller: Caller, stranger: Caller
) -> None:
    await add_analyst(administrator, login, str(caller.tenant_id))
    with pytest.raises(AdministratorError, match="there is a role of this name already"):
        await add_analyst(administrator, login, str(stranger.tenant_id))

    assert Analyst(login, f"t-{caller.tenant_id.hex}") in await list_analysts(administrator)


async def test_a_role_that_is_no_analyst_is_not_dropped(
    administrator: Administrator, login: str, admin: Connection
) -> None:
    await administrator.execute(f'create role "{login}"')
    with pytest.raises(AdministratorError, match="there is no analyst"):
        await drop_analyst(administrator, login)

    assert await admin.fetchval("select count(*) from pg_roles where rolname = $1", login) == 1


async def test_dropping_ends_the_analysts_sessions(
    administrator: Administrator, login: str, caller: Caller, admin_url: str
) -> None:
    await add_analyst(administrator, login, str(caller.tenant_id))
    connection: Connection = await asyncpg.connect(admin_url, user=login)
    await drop_analyst(administrator, login)

    # The last is what asyncpg says where the farewell comes in while it begins to ask.
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, asyncpg.InternalClientError)):
        await connection.fetch("select 1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(admin_url, user=login)
