"""What doctor finds, and how it says it. That it finds every weakness of the wall is test_mutations.py's subject."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest

from service import embedded, queries
from service.checks import CHECKS, EXAMINER, FUNCTION_BODIES, OWN_ROLE, SEAL, Verdict
from service.database import Connection
from service.doctor import Finding, examine, examine_own_role, failed, render
from service.probes import released_functions
from service.seal import Seal
from service.setting_values import Secret
from tests.conftest import NOW, run_as_admin

KEY = Seal(Secret("a seal key of the doctor's tests, of no use elsewhere"))

OK = Finding("views", "ok", "every view is an invoker's", [], "alter it")
WARNING = Finding("seal-age", "warn", "the key is young", ["the newest key is 91 days old"], "daymark seal rotate")
FAILURE = Finding(
    "grants", "fail", "each has what is listed", ["PUBLIC has SELECT on app.users", "and so on"], "revoke it"
)


@pytest.fixture
async def broken(postgres: embedded.Server, own_database: str) -> AsyncIterator[Connection]:
    """Give the administrator's connection to a database with one key, in a transaction that is rolled back."""
    run_as_admin(postgres, "postgres", f"grant connect on database {own_database} to daymark_analyst")
    connection: Connection = await asyncpg.connect(postgres.url("postgres", own_database))
    await connection.execute("delete from app.seal_keys")
    await connection.execute(
        "insert into app.seal_keys (key_id, inner_pad, outer_pad, created_at) values ($1, $2, $3, $4)",
        KEY.key_id,
        *KEY.pads,
        NOW,
    )
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def verdict_of(connection: Connection, check: str, now: datetime = NOW) -> tuple[Verdict, list[str]]:
    [found] = [finding for finding in await examine(connection, now) if finding.check == check]
    return found.verdict, found.dangers


async def test_a_migrated_database_is_sound(broken: Connection) -> None:
    assert [finding for finding in await examine(broken, NOW) if finding.verdict != "ok"] == []


async def test_every_check_has_its_line_once(broken: Connection) -> None:
    names = [finding.check for finding in await examine(broken, NOW)]
    assert names == [*(check.name for check in CHECKS), "seal", "function-bodies"]
    assert len(set(names)) == len(names)


def test_every_file_of_the_wall_is_a_check() -> None:
    asked = {check.query.name for check in (*CHECKS, EXAMINER, FUNCTION_BODIES, OWN_ROLE, SEAL)}
    assert asked == {f"wall/{path.stem}" for path in (queries.FOLDER / "wall").glob("*.sql")}


async def test_an_empty_database_is_said_to_have_no_wall(postgres: embedded.Server) -> None:
    connection = await asyncpg.connect(postgres.url("postgres", "postgres"))
    assert [(found.check, found.dangers) for found in await examine(connection, NOW)] == [
        ("examiner", ["there is no wall here yet"])
    ]
    await connection.close()


async def test_only_who_sees_past_row_security_may_examine(as_service: Connection) -> None:
    assert [(found.check, found.verdict, found.dangers) for found in await examine(as_service, NOW)] == [
        ("examiner", "fail", ["this role does not see past row security"])
    ]


async def test_it_leaves_nothing_behind(broken: Connection) -> None:
    await examine(broken, NOW)
    assert await broken.fetchval("select count(*) from pg_proc where pronamespace = pg_my_temp_schema()") == 0
    assert await broken.fetchval("select coalesce(current_setting('app.tenant_id', true), '')") == ""
    assert await broken.fetchval("show transaction_read_only") == "off"
    assert await broken.fetchval("show search_path") == '"$user", public'


async def test_what_cannot_be_examined_fails(broken: Connection) -> None:
    await broken.execute("drop table app.pattern_data_default")
    assert await verdict_of(broken, "waiting-rows") == (
        "fail",
        ['could not be examined: relation "app.pattern_data_default" does not exist'],
    )
    assert await verdict_of(broken, "views") == ("ok", [])


async def test_a_danger_names_the_role_the_right_and_the_table(broken: Connection) -> None:
    await broken.execute("grant truncate on app.users to daymark_service; grant select on app.pins to public")
    verdict, dangers = await verdict_of(broken, "grants")
    assert verdict == "fail"
    assert sorted(dangers) == ["PUBLIC has SELECT on app.pins", "daymark_service has TRUNCATE on app.users"]


async def test_a_key_is_old_after_90_days(broken: Connection) -> None:
    assert await verdict_of(broken, "seal-age", NOW + timedelta(days=89)) == ("ok", [])
    assert await verdict_of(broken, "seal-age", NOW + timedelta(days=91)) == ("warn", ["the newest key is 91 days old"])


async def test_days_without_a_month_are_counted(broken: Connection) -> None:
    await broken.execute(
        "insert into app.tenants (slug, name) values ('old', 'Old');"
        " insert into app.users (tenant_id) select tenant_id from app.tenants"
    )
    await broken.execute(
        "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
        " select tenant_id, user_id, date '1999-12-31' + day, 1, 1, 1 from app.users, generate_series(0, 1) as day"
    )
    assert await verdict_of(broken, "waiting-rows") == (
        "warn",
        ["2 days from 1999-12-31 to 2000-01-01 lie in no month of their own"],
    )


async def test_an_analysts_login_without_a_pin_is_told(broken: Connection) -> None:
    await broken.execute("create role lost_analyst login in role daymark_analyst")
    assert await verdict_of(broken, "unpinned-logins") == ("warn", ["lost_analyst is pinned to no tenant here"])


async def test_the_settings_of_an_analysts_login_are_no_finding(broken: Connection) -> None:
    await broken.execute("create role usual_analyst login in role daymark_analyst")
    await broken.execute("alter role usual_analyst set statement_timeout = '30s'")
    await broken.execute("alter role usual_analyst set default_transaction_read_only = on")
    await broken.execute("alter role usual_analyst set search_path = app")
    assert await verdict_of(broken, "role-settings") == ("ok", [])


async def test_an_event_trigger_is_a_warning(broken: Connection) -> None:
    await broken.execute(
        "create function public.seen() returns event_trigger language plpgsql as 'begin end';"
        " create event trigger seen on sql_drop execute function public.seen()"
    )
    assert await verdict_of(broken, "extensions") == (
        "warn",
        ["event trigger seen runs with the rights of whoever migrates"],
    )


async def test_what_only_a_superuser_can_close_is_a_warning_for_others(broken: Connection) -> None:
    await broken.execute("grant execute on function pg_catalog.lo_create(oid) to public")
    assert await verdict_of(broken, "postgres-functions") == ("fail", ["everybody may call lo_create(oid)"])

    await broken.execute(
        "create role managing bypassrls createrole; grant usage on schema app to managing;"
        " grant select on all tables in schema app to managing; set local role managing"
    )
    assert await verdict_of(broken, "postgres-functions") == ("warn", ["everybody may call lo_create(oid)"])


async def test_every_function_of_the_schema_is_found_in_the_migrations(broken: Connection) -> None:
    live = await broken.fetch("select proname from pg_proc where pronamespace = 'app'::regnamespace")
    assert sorted(released_functions()) == sorted(row["proname"] for row in live)


async def test_a_back_door_in_a_function_is_found(broken: Connection) -> None:
    await broken.execute(
        released_functions()["verified_context"].replace(
            "select coalesce(",
            "select coalesce(case when current_setting('app.x', true) = 'open' then current_setting('app.seal') end,",
            1,
        )
    )
    assert await verdict_of(broken, "seal") == ("ok", [])
    assert await verdict_of(broken, "function-bodies") == (
        "fail",
        ["app.verified_context() is not as this release makes it"],
    )


async def test_a_seal_that_is_believed_for_ever_is_found(broken: Connection) -> None:
    await broken.execute(released_functions()["verified_context"].replace("<= clock_timestamp()", "is null"))
    assert await verdict_of(broken, "seal") == ("fail", ["app.tenant_id() believes a seal that has expired"])


async def test_the_services_own_role_is_sound(as_service: Connection) -> None:
    assert [(found.check, found.verdict) for found in await examine_own_role(as_service)] == [("own-role", "ok")]


@pytest.mark.parametrize(
    ("weakened", "danger"),
    [
        ("grant truncate on app.users to daymark_service", "it may empty, lock or hook app.users"),
        (
            "grant select on app.seal_keys to daymark_service",
            "it may read or change app.seal_keys, which is the owner's alone",
        ),
        (
            "alter table app.tenants disable row level security",
            "it may read or change app.tenants, which no policy keeps from it",
        ),
        (
            "alter table app.tenants no force row level security",
            "it may read or change app.tenants, which no policy keeps from it",
        ),
        ("grant create on schema app to daymark_service", "it may make objects of its own in app"),
        ("alter view app.engine_use owner to daymark_service", "it owns app.engine_use"),
    ],
)
async def test_the_services_own_role_sees_what_it_could_pass_by(
    postgres: embedded.Server, own_database: str, weakened: str, danger: str
) -> None:
    run_as_admin(postgres, own_database, weakened)
    connection = await asyncpg.connect(postgres.url("daymark_service", own_database))
    [found] = await examine_own_role(connection)
    assert found.verdict == "fail"
    assert danger in found.dangers
    await connection.close()


def test_a_warning_is_no_failure() -> None:
    assert not failed([OK, WARNING])
    assert failed([OK, FAILURE, WARNING])


def test_people_get_a_line_for_each_check() -> None:
    assert render([OK, WARNING, FAILURE]) == (
        "ok   views: every view is an invoker's\n"
        "warn seal-age: the newest key is 91 days old. To mend it: daymark seal rotate\n"
        "FAIL grants: PUBLIC has SELECT on app.users; and so on. To mend it: revoke it"
    )


def test_a_line_names_the_first_of_many_dangers() -> None:
    many = msgspec.structs.replace(FAILURE, dangers=[f"danger {number}" for number in range(1, 10)])
    assert render([many]) == (
        "FAIL grants: danger 1; danger 2; danger 3; danger 4; danger 5; danger 6; and 3 more (--json lists all)."
        " To mend it: revoke it"
    )


def test_machines_get_all_of_it() -> None:
    assert msgspec.json.encode([WARNING]) == (
        b'[{"check":"seal-age","verdict":"warn","holds":"the key is young",'
        b'"dangers":["the newest key is 91 days old"],"remedy":"daymark seal rotate"}]'
    )
