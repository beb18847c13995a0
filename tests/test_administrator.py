"""What an operator adds and looks up, and the sentence for everything that goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from service import embedded
from service.administrator import Administrator, AdministratorError, Person
from service.database import Connection
from tests.conftest import NOW, run_as_admin

LABEL = "a slug has 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at either end"


@pytest.fixture
async def administrator(admin_url: str) -> AsyncIterator[Administrator]:
    async with Administrator.connect(admin_url) as connected:
        yield connected


def a_slug() -> str:
    return f"s-{uuid4().hex}"


async def said(asked: Awaitable[object]) -> str:
    with pytest.raises(AdministratorError) as refused:
        await asked
    return str(refused.value)


async def test_a_tenant_is_found_by_id_or_slug_in_any_case(administrator: Administrator) -> None:
    slug = a_slug()
    tenant_id = await administrator.add_tenant(slug, "A name")

    for word in (slug, slug.upper(), str(tenant_id), str(tenant_id).upper()):
        found = await administrator.find_tenant(word)
        assert (found.tenant_id, found.slug) == (tenant_id, slug)


async def test_a_slug_is_a_label_of_a_host_name(own: Administrator) -> None:
    for slug in ("a", "0", "a-b", "a--b", "x" * 63):
        assert isinstance(await own.add_tenant(slug, "A name"), UUID)


@pytest.fixture
async def own(postgres: embedded.Server, own_database: str) -> AsyncIterator[Administrator]:
    """Give the administrator of a database that is the test's own."""
    async with Administrator.connect(postgres.url("postgres", own_database)) as connected:
        yield connected


@pytest.mark.parametrize(
    "slug", ["", "-", "-a", "a-", "A", "a_b", "a b", "a.b", "x" * 64, "ä", "a\n", "\n", "a'b", "a/b", "😀"]
)
async def test_what_is_no_label_is_no_slug(slug: str, administrator: Administrator) -> None:
    assert await said(administrator.add_tenant(slug, "A name")) == LABEL


async def test_a_slug_may_not_look_like_an_id(administrator: Administrator) -> None:
    assert await said(administrator.add_tenant(str(uuid4()), "A name")) == "a slug may not look like an id"


async def test_a_slug_is_given_once(administrator: Administrator) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")

    assert await said(administrator.add_tenant(slug, "Another")) == "there is a tenant of this slug already"


@pytest.mark.parametrize("name", ["x", "x" * 200, "Größe & Söhne 😀", "O'Neill; drop table app.users --", "%s :'x' \\"])
async def test_a_name_may_be_any_text(name: str, administrator: Administrator, admin: Connection) -> None:
    tenant_id = await administrator.add_tenant(a_slug(), name)

    assert await admin.fetchval("select name from app.tenants where tenant_id = $1", tenant_id) == name


@pytest.mark.parametrize("name", ["", "x" * 201])
async def test_a_name_has_a_length(name: str, administrator: Administrator) -> None:
    assert await said(administrator.add_tenant(a_slug(), name)) == "a name has 1 to 200 characters"


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udcff"])
async def test_what_postgres_cannot_store_is_said_to_be_no_text(text: str, administrator: Administrator) -> None:
    tenant = str(await administrator.add_tenant(slug := a_slug(), "A name"))

    for asked in (
        administrator.add_tenant(slug + text, "A name"),
        administrator.add_tenant(a_slug(), text),
        administrator.find_tenant(text),
        administrator.add_user(tenant, f"{text}@x.test", "member", "UTC"),
        administrator.add_user(tenant, "a@x.test", "member", text),
        administrator.find_caller(tenant, text),
    ):
        sentence = await said(asked)
        assert sentence.startswith("not a text that Postgres takes: ")
        assert "\n" not in sentence
    # The connection is as good as before.
    assert (await administrator.find_tenant(tenant)).slug == slug


@pytest.mark.parametrize("word", ["", "no-such-tenant", "%", "' or true --", "00000000-0000-0000-0000-000000000000"])
async def test_a_tenant_that_is_not_there_is_named(word: str, administrator: Administrator) -> None:
    assert await said(administrator.find_tenant(word)) == f"there is no tenant {word!r}"
    assert await said(administrator.add_user(word, "a@x.test", "member", "UTC")) == f"there is no tenant {word!r}"
    assert await said(administrator.find_caller(word, "a@x.test")) == f"there is no tenant {word!r}"


async def test_a_user_is_found_by_address_in_any_case_and_within_their_tenant(administrator: Administrator) -> None:
    first, second = a_slug(), a_slug()
    tenant_id = await administrator.add_tenant(first, "A name")
    await administrator.add_tenant(second, "Another")
    user_id = await administrator.add_user(first, "Ada.Lovelace@X.test", "admin", "Europe/London")
    other_id = await administrator.add_user(second, "ada.lovelace@x.test", "member", "UTC")

    found = await administrator.find_caller(str(tenant_id), "ADA.lovelace@x.TEST")
    assert (found.tenant_id, found.user_id, found.role) == (tenant_id, user_id, "admin")
    assert (await administrator.find_caller(second, "Ada.Lovelace@x.test")).user_id == other_id


async def test_an_address_is_given_once_in_a_tenant_whatever_its_case(administrator: Administrator) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")
    await administrator.add_user(slug, "ÄDA@x.test", "member", "UTC")

    for email in ("ÄDA@x.test", "äda@X.TEST"):
        assert await said(administrator.add_user(slug, email, "member", "UTC")) == (
            "there is a user of this e-mail address in this tenant already"
        )


async def test_a_user_who_is_not_there_is_named(administrator: Administrator) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")

    for email in ("nobody@x.test", "", "%", "' or true --"):
        assert await said(administrator.find_caller(slug, email)) == f"there is no user {email!r} in tenant {slug!r}"


@pytest.mark.parametrize(
    "email", ["", "a", "@", "a@", "@b", "a b@c", "a@b c", "a@b@c", "a@b\n", " a@b", "x" * 250 + "@x.test"]
)
async def test_what_is_no_address_is_refused(email: str, administrator: Administrator) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")

    assert await said(administrator.add_user(slug, email, "member", "UTC")) == "this is not an e-mail address"


@pytest.mark.parametrize("role", ["", "owner", "Admin", "member\0"])
async def test_a_role_is_member_or_admin(role: str, administrator: Administrator) -> None:
    assert await said(administrator.add_user("any", "a@x.test", role, "UTC")) == (
        f"a role is member or admin, not {role!r}"
    )


@pytest.mark.parametrize(
    "timezone",
    ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kathmandu", "America/Port-au-Prince"],
)
async def test_a_time_zone_is_an_iana_name(timezone: str, administrator: Administrator, admin: Connection) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")

    user_id = await administrator.add_user(slug, "a@x.test", "member", timezone)

    assert await admin.fetchval("select timezone from app.users where user_id = $1", user_id) == timezone


@pytest.mark.parametrize(
    "timezone",
    [
        "",
        " ",
        "Mars/Olympus",
        "Europe",
        "+02:00",
        "-05",
        "Nowhere+25",
        "<+07>-7",
        "UTC0",
        "Europe/Berlin ",
        "../UTC",
        "UTC\n",
        "ä",
    ],
)
async def test_what_is_no_time_zone_is_refused(timezone: str, administrator: Administrator) -> None:
    slug = a_slug()
    await administrator.add_tenant(slug, "A name")

    assert await said(administrator.add_user(slug, "a@x.test", "member", timezone)) == (
        "expected an IANA time zone, such as Europe/Berlin"
    )


async def test_every_iana_zone_of_the_system_is_taken(own: Administrator) -> None:
    refused = await own._connection.fetch(
        "select name from pg_timezone_names where name ~ '/' and name !~ '^(posix|right)/' and name !~ $1",
        "^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$",
    )

    assert refused == []


@pytest.mark.parametrize(
    ("role", "database", "why"),
    [
        ("postgres", "no_such_database", 'database "no_such_database" does not exist'),
        ("no_such_role", "postgres", 'role "no_such_role" does not exist'),
    ],
)
async def test_who_is_not_let_in_is_told_why(role: str, database: str, why: str, postgres: embedded.Server) -> None:
    assert await said(connected(postgres.url(role, database))) == f"cannot reach the database: {why}"


async def test_where_nobody_listens_it_is_said(tmp_path: Path) -> None:
    sentence = await said(connected(f"postgresql://postgres@/x?host={tmp_path}&port=5432"))

    assert sentence.startswith("cannot reach the database: ")


async def test_a_url_that_is_none_is_said() -> None:
    sentence = await said(connected("postgresql://postgres@localhost:port/x"))

    assert sentence.startswith("cannot reach the database: ")


async def connected(url: str) -> None:
    async with Administrator.connect(url):
        pass


async def test_before_the_first_migration_it_is_said_what_to_run(postgres: embedded.Server) -> None:
    name = f"empty_{uuid4().hex[:8]}"
    async with Administrator.connect(postgres.url("postgres", "postgres")) as administrator:
        await administrator.make_database(name)
        await administrator.make_database(name)
    async with Administrator.connect(postgres.url("postgres", name)) as administrator:
        sentence = await said(administrator.add_tenant("a", "A name"))
    run_as_admin(postgres, "postgres", f"drop database {name}")

    assert sentence == "the database has no tables yet: run `daymark migrate up`"


async def test_the_services_role_is_no_administrator(service_url: str) -> None:
    async with Administrator.connect(service_url) as administrator:
        assert await said(administrator.add_tenant(a_slug(), "A name")) == (
            "the administrator's role may not do this: permission denied for table tenants"
        )


async def test_a_connection_that_is_lost_is_said(admin_url: str, admin: Connection) -> None:
    async with Administrator.connect(admin_url) as administrator:
        pid = administrator._connection.get_server_pid()
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
        sentence = await said(administrator.find_tenant("any"))

    assert sentence.startswith("the database went away: ")


PEOPLE = [Person("ada@x.test", "admin"), Person("bob@x.test")]


async def test_a_made_up_tenant_has_its_people_and_their_last_days(own: Administrator) -> None:
    assert await own.fill_tenant("acme", PEOPLE, 30, NOW) == 60

    rows = await own._connection.fetch(
        "select email, role, min(date)::text, max(date)::text, count(*), min(least(energy, focus, fulfillment)) >= 0"
        " and max(greatest(energy, focus, fulfillment)) <= 100 as in_range"
        " from app.users join app.pattern_data using (tenant_id, user_id) group by email, role order by email"
    )
    assert [tuple(row) for row in rows] == [
        ("ada@x.test", "admin", "2026-10-24", "2026-11-22", 30, True),
        ("bob@x.test", "member", "2026-10-24", "2026-11-22", 30, True),
    ]
    assert await own._connection.fetchval("select name from app.tenants") == "Acme"


async def test_filled_again_a_tenant_gets_only_what_is_missing_and_keeps_what_was_changed(own: Administrator) -> None:
    await own.fill_tenant("acme", PEOPLE, 30, NOW)
    await own._connection.execute("delete from app.pattern_data where date = '2026-11-20'")
    await own._connection.execute("update app.pattern_data set energy = 1")

    assert await own.fill_tenant("acme", PEOPLE, 30, NOW) == 0
    assert await own.fill_tenant("acme", [*PEOPLE, Person("eve@x.test")], 30, NOW + timedelta(days=2)) == 2 * 2 + 30

    counted = await own._connection.fetchrow(
        "select count(*) filter (where energy = 1), count(*) filter (where date = '2026-11-20') from app.pattern_data"
    )
    assert counted is not None
    assert tuple(counted) == (2 * 29, 1)


async def test_made_up_days_end_today_where_the_person_lives(own: Administrator) -> None:
    await own.add_tenant("acme", "Acme")
    await own.add_user("acme", "ada@x.test", "member", "Pacific/Kiritimati")

    await own.fill_tenant("acme", PEOPLE, 1, datetime(2026, 11, 22, 12, tzinfo=UTC))

    rows = await own._connection.fetch(
        "select date::text from app.pattern_data join app.users using (tenant_id, user_id) order by email"
    )
    assert [row["date"] for row in rows] == ["2026-11-23", "2026-11-22"]


async def test_made_up_scores_of_many_people_and_years_are_scores(own: Administrator) -> None:
    people = [Person(f"p{number}@x.test") for number in range(100)]

    assert await own.fill_tenant("acme", people, 100, NOW) == 10_000


async def test_two_tenants_of_one_slug_at_once_are_one(postgres: embedded.Server, own_database: str) -> None:
    url = postgres.url("postgres", own_database)
    async with Administrator.connect(url) as first, Administrator.connect(url) as second:
        outcomes = await asyncio.gather(
            *(each.add_tenant("acme", "Acme") for each in (first, second)), return_exceptions=True
        )

    assert sorted(isinstance(outcome, AdministratorError) for outcome in outcomes) == [False, True]


async def test_an_error_of_postgres_that_nobody_foresaw_is_not_swallowed(own: Administrator) -> None:
    await own._connection.execute("alter table app.tenants rename column name to title")

    with pytest.raises(asyncpg.UndefinedColumnError):
        await own.add_tenant("acme", "Acme")
