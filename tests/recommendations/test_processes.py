"""One run at a time across processes: real `daymark serve`s on one database, and one API that they all ask."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.patterns.analysis import Day
from service.patterns.story import store_days
from tests.command import Running, started
from tests.conftest import SEAL_KEY, SECRET, bearer
from tests.openai_server import Server
from tests.recommendations.scripted import runs_of

PATH = "/api/insights/recommendations"
LIMIT = 4.0  # seconds
LEASE = LIMIT + 1.0
# A transaction in which nobody has done anything for so long is one that is held while waiting. Seconds.
HELD = 0.5

Two = tuple[Running, Running]
Ask = Callable[[Running, Caller], Coroutine[None, None, httpx.Response]]


@pytest.fixture
async def person(database: Database, caller: Caller) -> Caller:
    """Give somebody with a day recorded; these processes live in the present."""
    now = datetime.now(UTC)
    await store_days(database, caller, now, [Day(now.date(), 60, 70, 81)])
    return caller


@pytest.fixture
async def api() -> AsyncIterator[Server]:
    async with Server() as served:
        yield served


@pytest.fixture
async def two(tmp_path: Path, service_url: str, api: Server) -> AsyncIterator[Two]:
    """Give two processes of the service, which know of each other by the database alone."""
    variables = {
        "DAYMARK_DATABASE_URL": service_url,
        "DAYMARK_JWT_SECRET": SECRET,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
        "DAYMARK_OPENAI_TIMEOUT": str(LIMIT),
        "OPENAI_API_KEY": "sk-of-the-tests",
        "OPENAI_BASE_URL": api.url,
    }
    ready = "serving on 127.0.0.1:"
    with (
        started(tmp_path, "serve", ready=ready, **variables) as one,
        started(tmp_path, "serve", ready=ready, **variables) as other,
    ):
        yield one, other


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_connections=None)) as client:
        yield client


@pytest.fixture
def ask(http: httpx.AsyncClient) -> Ask:
    """Give how a person asks one of the processes."""

    async def asking(service: Running, caller: Caller) -> httpx.Response:
        return await http.get(service.url + PATH, headers=bearer(caller, datetime.now(UTC)))

    return asking


async def longest_held(admin: Connection, until: asyncio.Event) -> float:
    """Watch the service's connections until told to stop; the longest that one was in a transaction, in seconds."""
    longest = 0.0
    while not until.is_set():
        held = await admin.fetchval(
            "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity"
            " where application_name = 'daymark' and xact_start is not null"
        )
        longest = max(longest, held)
        await asyncio.sleep(0.005)
    return longest


async def test_two_hundred_at_once_over_two_processes_are_one_call(
    two: Two, ask: Ask, api: Server, admin: Connection, person: Caller
) -> None:
    # The openai package is loaded by the first who asks, which takes a while: not what this is about.
    api.tell("slow:1.2")
    done = asyncio.Event()
    watching = asyncio.create_task(longest_held(admin, done))

    answers = await asyncio.gather(*(ask(two[number % 2], person) for number in range(200)))
    done.set()
    held = await watching

    assert [answer.status_code for answer in answers] == [200] * 200
    batches = {tuple(each["id"] for each in answer.json()["recommendations"]) for answer in answers}
    assert len(batches) == 1
    assert [len(batch) for batch in batches] == [5]
    assert {answer.json()["engine"] for answer in answers} == {"openai"}
    assert len(api.requests) == 1
    assert await runs_of(admin, person) == [("missed", "made", "openai")]
    assert held < HELD


async def test_a_process_that_is_killed_while_generating_keeps_nobody_longer_than_its_lease(
    two: Two, ask: Ask, api: Server, admin: Connection, person: Caller
) -> None:
    api.tell("hang", "sound")
    doomed = asyncio.create_task(ask(two[0], person))
    async with asyncio.timeout(10):
        await api.asked.wait()
    os.killpg(two[0].process.pid, signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(httpx.TransportError):
        await doomed

    next_one = await ask(two[1], person)
    waited = time.monotonic() - killed
    while (later := await ask(two[1], person)).json()["engine"] != "openai":
        assert time.monotonic() - killed < LEASE + 1

    assert waited < LEASE
    assert next_one.status_code == 200
    assert len(next_one.json()["recommendations"]) >= 3
    assert next_one.json()["source"] == "user"
    assert len(later.json()["recommendations"]) == 5
    assert [(outcome, given) for _, outcome, given in await runs_of(admin, person)] == [
        ("lost", None),
        ("made", "openai"),
    ]


async def test_a_process_that_is_stopped_while_generating_leaves_its_place_at_once(
    two: Two, ask: Ask, api: Server, admin: Connection, person: Caller
) -> None:
    api.tell("hang", "sound")
    asking = asyncio.create_task(ask(two[0], person))
    async with asyncio.timeout(10):
        await api.asked.wait()
    os.kill(two[0].process.pid, signal.SIGTERM)
    stopped = time.monotonic()

    answer = await ask(two[1], person)
    waited = time.monotonic() - stopped
    await asyncio.gather(asking, return_exceptions=True)

    assert waited < LEASE
    assert answer.status_code == 200
    assert len(answer.json()["recommendations"]) >= 3
    assert two[0].process.wait(10) == 0
    assert (
        await admin.fetchval(
            "select count(*) from app.recommendation_runs where user_id = $1 and outcome = 'running'", person.user_id
        )
        == 0
    )
