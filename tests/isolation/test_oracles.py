"""What another tenant has cannot be told apart from what does not exist: not by errors, plans, counters or times."""

import re
import statistics
import time
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from service.database import Connection
from tests.conftest import MakeCaller, bearer, enter
from tests.isolation.world import World, seed

NO_INDEX = "set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off"
EXPLAIN = "explain (analyze, costs off, timing off, summary off, buffers off) "
VARYING = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
async def world(admin: Connection, make_caller: MakeCaller) -> World:
    return await seed(admin, make_caller)


@pytest.fixture
async def inside(as_service: Connection, world: World) -> Connection:
    await enter(as_service, world.caller)
    return as_service


async def plan(connection: Connection, statement: str, prefix: str = EXPLAIN) -> str:
    lines = await connection.fetch(prefix + statement)
    return VARYING.sub("…", "\n".join(row[0] for row in lines))


# A condition of one's own that the planner holds for cheaper than `tenant_id = …` goes first, if it is leakproof: were
# the tenant worked out only for the rows that it lets through, "never executed" would tell whether there are any.
CHEAPER = {
    "tenants": ["slug = any('{{{slug}}}')", "tenant_id = any('{{{tenant}}}')"],
    "users": [
        "email = any('{{{email}}}')",
        "email > any('{{{email}}}') and email <= any('{{{email}}}')",
        "tenant_id = any('{{{tenant}}}')",
        "user_id = any('{{{user}}}')",
        "('{{\"{email}\": 1}}'::jsonb)[email] is not null",
    ],
    "pattern_data": ["tenant_id = any('{{{tenant}}}') and energy > any('{{50}}')", "user_id = any('{{{user}}}')"],
    "user_recommendations": ["tenant_id = any('{{{tenant}}}') and viewed_at is null", "user_id = any('{{{user}}}')"],
    "recommendation_runs": ["tenant_id = any('{{{tenant}}}') and calls > any('{{0}}')", "user_id = any('{{{user}}}')"],
    "budget_use": ["tenant_id = any('{{{tenant}}}')", "date > any('{{2026-11-01}}')"],
    "rate_limits": ["tenant_id = any('{{{tenant}}}')", "used > any('{{0}}')"],
    "sessions": ["user_id = any('{{{user}}}')"],
    "refresh_tokens": ["user_id = any('{{{user}}}')"],
}
ASKED = [(table, condition) for table, conditions in CHEAPER.items() for condition in conditions]
SHAPES = [
    "select from app.{table} where {condition}",
    "select exists (select from app.{table} where {condition})",
    "select {table}.* from (values (1)) as one left join app.{table} on {condition}",
    "select count(*) from app.{table} where {condition}",
]


# A join of one's own with the tenant reorders what the planner knows to be equal, and so the conditions of a scan.
JOINED = [
    "(select tenant_id as other from app.tenants) as joined",
    "(select tenant_id as other from app.{table}) as joined",
    "(select given::uuid as one, given::uuid as other from unnest(array['{own}']) as given offset 0) as joined",
]
LOCKED = [(table, condition) for table, condition in ASKED if table not in {"tenants", "users"}]  # those may not be


def _theirs(world: World) -> dict[str, str]:
    stranger = world.stranger
    return {
        "tenant": str(stranger.tenant_id),
        "user": str(stranger.user_id),
        "email": f"{stranger.user_id.hex}@example.test",
        "slug": f"t-{stranger.tenant_id.hex}",
    }


def _nobodys() -> dict[str, str]:
    nobody = uuid4()
    return {
        "tenant": str(nobody),
        "user": str(nobody),
        "email": f"{nobody.hex}@example.test",
        "slug": f"t-{nobody.hex}",
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("table", "condition"), ASKED)
@pytest.mark.parametrize("roads", ["select", NO_INDEX, "set enable_seqscan = off"], ids=["as is", "no index", "index"])
async def test_what_a_plan_has_run_tells_nothing_of_others(  # noqa: PLR0913, PLR0917 - all that there are
    inside: Connection, world: World, table: str, condition: str, shape: str, roads: str
) -> None:
    await inside.execute(roads)
    plans = [
        await plan(inside, shape.format(table=table, condition=condition.format(**asked)))
        for asked in (_theirs(world), _nobodys())
    ]

    assert plans[0] == plans[1]


@pytest.mark.parametrize("joined", JOINED)
@pytest.mark.parametrize(("table", "condition"), LOCKED)
async def test_what_a_lock_of_joined_rows_has_run_tells_nothing_of_others(
    inside: Connection, world: World, table: str, condition: str, joined: str
) -> None:
    await inside.execute(NO_INDEX)
    own = world.caller.tenant_id
    plans = [
        await plan(
            inside,
            f"select from app.{table}, {joined.format(table=table, own=own)}"
            f" where joined.other = {table}.tenant_id {'and joined.one = joined.other' if 'as one,' in joined else ''}"
            f" and {condition.format(**asked)} for update of {table}",
        )
        for asked in (_theirs(world), _nobodys())
    ]

    assert plans[0] == plans[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("table", "condition"), ASKED)
async def test_without_a_context_all_are_refused_alike(
    as_service: Connection, world: World, table: str, condition: str, shape: str
) -> None:
    """Were the refusal to come with the first row that is looked at, it would tell that there is one."""
    await as_service.execute(NO_INDEX)
    for asked in (_theirs(world), _nobodys()):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant in context"):
            await as_service.fetch(shape.format(table=table, condition=condition.format(**asked)))


async def test_no_address_is_read_out_letter_by_letter(inside: Connection, world: World) -> None:
    theirs = f"{world.stranger.user_id.hex}@example.test"
    for letter in "0123456789abcdef":
        said = await plan(inside, f"select from app.users where lower(email) ^@ '{letter}'", EXPLAIN)
        removed = re.search(r"Rows Removed by Filter: (\d+)", said)
        assert removed is not None
        # The colleague, and the caller: as many as the tenant has, whatever was asked.
        assert int(removed[1]) == 2 - (world.caller.user_id.hex[0] == letter)
    assert theirs


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 / (case when {column} = '{value}' then 0 else 1 end) from app.{table}",
        "select from app.{table} where 1 / (case when {column} = '{value}' then 0 else 1 end) > 0",
        "select from app.{table} where {column} = '{value}' and ({column} || 'x')::int > 0",
    ],
)
@pytest.mark.parametrize(("table", "column"), [("users", "email"), ("tenants", "slug"), ("users", "user_id::text")])
async def test_an_error_repeats_nothing_of_others(
    inside: Connection, world: World, table: str, column: str, statement: str
) -> None:
    theirs = _theirs(world)
    value = {"email": theirs["email"], "slug": theirs["slug"], "user_id::text": theirs["user"]}[column]

    await inside.fetch(statement.format(table=table, column=f"({column})", value=value))


async def test_an_id_of_another_tenants_is_as_free_as_any(inside: Connection, admin: Connection, world: World) -> None:
    """A key that the tenant did not lead would refuse it, and so tell that it is taken."""
    taken = await admin.fetchval(
        "select id from app.user_recommendations where tenant_id = $1", world.stranger.tenant_id
    )
    for number, identity in enumerate((taken, uuid4()), 1):
        for conflict in ("", "on conflict do nothing", "on conflict (tenant_id, id) do update set viewed_at = now()"):
            await inside.execute("begin")
            rows = await inside.fetch(
                "insert into app.user_recommendations"
                " (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, based_on)"
                f" values ($1, $2, $3, '2026-11-2{number} 10:00Z', 1, 'rules', 'x', 'y', '{{}}') {conflict} returning id",  # noqa: E501
                world.caller.tenant_id,
                identity,
                world.caller.user_id,
            )
            await inside.execute("rollback")
            assert [row["id"] for row in rows] == [identity]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into app.users (tenant_id, user_id) values ('{tenant}', '{user}')",
        "insert into app.users (tenant_id, user_id) values ('{tenant}', '{user}') on conflict do nothing",
        "insert into app.users (tenant_id, user_id) values ('{tenant}', '{user}') on conflict do nothing returning 1",
        (
            "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
            " values ('{tenant}', '{user}', '2026-11-22', 1, 1, 1)"
        ),
        (
            "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
            " values ('{tenant}', '{user}', '2026-11-22', 1, 1, 1)"
            " on conflict (tenant_id, user_id, date) do update set energy = 1 returning revision"
        ),
        (
            "merge into app.pattern_data as p using (values (1)) as v on p.tenant_id = '{tenant}' when matched then"
            " update set energy = 1 when not matched then insert (tenant_id, user_id, date, energy, focus, fulfillment)"
            " values ('{tenant}', '{user}', '2026-11-22', 1, 1, 1)"
        ),
    ],
)
async def test_a_write_to_another_tenant_is_refused_like_one_to_nobody(
    inside: Connection, world: World, statement: str
) -> None:
    said = []
    for asked in (_theirs(world), _nobodys()):
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await inside.execute(statement.format(**asked))
        said.append(VARYING.sub("…", str(refused.value)))

    assert said[0] == said[1]


async def test_there_is_no_sequence_to_count_others_by(admin: Connection) -> None:
    assert await admin.fetch("select from pg_class where relnamespace = 'app'::regnamespace and relkind = 'S'") == []


@pytest.mark.parametrize("view", ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"])
async def test_statistics_show_no_value(inside: Connection, admin: Connection, view: str) -> None:
    await admin.execute("analyze app.users, app.tenants, app.user_recommendations, app.pattern_data")

    assert await inside.fetch(f"select from {view} where schemaname = 'app'") == []


async def test_estimates_of_text_tell_nothing(inside: Connection, admin: Connection, world: World) -> None:
    await admin.execute("analyze app.users, app.tenants")
    for table, condition in (
        ("users", "lower(email) = '{email}'"),
        ("users", "email = '{email}'"),
        ("tenants", "slug = '{slug}'"),
    ):
        statement = f"select from app.{table} where {condition}"
        plans = [
            await plan(inside, statement.format(**asked), "explain (format text) ")
            for asked in (_theirs(world), _nobodys())
        ]
        assert plans[0] == plans[1]


async def test_what_postgres_tells_of_all_tenants_together(inside: Connection, world: World) -> None:
    """Not closed, and documented: how large a table is and how much is done in it, by all tenants together."""
    assert await inside.fetchval("select reltuples is not null from pg_class where relname = 'users'")
    assert await inside.fetchval("select pg_total_relation_size('app.users') > 0")
    assert await inside.fetchval("select n_tup_ins >= 0 from pg_stat_user_tables where relname = 'users'")
    removed = await plan(inside, f"select from app.users where tenant_id = any('{{{world.stranger.tenant_id}}}')")
    assert "rows=0" in removed


async def test_another_tenants_recommendation_is_404_like_none(
    client: httpx.AsyncClient, admin: Connection, world: World
) -> None:
    theirs = await admin.fetchval(
        "select id from app.user_recommendations where tenant_id = $1", world.stranger.tenant_id
    )
    answers = []
    for identity in (theirs, UUID(int=7)):
        answer = await client.post(f"/api/insights/recommendations/{identity}/viewed", headers=bearer(world.caller))
        assert answer.status_code == 404
        answers.append(answer.text.replace(str(identity), "…"))

    assert answers[0] == answers[1]


async def test_looking_up_anothers_takes_no_longer_than_looking_up_none(
    inside: Connection, admin: Connection, world: World
) -> None:
    """By the middle of many, taken in turns; a look-up that went on to the row would take twice as long."""
    theirs = await admin.fetchval(
        "select id from app.user_recommendations where tenant_id = $1", world.stranger.tenant_id
    )
    look_up = await inside.prepare("select from app.user_recommendations where tenant_id = $1 and id = $2")

    async def timed(do: Callable[[], Awaitable[object]]) -> float:
        began = time.perf_counter()
        await do()
        return time.perf_counter() - began

    taken: dict[UUID, list[float]] = {theirs: [], uuid4(): []}
    for _ in range(400):
        for identity, times in taken.items():
            times.append(await timed(lambda identity=identity: look_up.fetch(world.stranger.tenant_id, identity)))  # type: ignore[misc]
    existing, missing = (statistics.median(times) for times in taken.values())

    assert 0.5 < existing / missing < 2
