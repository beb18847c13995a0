"""One limit over several processes: real `daymark serve`s on one database, and more requests than may pass."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.patterns.analysis import Day
from service.patterns.story import store_days
from tests.bench import load
from tests.command import Running, started
from tests.conftest import SEAL_KEY, SECRET, bearer, sign

PATH = "/api/insights/recommendations"
REQUESTS, TASKS, LIMIT = 10_000, 8, 1_000

Two = tuple[Running, Running]


@pytest.fixture
async def two(tmp_path: Path, service_url: str) -> AsyncIterator[Two]:
    """Give two processes of the service, which know of each other by the database alone."""
    variables = {
        "DAYMARK_DATABASE_URL": service_url,
        "DAYMARK_JWT_SECRET": SECRET,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
        "DAYMARK_LIMIT_PERSON": f"{LIMIT}/3600",
    }
    async with AsyncExitStack() as stack:
        one, other = (
            stack.enter_context(started(tmp_path, "serve", ready="serving on 127.0.0.1:", **variables)) for _ in "ab"
        )
        yield one, other


@pytest.fixture
async def person(database: Database, caller: Caller) -> Caller:
    """Give somebody with a day recorded; these processes live in the present."""
    now = datetime.now(UTC)
    await store_days(database, caller, now, [Day(now.date(), 60, 70, 81)])
    return caller


async def test_of_ten_thousand_requests_over_two_processes_exactly_the_limit_passes(
    two: Two, person: Caller, admin: Connection
) -> None:
    jobs = [
        load.Job(process.port, PATH, [sign(person, datetime.now(UTC))], TASKS // 2, count=REQUESTS // 2)
        for process in two
    ]
    results = await asyncio.gather(*(load.run(job) for job in jobs))

    passed = [result.answered - result.failed for result in results]
    print(f"passed {passed} at {[round(result.rate) for result in results]} requests a second")
    assert [result.answered for result in results] == [REQUESTS // 2] * 2
    assert sum(passed) == LIMIT
    assert min(passed) > 0
    # Both know at last, and by themselves, that there is nothing left: what is refused costs no statement.
    [used] = await admin.fetch("select used from app.rate_limits where tenant_id = $1", person.tenant_id)
    assert LIMIT <= used["used"] <= LIMIT + TASKS
    for process in two:
        async with httpx.AsyncClient() as client:
            answer = await client.get(process.url + PATH, headers=bearer(person, datetime.now(UTC)))
        assert answer.status_code == 429
        assert answer.headers["ratelimit-policy"] == '"person";q=1000;w=3600'
        assert answer.headers["ratelimit"].startswith('"person";r=0;t=')
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600


async def test_another_person_passes_meanwhile(two: Two, person: Caller, stranger: Caller) -> None:
    now = datetime.now(UTC)
    flood = load.Job(two[0].port, PATH, [sign(person, now)], 2, count=LIMIT + 500)
    result, answer = await asyncio.gather(load.run(flood), _ask(two[0], stranger, now))

    assert result.answered - result.failed == LIMIT
    assert answer.status_code == 200
    assert answer.headers["ratelimit"].startswith('"person";r=999;t=')


async def _ask(process: Running, caller: Caller, now: datetime) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(process.url + "/api/insights/patterns", headers=bearer(caller, now))
