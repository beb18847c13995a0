"""Recommendations over HTTP."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.caller import Caller
from service.database import Connection
from service.embedded import Server
from service.patterns.analysis import Pattern
from service.recommendations.advice import Advice, Advised, DataPoint, History
from tests.conftest import Clock, MakeCaller, Serve, bearer, run_as_admin

PATH = "/api/insights/recommendations"
PATTERNS = "/api/insights/patterns"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
ADVICE = [
    Advice("Go for a walk.", "Your energy is low. A walk helps.", DataPoint("energy", "average", 60), "movement"),
    Advice("Sleep well.", "Everybody should. It helps.", None, "sleep"),
]


class Scripted:
    """An engine that does what a test has it do, and counts how often it is asked."""

    name = "scripted"
    model = None
    prompt_version = None
    most_calls = 0
    most_tokens = 0

    def __init__(self, *advice: Advice) -> None:
        self.advice = list(advice or ADVICE)
        self.asked = 0

    async def advise(self, _: Pattern, __: History, ___: int | None = None) -> Advised:
        self.asked += 1
        await self.think()
        return Advised(self.advice)

    async def think(self) -> None:
        """Do nothing, here."""


class Failing(Scripted):
    async def think(self) -> None:
        raise RuntimeError("no advice today")


class Slow(Scripted):
    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self._thinking = asyncio.Semaphore(0)

    async def think(self) -> None:
        self._thinking.release()
        await self.may_answer.wait()

    async def asked_by(self, people: int) -> None:
        """Wait until so many more have asked."""
        async with asyncio.timeout(5):
            for _ in range(people):
                await self._thinking.acquire()


class Removing(Scripted):
    """While it advises, the person's tenant is deleted: there is nobody left to save for."""

    def __init__(self, admin: Connection, caller: Caller) -> None:
        super().__init__()
        self.admin, self.caller = admin, caller

    async def think(self) -> None:
        await self.admin.execute("delete from app.tenants where tenant_id = $1", self.caller.tenant_id)


class Disconnecting(Scripted):
    """While it advises, the database stops taking connections and loses those that it has."""

    def __init__(self, postgres: Server, database: str) -> None:
        super().__init__()
        self.postgres, self.database = postgres, database

    async def think(self) -> None:
        run_as_admin(
            self.postgres,
            "postgres",
            f"alter database {self.database} allow_connections false",
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.database}'",
        )


async def record(client: httpx.AsyncClient, caller: Caller, **changes: object) -> None:
    stored = await client.post(PATTERNS, json=DAY | changes, headers=bearer(caller))
    assert stored.status_code == 201


async def get(client: httpx.AsyncClient, caller: Caller) -> httpx.Response:
    return await client.get(PATH, headers=bearer(caller))


async def put(client: httpx.AsyncClient, caller: Caller, which: str, body: object) -> httpx.Response:
    return await client.put(f"{PATH}/{which}/feedback", json=body, headers=bearer(caller))


async def count_kept(admin: Connection, caller: Caller) -> Any:
    return await admin.fetchval("select count(*) from app.user_recommendations where tenant_id = $1", caller.tenant_id)


async def test_the_second_answer_is_the_first_one_kept(client: httpx.AsyncClient, caller: Caller) -> None:
    stored = await client.post("/api/insights/patterns", json=DAY, headers=bearer(caller))
    first = await client.get("/api/insights/recommendations", headers=bearer(caller))
    second = await client.get("/api/insights/recommendations", headers=bearer(caller))

    assert stored.json() == {"stored": 1, "created": 1, "replaced": 0}
    assert first.json()["cached"] is False
    assert second.json() == {**first.json(), "cached": True}


async def test_an_answer_is_as_the_contract_has_it(serve: Serve, caller: Caller) -> None:
    async with serve(engine=Scripted()) as client:
        await record(client, caller)
        response = await get(client, caller)

    answer = response.json()
    ids = [UUID(each.pop("id")) for each in answer["recommendations"]]
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, max-age=3600"
    assert response.headers["vary"] == "Authorization, Prefer"
    assert len(set(ids)) == 2
    assert answer == {
        "source": "user",
        "reason": None,
        "cached": False,
        "stale": False,
        "usingAI": True,
        "engine": "scripted",
        "generatedAt": "2026-11-22T09:00:00Z",
        "expiresAt": "2026-11-22T10:00:00Z",
        "basedOn": {"dataPoints": 1, "averageEnergy": 60, "averageFocus": 85, "averageFulfillment": 90},
        "recommendations": [
            {
                "recommendation": "Go for a walk.",
                "reasoning": "Your energy is low. A walk helps.",
                "dataPoint": {"metric": "energy", "statistic": "average", "value": 60},
                "topic": "movement",
                "viewed": False,
                "viewedAt": None,
                "helpful": None,
            },
            {
                "recommendation": "Sleep well.",
                "reasoning": "Everybody should. It helps.",
                "dataPoint": None,
                "topic": "sleep",
                "viewed": False,
                "viewedAt": None,
                "helpful": None,
            },
        ],
    }


async def test_the_rules_are_no_ai(client: httpx.AsyncClient, caller: Caller) -> None:
    await record(client, caller)
    answer = (await get(client, caller)).json()

    assert (answer["engine"], answer["usingAI"]) == ("rules", False)
    assert 2 <= len(answer["recommendations"]) <= 5


@pytest.mark.parametrize("life", [3_600, 60, 1])
async def test_a_batch_is_kept_for_its_life_to_the_second(serve: Serve, caller: Caller, life: int) -> None:
    clock, engine = Clock(), Scripted()
    async with serve(clock=clock, engine=engine, cache_ttl=life) as client:
        await record(client, caller)
        first = await get(client, caller)
        clock.advance(seconds=life - 1)
        last = await get(client, caller)
        clock.advance(seconds=1)
        anew = await get(client, caller)

    assert engine.asked == 2
    assert first.headers["cache-control"] == f"private, max-age={life}"
    assert last.headers["cache-control"] == "private, max-age=1" if life > 1 else f"private, max-age={life}"
    assert last.json() == {**first.json(), "cached": True}
    assert anew.json()["cached"] is False
    assert anew.json()["generatedAt"] > first.json()["generatedAt"]
    assert {each["id"] for each in anew.json()["recommendations"]}.isdisjoint(
        each["id"] for each in first.json()["recommendations"]
    )


async def test_max_age_is_what_is_left(serve: Serve, caller: Caller) -> None:
    clock = Clock()
    async with serve(clock=clock) as client:
        await record(client, caller)
        await get(client, caller)
        clock.advance(minutes=59, seconds=59.5)
        response = await get(client, caller)

    assert response.json()["cached"] is True
    assert response.json()["expiresAt"] == "2026-11-22T10:00:00Z"
    assert response.headers["cache-control"] == "no-store"


async def test_new_scores_do_not_shorten_a_batchs_life(client: httpx.AsyncClient, caller: Caller) -> None:
    await record(client, caller)
    first = await get(client, caller)
    await record(client, caller, energy=99)

    assert (await get(client, caller)).json() == {**first.json(), "cached": True}


async def test_viewed_counts_the_first_time_only(serve: Serve, caller: Caller) -> None:
    clock = Clock()
    async with serve(clock=clock, engine=Scripted()) as client:
        await record(client, caller)
        [seen, other] = (await get(client, caller)).json()["recommendations"]
        clock.advance(minutes=1)
        first = await client.post(f"{PATH}/{seen['id']}/viewed", headers=bearer(caller))
        clock.advance(minutes=1)
        second = await client.post(f"{PATH}/{seen['id'].upper()}/viewed", headers=bearer(caller))
        listed = (await get(client, caller)).json()["recommendations"]

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {**seen, "viewed": True, "viewedAt": "2026-11-22T09:01:00Z"}
    assert listed == [first.json(), other]


async def test_feedback_is_given_back_and_kept(serve: Serve, caller: Caller) -> None:
    clock = Clock()
    async with serve(clock=clock, engine=Scripted()) as client:
        await record(client, caller)
        [judged, other] = (await get(client, caller)).json()["recommendations"]
        clock.advance(minutes=1)
        first = await put(client, caller, judged["id"], {"helpful": True, "note": "It did! 🌿"})
        clock.advance(minutes=1)
        last = await put(client, caller, judged["id"], {"helpful": False})
        listed = (await get(client, caller)).json()["recommendations"]

    seen = {**judged, "viewed": True, "viewedAt": "2026-11-22T09:01:00Z"}
    assert (first.status_code, last.status_code) == (200, 200)
    assert first.json() == {**seen, "helpful": True}
    assert last.json() == {**seen, "helpful": False}
    assert listed == [last.json(), other]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/helpful"]),
        ({"helpful": None}, ["/helpful"]),
        ({"helpful": "true"}, ["/helpful"]),
        ({"helpful": 1}, ["/helpful"]),
        ({"helpful": True, "note": "x" * 501}, ["/note"]),
        ({"helpful": True, "note": "a\0b"}, ["/note"]),
        ({"helpful": True, "note": 7}, ["/note"]),
        ({"helpful": "no", "note": 7, "more": 1}, ["/helpful", "/note", "/more"]),
        ([{"helpful": True}], [""]),
    ],
)
async def test_every_wrong_field_of_feedback_is_named(
    serve: Serve, caller: Caller, body: object, pointers: list[str]
) -> None:
    async with serve(engine=Scripted()) as client:
        await record(client, caller)
        which = (await get(client, caller)).json()["recommendations"][0]["id"]
        response = await put(client, caller, which, body)
        kept = (await get(client, caller)).json()["recommendations"][0]

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert sorted(each["pointer"] for each in response.json()["errors"]) == sorted(pointers)
    assert (kept["helpful"], kept["viewed"]) == (None, False)


async def test_a_note_of_500_characters_is_kept_and_goes_out_to_nobody(
    serve: Serve, caller: Caller, admin: Connection
) -> None:
    note = "é" * 500
    async with serve(engine=Scripted()) as client:
        await record(client, caller)
        which = (await get(client, caller)).json()["recommendations"][0]["id"]
        response = await put(client, caller, which, {"helpful": True, "note": note})

    assert response.status_code == 200
    assert "é" not in response.text
    assert await admin.fetchval("select note from app.user_recommendations where id = $1", UUID(which)) == note


async def test_feedback_on_what_is_not_mine_is_404(
    client: httpx.AsyncClient, caller: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    await record(client, caller)
    which = (await get(client, caller)).json()["recommendations"][0]["id"]
    none = await put(client, caller, "00000000-0000-4000-8000-000000000000", {"helpful": True})

    for other in (stranger, await make_caller(caller), await make_caller(caller, role="admin")):
        theirs = await put(client, other, which, {"helpful": True})
        assert theirs.status_code == none.status_code == 404
        assert theirs.json() == none.json()


async def test_a_refresh_makes_new_ones_three_times_a_day_then_says_when_again(serve: Serve, caller: Caller) -> None:
    clock = Clock()
    async with serve(clock=clock, engine=Scripted()) as client:
        await record(client, caller)
        first = (await get(client, caller)).json()
        answers = []
        for _ in range(4):
            clock.advance(minutes=1)
            answers.append(await client.post(f"{PATH}/refresh", headers=bearer(caller, clock())))
        kept = (await get(client, caller)).json()

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.json()["cached"] for answer in answers[:3]] == [False] * 3
    assert [answer.headers["cache-control"] for answer in answers[:3]] == ["no-store"] * 3
    assert answers[0].json()["generatedAt"] == "2026-11-22T09:01:00Z"
    assert first["recommendations"][0]["id"] != answers[0].json()["recommendations"][0]["id"]
    assert kept == {**answers[2].json(), "cached": True}
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert answers[3].headers["retry-after"] == str(24 * 3600 - 3 * 60)
    assert answers[3].json()["code"] == "too_many_requests"


async def test_a_refresh_is_for_who_is_known_and_has_days(client: httpx.AsyncClient, caller: Caller) -> None:
    nobody = await client.post(f"{PATH}/refresh")
    newcomer = await client.post(f"{PATH}/refresh", headers=bearer(caller))

    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    assert (newcomer.status_code, newcomer.json()["code"]) == (404, "no_data")


async def test_a_stale_batch_is_marked_and_not_to_be_stored(serve: Serve, caller: Caller) -> None:
    clock, engine = Clock(), Slow()
    async with serve(clock=clock, engine=engine, stale=60) as client:
        await record(client, caller)
        engine.may_answer.set()
        first = (await get(client, caller)).json()
        engine.may_answer.clear()
        clock.advance(hours=1)
        stale = await get(client, caller)
        engine.may_answer.set()

    assert stale.json() == {**first, "cached": True, "stale": True}
    assert stale.headers["cache-control"] == "no-store"


async def test_viewed_at_once_by_many_is_viewed_once(client: httpx.AsyncClient, caller: Caller) -> None:
    await record(client, caller)
    which = (await get(client, caller)).json()["recommendations"][0]["id"]
    answers = await asyncio.gather(*(client.post(f"{PATH}/{which}/viewed", headers=bearer(caller)) for _ in range(10)))

    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].json()["viewedAt"] == "2026-11-22T09:00:00Z"


@pytest.mark.parametrize(
    "which",
    [
        "00000000-0000-4000-8000-000000000000",
        "x",
        "1",
        "%00",
        "%ff",
        "{00000000-0000-4000-8000-000000000000}",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "00000000-0000-4000-8000-00000000000%30%30",
    ],
)
async def test_what_is_no_recommendation_of_mine_cannot_be_viewed(
    client: httpx.AsyncClient, caller: Caller, which: str
) -> None:
    response = await client.post(f"{PATH}/{which}/viewed", headers=bearer(caller))

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_an_admin_is_given_their_own_and_not_their_peoples(
    client: httpx.AsyncClient, caller: Caller, make_caller: MakeCaller
) -> None:
    boss = await make_caller(caller, role="admin")
    await record(client, caller)
    theirs = (await get(client, caller)).json()["recommendations"][0]["id"]
    nothing = (await get(client, boss)).json()
    viewed = await client.post(f"{PATH}/{theirs}/viewed", headers=bearer(boss))
    await record(client, boss, energy=99)
    own = (await get(client, boss)).json()

    assert (nothing["source"], nothing["reason"]) == ("sample", "no_data")
    assert viewed.status_code == 404
    assert (own["cached"], own["basedOn"]["averageEnergy"]) == (False, 99)


async def test_an_engine_that_fails_is_stood_in_for_by_the_rules_for_five_minutes(serve: Serve, caller: Caller) -> None:
    clock, engine = Clock(), Failing()
    async with serve(clock=clock, engine=engine) as client:
        await record(client, caller)
        first, kept = await get(client, caller), await get(client, caller)
        clock.advance(minutes=5)
        anew = await get(client, caller)

    assert engine.asked == 2
    assert [each.status_code for each in (first, kept, anew)] == [200, 200, 200]
    assert first.headers["cache-control"] == "private, max-age=300"
    answer = first.json()
    assert (answer["source"], answer["reason"], answer["cached"]) == ("user", None, False)
    assert (answer["engine"], answer["usingAI"]) == ("rules", False)
    assert answer["expiresAt"] == "2026-11-22T09:05:00Z"
    assert kept.json() == {**answer, "cached": True}
    assert anew.json()["cached"] is False


@pytest.mark.parametrize(
    "advice",
    [
        pytest.param(Advice("x" * 501, "Why. So.", None, "rest"), id="too long"),
        pytest.param(Advice("", "Why. So.", None, "rest"), id="empty"),
        pytest.param(Advice("a\0b", "Why. So.", None, "rest"), id="NUL"),
    ],
)
async def test_advice_that_cannot_be_saved_is_given_all_the_same(
    serve: Serve, caller: Caller, admin: Connection, advice: Advice
) -> None:
    async with serve(engine=Scripted(advice)) as client:
        await record(client, caller)
        response = await get(client, caller)

    assert response.status_code == 200
    assert [each["recommendation"] for each in response.json()["recommendations"]] == [advice.recommendation]
    assert response.headers["cache-control"] == "no-store"
    assert await count_kept(admin, caller) == 0


async def test_advice_for_somebody_who_is_deleted_meanwhile_is_given_all_the_same(
    serve: Serve, caller: Caller, admin: Connection
) -> None:
    async with serve(engine=Removing(admin, caller)) as client:
        await record(client, caller)
        response = await get(client, caller)

    assert response.status_code == 200
    assert response.json()["engine"] == "scripted"
    assert len(response.json()["recommendations"]) == 2
    assert response.json()["expiresAt"] == response.json()["generatedAt"]
    assert response.headers["cache-control"] == "no-store"
    assert await count_kept(admin, caller) == 0


async def test_advice_is_given_all_the_same_when_the_database_goes_away_meanwhile(
    serve: Serve, postgres: Server, own_database: str, caller: Caller
) -> None:
    run_as_admin(
        postgres,
        own_database,
        f"insert into app.tenants (tenant_id, slug, name) values ('{caller.tenant_id}', 'gone', 'gone')",
    )
    engine = Disconnecting(postgres, own_database)
    async with serve(engine=engine, database_url=postgres.url("daymark_service", own_database)) as client:
        await record(client, caller)
        given, afterwards = await get(client, caller), await get(client, caller)

    assert (given.status_code, given.json()["source"], given.json()["engine"]) == (200, "user", "scripted")
    assert len(given.json()["recommendations"]) == 2
    assert given.headers["cache-control"] == "no-store"
    assert (afterwards.json()["source"], afterwards.json()["reason"]) == ("sample", "unavailable")
    assert engine.asked == 1


async def test_of_six_who_ask_at_once_one_asks_the_engine(serve: Serve, caller: Caller, admin: Connection) -> None:
    engine = Slow()
    async with serve(engine=engine) as client:
        await record(client, caller)
        asking = [asyncio.create_task(get(client, caller)) for _ in range(6)]
        await engine.asked_by(1)
        engine.may_answer.set()
        answers = [answer.json() for answer in await asyncio.gather(*asking)]
        kept = (await get(client, caller)).json()

    batches = {json.dumps(answer["recommendations"]) for answer in answers}
    assert batches == {json.dumps(kept["recommendations"])}
    assert engine.asked == 1
    assert await count_kept(admin, caller) == 2


async def test_others_are_answered_while_an_engine_thinks(
    serve: Serve, caller: Caller, make_caller: MakeCaller
) -> None:
    engine, people = Slow(), [await make_caller(caller) for _ in range(20)]
    async with serve(engine=engine, pool_size=2) as client:
        for person in people:
            await record(client, person)
        asking = [asyncio.create_task(get(client, person)) for person in people]
        await engine.asked_by(20)
        patterns = await asyncio.wait_for(client.get(PATTERNS, headers=bearer(people[0])), 1)
        ready = await asyncio.wait_for(client.get("/health/ready"), 1)
        engine.may_answer.set()
        answers = await asyncio.gather(*asking)

    assert (patterns.json()["source"], ready.status_code) == ("user", 200)
    assert [answer.json()["cached"] for answer in answers] == [False] * 20


async def test_a_client_that_goes_away_while_an_engine_thinks_costs_nothing(
    serve: Serve, caller: Caller, admin: Connection
) -> None:
    engine = Slow()
    async with serve(engine=engine, pool_size=1) as client:
        await record(client, caller)
        leaving = asyncio.create_task(get(client, caller))
        await engine.asked_by(1)
        leaving.cancel()
        engine.may_answer.set()
        answer = await get(client, caller)

    assert answer.status_code == 200
    assert await count_kept(admin, caller) == 2


async def test_the_sample_is_about_nobody_and_is_not_kept(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    nobody, newcomer = (await client.get(PATH)).json(), (await get(client, caller)).json()

    for answer, reason in [(nobody, "unauthenticated"), (newcomer, "no_data")]:
        assert (answer["source"], answer["reason"], answer["engine"]) == ("sample", reason, "rules")
        assert answer["generatedAt"] == answer["expiresAt"] == "2026-11-22T09:00:00Z"
        assert answer["basedOn"]["dataPoints"] == 7
        assert len(answer["recommendations"]) == 5
    viewed = await client.post(f"{PATH}/{newcomer['recommendations'][0]['id']}/viewed", headers=bearer(caller))
    assert viewed.status_code == 404
    assert await count_kept(admin, caller) == 0


async def test_days_before_the_last_week_make_no_recommendations(client: httpx.AsyncClient, caller: Caller) -> None:
    await record(client, caller, date="2026-11-15")
    assert (await get(client, caller)).json()["reason"] == "no_data"

    await record(client, caller, date="2026-11-16")
    assert (await get(client, caller)).json()["basedOn"]["dataPoints"] == 1
