"""What recommendations cost a tenant: its admins see all of it, and of no other."""

from decimal import Decimal
from uuid import uuid4

import pytest

from service.caller import Caller
from service.database import Database
from service.patterns.story import store_days
from tests.conftest import NOW, Clock, MakeCaller, Serve, bearer
from tests.recommendations.scripted import DAY, Scripted, failing

USAGE = "/api/insights/usage"
PATH = "/api/insights/recommendations"


async def test_an_admin_sees_what_all_their_people_took(
    serve: Serve, database: Database, person: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    clock, engine = Clock(), Scripted()
    admin, other = await make_caller(person, role="admin"), await make_caller(person)
    for each in (other, stranger):
        await store_days(database, each, NOW, [DAY])
    prices = {"openai_input_price": Decimal("0.15"), "openai_output_price": Decimal("0.60")}
    async with serve(clock=clock, engine=engine, daily_calls=50, daily_tokens=60_000, **prices) as client:
        for each in (person, other, stranger):
            await client.get(PATH, headers=bearer(each))
        clock.advance(hours=23)
        engine.error = failing("server_error")
        await client.get(PATH, headers=bearer(person, clock()))
        response = await client.get(USAGE, headers=bearer(admin, clock()))
        today = await client.get(f"{USAGE}?days=1", headers=bearer(admin, clock()))

    answer = response.json()
    means = [day.pop("durationMs") for day in answer["days"]]
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert all(0 <= mean < 1_000 for mean in means)
    row = {"engine": "scripted", "model": "scripted-1"}
    assert answer == {
        "since": "2026-10-25",
        "budget": {
            "date": "2026-11-23",
            "calls": {"limit": 50, "used": 1},
            "tokens": {"limit": 60_000, "used": 1_000},
        },
        "days": [
            {"date": "2026-11-23", **row, "runs": 1, "made": 0, "people": 1}
            | {"calls": 1, "tokensIn": 700, "tokensOut": 300, "cost": 0.000285},
            {"date": "2026-11-22", **row, "runs": 2, "made": 2, "people": 2}
            | {"calls": 2, "tokensIn": 1_400, "tokensOut": 600, "cost": 0.00057},
        ],
    }
    assert [day["date"] for day in today.json()["days"]] == ["2026-11-23"]


async def test_who_is_no_admin_is_told_so(serve: Serve, person: Caller) -> None:
    async with serve(engine=Scripted()) as client:
        member, nobody = await client.get(USAGE, headers=bearer(person)), await client.get(USAGE)

    assert (member.status_code, member.json()["code"]) == (403, "forbidden")
    assert member.headers["www-authenticate"].startswith('Bearer realm="daymark", error="insufficient_scope"')
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("query", ["days=0", "days=91", "days=x", "day=3"])
async def test_a_wrong_question_is_named(serve: Serve, make_caller: MakeCaller, query: str) -> None:
    async with serve(engine=Scripted()) as client:
        response = await client.get(f"{USAGE}?{query}", headers=bearer(await make_caller(role="admin")))

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


async def test_an_admin_of_a_tenant_that_is_not_known_has_no_budget(serve: Serve) -> None:
    async with serve(engine=Scripted()) as client:
        unknown = Caller(uuid4(), uuid4(), "admin")
        response = await client.get(USAGE, headers=bearer(unknown))

    assert response.json() == {"since": "2026-10-24", "budget": None, "days": []}
