"""Recommendations over HTTP."""

import httpx

from service.caller import Caller
from tests.conftest import bearer

DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}


async def test_the_second_answer_is_the_first_one_kept(client: httpx.AsyncClient, caller: Caller) -> None:
    stored = await client.post("/api/insights/patterns", json=DAY, headers=bearer(caller))
    first = await client.get("/api/insights/recommendations", headers=bearer(caller))
    second = await client.get("/api/insights/recommendations", headers=bearer(caller))

    assert stored.json() == {"stored": 1, "created": 1, "replaced": 0}
    assert first.json()["cached"] is False
    assert second.json() == {**first.json(), "cached": True}
