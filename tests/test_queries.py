"""Every file of sql/: its header is true, it runs unchanged in psql, and it finds its rows by an index."""

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import Struct

from service import embedded, queries
from service.caller import NOBODY_KNOWN, Caller
from service.database import SERVER_SETTINGS, Connection
from service.pool import prepare_connection
from service.queries import LIST_FRESH_RECOMMENDATIONS, LIST_PATTERNS, Query, _number
from service.seal import ANY_BACKEND, NOBODY, Seal
from tests.conftest import SEAL_KEY, copy_database, enter, run_as_admin

FILES = sorted(path.relative_to(queries.FOLDER).with_suffix("").as_posix() for path in queries.FOLDER.rglob("*.sql"))
QUERIES = {value.name: value for value in vars(queries).values() if isinstance(value, Query)}
VERBS = {"find", "list", "save", "delete", "count"}

TENANT = "00000000-0000-4000-8000-000000000007"
USER = "00000000-0000-4000-8000-000000070003"
CALLER = Caller(UUID(TENANT), UUID(USER))
BIG_TABLES = (
    "users",
    "pattern_data",
    "user_recommendations",
    "recommendation_runs",
    "sessions",
    "refresh_tokens",
    "audit_events",
)

# A realistic size: 50 tenants of 20 people each; 60 days, 10 batches of recommendations and 40 runs a person.
FILL = (
    """
    create function pg_temp.id(number bigint) returns uuid language sql
        return ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid;

    insert into app.tenants (tenant_id, slug, name)
    select pg_temp.id(tenant), 'tenant-' || tenant, 'Tenant ' || tenant from generate_series(1, 50) as tenant;

    insert into app.users (tenant_id, user_id, email)
    select pg_temp.id(tenant), pg_temp.id(tenant * 10000 + person), format('p%s@t%s.test', person, tenant)
    from generate_series(1, 50) as tenant, generate_series(1, 20) as person;

    insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)
    select tenant_id, user_id, date '2026-11-22' - back, back, 100 - back, 50
    from app.users, generate_series(0, 59) as back;

    insert into app.user_recommendations
        (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, data_point, based_on)
    select
        tenant_id,
        pg_temp.id(right(user_id::text, 12)::bigint * 1000 + back * 10 + position),
        user_id,
        timestamptz '2026-11-22 08:30Z' - interval '1 day' * back,
        position,
        'rules',
        'Do ' || position,
        'For a reason. And another.',
        '{"metric": "energy", "statistic": "average", "value": 64}',
        '{"dataPoints": 7, "averageEnergy": 64, "averageFocus": 70, "averageFulfillment": 80}'
    from app.users, generate_series(0, 9) as back, generate_series(1, 5) as position;

    update app.user_recommendations
    set topic = (array['rest', 'sleep', 'food', 'people', 'growth'])[position],
        viewed_at = generated_at,
        helpful = position > 2,
        judged_at = generated_at
    where position > 1;

    insert into app.recommendation_runs (
        tenant_id, user_id, run_id, reason, started_at, lease_until, outcome, finished_at, engine, based_on
    )
    select
        tenant_id,
        user_id,
        case when number = 0 then pg_temp.id(right(user_id::text, 12)::bigint) else gen_random_uuid() end,
        case when number % 10 = 1 then 'refreshed' else 'missed' end,
        timestamptz '2026-11-22 08:30Z' - interval '1 hour' * number,
        timestamptz '2026-11-22 08:31Z' - interval '1 hour' * number,
        case when number = 0 then 'lost' else 'made' end,
        timestamptz '2026-11-22 08:31Z' - interval '1 hour' * number,
        'openai',
        '{}'
    from app.users, generate_series(0, 39) as number;

    insert into app.budget_use (tenant_id, date, calls, tokens)
    select tenant_id, date '2026-11-22' - back, 7, 7000
    from app.tenants, generate_series(0, 59) as back;

    insert into app.sessions
        (tenant_id, session_id, user_id, created_at, used_at, expires_at, ended_at, ended_reason, address, agent)
    select
        tenant_id,
        pg_temp.id(right(user_id::text, 12)::bigint * 100 + number),
        user_id,
        timestamptz '2026-11-22 08:30Z' - interval '1 day' * number,
        timestamptz '2026-11-22 08:30Z' - interval '1 day' * number,
        timestamptz '2026-12-22 08:30Z' - interval '1 day' * number,
        case when number > 3 then timestamptz '2026-11-22 08:45Z' end,
        case when number > 3 then 'logged_out' end,
        '192.0.2.7',
        'Firefox'
    from app.users, generate_series(1, 20) as number;

    insert into app.refresh_tokens (tenant_id, token_hash, user_id, session_id, issued_at, used_at)
    select
        tenant_id,
        sha256(convert_to(session_id::text || number, 'UTF8')),
        user_id,
        session_id,
        created_at,
        case when number < 3 then created_at end
    from app.sessions, generate_series(1, 3) as number;

    insert into app.audit_events (tenant_id, user_id, occurred_at, kind, session_id, address)
    select
        tenant_id,
        user_id,
        created_at,
        'logged_in',
        session_id,
        address
    from app.sessions;
    insert into app.rate_limits (tenant_id, subject, used, ends_at)
    select tenant_id, sha256(user_id::text::bytea), 7, now() + interval '1 hour' from app.users
    union all
    select pg_temp.id(7), decode(repeat('07', 32), 'hex'), 7, now() + interval '1 hour';

    insert into app.pins (login, tenant) values ('ines', pg_temp.id(7)), ('omar', pg_temp.id(8));

    insert into app.seal_keys (key_id, inner_pad, outer_pad, created_at)
    select repeat(number::text, 16), decode(repeat('00', 64), 'hex'), decode(repeat('ff', 64), 'hex'), '2026-01-01Z'
    from generate_series(1, 2) as number;
    """,
    "call app.add_partitions('2026-01-01', '2027-12-01')",
    "vacuum analyze",
)

# What each parameter is given, as psql takes it.
VALUES = {
    "tenant_id": TENANT,
    "user_id": USER,
    "tenant": "tenant-7",
    "now": "2026-11-22 09:00:00+00",
    "stale_before": "2026-11-22 08:00:00+00",
    "known": "{}",
    "generated_at": "2026-11-22 09:00:00+00",
    "until": "",
    "days": "7",
    "date": "2026-11-22",
    "dates": "{2026-11-22,2026-12-24}",
    "energies": "{1,2}",
    "focuses": "{3,4}",
    "fulfillments": "{5,6}",
    "id": "00000000-0000-4000-8000-000070003001",
    "ids": "{00000000-0000-4000-8000-00000000000a,00000000-0000-4000-8000-00000000000b}",
    "engine": "rules",
    "based_on": '{"dataPoints": 7}',
    "recommendations": "{Rest,Walk}",
    "reasonings": "{Because,Therefore}",
    "data_points": "{null,null}",
    "topics": "{rest,movement}",
    "fallback": "false",
    "helpful": "true",
    "note": "Just right",
    "given_after": "2026-10-23 09:00:00+00",
    "judged_after": "2026-11-08 09:00:00+00",
    "after": "2026-11-21 09:00:00+00",
    "failed_after": "2026-11-22 08:55:00+00",
    "since": "2026-11-01 00:00:00+00",
    "run_id": USER,
    "reason": "missed",
    "lease": "9000",
    "model": "",
    "prompt_version": "",
    "outcome": "made",
    "given": "rules",
    "calls": "1",
    "tokens": "2000",
    "tokens_in": "800",
    "tokens_out": "400",
    "cost": "0.00036",
    "duration_ms": "1500",
    "most_calls": "100",
    "most_tokens": "100000",
    "subject": "\\x" + "07" * 32,
    "wanted": "2",
    "most": "8",
    "seconds": "60",
    "slug": "a-new-one",
    "name": "It's new",
    "email": "P3@T7.test",
    "emails": "{p3@t7.test,new@t7.test}",
    "user_ids": f"{{{USER},{USER}}}",
    "positions": "{1,2}",
    "based_ons": "{7,7}",
    "role": "member",
    "roles": "{member,admin}",
    "timezone": "Europe/Berlin",
    "context": f"1800000000|0000000000|{TENANT}|{USER}|{NOBODY}|member",
    "session_id": "00000000-0000-4000-8000-000007000301",
    "token_hash": "\\x" + sha256(b"00000000-0000-4000-8000-0000070003013").hexdigest(),
    "next_hash": "\\x" + "ab" * 32,
    "grace": "10",
    "expires_at": "2026-12-22 09:00:00+00",
    "address": "192.0.2.7",
    "agent": "Firefox",
    "everywhere": "true",
    "before": "2026-11-21 12:00:00+00",
    "before_id": str(NOBODY_KNOWN),
    "size": "5",
    "kind": "login_failed",
    "person": USER,
    "password_hash": "$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA",
    "login": "ines",
    "key_id": "0123456789abcdef",
    "inner_pad": "\\x" + "36" * 64,
    "outer_pad": "\\x" + "5c" * 64,
}
OWN_VALUES = {
    "recommendations/save_run": {"run_id": "00000000-0000-4000-8000-0000000000ff"},
    "users/save_user": {"email": "new@t7.test"},
    "users/save_role": {"role": "admin"},
    "sessions/save_session": {"session_id": "00000000-0000-4000-8000-0000000000ff", "token_hash": "\\x" + "cd" * 32},
    "sessions/save_revocation": {"id": "00000000-0000-4000-8000-000007000301"},
    "analysts/save_pin": {"login": "a new one"},
}
# Nobody is making USER's recommendations, or save_run would get no lease; and USER has some, so the demo makes none.
# What these find, the tests of their subjects show.
FIND_NOTHING = {
    "recommendations/find_running",
    "recommendations/save_lost_runs",
    "demo/list_demo_weeks",
    "sessions/find_login",  # in a tenant's context
}

# What only the owner reads, and what is the same for all tenants: no row of a tenant's own.
NO_TENANTS_OWN = {"tenants", "pins", "seal_keys"}

PARSERS: dict[str, Callable[[str], object]] = {
    "uuid": UUID,
    "text": str,
    "name": str,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "date": date.fromisoformat,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "float8": float,
    "boolean": lambda text: text in {"t", "true"},
    "timestamptz": datetime.fromisoformat,
    "jsonb": json.loads,
}


class Header(Struct):
    """What a file's first comment promises."""

    sentence: str
    parameters: dict[str, str]
    uses: list[str]
    sorts: bool
    returns: dict[str, str]
    for_the_administrator: bool


def text_of(name: str) -> str:
    return (queries.FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def code_of(name: str) -> str:
    """The file without its comments and strings."""
    return re.sub(r"--[^\n]*|'[^']*'", "", text_of(name))


def header_of(name: str) -> Header:
    comment = text_of(name).partition("\n\n")[0]
    lines = [line.removeprefix("--").removeprefix(" ") for line in comment.splitlines()]
    entries: list[tuple[str, str]] = []
    for line in lines[lines.index("") + 1 :]:
        if line.startswith(" "):
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        elif line == "":
            break
        else:
            word, rest = re.split(r"\s{2,}", line, maxsplit=1)
            entries.append((word, rest))
    said = dict(entries)
    uses, _, remark = said.pop("uses", "").partition("(")
    returns = said.pop("returns").partition(" :")[0]
    return Header(
        sentence=" ".join(lines[: lines.index("")]),
        parameters={word: rest.split()[0] for word, rest in said.items()},
        uses=[index.strip() for index in uses.split(",") if index.strip()],
        sorts="no sort" not in remark,
        returns=dict(column.split() for column in returns.split(",")),
        for_the_administrator="For the administrator" in comment,
    )


def parse(kind: str, text: str) -> object:
    if kind.endswith("[]"):
        element = PARSERS[kind.removesuffix("[]")]
        elements = [each.strip('"') for each in text.strip("{}").split(",")] if text != "{}" else []
        return [None if each == "null" else element(each) for each in elements]
    return PARSERS[kind](text)


def role_of(name: str) -> str:
    return "postgres" if header_of(name).for_the_administrator else "daymark_service"


@pytest.fixture(scope="module")
def filled(postgres: embedded.Server, template: str) -> Iterator[str]:
    """Give a database of a realistic size, whose statistics are fresh."""
    name = copy_database(postgres, template)
    run_as_admin(postgres, name, *FILL)
    yield name
    run_as_admin(postgres, "postgres", f"drop database {name} with (force)")


@pytest.fixture
async def connections(postgres: embedded.Server, filled: str) -> AsyncIterator[dict[str, Connection]]:
    """Give a connection of each role; the service's is in USER's context, inside a transaction that is rolled back."""
    opened: dict[str, Connection] = {}
    for role in ("postgres", "daymark_service"):
        opened[role] = await asyncpg.connect(postgres.url(role, filled), server_settings=SERVER_SETTINGS)
        await prepare_connection(opened[role])
        await opened[role].execute("begin")
    await enter(opened["daymark_service"], CALLER, local=True)
    yield opened
    for connection in opened.values():
        await connection.execute("rollback")
        await connection.close()


def test_every_file_has_one_constant_named_after_it() -> None:
    constants = {value.name: name for name, value in vars(queries).items() if isinstance(value, Query)}

    assert sorted(constants) == FILES
    assert constants == {file: file.rpartition("/")[2].upper() for file in FILES}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_by_verb_and_noun_and_its_first_line_is_a_sentence_with_that_verb(name: str) -> None:
    subject, _, file = name.partition("/")
    verb, _, noun = file.partition("_")

    assert verb in VERBS
    assert noun
    assert re.fullmatch(r"[a-z]+", subject)
    assert header_of(name).sentence.startswith(verb.capitalize() + " ")
    assert header_of(name).sentence.endswith(".")
    assert text_of(name).startswith("-- ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_one_statement_in_lower_case_that_names_what_it_selects(name: str) -> None:
    code = code_of(name)

    assert code == code.lower()
    assert not re.search(r"select\s+(\w+\.)?\*", code)
    assert code.count(";") == 1
    assert text_of(name).endswith(";\n")
    assert "\t" not in text_of(name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_on_a_tenants_tables_names_its_tenant(name: str) -> None:
    code = re.sub(r"--[^\n]*", "", text_of(name))
    tables = set(re.findall(r"app\.(\w+)(?!\w|\()", code)) - NO_TENANTS_OWN

    # Row security alone would be as right and many times slower: the predicate is what prunes, and what an index needs.
    named = code.count("tenant_id = :'tenant_id'") + code.count(":'tenant_id'::uuid") + code.count("(:'tenant_id',")
    # Whoever examines the wall looks at all tenants.
    assert named >= (1 if tables and not name.startswith("wall/") else 0)
    for table, inserted in re.findall(r"insert into app\.(\w+) \(([^)]*)\)", code):
        assert "tenant_id" in inserted or table in NO_TENANTS_OWN


@pytest.mark.parametrize("name", FILES)
async def test_a_header_says_what_prepare_says(name: str, connections: dict[str, Connection]) -> None:
    header, query = header_of(name), QUERIES[name]
    connection = connections["postgres"]
    prepared = await connection.prepare(query.plain)

    promised = {
        word: await connection.fetchval("select $1::text::regtype::oid", kind)
        for word, kind in (header.parameters.items())
    }
    assert {word: kind.oid for word, kind in zip(query.plain_parameters, prepared.get_parameters(), strict=True)} == (
        promised
    )
    assert [
        (column.name, await connection.fetchval("select format_type($1, null)", column.type.oid))
        for column in prepared.get_attributes()
    ] == [
        (column, await connection.fetchval("select $1::text::regtype::text", kind))
        for column, kind in header.returns.items()
    ]


@pytest.mark.parametrize("name", FILES)
async def test_a_file_runs_unchanged_in_psql_and_gives_what_the_service_gets(
    name: str, connections: dict[str, Connection], postgres: embedded.Server, filled: str
) -> None:
    header, query = header_of(name), QUERIES[name]
    values = VALUES | OWN_VALUES.get(name, {})
    own = [parse(header.parameters[word], values[word]) for word in query.plain_parameters]

    ours = await connections[role_of(name)].fetch(query.plain, *own)
    await connections[role_of(name)].execute("rollback")  # psql shall not wait for what we wrote
    columns, theirs = run_in_psql(postgres.url(role_of(name), filled), name, header, values)

    assert columns == list(header.returns)
    # An id that the database makes is another one each time.
    # An id that the database makes is another one each time, and of a window less is left.
    made = {"tenant_id", "user_id", "event_id", "ends_in"} - set(header.parameters) if "/save_" in name else set()
    assert [{word: value for word, value in row.items() if word not in made} for row in theirs] == [
        {word: value for word, value in row.items() if word not in made} for row in ours
    ]
    # The wall's files list faults: that each finds its own is for test_doctor to show.
    assert theirs or name.startswith("wall/") or name in FIND_NOTHING


def seal_for(backend: int) -> str:
    return Seal(SEAL_KEY).sign(CALLER, backend, datetime.now(UTC) + timedelta(minutes=1))


def run_in_psql(
    url: str, name: str, header: Header, values: dict[str, str]
) -> tuple[list[str], list[dict[str, object]]]:
    context = {"timezone": "UTC", "app.tenant_id": TENANT, "app.seal": seal_for(ANY_BACKEND)}
    run = subprocess.run(
        [
            embedded.binary("psql"),
            url,
            "--no-psqlrc",
            "--quiet",
            "--csv",
            "--set=ON_ERROR_STOP=1",
            "--pset=null=<null>",
            *(f"--set={word}={values[word]}" for word in header.parameters),
            "--command=begin",
            f"--file={queries.FOLDER / name}.sql",
            "--command=rollback",
        ],
        env=os.environ | {"PGOPTIONS": " ".join(f"-c {setting}={value}" for setting, value in context.items())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    columns, *rows = csv.reader(io.StringIO(run.stdout))
    return columns, [
        {
            column: None if text == "<null>" else parse(header.returns[column], text)
            for column, text in zip(columns, row, strict=True)
        }
        for row in rows
    ]


@pytest.mark.parametrize("name", [name for name in FILES if header_of(name).uses])
async def test_a_file_uses_the_indexes_that_its_header_names_and_reads_no_big_table_through(
    name: str, connections: dict[str, Connection]
) -> None:
    header, query = header_of(name), QUERIES[name]
    service = not header.for_the_administrator
    reads = service and name.partition("/")[2].startswith(("find_", "list_"))

    if re.match(r"\s*select app\.", code_of(name)):
        plan = await explain_within(connections["postgres"], query)
    else:
        plan = await explain(connections[role_of(name)], query, entered=reads)

    used = {
        await connections["postgres"].fetchval(
            "select coalesce(pg_partition_root(index), index)::text from (select ('app.' || $1)::regclass as index)",
            node["Index Name"],
        )
        for node in nodes_of(plan)
        if "Index Name" in node
    }
    assert {f"app.{index}" for index in header.uses} <= used
    assert [
        node["Relation Name"]
        for node in nodes_of(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith(BIG_TABLES) and node["Actual Loops"]
    ] == []
    assert header.sorts or "Sort" not in {node["Node Type"] for node in nodes_of(plan)}


async def explain(connection: Connection, query: Query, *, entered: bool) -> dict[str, Any]:
    """Run a query by its generic plan, as a connection does that has run it before, and give that plan."""
    header = header_of(query.name)
    words = query.entered_parameters if entered else query.plain_parameters
    kinds = [header.parameters[word] for word in words]
    values = [(VALUES | OWN_VALUES.get(query.name, {}))[word] for word in words]
    if entered:
        # A fresh transaction, for the statement itself shall let the tenant in.
        await connection.execute("rollback; begin")
        kinds, values = ["uuid", "uuid", "text", *kinds], [TENANT, USER, seal_for(connection.get_server_pid()), *values]
    given = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    text = query.entered if entered else query.plain
    await connection.execute(f"prepare asked ({', '.join(kinds)}) as {text}")
    await connection.execute("set local plan_cache_mode = force_generic_plan")
    found = await connection.fetchval(f"explain (analyze, buffers, format json) execute asked({given})")
    await connection.execute("deallocate asked")
    [explained] = json.loads(found)
    plan: dict[str, Any] = explained["Plan"]
    return plan


async def explain_within(connection: Connection, query: Query) -> dict[str, Any]:
    """Run a query that only calls a function, as the function's owner does, and give the plan of what that runs."""
    told: list[str] = []
    connection.add_log_listener(lambda _, message: told.append(message.message or ""))
    await connection.execute("load 'auto_explain'; set local plan_cache_mode = force_generic_plan")
    await enter(connection, CALLER, local=True)
    header = header_of(query.name)
    own = [parse(header.parameters[word], VALUES[word]) for word in query.plain_parameters]
    await connection.execute(
        "set local auto_explain.log_min_duration = 0; set local auto_explain.log_nested_statements = on;"
        "set local auto_explain.log_analyze = on; set local auto_explain.log_format = json;"
        "set local client_min_messages = log"
    )
    await connection.fetch(query.plain, *own)
    await connection.execute("set local client_min_messages = error")
    written = [
        explained["Plan"]
        for explained in (json.loads(line.partition("plan:")[2]) for line in told if "plan:" in line)
        if re.match(r"insert|update|delete", explained["Query Text"])
    ]
    assert written
    return {"Node Type": "Function", "Plans": written}


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes_of(child)


async def test_the_cache_look_up_is_one_index_scan_of_five_rows_and_nothing_is_sorted(
    connections: dict[str, Connection],
) -> None:
    plan = await explain(connections["daymark_service"], LIST_FRESH_RECOMMENDATIONS, entered=True)

    scans = [node for node in nodes_of(plan) if "Relation Name" in node]
    assert [(scan["Node Type"], scan["Index Name"]) for scan in scans] == [
        ("Index Scan", "user_recommendations_newest")
    ]
    assert scans[0]["Actual Rows"] == 5
    assert [node for node in nodes_of(plan) if "Sort" in node["Node Type"]] == []
    assert scans[0]["Shared Hit Blocks"] <= 8


async def test_a_window_of_days_touches_the_partitions_of_its_months_only(
    connections: dict[str, Connection],
) -> None:
    plan = await explain(connections["daymark_service"], LIST_PATTERNS, entered=True)

    scans = [node for node in nodes_of(plan) if node.get("Relation Name", "").startswith("pattern_data_")]
    touched = [node["Relation Name"] for node in scans if node["Actual Loops"] > 0]
    removed = [node["Subplans Removed"] for node in nodes_of(plan) if "Subplans Removed" in node]
    # 16 to 22 November; pruned as it starts, or never run.
    assert touched == ["pattern_data_2026_11"]
    assert sum(removed) + len(scans) - len(touched) == 24


async def test_no_plan_of_the_service_tells_how_many_rows_another_tenant_has(
    connections: dict[str, Connection],
) -> None:
    plan = await explain(connections["daymark_service"], LIST_FRESH_RECOMMENDATIONS, entered=True)

    assert [node["Rows Removed by Filter"] for node in nodes_of(plan) if node.get("Rows Removed by Filter")] == []


def test_parameters_are_numbered_in_the_order_in_which_they_first_appear() -> None:
    text, names = _number("select :'second', :'first', :'second'", first=1, known={})

    assert text == "select $1, $2, $1"
    assert names == ("second", "first")


def test_numbering_may_start_later_and_leave_out_what_is_known() -> None:
    text, names = _number("select :'tenant_id', :'days'::integer", first=4, known={"tenant_id": "caller.tenant_id"})

    assert text == "select caller.tenant_id, $4::integer"
    assert names == ("days",)


@pytest.mark.parametrize(
    "text",
    [
        "-- :'days' of a person\nselect 1",
        "select 1 -- not :'days'",
        "select '2026-11-22'::date",
        "select (array[1, 2, 3])[1:2]",
        "select (array[1, 2, 3])[:2]",
        "select ':days', ': days', 'a:b'",
        "select '12:30'::time, $$:days$$",
        "select 5 % 2",
        "select '{braces}'",
    ],
)
def test_what_is_no_parameter_stays_as_it_is(text: str) -> None:
    assert _number(text, first=1, known={}) == (text, ())


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no/such_file"):
        queries.load("no/such_file")


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_a_file_is_left_unnumbered(name: str) -> None:
    query = QUERIES[name]

    for text in (query.plain, query.entered):
        assert ":'" not in re.sub(r"--[^\n]*", "", text)
    assert query.entered.startswith(queries.ENTER.partition("{query}")[0])
    assert not {"tenant_id", "user_id"} & set(query.entered_parameters)
