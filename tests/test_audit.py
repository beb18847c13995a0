"""The audit trail: what an admin is shown of it, and who is shown nothing."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from service.caller import NOBODY_KNOWN, Caller
from service.database import Connection
from tests.conftest import NOW, MakeCaller, bearer

INSERT = (
    "insert into app.audit_events (tenant_id, event_id, user_id, occurred_at, kind, address, detail)"
    " values ($1, coalesce($2, gen_random_uuid()), $3, $4, $5, '192.0.2.7', '{\"by\": \"operator\"}')"
)


@pytest.fixture
async def boss(make_caller: MakeCaller) -> Caller:
    return await make_caller(role="admin")


async def note(admin: Connection, person: Caller, minutes: int, kind: str = "logged_in", number: int = 0) -> None:
    event_id = UUID(int=(person.tenant_id.int & ~0xFFFF) | number) if number else None
    await admin.execute(INSERT, person.tenant_id, event_id, person.user_id, NOW + timedelta(minutes=minutes), kind)


async def test_an_admin_reads_their_tenants_trail_newest_first(
    client: httpx.AsyncClient, admin: Connection, boss: Caller, make_caller: MakeCaller, stranger: Caller
) -> None:
    member = await make_caller(boss)
    await note(admin, member, 1, number=7)
    await note(admin, boss, 2, "role_changed")
    await note(admin, stranger, 3)
    answer = await client.get("/api/audit", headers=bearer(boss))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    first, second = answer.json()["events"]
    assert (first["kind"], first["userId"]) == ("role_changed", str(boss.user_id))
    assert second == {
        "id": str(UUID(int=(boss.tenant_id.int & ~0xFFFF) | 7)),
        "at": "2026-11-22T09:01:00Z",
        "kind": "logged_in",
        "userId": str(member.user_id),
        "sessionId": None,
        "address": "192.0.2.7",
        "detail": {"by": "operator"},
    }
    assert answer.json()["next"] is None


async def test_who_is_no_admin_reads_nothing(client: httpx.AsyncClient, caller: Caller) -> None:
    assert (await client.get("/api/audit")).status_code == 401
    answer = await client.get("/api/audit", headers=bearer(caller))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_somebody_whose_address_nobody_has_is_nobody(
    client: httpx.AsyncClient, admin: Connection, boss: Caller
) -> None:
    await note(admin, Caller(boss.tenant_id, NOBODY_KNOWN), 1, "login_failed")
    [event] = (await client.get("/api/audit", headers=bearer(boss))).json()["events"]
    assert (event["kind"], event["userId"]) == ("login_failed", None)


async def test_a_page_goes_on_where_the_one_before_ended_even_within_an_instant(
    client: httpx.AsyncClient, admin: Connection, boss: Caller
) -> None:
    for number in range(1, 8):
        await note(admin, boss, 1 if number < 6 else number, number=number)
    seen, cursor = [], ""
    for size in (3, 3, 1):
        parameters = {"limit": size} | ({"before": cursor} if cursor else {})
        page = (await client.get("/api/audit", params=parameters, headers=bearer(boss))).json()
        seen += [UUID(event["id"]).int & 0xFFFF for event in page["events"]]
        cursor = page["next"]
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert cursor is None


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"before": "x"},
        {"before": ""},
        {"before": "1-00000000-0000-4000-8000-000000000001\n"},
        {"before": "2026-11-22"},
        {"before": "999999999999999999-00000000-0000-4000-8000-000000000001"},
        {"before": "1-00000000-0000-4000-8000-00000000000"},
        {"after": "x"},
    ],
)
async def test_what_is_no_page_is_named(client: httpx.AsyncClient, boss: Caller, parameters: dict[str, str]) -> None:
    answer = await client.get("/api/audit", params=parameters, headers=bearer(boss))
    assert answer.status_code == 400
    assert [wrong["parameter"] for wrong in answer.json()["errors"]] == list(parameters)


async def test_the_trail_outlives_the_person(
    client: httpx.AsyncClient, admin: Connection, boss: Caller, make_caller: MakeCaller
) -> None:
    member = await make_caller(boss)
    await note(admin, member, 1)
    await admin.execute("delete from app.users where user_id = $1", member.user_id)
    [event] = (await client.get("/api/audit", headers=bearer(boss))).json()["events"]
    assert event["userId"] == str(member.user_id)
