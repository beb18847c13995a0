"""The whole service, over HTTP and with a real Postgres, while the API does whatever an API can do."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.embedded import Server as Postgres
from service.patterns.analysis import Day
from service.patterns.story import find_pattern, store_days
from service.recommendations.advice import Advice
from service.recommendations.circuit import Circuit
from service.recommendations.feedback import find_history
from service.recommendations.openai import OpenAI
from service.recommendations.rules import recommend
from service.recommendations.soundness import check
from service.setting_values import Secret
from service.settings import Settings
from tests.conftest import NOW, Clock, MakeCaller, Serve, bearer, run_as_admin, served
from tests.openai_server import Server
from tests.recommendations.faults import BILLED, KEY, LIMIT, MODEL, RESULTS, SLACK, UNBILLED, Result, load_openai
from tests.recommendations.scripted import count_kept

PATH = "/api/insights/recommendations"
USAGE = "/api/insights/usage"
DAYS = [
    Day(date(2026, 11, 20), 62, 84, 88),
    Day(date(2026, 11, 21), 84, 85, 87),
    Day(date(2026, 11, 22), 85, 86, 80),
]


class World:
    """A service with a key, the API that it asks, and its database; its clock stands still until a test moves it."""

    def __init__(self, client: httpx.AsyncClient, api: Server, admin: Connection, clock: Clock) -> None:
        self.client, self.api, self.admin, self.clock = client, api, admin, clock

    async def get(self, caller: Caller) -> Any:
        response = await self.client.get(PATH, headers=bearer(caller, self.clock()))
        assert response.status_code == 200
        return response.json()

    async def refresh(self, caller: Caller) -> Any:
        response = await self.client.post(f"{PATH}/refresh", headers=bearer(caller, self.clock()))
        assert response.status_code == 200
        return response.json()

    async def call_unhelpful(self, caller: Caller, which: str) -> None:
        response = await self.client.put(
            f"{PATH}/{which}/feedback", json={"helpful": False}, headers=bearer(caller, self.clock())
        )
        assert response.status_code == 200


def asking(api: Server) -> dict[str, Any]:
    """Give the settings of a service that asks this API."""
    return {
        "openai_api_key": KEY,
        "openai_base_url": api.url,
        "openai_model": MODEL,
        "openai_timeout": LIMIT,
        "openai_input_price": Decimal("0.15"),
        "openai_output_price": Decimal("0.60"),
    }


@pytest.fixture(scope="session", autouse=True)
async def loaded() -> None:
    await load_openai()


@pytest.fixture(scope="session")
async def shared_world(settings: Settings, admin: Connection) -> AsyncIterator[World]:
    clock = Clock()
    async with Server() as api, served(msgspec.structs.replace(settings, **asking(api)), clock=clock) as client:
        yield World(client, api, admin, clock)


@pytest.fixture
def world(shared_world: World) -> World:
    """Give the world that all tests share; each ends with a call that succeeds, so that the circuit stays shut."""
    shared_world.clock.now = NOW
    shared_world.api.tell("sound")
    shared_world.api.requests.clear()
    return shared_world


@pytest.fixture
def make_person(database: Database, make_caller: MakeCaller) -> MakeCaller:
    """Add a user with three days recorded."""

    async def make(beside: Caller | None = None, **fields: Any) -> Caller:
        made = await make_caller(beside, **fields)
        await store_days(database, made, NOW, DAYS)
        return made

    return make


@pytest.fixture
async def person(make_person: MakeCaller) -> Caller:
    return await make_person()


@pytest.mark.parametrize("behaviour", RESULTS)
async def test_whatever_the_api_does_the_person_is_answered_and_nothing_is_lost(
    behaviour: str, world: World, database: Database, person: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    result = RESULTS[behaviour]
    first = await world.get(person)
    assert (first["engine"], first["usingAI"], first["cached"]) == ("openai", True, False)
    # So that there is a topic to keep away from.
    await world.call_unhelpful(person, first["recommendations"][0]["id"])
    before = await world.get(person)

    # A refresh: what was there stays there.
    world.clock.advance(minutes=10)
    world.api.tell(behaviour)
    began = time.perf_counter()
    refreshed = await world.refresh(person)
    assert time.perf_counter() - began < LIMIT + SLACK
    kept = await world.get(person)
    if result.outcome == "made":
        assert refreshed["generatedAt"] == "2026-11-22T09:10:00Z"
        assert kept == {**refreshed, "cached": True}
    else:
        assert refreshed == kept == before

    # An hour later, when that has expired: what stands in is the rules' own.
    world.clock.advance(hours=1)
    history = await find_history(database, person, world.clock())
    pattern = await find_pattern(database, person, world.clock(), 7)
    began = time.perf_counter()
    answer = await world.get(person)
    took = time.perf_counter() - began
    assert took < LIMIT + SLACK
    advice = [msgspec.convert(each, Advice) for each in answer["recommendations"]]
    assert (answer["source"], answer["cached"], answer["generatedAt"]) == ("user", False, "2026-11-22T10:10:00Z")
    if result.outcome == "made":
        assert (answer["engine"], answer["usingAI"], answer["expiresAt"]) == ("openai", True, "2026-11-22T11:10:00Z")
        check(advice, pattern, history)
    else:
        assert (answer["engine"], answer["usingAI"], answer["expiresAt"]) == ("rules", False, "2026-11-22T10:15:00Z")
        assert advice == list(recommend(pattern, history))
    # Given once, and once more without asking again.
    assert await world.get(person) == {**answer, "cached": True}
    assert len(world.api.requests) == 1 + 2 * result.calls
    of_three = 15 if result.outcome == "made" else 5 + len(advice)
    assert await count_kept(world.admin, person) == of_three

    # As soon as that has expired, AI is tried again.
    world.clock.advance(minutes=60 if result.outcome == "made" else 5)
    world.api.tell("sound")
    after = await world.get(person)
    assert (after["engine"], after["cached"]) == ("openai", False)
    assert await count_kept(world.admin, person) == of_three + 5

    runs = await list_runs(world.admin, person)
    sound = ("missed", "made", "openai", 1, *BILLED, Decimal("0.000285"))
    assert [run[:-1] for run in runs] == [
        sound,
        ("refreshed", result.outcome, "openai" if result.outcome == "made" else None, *bill(result)),
        ("missed", result.outcome, answer["engine"], *bill(result)),
        sound,
    ]
    assert runs[2][-1] <= took * 1000
    assert await find_use(world.admin, person) == (2 + 2 * result.calls, 2 * sum(BILLED) + 2 * tokens_counted(result))
    assert KEY not in caplog.text


def bill(result: Result) -> tuple[object, ...]:
    """Give what the ledger is to say that a run took: calls, tokens in and out, US dollars."""
    tokens_in, tokens_out = result.tokens
    cost = None if is_unsure(result) else Decimal(15 * tokens_in + 60 * tokens_out) / 100_000_000
    return (result.calls, tokens_in, tokens_out, cost)


def is_unsure(result: Result) -> bool:
    """Say whether nobody can tell what was billed."""
    return result.tokens == UNBILLED and result.outcome in {"made", "timed_out", "unreachable", "invalid"}


def tokens_counted(result: Result) -> int:
    """Give what the budget is to count: the worst, where nobody can tell what was billed."""
    engine = OpenAI(api_key=KEY, base_url=None, model=MODEL, timeout=LIMIT)
    return engine.most_tokens if is_unsure(result) else sum(result.tokens)


async def list_runs(admin: Connection, caller: Caller) -> list[tuple[Any, ...]]:
    """List the caller's runs: reason, outcome, whose advice was given, calls, tokens in, out, cost, milliseconds."""
    rows = await admin.fetch(
        "select reason, outcome, given, calls, tokens_in, tokens_out, cost, duration_ms from app.recommendation_runs"
        " where user_id = $1 order by started_at",
        caller.user_id,
    )
    return [tuple(row) for row in rows]


async def find_use(admin: Connection, caller: Caller) -> tuple[Any, ...]:
    """Find the calls and tokens that the caller's tenant used."""
    [row] = await admin.fetch("select calls, tokens from app.budget_use where tenant_id = $1", caller.tenant_id)
    return tuple(row)


async def test_who_goes_away_finds_the_advice_made_when_they_come_back(world: World, person: Caller) -> None:
    world.api.tell("held")
    impatient = asyncio.create_task(world.get(person))
    await world.api.asked.wait()
    impatient.cancel()
    await asyncio.wait({impatient})
    again = asyncio.create_task(world.get(person))
    world.api.released.set()

    assert (await again)["engine"] == "openai"
    assert len(world.api.requests) == 1
    assert await count_kept(world.admin, person) == 5
    assert [run[:3] for run in await list_runs(world.admin, person)] == [("missed", "made", "openai")]


async def test_advice_that_cannot_be_kept_is_given_all_the_same(
    serve: Serve, postgres: Postgres, own_database: str, caller: Caller
) -> None:
    run_as_admin(
        postgres,
        own_database,
        f"insert into app.tenants (tenant_id, slug, name) values ('{caller.tenant_id}', 'own', 'Own')",
    )
    async with (
        Server("held") as api,
        serve(database_url=Secret(postgres.url("daymark_service", own_database)), **asking(api)) as client,
    ):
        day = {"date": "2026-11-22", "energy": 60, "focus": 70, "fulfillment": 81}
        await client.post("/api/insights/patterns", json=day, headers=bearer(caller))
        asked = asyncio.create_task(client.get(PATH, headers=bearer(caller)))
        await api.asked.wait()
        run_as_admin(
            postgres,
            "postgres",
            f"alter database {own_database} allow_connections false",
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{own_database}'",
        )
        api.released.set()
        response = await asked

    answer = response.json()
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert (answer["engine"], len(answer["recommendations"])) == ("openai", 5)
    assert answer["expiresAt"] == answer["generatedAt"]


async def test_a_service_that_stops_does_not_wait_for_an_api_that_hangs(
    serve: Serve, admin: Connection, person: Caller
) -> None:
    async with Server("hang") as api:
        async with serve(**asking(api) | {"openai_timeout": 60.0}) as client:
            asked = asyncio.create_task(client.get(PATH, headers=bearer(person)))
            await api.asked.wait()
            began = time.perf_counter()
        took = time.perf_counter() - began
        await asyncio.wait_for(api.left.wait(), 1)
        await asyncio.wait({asked})

    assert took < 5
    assert [run[:4] for run in await list_runs(admin, person)] == [("missed", "abandoned", None, 1)]


class Watch:
    """A stopwatch that stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_an_api_that_keeps_failing_is_left_alone_until_it_answers_again(
    serve: Serve, admin: Connection, make_person: MakeCaller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watch = Watch()
    people = [await make_person() for _ in range(9)]
    engines, states, counts = [], [], []
    async with AsyncExitStack() as held:
        api = await held.enter_async_context(Server("401"))
        openai = OpenAI(api_key=KEY, base_url=api.url, model=MODEL, timeout=LIMIT)
        held.push_async_callback(openai.close)
        client = await held.enter_async_context(serve(engine=Circuit(openai, clock=watch)))
        for turn, each in enumerate(people):
            if turn == 6:
                # It is tried once more, and goes on failing.
                watch.seconds += 30
            if turn == 7:
                api.tell("sound")
                watch.seconds += 59
            if turn == 8:
                watch.seconds += 1
            engines.append((await client.get(PATH, headers=bearer(each))).json()["engine"])
            ready = await client.get("/health/ready")
            assert ready.status_code == 200
            states.append(ready.json())
            counts.append(len(api.requests))

    assert engines == ["rules"] * 8 + ["openai"]
    assert counts == [1, 2, 3, 4, 5, 5, 6, 6, 7]
    assert states == [
        *[{"status": "ok"}] * 4,
        *[degraded(30)] * 2,
        degraded(60),
        degraded(1),
        {"status": "ok"},
    ]
    outcomes = [[run[1] for run in await list_runs(admin, each)] for each in people]
    assert outcomes == [["rejected"]] * 5 + [["circuit_open"], ["rejected"], ["circuit_open"], ["made"]]
    said = [record.getMessage() for record in caplog.records if record.name == "service.recommendations.circuit"]
    assert said == [
        "openai failed 5 times in a row, at last: rejected; it is left alone for 30 s",
        "openai answers again",
    ]


def degraded(seconds: int) -> dict[str, object]:
    return {
        "status": "degraded",
        "reasons": [f"openai keeps failing: the rules stand in, and it is tried again in {seconds} s"],
    }


async def test_beyond_the_budget_nothing_is_sent(
    serve: Serve, admin: Connection, make_person: MakeCaller, caplog: pytest.LogCaptureFixture
) -> None:
    person = await make_person()
    boss = await make_person(person, role="admin")
    async with Server() as api, serve(**asking(api), daily_calls=1) as client:
        engines = [(await client.get(PATH, headers=bearer(each))).json()["engine"] for each in (person, boss)]
        usage = await client.get(USAGE, headers=bearer(boss))
        forbidden = await client.get(USAGE, headers=bearer(person))

    assert engines == ["openai", "rules"]
    assert len(api.requests) == 1
    assert [run[:4] for run in await list_runs(admin, boss)] == [("missed", "over_budget", "rules", 0)]
    assert "no advice from openai: over_budget: the tenant has used up its budget of the day" in caplog.messages
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
    assert usage.json()["budget"] == {
        "date": "2026-11-22",
        "calls": {"limit": 1, "used": 1},
        "tokens": {"limit": 20_000_000, "used": 1_000},
    }
    [day] = usage.json()["days"]
    assert day.pop("durationMs") < 1_000
    assert day == {
        "date": "2026-11-22",
        "engine": "openai",
        "model": MODEL,
        "runs": 2,
        "made": 1,
        "people": 2,
        "calls": 1,
        "tokensIn": 700,
        "tokensOut": 300,
        "cost": 0.000285,
    }


async def test_what_is_called_unhelpful_is_sent_as_a_topic_and_does_not_come_back(world: World, person: Caller) -> None:
    first = await world.get(person)
    refused = first["recommendations"][0]
    await world.call_unhelpful(person, refused["id"])
    world.clock.advance(hours=1)
    second = await world.get(person)

    sent = [each.body["messages"][1]["content"] for each in world.api.requests]
    assert '"avoid":[]' in sent[0]
    assert f'"avoid":["{refused["topic"]}"]' in sent[1]
    assert refused["recommendation"] not in sent[1]
    assert second["engine"] == "openai"
    assert refused["topic"] not in {each["topic"] for each in second["recommendations"]}
