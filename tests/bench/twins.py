"""The twins of the service that the benchmark holds it against: the same code and rows, but for the wall.

`python -m tests.bench.twins bench_open|bench_common PORT` serves one, with the settings of the environment. Their rows
are copies, in a schema of that name: `make_schemas` makes both.

    bench_open     no wall at all: no policy, no seal, nobody enters
    bench_common   what everybody does: BEGIN, set_config, the query, COMMIT; asyncpg's own pool, reset by its default;
                   policies that believe the setting
"""

import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Self

import asyncpg
import msgspec
from asyncpg import Record
from litestar.types import ASGIApp

from service import database, queries, seal, serving
from service.caller import Caller
from service.installation import Installation
from service.pool import prepare_connection
from service.queries import Query
from service.settings import read

MAKE_APPLICATION = serving._make_application
TABLE = "user_recommendations"
# In place of queries.ENTER: nobody enters, and nothing keeps the planner from seeing through it.
NO_ENTRANCE = """\
select q.*
from (select $1::uuid as tenant_id, $2::uuid as user_id, $3::text as seal) as caller,
lateral (
{query}
) as q"""
ENTER_BY_SETTINGS = """\
select
    set_config('app.tenant_id', $1::text, true),
    set_config('app.user_id', $2::text, true),
    set_config('app.role', $3::text, true)"""


async def make_schemas(connection: database.Connection) -> None:
    """Make both twins of the table, of the rows that it has now; `connection` is the administrator's."""
    columns = await connection.fetchval(
        "select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns"
        " where table_schema = 'app' and table_name = $1 and is_generated = 'NEVER'",
        TABLE,
    )
    for schema in SCHEMAS:
        await connection.execute(
            f"""
            create schema {schema};
            create table {schema}.{TABLE} (like app.{TABLE} including all);
            insert into {schema}.{TABLE} ({columns}) select {columns} from app.{TABLE};
            grant usage on schema {schema} to daymark_service;
            grant select on {schema}.{TABLE} to daymark_service;
            """
        )
    await connection.execute(
        f"""
        alter table bench_common.{TABLE} enable row level security, force row level security;
        create policy tenant_floor on bench_common.{TABLE} as restrictive
            using (tenant_id = (select current_setting('app.tenant_id')::uuid));
        create policy own_rows on bench_common.{TABLE}
            using (user_id = (select current_setting('app.user_id')::uuid));
        create policy admin_rows on bench_common.{TABLE} for select
            using ((select current_setting('app.role')) = 'admin');
        """
    )
    # A part of asyncpg's reset; ours needs none of it, and migration 0009 takes it from everybody.
    await connection.execute("grant execute on function pg_advisory_unlock_all() to daymark_service")
    await connection.execute("vacuum analyze")


class CommonDatabase(database.Database):
    """Reads as everybody does."""

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        self._common = pool

    @classmethod
    async def open(cls, url: str, size: int, *_: object) -> Self:  # neither seal nor sessions
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            command_timeout=database.COMMAND_TIMEOUT,
            server_settings=database.SERVER_SETTINGS,
            init=prepare_connection,
        )
        return cls(pool)

    async def read(self, caller: Caller, query: Query, **values: object) -> list[Record]:
        own: dict[str, object] = {"tenant_id": caller.tenant_id, "user_id": caller.user_id}
        arguments = [(values | own)[name] for name in query.plain_parameters]
        async with self._common.acquire() as connection, connection.transaction():
            await connection.fetch(ENTER_BY_SETTINGS, str(caller.tenant_id), str(caller.user_id), caller.role)
            return await connection.fetch(query.plain, *arguments)

    async def close(self) -> None:
        await self._common.close()


def make_open() -> ASGIApp:
    """Make the application without a wall, in a worker process."""
    turn_to("bench_open")
    seal.Seal.sign = no_seal  # type: ignore[assignment, method-assign]
    return MAKE_APPLICATION()


def make_common() -> ASGIApp:
    """Make the application as everybody does, in a worker process."""
    turn_to("bench_common")
    database.Database = CommonDatabase  # type: ignore[assignment, misc]
    return MAKE_APPLICATION()


SCHEMAS: dict[str, Callable[[], ASGIApp]] = {"bench_open": make_open, "bench_common": make_common}


def turn_to(schema: str) -> None:
    """Have every query read the table in `schema`, before any module that asks takes its queries over."""
    if "service.app" in sys.modules:
        raise SystemExit("a twin's application was imported before it was changed")
    for name, query in list(vars(queries).items()):
        if isinstance(query, Query):
            setattr(queries, name, in_schema(schema, query))


def in_schema(schema: str, query: Query) -> Query:
    """Give the same query, of the table in `schema`; without an entrance where that has no wall."""
    entered = query.entered
    if schema == "bench_open":
        head, tail = queries.ENTER.split("{query}")
        entered = NO_ENTRANCE.format(query=entered.removeprefix(head).removesuffix(tail))
    return msgspec.structs.replace(
        query,
        plain=query.plain.replace(f"app.{TABLE}", f"{schema}.{TABLE}"),
        entered=entered.replace(f"app.{TABLE}", f"{schema}.{TABLE}"),
    )


def no_seal(_: seal.Seal, caller: Caller, backend: int, expires: datetime) -> str:  # noqa: ARG001 - as Seal.sign
    return ""


def main() -> None:
    schema, port = sys.argv[1:]
    settings = read(os.environ)
    # The worker process loads this by its name, so it is not __main__'s.
    from tests.bench import twins  # noqa: PLC0415

    serving._make_application = twins.SCHEMAS[schema]
    serving.serve(Installation(settings, embedded=False), "127.0.0.1", int(port), 1, lambda: None)


if __name__ == "__main__":
    main()
