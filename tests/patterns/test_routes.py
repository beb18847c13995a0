import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest

from service.caller import Caller
from service.database import Connection
from tests.conftest import NOW, Clock, MakeCaller, Serve, bearer

PATH = "/api/insights/patterns"
UTC_TODAY = NOW.date()  # 2026-11-22, a Sunday, at 09:00


def day(date: object, energy: int = 60, focus: int = 70, fulfillment: int = 80) -> dict[str, object]:
    return {"date": str(date), "energy": energy, "focus": focus, "fulfillment": fulfillment}


async def store(client: httpx.AsyncClient, caller: Caller, body: object) -> httpx.Response:
    return await client.post(PATH, json=body, headers=bearer(caller))


async def dates(client: httpx.AsyncClient, caller: Caller, query: str = "") -> list[str]:
    answer = (await client.get(PATH + query, headers=bearer(caller))).json()
    if answer["source"] == "sample":
        assert answer["reason"] == "no_data"
        return []
    return [each["date"] for each in answer["patterns"]]


async def count_days(admin: Connection, caller: Caller) -> Any:
    return await admin.fetchval("select count(*) from app.pattern_data where tenant_id = $1", caller.tenant_id)


async def test_a_persons_days_are_answered_as_the_contract_has_them(client: httpx.AsyncClient, caller: Caller) -> None:
    await store(
        client, caller, [day("2026-11-20", 60, 70, 80), day("2026-11-21", 62, 70, 79), day("2026-11-22", 65, 70, 81)]
    )
    response = await client.get(PATH, headers=bearer(caller))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["vary"] == "Authorization, Prefer"
    assert response.json() == {
        "source": "user",
        "reason": None,
        "patterns": [
            {"date": "2026-11-20", "day": "Fri", "energy": 60, "focus": 70, "fulfillment": 80},
            {"date": "2026-11-21", "day": "Sat", "energy": 62, "focus": 70, "fulfillment": 79},
            {"date": "2026-11-22", "day": "Sun", "energy": 65, "focus": 70, "fulfillment": 81},
        ],
        "averages": {"energy": 62, "focus": 70, "fulfillment": 80},
        "trends": {
            "energy": {
                "direction": "rising",
                "change": 5,
                "consecutiveDays": 2,
                "strength": "weak",
                "isSignificant": False,
            },
            "focus": {
                "direction": "flat",
                "change": 0,
                "consecutiveDays": 0,
                "strength": "weak",
                "isSignificant": False,
            },
            "fulfillment": {
                "direction": "rising",
                "change": 1,
                "consecutiveDays": 1,
                "strength": "weak",
                "isSignificant": False,
            },
        },
        "significantTrends": [],
        "insights": [
            {
                "kind": "dip",
                "title": response.json()["insights"][0]["title"],
                "description": response.json()["insights"][0]["description"],
                "icon": response.json()["insights"][0]["icon"],
            }
        ],
    }


async def test_the_window_has_seven_days_unless_asked_otherwise(client: httpx.AsyncClient, caller: Caller) -> None:
    recorded = ["2026-08-24", "2026-08-25", "2026-11-15", "2026-11-16", "2026-11-22"]
    await store(client, caller, [day(date) for date in reversed(recorded)])

    assert await dates(client, caller) == ["2026-11-16", "2026-11-22"]
    assert await dates(client, caller, "?days=1") == ["2026-11-22"]
    assert await dates(client, caller, "?days=8") == ["2026-11-15", "2026-11-16", "2026-11-22"]
    assert await dates(client, caller, "?days=90") == recorded[1:]


async def test_until_is_the_windows_last_day(client: httpx.AsyncClient, caller: Caller) -> None:
    await store(client, caller, [day("2026-11-09"), day("2026-11-10"), day("2026-11-16"), day("2026-11-17")])

    assert await dates(client, caller, "?until=2026-11-16") == ["2026-11-10", "2026-11-16"]
    assert await dates(client, caller, "?until=2026-11-16&days=1") == ["2026-11-16"]
    assert await dates(client, caller, "?until=2026-11-18&days=1") == []
    assert await dates(client, caller, "?until=2026-11-23") == ["2026-11-17"]


@pytest.mark.parametrize("until", ["0001-01-01", "0001-01-06", "2024-02-29", "9999-12-31"])
@pytest.mark.parametrize("days", [1, 7, 90])
@pytest.mark.parametrize("signed", [True, False])
async def test_the_calendars_ends_are_answered_with_a_sample(
    client: httpx.AsyncClient, caller: Caller, until: str, days: int, signed: bool
) -> None:
    response = await client.get(PATH, params={"until": until, "days": days}, headers=bearer(caller) if signed else {})
    shown = response.json()["patterns"]

    assert response.status_code == 200
    assert response.json()["source"] == "sample"
    assert shown[-1]["date"] == until
    assert len(shown) == min(days, dt.date.fromisoformat(until).toordinal())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("days=0", "Expected int >= 1"),
        ("days=-7", "Expected int >= 1"),
        ("days=91", "Expected int <= 90"),
        ("days=9223372036854775808", "Expected int <= 90"),
        ("days=", "Expected int, got str"),
        ("days=abc", "Expected int, got str"),
        ("days=7.5", "Expected int, got str"),
        ("days=+7", "Expected int, got str"),
        ("days=%2B7", "Expected int, got str"),
        ("days=%207", "Expected int, got str"),
        ("days=7%00", "Expected int, got str"),
        ("days=%EF%BC%97", "Expected int, got str"),
        ("days=0x7", "Expected int, got str"),
        ("days=1_0", "Expected int, got str"),
        ("days=true", "Expected int, got str"),
        ("days=null", "Expected int, got str"),
        ("days=NaN", "Expected int, got str"),
        ("days=%ff", "Expected int, got str"),
        ("days=%zz", "Expected int, got str"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
async def test_a_window_that_is_none_is_refused_whoever_asks(
    client: httpx.AsyncClient, caller: Caller, query: str, message: str, signed: bool
) -> None:
    response = await client.get(f"{PATH}?{query}", headers=bearer(caller) if signed else {})

    assert response.status_code == 400
    assert response.json()["errors"] == [{"message": message, "parameter": "days"}]


async def test_a_window_of_5000_digits_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PATH}?days={'9' * 5_000}")).status_code == 400


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("", "''"),
        ("null", "'null'"),
        ("None", "'None'"),
        ("today", "'today'"),
        ("infinity", "'infinity'"),
        ("-infinity", "'-infinity'"),
        ("2026-02-29", "'2026-02-29'"),
        ("2026-11-31", "'2026-11-31'"),
        ("20261122", "'20261122'"),
        ("2026-W47-5", "'2026-W47-5'"),
        ("2026-11-22T00:00:00Z", "'2026-11-22T00:00:00Z'"),
        ("1795305600", "'1795305600'"),
        ("0000-01-01", "'0000-01-01'"),
        ("10000-01-01", "'10000-01-01'"),
        ("0044-03-15%20BC", "'0044-03-15 BC'"),
        ("2026-11-22%00", "'2026-11-22\\x00'"),
        ("%EF%BC%92026-11-22", "'\uff12026-11-22'"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
async def test_a_last_day_that_is_none_is_refused_whoever_asks(
    client: httpx.AsyncClient, caller: Caller, until: str, shown: str, signed: bool
) -> None:
    response = await client.get(f"{PATH}?until={until}", headers=bearer(caller) if signed else {})

    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"message": f"Expected a day such as 2026-11-22, got {shown}", "parameter": "until"}
    ]


async def test_today_is_the_persons_own(serve: Serve, make_caller: MakeCaller) -> None:
    first, last = await make_caller(timezone="Pacific/Kiritimati"), await make_caller(timezone="Pacific/Pago_Pago")
    # 10:30 in UTC is 00:30 of the next day on Kiritimati (UTC+14), and 23:30 of the day before on Pago Pago (UTC-11).
    async with serve(clock=Clock(NOW.replace(hour=10, minute=30))) as client:
        for caller, today, tomorrow in [
            (first, "2026-11-23", "2026-11-24"),
            (last, "2026-11-21", "2026-11-22"),
        ]:
            refused = await store(client, caller, day(tomorrow))

            assert refused.status_code == 400
            assert refused.json()["errors"] == [
                {
                    "message": f"{tomorrow} is in the future: it is {today} where this person lives",
                    "pointer": "/date",
                }
            ]
            assert (await store(client, caller, day(today))).status_code == 201
            assert await dates(client, caller, "?days=1") == [today]


async def test_the_day_changes_at_the_persons_midnight(serve: Serve, make_caller: MakeCaller) -> None:
    caller, clock = await make_caller(timezone="Asia/Kathmandu"), Clock(NOW.replace(hour=18, minute=14, second=59))
    async with serve(clock=clock) as client:  # UTC+5:45
        headers = bearer(caller, clock.now)
        before = await client.post(PATH, json=day("2026-11-23"), headers=headers)
        clock.advance(seconds=1)
        after = await client.post(PATH, json=day("2026-11-23"), headers=headers)

    assert (before.status_code, after.status_code) == (400, 201)


async def test_somebody_whom_only_a_token_tells_of_lives_by_utc(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    newcomer = Caller(caller.tenant_id, caller.user_id.__class__(int=caller.user_id.int ^ 1))

    assert (await store(client, newcomer, day("2026-11-23"))).status_code == 400
    assert await admin.fetchval("select count(*) from app.users where user_id = $1", newcomer.user_id) == 0
    assert (await store(client, newcomer, day("2026-11-22"))).status_code == 201
    assert await admin.fetchval("select timezone from app.users where user_id = $1", newcomer.user_id) == "UTC"


async def test_the_same_day_again_replaces_it(client: httpx.AsyncClient, caller: Caller) -> None:
    first = await store(client, caller, day("2026-11-21", energy=1))
    second = await store(client, caller, [day("2026-11-21", energy=2), day("2026-11-22")])
    answer = (await client.get(PATH, headers=bearer(caller))).json()

    assert (first.status_code, first.json()) == (201, {"stored": 1, "created": 1, "replaced": 0})
    assert (second.status_code, second.json()) == (201, {"stored": 2, "created": 1, "replaced": 1})
    assert [each["energy"] for each in answer["patterns"]] == [2, 60]


async def test_of_two_at_once_one_creates_the_day_and_the_other_replaces_it(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    body = [day(UTC_TODAY - dt.timedelta(days=back)) for back in range(50)]
    for _ in range(5):
        await admin.execute("delete from app.pattern_data where tenant_id = $1", caller.tenant_id)
        answers = await asyncio.gather(store(client, caller, body), store(client, caller, body[::-1]))

        assert sorted(answer.json()["created"] for answer in answers) == [0, 50]
        assert sorted(answer.json()["replaced"] for answer in answers) == [0, 50]
        assert await count_days(admin, caller) == 50


async def test_the_first_two_writes_of_a_newcomer_at_once_both_hold(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    for bit in range(5):
        newcomer = Caller(caller.tenant_id, caller.user_id.__class__(int=caller.user_id.int ^ (1 << bit)))
        answers = await asyncio.gather(*(store(client, newcomer, day(f"2026-11-{date}")) for date in range(19, 23)))

        assert [answer.status_code for answer in answers] == [201] * 4
    assert await count_days(admin, caller) == 20


@pytest.mark.parametrize(
    ("bad", "errors"),
    [
        (day("2026-11-21", energy=101), [{"message": "Expected int <= 100", "pointer": "/1/energy"}]),
        (
            day("2026-11-23"),
            [
                {
                    "message": "2026-11-23 is in the future: it is 2026-11-22 where this person lives",
                    "pointer": "/1/date",
                }
            ],
        ),
        (
            day("9999-12-31"),
            [
                {
                    "message": "9999-12-31 is in the future: it is 2026-11-22 where this person lives",
                    "pointer": "/1/date",
                }
            ],
        ),
        (day("2026-11-20"), [{"message": "2026-11-20 is in this list already, at 0", "pointer": "/1/date"}]),
        (day("2026-11-21") | {"note": "x"}, [{"message": "Not a field of this object", "pointer": "/1/note"}]),
    ],
)
async def test_one_bad_day_in_a_list_stores_none(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, bad: object, errors: list[object]
) -> None:
    response = await store(client, caller, [day("2026-11-20"), bad, day("2026-11-22")])

    assert response.status_code == 400
    assert response.json()["errors"] == errors
    assert await count_days(admin, caller) == 0


async def test_every_future_and_every_repeated_day_is_named(client: httpx.AsyncClient, caller: Caller) -> None:
    response = await store(
        client, caller, [day(date) for date in ["2026-11-23", "2026-11-20", "2026-11-20", "2026-11-23"]]
    )

    assert [(wrong["pointer"], wrong["message"][:25]) for wrong in response.json()["errors"]] == [
        ("/0/date", "2026-11-23 is in the futu"),
        ("/2/date", "2026-11-20 is in this lis"),
        ("/3/date", "2026-11-23 is in the futu"),
        ("/3/date", "2026-11-23 is in this lis"),
    ]


async def test_a_thousand_days_are_stored_across_the_months_and_before_them(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    body = [day(UTC_TODAY - dt.timedelta(days=back)) for back in range(1_000)]

    assert (await store(client, caller, body)).json() == {"stored": 1_000, "created": 1_000, "replaced": 0}
    assert await count_days(admin, caller) == 1_000
    assert await dates(client, caller, "?days=90") == [
        str(UTC_TODAY - dt.timedelta(days=back)) for back in reversed(range(90))
    ]


@pytest.mark.parametrize("date", ["0001-01-01", "1582-10-10", "1900-01-01", "2000-02-29", "2024-02-29"])
async def test_a_day_that_no_month_takes_is_kept_all_the_same(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, date: str
) -> None:
    stored = await store(client, caller, day(date))
    again = await store(client, caller, day(date, energy=1))

    assert (stored.status_code, again.json()["replaced"]) == (201, 1)
    assert await dates(client, caller, f"?until={date}&days=1") == [date]
    assert (await client.delete(f"{PATH}/{date}", headers=bearer(caller))).status_code == 204
    assert await count_days(admin, caller) == 0


async def test_the_calendars_last_day_can_be_stored_on_it(serve: Serve, caller: Caller) -> None:
    now = dt.datetime(9999, 12, 31, 12, tzinfo=dt.UTC)
    async with serve(clock=Clock(now)) as client:
        headers = bearer(caller, now - dt.timedelta(hours=1))
        stored = await client.post(PATH, json=day("9999-12-31"), headers=headers)
        read = await client.get(PATH, headers=headers)

    assert stored.status_code == 201
    assert read.json()["patterns"][0]["date"] == "9999-12-31"


async def test_a_day_is_deleted_once(client: httpx.AsyncClient, caller: Caller) -> None:
    await store(client, caller, [day("2026-11-21"), day("2026-11-22")])
    first = await client.delete(f"{PATH}/2026-11-21", headers=bearer(caller))
    second = await client.delete(f"{PATH}/2026-11-21", headers=bearer(caller))

    assert (first.status_code, first.content) == (204, b"")
    assert (second.status_code, second.json()["code"]) == (404, "not_found")
    assert await dates(client, caller) == ["2026-11-22"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("x", "'x'"),
        ("1", "'1'"),
        ("20261122", "'20261122'"),
        ("2026-02-29", "'2026-02-29'"),
        ("2026-11-22T00:00:00", "'2026-11-22T00:00:00'"),
        ("null", "'null'"),
        ("%00", "'\\x00'"),
        ("%ff", "'\ufffd'"),
        ("2026-11-22%0a", "'2026-11-22\\n'"),
        ("%F0%9F%98%80", "'\U0001f600'"),
    ],
)
async def test_a_day_that_is_none_cannot_be_deleted(
    client: httpx.AsyncClient, caller: Caller, path: str, shown: str
) -> None:
    response = await client.delete(f"{PATH}/{path}", headers=bearer(caller))

    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"message": f"Expected a day such as 2026-11-22, got {shown}", "parameter": "day"}
    ]


async def test_nobody_sees_or_deletes_anothers_days_an_admin_neither(
    client: httpx.AsyncClient, caller: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    boss, colleague = await make_caller(caller, role="admin"), await make_caller(caller)
    await store(client, caller, day("2026-11-22"))
    for other in (boss, colleague, stranger):
        assert await dates(client, other) == []
        assert (await client.delete(f"{PATH}/2026-11-22", headers=bearer(other))).status_code == 404
    await store(client, boss, day("2026-11-21"))

    assert await dates(client, boss) == ["2026-11-21"]
    assert await dates(client, caller) == ["2026-11-22"]


async def test_the_sample_is_nobodys_and_is_not_stored(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    response = await client.get(PATH, headers=bearer(caller))

    assert len(response.json()["patterns"]) == 7
    assert response.json()["patterns"][-1]["date"] == "2026-11-22"
    assert await count_days(admin, caller) == 0
