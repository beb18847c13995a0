import io
import json
import logging
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from service import logs
from service.caller import Caller
from service.database import Connection
from service.embedded import Server
from tests.conftest import MakeCaller, Serve, bearer, run_as_admin

PATTERNS = "/api/insights/patterns"
RECOMMENDATIONS = "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
NOWHERE = "postgresql://daymark_service@/none?host=/nowhere"
NOBODYS = UUID("00000000-0000-4000-8000-000000000000")
STRICT = {"Prefer": "handling=strict"}


def told(response: httpx.Response) -> tuple[str, dict[str, object]]:
    return response.headers["content-type"], response.json()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give what the service logs of errors, as it writes it for machines."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger("service.errors")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


async def test_400_names_what_is_wrong(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{PATTERNS}?days=0")

    assert response.status_code == 400
    assert told(response) == (
        "application/problem+json",
        {
            "status": 400,
            "type": "urn:daymark:problem:invalid_request",
            "title": "Invalid request",
            "detail": "The request is not as this route expects it; `errors` names everything that is wrong.",
            "code": "invalid_request",
            "errors": [{"message": "Expected int >= 1", "parameter": "days"}],
        },
    )


async def test_401_names_the_scheme_and_no_error_where_there_was_no_token(client: httpx.AsyncClient) -> None:
    response = await client.post(PATTERNS, json=DAY)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="daymark"'
    assert told(response) == (
        "application/problem+json",
        {
            "status": 401,
            "type": "urn:daymark:problem:unauthenticated",
            "title": "Authentication required",
            "detail": "This route needs a bearer token in the Authorization header.",
            "code": "unauthenticated",
        },
    )


async def test_401_says_what_is_wrong_with_a_token(client: httpx.AsyncClient) -> None:
    response = await client.post(PATTERNS, json=DAY, headers={"Authorization": "Bearer x"})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == (
        'Bearer realm="daymark", error="invalid_token", error_description="The token is not a signed JWT"'
    )
    assert told(response) == (
        "application/problem+json",
        {
            "status": 401,
            "type": "urn:daymark:problem:invalid_token",
            "title": "Invalid token",
            "detail": "The token is not a signed JWT",
            "code": "invalid_token",
        },
    )


async def test_403_for_a_tenant_that_is_not_known(client: httpx.AsyncClient, admin: Connection) -> None:
    nobody = Caller(uuid4(), uuid4())
    response = await client.post(PATTERNS, json=DAY, headers=bearer(nobody))
    read = await client.get(PATTERNS, headers=bearer(nobody))

    assert response.status_code == 403
    assert told(response) == (
        "application/problem+json",
        {
            "status": 403,
            "type": "urn:daymark:problem:unknown_tenant",
            "title": "Unknown tenant",
            "detail": "The token's tenant is not known here.",
            "code": "unknown_tenant",
        },
    )
    assert read.json()["reason"] == "no_data"
    assert await admin.fetchval("select count(*) from app.users where user_id = $1", nobody.user_id) == 0


@pytest.mark.parametrize("path", ["/", "/nowhere", "/docs/nowhere", "/assets/nowhere.js", "/api"])
async def test_404_where_there_is_no_route(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 404
    assert told(response) == (
        "application/problem+json",
        {
            "status": 404,
            "type": "urn:daymark:problem:not_found",
            "title": "Not found",
            "detail": "There is nothing here.",
            "code": "not_found",
        },
    )


async def test_another_tenants_recommendation_is_the_404_of_none_at_all(
    client: httpx.AsyncClient, caller: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    await client.post(PATTERNS, json=DAY, headers=bearer(stranger))
    answer = (await client.get(RECOMMENDATIONS, headers=bearer(stranger))).json()
    theirs = answer["recommendations"][0]["id"]
    colleague = await make_caller(stranger, role="admin")

    refused = [
        await client.post(f"{RECOMMENDATIONS}/{which}/viewed", headers=bearer(who) | {"X-Request-ID": "same"})
        for who, which in [(caller, NOBODYS), (caller, theirs), (colleague, theirs), (colleague, NOBODYS)]
    ]
    seen = [
        (
            response.status_code,
            response.content,
            [pair for pair in response.headers.multi_items() if pair[0] not in {"date", "ratelimit"}],
        )
        for response in refused
    ]
    kept = (await client.get(RECOMMENDATIONS, headers=bearer(stranger))).json()

    assert seen[0][0] == 404
    assert seen == [seen[0]] * 4
    assert [each["viewed"] for each in kept["recommendations"]] == [False] * len(answer["recommendations"])


async def test_405_names_the_methods_that_there_are(client: httpx.AsyncClient) -> None:
    response = await client.put(f"{PATTERNS}/2026-11-22")

    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, OPTIONS"
    assert told(response) == (
        "application/problem+json",
        {
            "status": 405,
            "type": "urn:daymark:problem:method_not_allowed",
            "title": "Method not allowed",
            "detail": "This route does not take this method; `Allow` names those that it takes.",
            "code": "method_not_allowed",
        },
    )


async def test_413_says_how_much_is_allowed(client: httpx.AsyncClient, caller: Caller) -> None:
    response = await client.post(PATTERNS, content=b" " * (1024 * 1024 + 1), headers=bearer(caller))

    assert response.status_code == 413
    assert told(response) == (
        "application/problem+json",
        {
            "status": 413,
            "type": "urn:daymark:problem:body_too_large",
            "title": "Body too large",
            "detail": "A body may have at most 1 MiB.",
            "code": "body_too_large",
        },
    )


async def test_415_says_what_is_taken(client: httpx.AsyncClient, caller: Caller) -> None:
    response = await client.post(PATTERNS, content=b"energy=1", headers=bearer(caller))

    assert response.status_code == 415
    assert told(response) == (
        "application/problem+json",
        {
            "status": 415,
            "type": "urn:daymark:problem:unsupported_media_type",
            "title": "Unsupported media type",
            "detail": "This route takes application/json.",
            "code": "unsupported_media_type",
        },
    )


async def test_500_says_nothing_to_the_caller_and_everything_to_the_log(
    serve: Serve, postgres: Server, own_database: str, log: io.StringIO
) -> None:
    run_as_admin(postgres, own_database, "alter table app.pattern_data rename column energy to missing")
    async with serve(database_url=postgres.url("daymark_service", own_database)) as client:
        response = await client.get(PATTERNS, headers=bearer(Caller(uuid4(), uuid4())))

    assert response.status_code == 500
    assert told(response) == (
        "application/problem+json",
        {
            "status": 500,
            "type": "urn:daymark:problem:internal",
            "title": "Internal error",
            "detail": "Something went wrong on our side; the log has it under this response's X-Request-ID.",
            "code": "internal",
        },
    )
    [line] = [json.loads(each) for each in log.getvalue().splitlines()]
    assert line["request_id"] == response.headers["x-request-id"]
    assert "column recorded.energy does not exist" in line["exception"]


async def test_503_says_when_to_come_again(serve: Serve) -> None:
    async with serve(database_url=NOWHERE) as client:
        stored = await client.post(PATTERNS, json=DAY, headers=bearer(Caller(uuid4(), uuid4())))
        deleted = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(Caller(uuid4(), uuid4())))

    assert stored.status_code == 503
    assert stored.headers["retry-after"] == "1"
    assert told(stored) == (
        "application/problem+json",
        {
            "status": 503,
            "type": "urn:daymark:problem:unavailable",
            "title": "Temporarily unavailable",
            "detail": "The database is away; try again shortly.",
            "code": "unavailable",
        },
    )
    assert deleted.status_code == 503
