from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from service.caller import Caller
from tests.conftest import NOW, Serve, bearer, sign

PATHS = ["/api/insights/patterns", "/api/insights/recommendations"]
NOWHERE = "postgresql://daymark_service@/none?host=/nowhere"
SOMEBODY = Caller(uuid4(), uuid4())
EXPIRED = {"Authorization": f"Bearer {sign(SOMEBODY, NOW - timedelta(hours=3))}"}
REASONS = [
    ("unauthenticated", {}, 401),
    ("invalid_token", EXPIRED, 401),
    ("no_data", bearer(SOMEBODY), 404),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("reason", "headers", "_status"), REASONS)
async def test_lenient_answers_a_sample_and_says_why(
    client: httpx.AsyncClient, path: str, reason: str, headers: dict[str, str], _status: int
) -> None:
    response = await client.get(path, headers=headers)

    assert response.status_code == 200
    assert response.json()["source"] == "sample"
    assert response.json()["reason"] == reason
    assert response.headers["vary"] == "Authorization, Prefer"
    assert response.headers["cache-control"] == "no-store"
    assert "preference-applied" not in response.headers
    assert "etag" not in response.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("reason", "headers", "status"), REASONS)
async def test_strict_answers_the_error(
    client: httpx.AsyncClient, path: str, reason: str, headers: dict[str, str], status: int
) -> None:
    response = await client.get(path, headers=headers | {"Prefer": "handling=strict"})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == reason
    assert response.headers["vary"] == "Authorization, Prefer"
    assert response.headers["preference-applied"] == "handling=strict"


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_database_lenient_answers_a_sample_and_strict_503(serve: Serve, path: str) -> None:
    async with serve(database_url=NOWHERE) as client:
        lenient = await client.get(path, headers=bearer(SOMEBODY))
        strict = await client.get(path, headers=bearer(SOMEBODY) | {"Prefer": "handling=strict"})

    assert (lenient.status_code, lenient.json()["source"], lenient.json()["reason"]) == (200, "sample", "unavailable")
    assert (strict.status_code, strict.json()["code"], strict.headers["retry-after"]) == (503, "unavailable", "1")


@pytest.mark.parametrize("path", PATHS)
async def test_the_database_is_not_asked_for_a_caller_without_a_token_that_holds(serve: Serve, path: str) -> None:
    async with serve(database_url=NOWHERE) as client:
        nobody, forger = await client.get(path), await client.get(path, headers=EXPIRED)

    assert nobody.json()["reason"] == "unauthenticated"
    assert forger.json()["reason"] == "invalid_token"


@pytest.mark.parametrize("path", PATHS)
async def test_a_bad_token_gets_its_challenge_with_the_sample(client: httpx.AsyncClient, path: str) -> None:
    bad, none = await client.get(path, headers=EXPIRED), await client.get(path)

    assert bad.headers["www-authenticate"] == (
        'Bearer realm="daymark", error="invalid_token", error_description="The token has expired"'
    )
    assert "www-authenticate" not in none.headers


@pytest.mark.parametrize(
    "prefer",
    [
        ["handling=strict"],
        ["Handling=Strict"],
        ['handling="strict"'],
        ["handling = strict"],
        ["handling=strict; reason=x"],
        ["handling=strict;"],
        ["respond-async, wait=100, handling=strict"],
        ['return=minimal;foo="some, parameter",handling=strict'],
        ["respond-async", "handling=strict"],
        ["handling=strict, handling=lenient"],
        [",, handling=strict ,"],
    ],
)
async def test_strict_may_be_preferred_in_every_legal_spelling(client: httpx.AsyncClient, prefer: list[str]) -> None:
    response = await client.get(PATHS[0], headers=[("Prefer", value) for value in prefer])

    assert response.status_code == 401
    assert response.headers["preference-applied"] == "handling=strict"


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        "strict",
        "handling",
        "handling=",
        "handling=stricter",
        "x-handling=strict",
        "respond-async; handling=strict",
        'foo="bar, handling=strict, baz"',
        'foo="a \\" quote, handling=strict"',
        'foo="never closed, handling=strict',
        "handling=foo, handling=strict",
    ],
)
async def test_what_does_not_prefer_strict_is_lenient(client: httpx.AsyncClient, prefer: str) -> None:
    response = await client.get(PATHS[0], headers={"Prefer": prefer})

    assert response.status_code == 200
    assert "preference-applied" not in response.headers


async def test_lenient_that_was_asked_for_is_confirmed(client: httpx.AsyncClient) -> None:
    response = await client.get(PATHS[0], headers={"Prefer": "handling=lenient"})

    assert response.status_code == 200
    assert response.headers["preference-applied"] == "handling=lenient"


@pytest.mark.parametrize("path", PATHS)
async def test_the_operator_may_make_everybody_strict(serve: Serve, caller: Caller, path: str) -> None:
    async with serve(fallback="strict") as client:
        plain = await client.get(path)
        lenient = await client.get(path, headers={"Prefer": "handling=lenient"})
        no_data = await client.get(path, headers=bearer(caller))

    assert (plain.status_code, plain.json()["code"]) == (401, "unauthenticated")
    assert (lenient.status_code, "preference-applied" in lenient.headers) == (401, False)
    assert (no_data.status_code, no_data.json()["code"]) == (404, "no_data")


async def test_a_persons_own_answer_confirms_the_preference_too(client: httpx.AsyncClient, caller: Caller) -> None:
    day = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
    await client.post("/api/insights/patterns", json=day, headers=bearer(caller))
    for path in PATHS:
        response = await client.get(path, headers=bearer(caller) | {"Prefer": "handling=strict"})

        assert (response.status_code, response.json()["source"], response.json()["reason"]) == (200, "user", None)
        assert response.headers["preference-applied"] == "handling=strict"
        assert response.headers["vary"] == "Authorization, Prefer"
