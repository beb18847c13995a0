"""Logging out while recommendations are made, and again and again: what it costs, and what the person is told."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.errors import SessionEnded, TooManyRequests
from service.patterns.analysis import Pattern
from service.recommendations.advice import Advised, History, Usage
from service.recommendations.rules import Rules
from service.recommendations.story import Recommender
from tests.conftest import NOW, Clock, Serve, bearer
from tests.openai_server import Server
from tests.recommendations.faults import BILLED, KEY, MODEL, load_openai
from tests.recommendations.scripted import HOUR, Scripted, count_kept, failing, runs_of, until_asked

PATH = "/api/insights/recommendations"
STRICT = {"Prefer": "handling=strict"}


@pytest.fixture(scope="session", autouse=True)
async def loaded() -> None:
    await load_openai()


def asking(api: Server) -> dict[str, Any]:
    """Give the settings of a service that asks this API, and gives it more time than a test takes."""
    return {"openai_api_key": KEY, "openai_base_url": api.url, "openai_model": MODEL, "openai_timeout": 15.0}


async def in_session(admin: Connection, person: Caller) -> Caller:
    """Give the person as they are once they have logged in."""
    session_id = uuid4()
    await admin.execute(
        "insert into app.sessions (tenant_id, session_id, user_id, created_at, used_at, expires_at)"
        " values ($1, $2, $3, $4, $4, $5)",
        person.tenant_id,
        session_id,
        person.user_id,
        NOW,
        NOW + timedelta(days=30),
    )
    return msgspec.structs.replace(person, session_id=session_id)


async def log_out(client: httpx.AsyncClient, caller: Caller) -> None:
    assert (await client.post("/api/auth/logout", headers=bearer(caller))).status_code == 204


async def clear(admin: Connection, person: Caller) -> None:
    """Clear what is kept, as logging out does."""
    for table in ("user_recommendations", "users"):
        await admin.execute(f"update app.{table} set cleared_at = $2 where user_id = $1", person.user_id, NOW)


class Interrupted(Scripted):
    """Whoever it makes recommendations for is logged out while it does."""

    def __init__(self, admin: Connection, person: Caller, **options: Any) -> None:
        super().__init__(**options)
        self._admin, self._person = admin, person

    async def advise(self, pattern: Pattern, history: History, most_calls: int | None = None) -> Advised:
        await self._admin.execute(
            "update app.sessions set ended_at = $2, ended_reason = 'logged_out'"
            " where user_id = $1 and ended_at is null",
            self._person.user_id,
            NOW,
        )
        return await super().advise(pattern, history, most_calls)


async def used(admin: Connection, caller: Caller) -> tuple[object, ...]:
    """Give the calls and tokens that the caller's tenant used."""
    [row] = await admin.fetch("select calls, tokens from app.budget_use where tenant_id = $1", caller.tenant_id)
    return tuple(row)


@pytest.mark.parametrize("strict", [True, False])
async def test_who_logs_out_while_they_are_made_is_given_nothing_and_charged_for_what_it_took(
    serve: Serve, admin: Connection, person: Caller, caplog: pytest.LogCaptureFixture, strict: bool
) -> None:
    first, second = await in_session(admin, person), await in_session(admin, person)
    async with Server("held", "sound") as api, serve(**asking(api)) as client:
        headers = bearer(first) | (STRICT if strict else {})
        waiting = asyncio.create_task(client.get(PATH, headers=headers))
        await api.asked.wait()
        await log_out(client, first)
        next_login = asyncio.create_task(client.get(PATH, headers=bearer(second)))
        api.released.set()
        began = time.monotonic()
        gone, answer = await waiting, await next_login
        took = time.monotonic() - began

    told = gone.json()
    if strict:
        assert (gone.status_code, told["code"]) == (401, "invalid_token")
    else:
        assert (gone.status_code, told["source"], told["reason"]) == (200, "sample", "invalid_token")
    assert (answer.status_code, answer.json()["engine"], answer.json()["cached"]) == (200, "openai", False)
    assert took < 2  # the lease would go on for 16 seconds
    runs = await admin.fetch(
        "select reason, outcome, given, calls, tokens_in, tokens_out from app.recommendation_runs"
        " where user_id = $1 order by reason",
        person.user_id,
    )
    assert [tuple(run) for run in runs] == [
        ("missed", "abandoned", None, 1, *BILLED),
        ("refreshed", "made", "openai", 1, *BILLED),
    ]
    assert await used(admin, person) == (2, 2 * sum(BILLED))
    assert await count_kept(admin, person) == 5
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_refresh_that_fails_for_a_session_that_has_ended_ends_as_it_did(
    database: Database, admin: Connection, person: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    session = await in_session(admin, person)
    failed = Interrupted(admin, person, error=failing("invalid", Usage(1, 700, 300)))

    with pytest.raises(SessionEnded):
        await Recommender(database, failed, HOUR).refresh(session, NOW)

    assert await runs_of(admin, person) == [("refreshed", "invalid", None)]
    assert await used(admin, person) == (1, 1_000)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_miss_that_fails_for_a_session_that_has_ended_ends_as_it_did(
    database: Database, admin: Connection, person: Caller
) -> None:
    session = await in_session(admin, person)
    failed = Interrupted(admin, person, error=failing("invalid", Usage(1, 700, 300)))

    with pytest.raises(SessionEnded):
        await Recommender(database, failed, HOUR).recommend(session, NOW)

    assert await runs_of(admin, person) == [("missed", "invalid", None)]
    assert await used(admin, person) == (1, 1_000)
    assert await count_kept(admin, person) == 0


async def test_a_service_that_stops_notes_what_it_gave_up_of_a_session_that_has_ended(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine = Interrupted(admin, person)
    engine.released.clear()
    recommender = Recommender(database, engine, HOUR)
    waiting = asyncio.create_task(recommender.recommend(await in_session(admin, person), NOW))
    await until_asked(engine)

    await recommender.close()
    await asyncio.wait({waiting})

    assert await runs_of(admin, person) == [("missed", "abandoned", None)]


async def test_logging_out_again_and_again_is_no_way_to_more_than_three_calls_before_the_time(
    serve: Serve, admin: Connection, person: Caller
) -> None:
    clock = Clock()
    async with Server() as api, serve(clock=clock, **asking(api)) as client:

        async def round_trip() -> str:
            headers = bearer(person, clock())
            engine = (await client.get(PATH, headers=headers)).json()["engine"]
            assert (await client.post("/api/auth/logout", headers=headers)).status_code == 204
            return str(engine)

        engines = []
        for _ in range(25):
            clock.advance(seconds=1)
            engines.append(await round_trip())
        asked = len(api.requests)
        clock.advance(hours=1)
        next_hour = [await round_trip() for _ in range(3)]

    assert engines == ["openai"] * 4 + ["rules"] * 21
    assert asked == 4
    assert next_hour == ["openai", "rules", "rules"]
    assert len(api.requests) == 5
    assert await used(admin, person) == (5, 5 * sum(BILLED))
    runs = await runs_of(admin, person)
    assert runs[:5] == [
        ("missed", "made", "openai"),
        *[("refreshed", "made", "openai")] * 3,
        ("missed", "over_budget", "rules"),
    ]
    assert set(runs[4:25]) == {("missed", "over_budget", "rules")}


async def test_nor_is_logging_out_each_time_before_the_answer_comes(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine = Interrupted(admin, person)
    recommender = Recommender(database, engine, HOUR)

    for _ in range(4):
        with pytest.raises(SessionEnded):
            await recommender.recommend(await in_session(admin, person), NOW)
    fifth = await recommender.recommend(await in_session(admin, person), NOW)

    assert (fifth.engine, fifth.fallback, fifth.expires_at) == ("rules", True, NOW + timedelta(minutes=5))
    assert len(engine.asked) == 4


async def test_nor_is_a_model_that_cannot_deal_with_somebody(
    database: Database, admin: Connection, person: Caller
) -> None:
    # It has answered, so its circuit stays closed; and what came to nothing counts as an attempt to refresh does.
    engine, clock = Scripted(error=failing("invalid")), Clock()
    recommender = Recommender(database, engine, HOUR)
    for _ in range(25):
        assert (await recommender.recommend(person, clock())).engine == "rules"
        await clear(admin, person)
        clock.advance(seconds=1)
    asked = len(engine.asked)
    clock.advance(minutes=5)
    await recommender.recommend(person, clock())

    assert asked == 1 + 10
    assert len(engine.asked) == 12


async def test_refreshes_and_what_is_made_anew_after_a_logout_share_one_allowance(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR)
    await recommender.recommend(person, clock())
    clock.advance(minutes=1)
    await recommender.refresh(person, clock())
    for _ in range(2):
        await clear(admin, person)
        clock.advance(minutes=1)
        assert (await recommender.recommend(person, clock())).engine == "scripted"

    clock.advance(minutes=1)
    with pytest.raises(TooManyRequests) as refused:
        await recommender.refresh(person, clock())
    await clear(admin, person)
    stood_in = await recommender.recommend(person, clock())
    clock.now = NOW + timedelta(days=1, minutes=1)
    again = await recommender.refresh(person, clock())

    assert refused.value.headers["Retry-After"] == str(24 * 3600 - 3 * 60)
    assert (stood_in.engine, again.engine) == ("rules", "scripted")
    assert len(engine.asked) == 5


async def test_a_logout_after_the_hour_costs_nothing_of_the_allowance(
    database: Database, admin: Connection, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR)
    for _ in range(6):
        assert (await recommender.recommend(person, clock())).engine == "scripted"
        await clear(admin, person)
        clock.advance(hours=1)

    assert await runs_of(admin, person) == [("missed", "made", "scripted")] * 6


async def test_rules_that_cost_nothing_are_asked_as_often_as_somebody_logs_out(
    database: Database, admin: Connection, person: Caller
) -> None:
    clock = Clock()
    recommender = Recommender(database, Rules(), HOUR)
    for _ in range(6):
        batch = await recommender.recommend(person, clock())
        assert (batch.engine, batch.fallback) == ("rules", False)
        await clear(admin, person)
        clock.advance(minutes=1)

    assert await runs_of(admin, person) == [("missed", "made", "rules")] * 6
