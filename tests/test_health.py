import httpx

from tests.conftest import Serve

NOWHERE = "postgresql://daymark_service@/none?host=/nowhere"


async def test_a_service_with_its_database_is_live_and_ready(client: httpx.AsyncClient) -> None:
    live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})


async def test_a_service_without_its_database_is_live_and_not_ready(serve: Serve) -> None:
    async with serve(database_url=NOWHERE) as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.headers["retry-after"] == "1"
    assert ready.json()["code"] == "unavailable"


async def test_health_looks_at_no_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/ready", headers={"Authorization": "Bearer x"})).status_code == 200
