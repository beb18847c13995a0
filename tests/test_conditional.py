import httpx
import pytest

from service.caller import Caller
from tests.conftest import bearer

PATH = "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}


@pytest.fixture
async def answer(client: httpx.AsyncClient, caller: Caller) -> httpx.Response:
    """Give an answer out of the cache, which stays the same for an hour."""
    await client.post("/api/insights/patterns", json=DAY, headers=bearer(caller))
    await client.get(PATH, headers=bearer(caller))
    return await client.get(PATH, headers=bearer(caller))


@pytest.mark.parametrize(
    "spelling",
    ["{}", "W/{}", "*", '"a", {}', '"a",W/"b" , {},"c"', '"with, comma", {}', 'W/"a", W/{}'],
)
async def test_a_tag_that_is_named_is_304(
    client: httpx.AsyncClient, caller: Caller, answer: httpx.Response, spelling: str
) -> None:
    named = spelling.format(answer.headers["etag"])
    response = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": named})

    assert response.status_code == 304
    assert response.content == b""
    assert "content-type" not in response.headers
    assert {name: response.headers[name] for name in ("etag", "cache-control", "vary")} == {
        name: answer.headers[name] for name in ("etag", "cache-control", "vary")
    }


async def test_tags_may_come_in_several_headers(
    client: httpx.AsyncClient, caller: Caller, answer: httpx.Response
) -> None:
    headers = [*bearer(caller).items(), ("If-None-Match", '"a"'), ("If-None-Match", answer.headers["etag"])]

    assert (await client.get(PATH, headers=headers)).status_code == 304


@pytest.mark.parametrize("spelling", ["", '""', '"a"', "W/", '"*"', "w/{}x", "{bare}", '"{bare}', '{bare}"', "*, *"])
async def test_a_tag_that_is_not_named_is_200(
    client: httpx.AsyncClient, caller: Caller, answer: httpx.Response, spelling: str
) -> None:
    named = spelling.format("", bare=answer.headers["etag"].strip('"'))
    response = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": named})

    assert response.status_code == 200
    assert response.json() == answer.json()


async def test_head_is_conditional_as_get_is(client: httpx.AsyncClient, caller: Caller, answer: httpx.Response) -> None:
    response = await client.head(PATH, headers=bearer(caller) | {"If-None-Match": answer.headers["etag"]})

    assert response.status_code == 304


async def test_another_answer_has_another_tag(
    client: httpx.AsyncClient, caller: Caller, answer: httpx.Response
) -> None:
    first = answer.json()["recommendations"][0]["id"]
    await client.post(f"{PATH}/{first}/viewed", headers=bearer(caller))
    changed = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": answer.headers["etag"]})

    assert changed.status_code == 200
    assert changed.headers["etag"] != answer.headers["etag"]


async def test_another_persons_tag_is_of_no_use(
    client: httpx.AsyncClient, stranger: Caller, answer: httpx.Response
) -> None:
    await client.post("/api/insights/patterns", json=DAY, headers=bearer(stranger))
    response = await client.get(PATH, headers=bearer(stranger) | {"If-None-Match": answer.headers["etag"]})

    assert response.status_code == 200
