import gc
import os
import re
import subprocess
import sys
from typing import Any, cast

import httpx
import pytest
from litestar.types import Message, Scope

from service.app import create_app
from service.settings import Settings, SettingsError
from tests.conftest import SEAL_KEY, SECRET

GETS = ["/api/insights/patterns", "/api/insights/recommendations", "/health/live", "/health/ready", "/openapi.json"]
ALLOWED = {
    "/api/insights/patterns": "GET, HEAD, OPTIONS, POST",
    "/api/insights/patterns/2026-11-22": "DELETE, OPTIONS",
    "/api/insights/recommendations": "GET, HEAD, OPTIONS",
    "/api/insights/recommendations/refresh": "OPTIONS, POST",
    "/api/insights/recommendations/00000000-0000-4000-8000-000000000000/feedback": "OPTIONS, PUT",
    "/api/insights/recommendations/00000000-0000-4000-8000-000000000000/viewed": "OPTIONS, POST",
    "/api/insights/usage": "GET, HEAD, OPTIONS",
    "/health/live": "GET, HEAD, OPTIONS",
    "/health/ready": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
    "/docs": "GET, HEAD, OPTIONS",
    "/assets/swagger-ui.css": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize(("path", "allowed"), ALLOWED.items())
async def test_every_route_answers_options(client: httpx.AsyncClient, path: str, allowed: str) -> None:
    response = await client.options(path)

    assert response.status_code == 204
    assert response.content == b""
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", [*GETS, "/docs", "/assets/swagger-ui.css"])
async def test_every_get_answers_head(client: httpx.AsyncClient, path: str) -> None:
    response = await client.head(path)

    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    ["/api/insights/patterns/2026-11-22", "/api/insights/recommendations/00000000-0000-4000-8000-000000000000/viewed"],
)
async def test_what_has_no_get_has_no_head(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 405


async def test_the_openapi_document_has_every_route_and_method(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Daymark"
    assert {path: sorted(item) for path, item in document["paths"].items()} == {
        "/api/insights/patterns": ["get", "post"],
        "/api/insights/patterns/{day}": ["delete"],
        "/api/insights/recommendations": ["get"],
        "/api/insights/recommendations/refresh": ["post"],
        "/api/insights/recommendations/{recommendation_id}/feedback": ["put"],
        "/api/insights/recommendations/{recommendation_id}/viewed": ["post"],
        "/api/insights/usage": ["get"],
        "/api/auth/login": ["post"],
        "/api/auth/refresh": ["post"],
        "/api/auth/logout": ["post"],
        "/api/auth/sessions": ["get"],
        "/api/auth/sessions/{session_id}": ["delete"],
        "/api/audit": ["get"],
        "/health/live": ["get"],
        "/health/ready": ["get"],
    }


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
async def test_the_docs_load_nothing_from_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    loaded = re.findall(r"""(?:src|href)=["']([^"']*)["']""", response.text)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert sorted(loaded) == [
        "/assets/swagger-ui-bundle.js",
        "/assets/swagger-ui-standalone-preset.js",
        "/assets/swagger-ui.css",
        "data:,",
    ]
    for address in loaded:
        if address.startswith("/"):
            assert (await client.get(address)).status_code == 200


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("database_url", "DAYMARK_DATABASE_URL and DAYMARK_SEAL_KEY: expected both"),
        ("seal_key", "DAYMARK_DATABASE_URL and DAYMARK_SEAL_KEY: expected both"),
        (
            "jwt_secret",
            "DAYMARK_JWT_SECRET is not set, nor an identity provider (DAYMARK_JWT_JWKS_URL, DAYMARK_ISSUERS)",
        ),
    ],
)
def test_no_application_without_a_database_a_seal_and_somebody_to_believe(
    settings: Settings, missing: str, said: str
) -> None:
    given = {name: getattr(settings, name) for name in ("database_url", "jwt_secret", "seal_key")} | {missing: None}
    with pytest.raises(SettingsError) as raised:
        create_app(Settings(**given))
    assert str(raised.value) == said


def test_a_workers_collector_passes_over_what_stays() -> None:
    """What is not set apart takes a tenth of a second to go through, in which nobody is answered."""
    asked = (
        "import gc\nfrom service.app import from_environment\napp = from_environment()\n"
        "print(gc.get_freeze_count(), len(gc.get_objects()))"
    )
    environment = {
        "DAYMARK_DATABASE_URL": "postgresql://daymark_service@localhost/nowhere",
        "DAYMARK_JWT_SECRET": SECRET,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
    }
    done = subprocess.run([sys.executable, "-c", asked], env=os.environ | environment, capture_output=True, check=True)
    apart, left = map(int, done.stdout.split())

    assert apart > 50_000
    assert left < 5_000


async def test_a_request_leaves_nothing_to_the_garbage_collector(settings: Settings) -> None:
    """A knot that a request leaves is found by going through everything, while nobody is answered."""
    app = create_app(settings)
    sent: list[Message] = []
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/health/live",
        "raw_path": b"/health/live",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"daymark.test")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask(times: int) -> None:
        for _ in range(times):
            sent.clear()
            await app(cast("Scope", {**scope, "headers": list(scope["headers"])}), receive, send)
            assert sent[0].get("status") == 200

    await ask(10)  # what is made once
    gc.collect()
    gc.disable()
    try:
        await ask(100)
        found = gc.collect()
    finally:
        gc.enable()
    assert found < 100
