"""What callers see while the database is away, and while what makes recommendations is slow.

DAYMARK_OUTAGE_SECONDS=60 runs the outage for a whole minute; -s shows its figures.
"""

import asyncio
import math
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from service import embedded, migrating
from service.caller import Caller
from service.database import Connection
from service.patterns.analysis import Pattern
from service.recommendations.advice import Advised, History
from service.recommendations.rules import GENERAL_ADVICE
from tests.command import started
from tests.conftest import SEAL_KEY, SECRET, MakeCaller, Serve, bearer, keep_seal_key, run_as_admin, sign

SECONDS = float(os.environ.get("DAYMARK_OUTAGE_SECONDS", "12"))
RATE = 50  # requests a second
BACK_WITHIN = 2.0  # seconds
DATABASE = "outage"
STRICT = {"Prefer": "handling=strict"}
PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"


@dataclass
class Asked:
    """One request and what became of it."""

    kind: str
    began: float
    ended: float
    status: int
    reason: str | None
    headers: httpx.Headers
    day: date | None = None


@dataclass
class Outage:
    """When the database was told to stop, was away, was told to start, and was there again."""

    stopping: float
    away: float
    starting: float
    back: float = 0.0


@dataclass
class Load:
    """Requests at a steady rate, whatever becomes of those before."""

    client: httpx.AsyncClient
    log: Path
    began: float = field(default_factory=time.monotonic)
    asked: list[Asked] = field(default_factory=list)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(int(SECONDS * RATE)):
                await asyncio.sleep(max(0.0, self.began + number / RATE - time.monotonic()))
                group.create_task(self.ask(number))

    async def ask(self, number: int) -> None:
        began, day = time.monotonic(), None
        match number % 5:
            case 0:
                kind, answer = "lenient", await self.client.get(PATTERNS)
            case 1:
                kind, answer = "lenient", await self.client.get(RECOMMENDATIONS)
            case 2:
                kind, answer = "strict", await self.client.get(PATTERNS, headers=STRICT)
            case 3:
                kind, answer = "strict", await self.client.get(RECOMMENDATIONS, headers=STRICT)
            case _:
                day = datetime.now(UTC).date() - timedelta(days=10 + number)
                scores = {"date": str(day), "energy": 50, "focus": 50, "fulfillment": 50}
                kind, answer = "store", await self.client.post(PATTERNS, json=scores)
        reason = answer.json().get("reason")
        self.asked.append(Asked(kind, began, time.monotonic(), answer.status_code, reason, answer.headers, day))


@asynccontextmanager
async def loaded(folder: Path, server: embedded.Server) -> AsyncIterator[tuple[Load, Caller]]:
    """Put the load on a service of its own over `server`, for a person with a recent day."""
    run_as_admin(server, "postgres", f"create database {DATABASE}")
    migrating.up(server.url("postgres", DATABASE))
    keep_seal_key(server.url("postgres", DATABASE))
    person = Caller(uuid4(), uuid4(), "member")
    run_as_admin(
        server,
        DATABASE,
        f"insert into app.tenants (tenant_id, slug, name) values ('{person.tenant_id}', 'acme', 'Acme')",
    )
    url = server.url("daymark_service", DATABASE)
    token = sign(person, datetime.now(UTC), timedelta(hours=1))
    with started(
        folder,
        "serve",
        ready="serving on",
        DAYMARK_DATABASE_URL=url,
        DAYMARK_JWT_SECRET=SECRET,
        DAYMARK_SEAL_KEY=SEAL_KEY,
    ) as serve:
        limits = httpx.Limits(max_connections=200)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=serve.url, headers=headers, timeout=20, limits=limits) as client:
            scores = {"date": str(datetime.now(UTC).date()), "energy": 50, "focus": 50, "fulfillment": 50}
            assert (await client.post(PATTERNS, json=scores)).status_code == 201
            yield Load(client, serve.stderr), person


async def test_an_outage_is_no_error_of_ours_and_ends_by_itself(tmp_path: Path) -> None:
    with embedded.running(tmp_path / "data", purpose="a test") as server:
        async with loaded(tmp_path, server) as (load, person):
            running = asyncio.create_task(load.run())
            outages = []
            for at, crash in ((0.15, False), (0.55, True)):
                await asyncio.sleep(load.began + at * SECONDS - time.monotonic())
                stopping = time.monotonic()
                if crash:
                    os.kill(server.pid, signal.SIGQUIT)
                await asyncio.to_thread(server.stop)
                away = time.monotonic()
                await asyncio.sleep(0.2 * SECONDS)
                starting = time.monotonic()
                await asyncio.to_thread(server.start)
                outages.append(Outage(stopping, away, starting, time.monotonic()))
            await running
        connection: Connection = await asyncpg.connect(server.url("postgres", DATABASE))
        kept = await connection.fetch("select date from app.pattern_data where user_id = $1", person.user_id)
        await connection.close()

    show(load, outages)
    assert "Traceback" not in load.log.read_text()
    assert {asked.status for asked in load.asked if asked.kind == "lenient"} == {200}
    assert {asked.status for asked in load.asked if asked.kind == "strict"} == {200, 503}
    assert {asked.status for asked in load.asked if asked.kind == "store"} == {201, 503}
    assert {asked.headers.get("retry-after") for asked in load.asked if asked.status == 503} == {"1"}

    while_away = [
        asked for asked in load.asked for outage in outages if outage.away < asked.began < asked.ended < outage.starting
    ]
    assert len(while_away) > 0.2 * SECONDS * RATE
    assert Counter((asked.kind, asked.status, asked.reason) for asked in while_away).keys() == {
        ("lenient", 200, "unavailable"),
        ("strict", 503, None),
        ("store", 503, None),
    }

    otherwise = [
        asked
        for asked in load.asked
        if not any(asked.ended > outage.stopping and asked.began < outage.back + BACK_WITHIN for outage in outages)
    ]
    assert len(otherwise) > 0.1 * SECONDS * RATE
    assert {(asked.status, asked.reason) for asked in otherwise} == {(200, None), (201, None)}

    acknowledged = {asked.day for asked in load.asked if asked.status == 201}
    assert acknowledged - {row["date"] for row in kept} == set()


def show(load: Load, outages: list[Outage]) -> None:
    print()
    ends = [*(outage.stopping for outage in outages[1:]), math.inf]
    for outage, end in zip(outages, ends, strict=True):
        lagging = [
            asked.ended - outage.back
            for asked in load.asked
            if outage.back < asked.began and asked.ended < end and (asked.status == 503 or asked.reason)
        ]
        during = [asked.ended - asked.began for asked in load.asked if outage.away < asked.began < outage.starting]
        print(
            f"away for {outage.starting - outage.away:.1f} s, started in {outage.back - outage.starting:.2f} s;"
            f" the longest answer meanwhile took {max(during) * 1000:.0f} ms;"
            f" the last without the database came {max(lagging, default=0) * 1000:.0f} ms after it was back"
        )
    print(Counter((asked.kind, asked.status, asked.reason) for asked in load.asked))


class Slow:
    """An engine that takes until it is told."""

    name = "slow"
    model = None
    prompt_version = None
    most_calls = 0
    most_tokens = 0

    def __init__(self) -> None:
        self.waiting = 0
        self.told = asyncio.Event()

    async def advise(self, pattern: Pattern, _: History, __: int | None = None) -> Advised:
        assert pattern.patterns
        self.waiting += 1
        await self.told.wait()
        return Advised(GENERAL_ADVICE)


@pytest.fixture
async def fifty(make_caller: MakeCaller, admin: Connection) -> list[Caller]:
    """Give fifty people of one tenant who have recorded a day."""
    first = await make_caller()
    people = [first, *[await make_caller(first) for _ in range(49)]]
    await admin.executemany(
        "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at)"
        " values ($1, $2, '2026-11-22', 50, 60, 70, now())",
        [(person.tenant_id, person.user_id) for person in people],
    )
    return people


async def test_nobody_waits_for_those_who_wait_for_recommendations(serve: Serve, fifty: list[Caller]) -> None:
    engine = Slow()
    async with serve(engine=engine, pool_size=2) as client, asyncio.timeout(15):
        asking = [asyncio.create_task(client.get(RECOMMENDATIONS, headers=bearer(person))) for person in fifty]
        while engine.waiting < 50:  # noqa: ASYNC110 - bounded by the time-out above
            await asyncio.sleep(0.01)
        began = time.monotonic()
        answer = await client.get(PATTERNS, headers=bearer(fifty[0]) | STRICT)
        took = time.monotonic() - began
        assert (answer.status_code, took < 0.5) == (200, True)
        assert not any(task.done() for task in asking)
        engine.told.set()
        answers = [await task for task in asking]
    assert {(answer.status_code, answer.json()["engine"]) for answer in answers} == {(200, "slow")}
