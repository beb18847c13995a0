"""The express way answers as the route does, and leaves to the route what is not plainly its own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service import express
from service.caller import Caller
from service.database import Database
from service.embedded import Server
from service.queries import Query
from tests.conftest import Clock, Serve, bearer, run_as_admin, sign

PATH = "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
# With a preference that says nothing of handling, the same request goes the usual way.
USUAL = {"Prefer": "wait=1"}

Served = tuple[httpx.AsyncClient, Clock]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each request that it could be whether it was answered on the express way."""
    noted: list[bool] = []
    answer = express.Express._answer

    async def noting(*arguments: Any) -> bool:
        noted.append(await answer(*arguments))
        return noted[-1]

    monkeypatch.setattr(express.Express, "_answer", noting)
    return noted


@pytest.fixture
async def served(serve: Serve, answered: list[bool]) -> AsyncIterator[Served]:
    assert answered == []
    clock = Clock()
    async with serve(clock=clock, stale=600) as client:
        yield client, clock


async def make(client: httpx.AsyncClient, caller: Caller) -> None:
    """Have recommendations made and kept."""
    await client.post("/api/insights/patterns", json=DAY, headers=bearer(caller))
    await client.get(PATH, headers=bearer(caller))


def told(response: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    own = {name: value for name, value in response.headers.items() if name not in {"x-request-id", "date", "ratelimit"}}
    return response.status_code, own, response.content


async def test_both_ways_give_the_same_answer_to_the_byte(served: Served, caller: Caller, answered: list[bool]) -> None:
    client, clock = served
    await make(client, caller)
    for minutes in (0, 30, 29.99):
        clock.advance(minutes=minutes)
        for method, changes in (
            ("GET", {}),
            ("HEAD", {}),
            ("GET", {"If-None-Match": '"none"'}),
            ("GET", {"If-None-Match": "*"}),
            ("HEAD", {"If-None-Match": "*"}),
        ):
            short = await client.request(method, PATH, headers=bearer(caller) | changes)
            usual = await client.request(method, PATH, headers=bearer(caller) | changes | USUAL)
            assert answered[-2:] == [True, False]
            assert told(short) == told(usual)
        tag = {"If-None-Match": f"W/{short.headers['etag']}"}
        assert (await client.get(PATH, headers=bearer(caller) | tag)).status_code == 304


async def test_what_is_seen_shows_at_once(served: Served, caller: Caller, answered: list[bool]) -> None:
    client, _ = served
    await make(client, caller)
    before = await client.get(PATH, headers=bearer(caller))
    which = before.json()["recommendations"][0]["id"]
    await client.post(f"{PATH}/{which}/viewed", headers=bearer(caller))
    after = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": before.headers["etag"]})

    assert answered == [False, True, True]
    assert after.status_code == 200
    assert after.json()["recommendations"][0]["viewed"] is True


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", PATH + "?days=1", {}, 400),
        ("GET", PATH, {"Prefer": "handling=strict"}, 200),
        ("GET", PATH, {"Content-Length": "0"}, 200),
        ("GET", PATH, {"Authorization": "Bearer x"}, 200),
        ("GET", PATH, {"Authorization": "Basic x"}, 200),
        ("POST", PATH, {}, 405),
        ("OPTIONS", PATH, {}, 204),
    ],
)
async def test_all_else_goes_the_usual_way(  # noqa: PLR0913, PLR0917 - fixtures
    served: Served,
    caller: Caller,
    answered: list[bool],
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    client, _ = served
    await make(client, caller)
    response = await client.request(method, path, headers=bearer(caller) | headers)

    assert True not in answered
    assert response.status_code == status


async def test_two_tokens_are_no_token(served: Served, caller: Caller) -> None:
    client, _ = served
    await make(client, caller)
    both = [("Authorization", f"Bearer {sign(caller)}")] * 2
    response = await client.get(PATH, headers=both)

    assert (response.json()["source"], response.json()["reason"]) == ("sample", "invalid_token")


async def test_a_stale_batch_goes_the_usual_way(served: Served, caller: Caller, answered: list[bool]) -> None:
    client, clock = served
    await make(client, caller)
    clock.advance(hours=1)

    assert (await client.get(PATH, headers=bearer(caller))).json()["stale"] is True
    assert answered == [False, False]


async def test_a_database_that_is_away_is_asked_once(
    serve: Serve, postgres: Server, own_database: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Caller] = []
    read = Database.read

    async def noting(database: Database, caller: Caller, query: Query, **values: object) -> Any:
        looked_up.append(caller)
        return await read(database, caller, query, **values)

    monkeypatch.setattr(Database, "read", noting)
    async with serve(database_url=postgres.url("daymark_service", own_database)) as client:
        run_as_admin(postgres, "postgres", f"alter database {own_database} allow_connections false")
        response = await client.get(PATH, headers=bearer(caller))

    assert (response.json()["source"], response.json()["reason"]) == ("sample", "unavailable")
    assert looked_up == [caller]
