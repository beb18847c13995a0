"""Conditional reads of patterns: a tag names the recorded days of the window, and nothing is read again for it."""

import re
from typing import Any

import httpx
import pytest

from service.caller import Caller
from service.database import Database
from tests.conftest import NOW, bearer

PATH = "/api/insights/patterns"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}


async def test_who_has_the_answer_is_given_304_and_no_days(
    client: httpx.AsyncClient, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post(PATH, json=DAY, headers=bearer(caller))
    first = await client.get(PATH, headers=bearer(caller))
    read, rows = Database.read, []

    async def noting(database: Database, *given: Any, **values: Any) -> Any:
        rows.append(await read(database, *given, **values))
        return rows[-1]

    monkeypatch.setattr(Database, "read", noting)
    named = {"If-None-Match": f'"another", {first.headers["etag"]}'}
    again = await client.get(PATH, headers=bearer(caller) | named)
    head = await client.head(PATH, headers=bearer(caller) | named)
    any_at_all = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": "*"})

    assert re.fullmatch(r'"[0-9a-f]{32}-[0-9a-f]{8}"', first.headers["etag"])
    for response in (again, head, any_at_all):
        assert (response.status_code, response.content) == (304, b"")
        assert "content-type" not in response.headers
        assert "content-length" not in response.headers
        assert {name: response.headers[name] for name in ("etag", "cache-control", "vary")} == {
            "etag": first.headers["etag"],
            "cache-control": "private, no-cache",
            "vary": "Authorization, Prefer",
        }
    assert [[row["date"] for row in each] for each in rows] == [[None], [None], [NOW.date()]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, DAY | {"energy": 71}),
        ("POST", PATH, DAY | {"focus": 71}),
        ("POST", PATH, DAY | {"fulfillment": 71}),
        ("POST", PATH, DAY | {"date": "2026-11-20"}),
        ("DELETE", PATH + "/2026-11-21", None),
    ],
)
async def test_whatever_is_recorded_or_deleted_has_another_tag(
    client: httpx.AsyncClient, caller: Caller, method: str, path: str, body: object
) -> None:
    await client.post(PATH, json=[DAY, DAY | {"date": "2026-11-21"}], headers=bearer(caller))
    before = await client.get(PATH, headers=bearer(caller))
    await client.request(method, path, json=body, headers=bearer(caller))
    after = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert after.json()["patterns"] != before.json()["patterns"]
    assert after.headers["etag"] != before.headers["etag"]


async def test_the_same_answer_has_the_same_tag_and_another_window_its_own(
    client: httpx.AsyncClient, caller: Caller, stranger: Caller
) -> None:
    for person in (caller, stranger):
        await client.post(PATH, json=[DAY, DAY | {"date": "2026-11-21"}], headers=bearer(person))
    answers = [
        await client.get(PATH + window, headers=bearer(person))
        for window in ("", "?days=3", "?days=1", "?until=2026-11-21")
        for person in (caller, stranger)
    ]

    assert len({answer.headers["etag"] for answer in answers}) == 3
    assert len({answer.content for answer in answers}) == 3
    assert len({(answer.headers["etag"], answer.content) for answer in answers}) == 3


async def test_a_sample_has_no_tag(client: httpx.AsyncClient, caller: Caller) -> None:
    response = await client.get(PATH, headers=bearer(caller) | {"If-None-Match": "*"})

    assert (response.status_code, response.json()["source"]) == (200, "sample")
    assert "etag" not in response.headers
