import httpx
import pytest

from service.caller import Caller
from tests.conftest import sign
from tests.wire import exchange, request, status_of

PATH = "/api/insights/patterns/2026-11-22"
CHALLENGE = 'Bearer realm="daymark"'


async def delete(client: httpx.AsyncClient, *credentials: str) -> httpx.Response:
    return await client.delete(PATH, headers=[("Authorization", each) for each in credentials])


@pytest.mark.parametrize("spelling", ["Bearer {}", "bearer {}", "BEARER {}", "bEaReR {}", "Bearer  {}", "Bearer    {}"])
async def test_bearer_may_be_spelled_in_any_case(client: httpx.AsyncClient, caller: Caller, spelling: str) -> None:
    response = await delete(client, spelling.format(sign(caller)))

    assert response.status_code == 404


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Basic YWRhOnNlY3JldA==",
        "Basic {}",
        "Digest username=ada",
        "DPoP {}",
        "Token {}",
        "{}",
        "Bearer{}",
        "Bearer\t{}",
        "Bearer:{}",
        "Bearer={}",
        "NotBearer {}",
        "Basic x, Bearer {}",
    ],
)
async def test_another_scheme_is_no_token(client: httpx.AsyncClient, caller: Caller, credentials: str) -> None:
    response = await delete(client, credentials.format(sign(caller)))

    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == CHALLENGE


@pytest.mark.parametrize("credentials", ["Bearer", "Bearer x", "Bearer {},", "Bearer {}, Bearer {}", "Bearer {} {}"])
async def test_bearer_without_one_whole_token_is_invalid(
    client: httpx.AsyncClient, caller: Caller, credentials: str
) -> None:
    token = sign(caller)
    response = await delete(client, credentials.format(token, token))

    assert response.status_code == 401
    assert response.json()["code"] == "invalid_token"


async def test_two_authorization_headers_are_invalid_even_if_both_hold(
    client: httpx.AsyncClient, caller: Caller
) -> None:
    token = f"Bearer {sign(caller)}"
    for credentials in [(token, token), (token, "Basic x"), ("Basic x", token)]:
        response = await delete(client, *credentials)

        assert response.status_code == 401
        assert response.json()["detail"] == "The request has two Authorization headers"


async def test_a_token_elsewhere_does_not_count(client: httpx.AsyncClient, caller: Caller) -> None:
    token = sign(caller)
    elsewhere = await client.delete(
        PATH, headers={"X-Authorization": f"Bearer {token}", "Cookie": f"access_token={token}; token={token}"}
    )
    in_body = await client.post(
        "/api/insights/patterns",
        content=f"access_token={token}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    in_query = await client.get("/api/insights/patterns", params={"access_token": token})

    assert elsewhere.json()["code"] == "unauthenticated"
    assert in_body.json()["code"] == "unauthenticated"
    assert in_query.status_code == 400


async def test_a_token_in_a_chunked_trailer_does_not_count(client: httpx.AsyncClient, caller: Caller) -> None:
    trailer = f"2\r\n{{}}\r\n0\r\nAuthorization: Bearer {sign(caller)}\r\n\r\n".encode()
    headers = ("Transfer-Encoding: chunked", "Trailer: Authorization", "Content-Type: application/json")
    answer = await exchange(client, request("POST", "/api/insights/patterns", *headers, body=trailer))

    assert status_of(answer) == 401
