import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from service.caller import Caller
from tests.conftest import bearer

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

# That a day may stand in a list once only, and not in the future, is more than a schema can say.
CONFIGURATION = """
[[operations]]
include-name = "POST /api/insights/patterns"
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Give the file that says what schemathesis is not to look at."""
    path = tmp_path / "schemathesis.toml"
    path.write_text(CONFIGURATION)
    return path


async def run_schemathesis(
    configuration: Path, client: httpx.AsyncClient, headers: dict[str, str]
) -> tuple[int | None, str]:
    running = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        f"--config-file={configuration}",
        "run",
        f"{client.base_url}/openapi.json",
        "--max-examples=10",
        "--generation-deterministic",
        "--no-color",
        *(f"--header={name}: {value}" for name, value in headers.items()),
        cwd=configuration.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    return running.returncode, said.decode()


async def test_the_service_does_what_its_openapi_document_says(
    client: httpx.AsyncClient, caller: Caller, configuration: Path
) -> None:
    # Side by side, since each has to wait for its Python to start.
    runs = await asyncio.gather(
        run_schemathesis(configuration, client, bearer(caller)),
        run_schemathesis(configuration, client, {}),
    )

    for status, said in runs:
        assert status == 0, said
        assert "Tested: 16" in said


async def test_every_route_says_who_may_ask_and_what_may_go_wrong(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    described = {
        f"{method} {path}": (operation.get("security"), " ".join(sorted(operation["responses"])))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }

    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert described == {
        "get /api/insights/patterns": ([{"bearer": []}, {}], "200 304 400 401 404 429 500 503"),
        "post /api/insights/patterns": ([{"bearer": []}], "201 400 401 403 408 413 415 429 500 503"),
        "delete /api/insights/patterns/{day}": ([{"bearer": []}], "204 400 401 404 429 500 503"),
        "get /api/insights/recommendations": ([{"bearer": []}, {}], "200 304 400 401 404 429 500 503"),
        "post /api/insights/recommendations/{recommendation_id}/viewed": (
            [{"bearer": []}],
            "200 400 401 404 429 500 503",
        ),
        "post /api/insights/recommendations/refresh": ([{"bearer": []}], "200 400 401 404 429 500 503"),
        "put /api/insights/recommendations/{recommendation_id}/feedback": (
            [{"bearer": []}],
            "200 400 401 404 408 413 415 429 500 503",
        ),
        "get /api/insights/usage": ([{"bearer": []}], "200 400 401 403 429 500 503"),
        "post /api/auth/login": ([{}], "200 400 401 404 408 413 415 429 500 503"),
        "post /api/auth/refresh": ([{}], "200 400 401 404 408 409 413 415 429 500 503"),
        "post /api/auth/logout": ([{"bearer": []}], "204 400 401 403 404 429 500 503"),
        "get /api/auth/sessions": ([{"bearer": []}], "200 400 401 404 429 500 503"),
        "delete /api/auth/sessions/{session_id}": ([{"bearer": []}], "204 400 401 404 429 500 503"),
        "get /api/audit": ([{"bearer": []}], "200 400 401 403 429 500 503"),
        "get /health/live": (None, "200 400"),
        "get /health/ready": (None, "200 400 500 503"),
    }


async def test_every_error_is_a_problem_document(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    errors = [
        (status, response)
        for item in document["paths"].values()
        for operation in item.values()
        for status, response in operation["responses"].items()
        if status >= "400"
    ]

    assert len(errors) == 102
    for status, response in errors:
        assert response["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
        }
        assert "X-Request-ID" in response["headers"]
        assert ("WWW-Authenticate" in response["headers"]) == (status in {"401", "403"})
        assert ("Retry-After" in response["headers"]) == (status in {"429", "503"})


async def test_headers_of_the_lenient_routes_are_described(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    patterns = document["paths"]["/api/insights/patterns"]["get"]
    recommendations = document["paths"]["/api/insights/recommendations"]["get"]
    limited = {"RateLimit-Policy", "RateLimit"}
    lenient = {"X-Request-ID", "Cache-Control", "Vary", "Preference-Applied", "WWW-Authenticate"} | limited

    assert set(patterns["responses"]["200"]["headers"]) == lenient | {"ETag"}
    assert set(recommendations["responses"]["200"]["headers"]) == lenient | {"ETag"}
    assert [parameter["name"] for parameter in patterns["parameters"]] == ["days", "until", "Prefer", "If-None-Match"]
    assert [parameter["name"] for parameter in recommendations["parameters"]] == ["Prefer", "If-None-Match"]


async def test_every_route_but_health_says_that_it_is_limited_and_every_answer_of_it_how_far(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for operation in item.values():
            limited = not path.startswith("/health/")
            assert ("429" in operation["responses"]) == limited
            for response in operation["responses"].values():
                assert ({"RateLimit", "RateLimit-Policy"} <= set(response["headers"])) == limited


async def test_a_body_is_described_as_strictly_as_it_is_taken(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    body = document["paths"]["/api/insights/patterns"]["post"]["requestBody"]

    assert body["required"] is True
    assert body["content"]["application/json"]["schema"]["oneOf"] == [
        {"$ref": "#/components/schemas/GivenDay"},
        {"type": "array", "items": {"$ref": "#/components/schemas/GivenDay"}, "minItems": 1, "maxItems": 1_000},
    ]
    assert document["components"]["schemas"]["GivenDay"]["additionalProperties"] is False
