import httpx
import pytest

from service.caller import Caller
from tests.conftest import bearer

PATTERNS = "/api/insights/patterns"
UNKNOWN = "Not a parameter of this route"
TWICE = "Given more than once"


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("day=7", [{"message": UNKNOWN, "parameter": "day"}]),
        ("Days=7", [{"message": UNKNOWN, "parameter": "Days"}]),
        ("days=7&x=1", [{"message": UNKNOWN, "parameter": "x"}]),
        ("x=1&y=2", [{"message": UNKNOWN, "parameter": "x"}, {"message": UNKNOWN, "parameter": "y"}]),
        ("x=1&x=2", [{"message": UNKNOWN, "parameter": "x"}]),
        ("days=7&days=7", [{"message": TWICE, "parameter": "days"}]),
        ("days=7&days=8&until=2026-11-22", [{"message": TWICE, "parameter": "days"}]),
        ("access_token=x", [{"message": UNKNOWN, "parameter": "access_token"}]),
        ("%64ay=7", [{"message": UNKNOWN, "parameter": "day"}]),
        ("%00=1", [{"message": UNKNOWN, "parameter": "\0"}]),
        ("%ff=1", [{"message": UNKNOWN, "parameter": "\ufffd"}]),
        ("=1", [{"message": UNKNOWN, "parameter": ""}]),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
async def test_a_query_parameter_that_the_route_does_not_have_or_has_twice_is_named(
    client: httpx.AsyncClient, caller: Caller, query: str, errors: list[dict[str, str]], signed: bool
) -> None:
    response = await client.get(f"{PATTERNS}?{query}", headers=bearer(caller) if signed else {})

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"] == errors


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/api/insights/recommendations"),
        ("POST", PATTERNS),
        ("DELETE", f"{PATTERNS}/2026-11-22"),
        ("POST", "/api/insights/recommendations/00000000-0000-4000-8000-000000000000/viewed"),
    ],
)
async def test_no_route_takes_a_parameter_that_it_does_not_know(
    client: httpx.AsyncClient, caller: Caller, method: str, path: str
) -> None:
    response = await client.request(method, f"{path}?days=7", headers=bearer(caller))

    assert response.status_code == 400
    assert response.json()["errors"] == [{"message": UNKNOWN, "parameter": "days"}]


async def test_empty_pairs_are_no_parameters(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PATTERNS}?&&&")).status_code == 200


async def test_ten_thousand_parameters_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{PATTERNS}?{'&'.join(f'p{number}=1' for number in range(5_000))}")

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("swagger-ui.css", 200),
        ("%00", 404),
        ("a" * 300, 404),
        ("a" * 5_000, 404),
        ("..%2fapp.py", 404),
        ("%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
        ("%ff", 404),
        (".", 404),
        ("..", 404),
        ("", 404),
        ("nothing.js", 404),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_file_name_that_is_none_of_ours_is_404(client: httpx.AsyncClient, name: str, status: int) -> None:
    assert (await client.get(f"/assets/{name}")).status_code == status
