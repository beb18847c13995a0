"""The pool: what is lent comes back as it went, or does not come back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.embedded import Server
from service.errors import NotFound, Unavailable
from service.pool import Pool
from tests.conftest import run_as_admin


@pytest.fixture
async def pool(service_url: str) -> AsyncIterator[Pool]:
    """Give a pool of one connection."""
    opened = await Pool.open(service_url, 1)
    yield opened
    await opened.close()


async def backend(pool: Pool) -> int:
    async with pool.lend() as held:
        [row] = await held.fetch("select pg_backend_pid() as pid")
        assert row["pid"] == held.backend
        return held.backend


async def test_the_connection_that_came_back_is_lent_again(pool: Pool) -> None:
    assert len({await backend(pool) for _ in range(3)}) == 1


async def test_a_problem_of_the_callers_costs_no_connection(pool: Pool) -> None:
    before = await backend(pool)
    with pytest.raises(NotFound):
        async with pool.lend():
            raise NotFound

    assert await backend(pool) == before


async def test_a_transaction_that_was_left_open_is_over_for_the_next(pool: Pool) -> None:
    async with pool.lend() as held:
        await held.connection.execute("begin")
        await held.connection.execute("select set_config('app.tenant_id', 'somebody', true)")

    async with pool.lend() as held:
        assert not held.connection.is_in_transaction()
        assert await held.connection.fetchval("select current_setting('app.tenant_id', true)") in {"", None}


async def test_a_statement_that_a_migration_changed_is_prepared_anew(postgres: Server, own_database: str) -> None:
    run_as_admin(
        postgres,
        own_database,
        "create table app.scratch (one integer)",
        "insert into app.scratch values (1)",
        "grant select on app.scratch to daymark_service",
    )
    pool = await Pool.open(postgres.url("daymark_service", own_database), 1)
    query = "select scratch.* from app.scratch"
    async with pool.lend() as held:
        before = [tuple(row) for row in await held.fetch(query)]
    run_as_admin(postgres, own_database, "alter table app.scratch add two integer not null default 2")
    async with pool.lend() as held:
        after = [tuple(row) for row in await held.fetch(query)]
    await pool.close()

    assert (before, after) == ([(1,)], [(1, 2)])


async def test_who_has_a_connection_when_the_pool_is_closed_may_finish(service_url: str) -> None:
    pool = await Pool.open(service_url, 1)
    async with pool.lend() as held:
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        assert await held.connection.fetchval("select 1") == 1
    async with asyncio.timeout(2):  # and nobody waits longer for that than it takes
        await closing

    assert held.is_gone()
    with pytest.raises(Unavailable):
        await backend(pool)
