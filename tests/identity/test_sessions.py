"""The service's own sessions, over real HTTP: in, on, out, and what a thief meets."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import jwt
import msgspec
import pytest

from service import embedded
from service.accounts import set_password, set_role
from service.administrator import Administrator
from service.caller import Caller
from service.database import Connection, Database
from service.identity.passwords import Passwords
from service.identity.sessions import Asker, Lives, Sessions
from service.identity.tokens import Tokens
from service.patterns.analysis import analyse
from service.patterns.sample import sample_days
from service.queries import FIND_CONFIRMED_LOGIN, FIND_USER_TO_CHANGE, SAVE_SESSION
from service.recommendations.batch import Keeping, find_kept, keep, make_batch
from service.recommendations.rules import recommend
from service.setting_values import Rate
from service.settings import Settings
from tests.conftest import NOW, SECRET, Clock, MakeCaller, Serve, bearer, run_as_admin, served

PASSWORD = "correct horse battery staple"
HASH = Passwords().hash(PASSWORD)
BAD = {"Authorization": "Bearer x.y.z"}
STRICT = {"Prefer": "handling=strict"}
SCORES = {"energy": 80, "focus": 80, "fulfillment": 80}


@dataclass
class Person:
    """Somebody with a password."""

    caller: Caller
    slug: str
    email: str

    def login(self, **changes: str) -> dict[str, str]:
        return {"tenant": self.slug, "email": self.email, "password": PASSWORD} | changes


@pytest.fixture
async def person(admin: Connection, caller: Caller) -> Person:
    return await with_password(admin, caller)


async def with_password(admin: Connection, caller: Caller) -> Person:
    await admin.execute(
        "insert into app.credentials values ($1, $2, $3, $4)", caller.tenant_id, caller.user_id, HASH, NOW
    )
    return Person(caller, f"t-{caller.tenant_id.hex}", f"{caller.user_id.hex}@example.test")


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def http(serve: Serve, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(clock=clock) as client:
        yield client


async def log_in(http: httpx.AsyncClient, person: Person) -> Any:
    answer = await http.post("/api/auth/login", json=person.login(), headers={"User-Agent": "a test"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/api/auth/refresh", json={"refreshToken": token})


def access(granted: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {granted['accessToken']}"} | STRICT


async def works(http: httpx.AsyncClient, granted: Any) -> bool:
    answer = await http.get("/api/auth/sessions", headers=access(granted))
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def kinds(admin: Connection, person: Person) -> list[str]:
    rows = await admin.fetch(
        "select kind from app.audit_events where tenant_id = $1 order by occurred_at, kind", person.caller.tenant_id
    )
    return [row["kind"] for row in rows]


async def test_a_login_gives_an_access_token_of_minutes_and_a_refresh_token_of_weeks(
    http: httpx.AsyncClient, person: Person
) -> None:
    answer = await http.post("/api/auth/login", json=person.login())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    granted = answer.json()
    assert granted.keys() == {
        "accessToken", "tokenType", "expiresIn", "refreshToken", "refreshExpiresIn", "sessionId",
    }  # fmt: skip
    assert (granted["tokenType"], granted["expiresIn"], granted["refreshExpiresIn"]) == ("Bearer", 900, 2_592_000)
    claims = jwt.decode(granted["accessToken"], options={"verify_signature": False})
    assert claims["sub"] == str(person.caller.user_id)
    assert claims["tenant_id"] == str(person.caller.tenant_id)
    assert claims["sid"] == granted["sessionId"]
    assert claims["exp"] - claims["iat"] == 900
    stored = await http.post("/api/insights/patterns", json={"date": "2026-11-22", **SCORES}, headers=access(granted))
    assert stored.status_code == 201


@pytest.mark.parametrize("tenant", ["slug", "SLUG", "id"])
async def test_a_tenant_is_named_by_slug_or_id(http: httpx.AsyncClient, person: Person, tenant: str) -> None:
    name = {"slug": person.slug, "SLUG": person.slug.upper(), "id": str(person.caller.tenant_id)}[tenant]
    answer = await http.post("/api/auth/login", json=person.login(tenant=name, email=person.email.upper()))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong horse battery staple"},
        {"password": PASSWORD.upper()},
        {"email": "nobody@example.test"},
        {"tenant": "no-such-tenant"},
        {"tenant": "00000000-0000-0000-0000-000000000000"},
        {"tenant": "' or true --", "email": "' or true --"},
    ],
    ids=" ".join,
)
async def test_whichever_is_wrong_the_answer_is_the_same(
    http: httpx.AsyncClient, person: Person, wrong: dict[str, str]
) -> None:
    answer = await http.post("/api/auth/login", json=person.login(**wrong))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="daymark"'
    assert answer.json() == {
        "status": 401,
        "type": "urn:daymark:problem:invalid_credentials",
        "title": "Not logged in",
        "detail": "There is no such tenant, no such person in it, or that is not their password.",
        "code": "invalid_credentials",
    }


async def test_somebody_of_another_tenant_or_without_a_password_cannot_log_in(
    http: httpx.AsyncClient, admin: Connection, person: Person, stranger: Caller, make_caller: MakeCaller
) -> None:
    elsewhere = await with_password(admin, stranger)
    assert (await http.post("/api/auth/login", json=person.login(email=elsewhere.email))).status_code == 401
    beside = await make_caller(person.caller)
    email = f"{beside.user_id.hex}@example.test"
    assert (await http.post("/api/auth/login", json=person.login(email=email))).status_code == 401


async def test_an_unknown_person_takes_as_long_as_a_known_one(http: httpx.AsyncClient, person: Person) -> None:
    async def median(**wrong: str) -> float:
        times = [
            (await http.post("/api/auth/login", json=person.login(**wrong))).elapsed.total_seconds() for _ in range(5)
        ]
        return sorted(times)[2]

    await http.post("/api/auth/login", json=person.login(password="the first check in a process"))
    known = await median(password="wrong horse battery staple")
    assert known > 0.02  # that it takes a while is what keeps guessing slow
    for unknown in ({"email": "nobody@example.test"}, {"tenant": "no-such-tenant"}):
        assert await median(**unknown) > known / 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "a@b.test", "password": "x"}, "/tenant"),
        ({"tenant": "acme", "email": "a@b.test", "password": ""}, "/password"),
        ({"tenant": "acme", "email": "a@b.test", "password": "x" * 1_001}, "/password"),
        ({"tenant": "ac\0me", "email": "a@b.test", "password": "x"}, "/tenant"),
        ({"tenant": "acme", "email": "a\0@b.test", "password": "x"}, "/email"),
        ({"tenant": "acme", "email": 7, "password": "x"}, "/email"),
        ({"tenant": "acme", "email": "a@b.test", "password": "x", "role": "admin"}, "/role"),
    ],
)
async def test_a_body_that_is_no_login_is_named_and_never_repeated(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/api/auth/login", json=body)
    assert answer.status_code == 400
    assert [wrong["pointer"] for wrong in answer.json()["errors"]] == [pointer]
    assert "x" * 1_001 not in answer.text


async def test_a_password_is_the_same_however_its_letters_are_put_together(
    http: httpx.AsyncClient, admin: Connection, person: Person
) -> None:
    kept = Passwords().hash("Stra\u00dfencaf\u00e9 um die Ecke")
    await admin.execute(
        "update app.credentials set password_hash = $1 where tenant_id = $2", kept, person.caller.tenant_id
    )
    composed = person.login(password="Stra\u00dfencafe\u0301 um die Ecke")
    assert (await http.post("/api/auth/login", json=composed)).status_code == 200


async def test_so_many_wrong_passwords_of_an_account_are_looked_at_and_no_more_however_it_is_named(
    serve: Serve, person: Person, admin: Connection, make_caller: MakeCaller
) -> None:
    other = await with_password(admin, await make_caller(person.caller))
    async with serve(limit_login=Rate(4, 900)) as here, serve(limit_login=Rate(4, 900)) as there:
        wrong = person.login(password="wrong horse battery staple")
        named = [{}, {"tenant": str(person.caller.tenant_id)}, {"email": person.email.upper()}, {}]
        for number, names in enumerate(named):
            answer = await (here, there)[number % 2].post("/api/auth/login", json=wrong | names)
            assert answer.status_code == 401
        for process in (here, there):
            answer = await process.post("/api/auth/login", json=person.login())  # right as it is
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
            assert 0 < int(answer.headers["retry-after"]) <= 900
            assert '"login";r=0' in answer.headers["ratelimit"]
        assert (await here.post("/api/auth/login", json=other.login())).status_code == 200
        assert (await here.post("/api/auth/login", json=other.login(email="new@x.test"))).status_code == 401


async def test_a_login_counts_for_nothing_and_takes_no_wrong_password_back(serve: Serve, person: Person) -> None:
    async with serve(limit_login=Rate(3, 900)) as http:
        statuses = []
        for password in (
            PASSWORD,
            PASSWORD,
            "wrong horse battery staple",
            PASSWORD,
            PASSWORD,
            "wrong again",
            "and again",
        ):
            answer = await http.post("/api/auth/login", json=person.login(password=password))
            statuses.append(answer.status_code)
            assert "login" not in answer.headers["ratelimit"]
        assert statuses == [200, 200, 401, 200, 200, 401, 401]
        answer = await http.post("/api/auth/login", json=person.login())
        assert answer.status_code == 429
        assert '"login";r=0' in answer.headers["ratelimit"]


async def test_a_password_that_nobody_had_time_to_look_at_is_no_try(
    serve: Serve, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(limit_login=Rate(2, 900)) as http:
        with monkeypatch.context() as busy:
            busy.setattr("service.identity.passwords.MOST_WAITING", 0)
            for _ in range(4):
                answer = await http.post("/api/auth/login", json=person.login())
                assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert (await http.post("/api/auth/login", json=person.login())).status_code == 200


async def test_so_many_refreshes_of_an_address_are_looked_at_and_what_is_refused_is_not_spent(
    serve: Serve, person: Person
) -> None:
    near, far = ({"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:{number}::1"} for number in (1, 2))
    async with serve(limit_login_address=Rate(1, 900), trusted_proxies=1) as http:
        granted = (await http.post("/api/auth/login", json=person.login(), headers=near)).json()
        for _ in range(10):
            answer = await http.post("/api/auth/refresh", json={"refreshToken": "x"}, headers=near)
            assert answer.status_code == 401
        body = {"refreshToken": granted["refreshToken"]}
        answer = await http.post("/api/auth/refresh", json=body, headers=near)
        assert answer.status_code == 429
        assert '"refresh-address";q=10;w=900' in answer.headers["ratelimit-policy"]
        assert (await http.post("/api/auth/refresh", json=body, headers=far)).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Bearer x.y.z", "Basic x", "", "own"])
async def test_whatever_token_comes_along_a_refresh_is_refused_before_its_token_is_spent(
    serve: Serve, admin: Connection, person: Person, authorization: str | None
) -> None:
    async with serve() as unlimited, serve(limit_anonymous=Rate(2, 60)) as http:
        granted = await log_in(unlimited, person)
        headers = {} if authorization is None else {"Authorization": authorization}
        if authorization == "own":
            headers = access(granted)

        async def next_of(granted: Any) -> httpx.Response:
            return await http.post("/api/auth/refresh", json={"refreshToken": granted["refreshToken"]}, headers=headers)

        second = await next_of(granted)
        third = await next_of(second.json())
        refused = await next_of(third.json())
        assert [each.status_code for each in (second, third, refused)] == [200, 200, 429]
        assert refused.json()["code"] == "too_many_requests"
        assert (await http.post("/api/auth/login", json=person.login(), headers=headers)).status_code == 429
        assert await kinds(admin, person) == ["logged_in", "refreshed", "refreshed"]
        assert (await refresh(unlimited, third.json()["refreshToken"])).status_code == 200


async def test_who_is_over_their_limit_still_gets_out(serve: Serve, person: Person) -> None:
    async with serve(limit_person=Rate(3, 60), limit_anonymous=Rate(6, 60)) as http:
        here, there, last = [await log_in(http, person) for _ in range(3)]
        asked = [(await http.get("/api/auth/sessions", headers=access(last))).status_code for _ in range(4)]
        assert asked == [200, 200, 200, 429]
        gone = await http.delete(f"/api/auth/sessions/{there['sessionId']}", headers=access(last))
        out = [await http.post("/api/auth/logout", headers=access(each)) for each in (here, last)]
        assert [each.status_code for each in (gone, *out)] == [204] * 3
        # Whoever has no token that holds is counted as ever.
        statuses = [(await http.post("/api/auth/logout", headers=BAD)).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]


async def test_so_many_tries_of_an_address_are_looked_at_whatever_the_account(serve: Serve, person: Person) -> None:
    trusting = {"limit_login_address": Rate(3, 900), "trusted_proxies": 1}
    async with serve(**trusting) as http:

        async def attempt(address: str, email: str) -> int:
            headers = {"X-Forwarded-For": address}
            answer = await http.post("/api/auth/login", json=person.login(email=email), headers=headers)
            return answer.status_code

        near, far = (f"2001:db8:{uuid4().hex[:4]}:{number}::1" for number in (1, 2))
        assert [await attempt(near, f"{number}@x.test") for number in range(5)] == [401, 401, 401, 429, 429]
        assert await attempt(far, person.email) == 200


async def test_with_the_database_away_nobody_logs_in_and_is_told_so(serve: Serve) -> None:
    async with serve(database_url="postgresql://daymark_service@127.0.0.1:9/nowhere") as http:
        for path, body in (
            ("login", {"tenant": "acme", "email": "a@b.test", "password": "x"}),
            ("refresh", {"refreshToken": "dmr_" + "A" * 86}),
        ):
            answer = await http.post(f"/api/auth/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"


async def test_no_connection_is_held_while_passwords_are_checked(serve: Serve, person: Person) -> None:
    async with serve(pool_size=1) as http:
        logins = [asyncio.create_task(http.post("/api/auth/login", json=person.login())) for _ in range(8)]
        waits = []
        while not all(login.done() for login in logins):
            answer = await http.get("/health/ready")
            assert answer.status_code == 200
            waits.append(answer.elapsed.total_seconds())
        assert {(await login).status_code for login in logins} == {200}
        assert len(waits) > 8  # more often than a check takes


async def test_a_refresh_token_is_kept_as_its_hash_only(
    http: httpx.AsyncClient, admin: Connection, person: Person
) -> None:
    granted = await log_in(http, person)
    [kept] = await admin.fetch(
        "select token_hash from app.refresh_tokens where tenant_id = $1", person.caller.tenant_id
    )
    assert kept["token_hash"] == hashlib.sha256(granted["refreshToken"].encode()).digest()


async def test_a_refresh_gives_the_next_of_both_and_moves_the_session_on(
    http: httpx.AsyncClient, clock: Clock, person: Person
) -> None:
    first = await log_in(http, person)
    clock.advance(minutes=20)
    assert not await works(http, first)
    answer = await refresh(http, first["refreshToken"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    second = answer.json()
    assert second["sessionId"] == first["sessionId"]
    assert second["refreshToken"] != first["refreshToken"]
    assert await works(http, second)
    clock.advance(days=29)
    assert (await refresh(http, second["refreshToken"])).status_code == 200


async def test_a_session_that_nobody_used_for_weeks_is_over(
    http: httpx.AsyncClient, clock: Clock, person: Person
) -> None:
    granted = await log_in(http, person)
    clock.advance(days=30)
    answer = await refresh(http, granted["refreshToken"])
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")


async def test_a_refresh_says_what_the_person_is_now(
    http: httpx.AsyncClient, admin: Connection, person: Person
) -> None:
    granted = await log_in(http, person)
    await admin.execute("update app.users set role = 'admin' where tenant_id = $1", person.caller.tenant_id)
    again = (await refresh(http, granted["refreshToken"])).json()
    answer = await http.get("/api/insights/usage", headers=access(again))
    assert answer.status_code == 200


def altered(token: str) -> list[str]:
    data = base64.urlsafe_b64decode(token.removeprefix("dmr_") + "==")
    spelled = [data[:-1] + bytes([data[-1] ^ 1]), uuid4().bytes + data[16:], data[:16] + uuid4().bytes + data[32:]]
    return [
        *("dmr_" + base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in spelled),
        token[:-1],
        token + "A",
        token.removeprefix("dmr_"),
        token[:-1] + ("B" if token[-1] == "A" else "A"),
        "dmr_" + "-" * 86,
        "dmr_" + "\u00e9" * 86,
        "x",
    ]


async def test_an_altered_refresh_token_is_unknown_and_harms_nobody(http: httpx.AsyncClient, person: Person) -> None:
    granted = await log_in(http, person)
    for token in altered(granted["refreshToken"]):
        answer = await refresh(http, token)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token"), token
    assert (await refresh(http, granted["refreshToken"])).status_code == 200


async def test_of_racing_refreshes_one_wins_and_the_session_lasts(http: httpx.AsyncClient, person: Person) -> None:
    granted = await log_in(http, person)
    for _ in range(5):
        answers = await asyncio.gather(*(refresh(http, granted["refreshToken"]) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
        [granted] = [answer.json() for answer in answers if answer.status_code == 200]
        assert await works(http, granted)


async def test_a_token_used_again_at_once_ends_nothing(http: httpx.AsyncClient, clock: Clock, person: Person) -> None:
    first = await log_in(http, person)
    second = (await refresh(http, first["refreshToken"])).json()
    clock.advance(seconds=9)
    answer = await refresh(http, first["refreshToken"])
    assert (answer.status_code, answer.json()["code"]) == (409, "refresh_token_superseded")
    assert await works(http, second)
    assert (await refresh(http, second["refreshToken"])).status_code == 200


async def test_a_token_used_again_later_puts_thief_and_victim_out_and_the_trail_says_why(
    http: httpx.AsyncClient, clock: Clock, admin: Connection, person: Person
) -> None:
    victim = await log_in(http, person)
    other = await log_in(http, person)
    thief = (await refresh(http, victim["refreshToken"])).json()
    clock.advance(seconds=11)
    assert await works(http, victim)
    answer = await refresh(http, victim["refreshToken"])
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    assert not await works(http, victim)
    assert not await works(http, thief)
    assert (await refresh(http, thief["refreshToken"])).status_code == 401
    assert await works(http, other)  # another login of theirs
    assert await kinds(admin, person) == ["logged_in", "logged_in", "refreshed", "refresh_reused"]
    [row] = await admin.fetch(
        "select ended_reason from app.sessions where tenant_id = $1 and session_id = $2",
        person.caller.tenant_id,
        UUID(victim["sessionId"]),
    )
    assert row["ended_reason"] == "reused"


async def test_a_logout_on_one_process_is_seen_on_another_at_the_next_request(
    settings: Settings, person: Person
) -> None:
    async with served(settings, clock=Clock()) as here, served(settings, clock=Clock()) as there:
        granted = await log_in(here, person)
        assert await works(there, granted)
        assert (await here.post("/api/auth/logout", headers=access(granted))).status_code == 204
        for process in (there, here, there):
            assert not await works(process, granted)
        answer = await there.get("/api/insights/patterns", headers=access(granted))
        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_token"
        assert answer.headers["www-authenticate"] == (
            'Bearer realm="daymark", error="invalid_token", error_description="The session of this token has ended."'
        )
        assert (await refresh(there, granted["refreshToken"])).status_code == 401


NOWHERE = "00000000-0000-4000-8000-000000000404"
REQUESTS = [
    ("GET", "/api/insights/patterns", None),
    ("POST", "/api/insights/patterns", {"date": "2026-11-21", **SCORES}),
    ("DELETE", "/api/insights/patterns/2026-11-22", None),
    ("GET", "/api/insights/recommendations", None),
    ("POST", "/api/insights/recommendations/refresh", None),
    ("POST", f"/api/insights/recommendations/{NOWHERE}/viewed", None),
    ("PUT", f"/api/insights/recommendations/{NOWHERE}/feedback", {"helpful": True}),
    ("GET", "/api/auth/sessions", None),
    ("DELETE", f"/api/auth/sessions/{NOWHERE}", None),
    ("POST", "/api/auth/logout", None),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: f"{each[0]} {each[1]}"[:50])
async def test_no_route_does_anything_for_a_session_that_has_ended(
    client: httpx.AsyncClient, admin: Connection, person: Person, request_: tuple[str, str, Any]
) -> None:
    method, path, body = request_
    granted = await log_in(client, person)
    day = {"date": "2026-11-22", **SCORES}
    assert (await client.post("/api/insights/patterns", json=day, headers=access(granted))).status_code == 201
    assert (await client.get("/api/insights/recommendations", headers=access(granted))).status_code == 200
    await admin.execute(
        "update app.sessions set ended_at = now(), ended_reason = 'revoked' where tenant_id = $1",
        person.caller.tenant_id,
    )
    answer = await client.request(method, path, json=body, headers=access(granted))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    [row] = await admin.fetch(
        "select count(*) as days from app.pattern_data where tenant_id = $1", person.caller.tenant_id
    )
    assert row["days"] == 1


async def test_a_lenient_route_shows_a_sample_once_the_session_has_ended(
    http: httpx.AsyncClient, person: Person
) -> None:
    granted = await log_in(http, person)
    headers = {"Authorization": f"Bearer {granted['accessToken']}"}
    await http.post("/api/auth/logout", headers=headers)
    for path in ("/api/insights/patterns", "/api/insights/recommendations"):
        answer = await http.get(path, headers=headers)
        assert answer.status_code == 200
        assert (answer.json()["source"], answer.json()["reason"]) == ("sample", "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_logout_clears_what_was_kept_and_nobody_elses(
    http: httpx.AsyncClient, admin: Connection, person: Person, make_caller: MakeCaller
) -> None:
    beside = await make_caller(person.caller)
    granted = await log_in(http, person)
    for headers in (access(granted), bearer(beside)):
        await http.post("/api/insights/patterns", json={"date": "2026-11-22", **SCORES}, headers=headers)
        await http.get("/api/insights/recommendations", headers=headers)
        assert (await http.get("/api/insights/recommendations", headers=headers)).json()["cached"] is True
    await http.post("/api/auth/logout", headers=access(granted))
    again = await log_in(http, person)
    answer = await http.get("/api/insights/recommendations", headers=access(again))
    assert (answer.status_code, answer.json()["cached"]) == (200, False)
    assert (await http.get("/api/insights/recommendations", headers=bearer(beside))).json()["cached"] is True
    assert await kinds(admin, person) == ["logged_in", "logged_in", "logged_out"]


async def test_a_logout_has_the_browser_forget_what_it_kept(http: httpx.AsyncClient, person: Person) -> None:
    granted = await log_in(http, person)
    answers = [await http.post("/api/auth/logout", headers=access(granted)) for _ in range(2)]
    assert [each.status_code for each in answers] == [204, 401]
    assert answers[0].headers["clear-site-data"] == '"cache"'
    assert "clear-site-data" not in answers[1].headers
    described = (await http.get("/openapi.json")).json()["paths"]["/api/auth/logout"]["post"]["responses"]
    assert [status for status, each in described.items() if "Clear-Site-Data" in each["headers"]] == ["204"]


async def test_a_logout_everywhere_ends_all_sessions_of_the_person_alone(
    http: httpx.AsyncClient, admin: Connection, person: Person, make_caller: MakeCaller
) -> None:
    beside = await log_in(http, await with_password(admin, await make_caller(person.caller)))
    first, second = await log_in(http, person), await log_in(http, person)
    answer = await http.post("/api/auth/logout", params={"everywhere": "true"}, headers=access(first))
    assert answer.status_code == 204
    assert [await works(http, each) for each in (first, second, beside)] == [False, False, True]
    [event] = await admin.fetch(
        "select detail, session_id from app.audit_events where tenant_id = $1 and kind = 'logged_out'",
        person.caller.tenant_id,
    )
    assert msgspec.json.decode(event["detail"]) == {"everywhere": True, "sessions": 2}
    assert event["session_id"] == UUID(first["sessionId"])


async def test_a_token_without_a_session_logs_out_too(http: httpx.AsyncClient, person: Person) -> None:
    granted = await log_in(http, person)
    assert (await http.post("/api/auth/logout", headers=bearer(person.caller))).status_code == 204
    assert await works(http, granted)
    answer = await http.post("/api/auth/logout?everywhere=true", headers=bearer(person.caller))
    assert answer.status_code == 204
    assert not await works(http, granted)


async def test_open_sessions_are_shown_to_whom_they_belong(
    http: httpx.AsyncClient, admin: Connection, clock: Clock, person: Person, make_caller: MakeCaller
) -> None:
    await log_in(http, await with_password(admin, await make_caller(person.caller, role="admin")))
    first = await log_in(http, person)
    clock.advance(minutes=1)
    second = await log_in(http, person)
    shown = (await http.get("/api/auth/sessions", headers=access(second))).json()
    assert shown == {
        "sessions": [
            {
                "id": granted["sessionId"],
                "current": granted is second,
                "createdAt": at,
                "usedAt": at,
                "expiresAt": until,
                "address": "127.0.0.1",
                "agent": "a test",
            }
            for granted, at, until in (
                (second, "2026-11-22T09:01:00Z", "2026-12-22T09:01:00Z"),
                (first, "2026-11-22T09:00:00Z", "2026-12-22T09:00:00Z"),
            )
        ]
    }


async def test_one_session_is_ended_from_another(http: httpx.AsyncClient, admin: Connection, person: Person) -> None:
    first, second = await log_in(http, person), await log_in(http, person)
    path = f"/api/auth/sessions/{first['sessionId']}"
    assert (await http.delete(path, headers=access(second))).status_code == 204
    assert not await works(http, first)
    assert await works(http, second)
    assert (await http.delete(path, headers=access(second))).status_code == 404
    assert await kinds(admin, person) == ["logged_in", "logged_in", "session_revoked"]


async def test_anothers_session_is_404_even_to_an_admin(
    http: httpx.AsyncClient, person: Person, stranger: Caller, make_caller: MakeCaller
) -> None:
    granted = await log_in(http, person)
    boss = await make_caller(person.caller, role="admin")
    nowhere = await http.delete(f"/api/auth/sessions/{uuid4()}", headers=bearer(boss))
    for somebody in (boss, stranger):
        answer = await http.delete(f"/api/auth/sessions/{granted['sessionId']}", headers=bearer(somebody))
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert await works(http, granted)


async def test_whoever_is_deleted_is_out(http: httpx.AsyncClient, admin: Connection, person: Person) -> None:
    granted = await log_in(http, person)
    await admin.execute("delete from app.users where tenant_id = $1", person.caller.tenant_id)
    assert not await works(http, granted)
    assert (await refresh(http, granted["refreshToken"])).status_code == 401


async def test_what_a_session_begins_ends_with_it_and_not_anothers(http: httpx.AsyncClient, person: Person) -> None:
    # Two logins of one person ask for what is not made yet, at once: each is answered for its own session.
    first, second = await log_in(http, person), await log_in(http, person)
    await http.post("/api/insights/patterns", json={"date": "2026-11-22", **SCORES}, headers=access(first))
    await http.post("/api/auth/logout", headers=access(first))
    answers = await asyncio.gather(
        *(http.get("/api/insights/recommendations", headers=access(each)) for each in (first, second) * 4)
    )
    assert [answer.status_code for answer in answers] == [401, 200] * 4


@asynccontextmanager
async def held_by_an_administrator(admin_url: str, person: Person) -> AsyncIterator[Administrator]:
    """Give an administrator who holds the person's row, and whose changes hold once this ends."""
    async with Administrator.connect(admin_url) as administrator, administrator.transaction():
        own = person.caller
        await administrator.run(FIND_USER_TO_CHANGE, tenant_id=own.tenant_id, user_id=own.user_id)
        yield administrator


@pytest.mark.parametrize("change", ["password", "role"])
async def test_a_login_under_way_does_not_survive_a_new_password_or_role(
    http: httpx.AsyncClient, admin: Connection, admin_url: str, person: Person, change: str
) -> None:
    async with held_by_an_administrator(admin_url, person) as administrator:
        # Its password is right, and has been found so, once it waits for the person's row.
        logging_in = asyncio.create_task(http.post("/api/auth/login", json=person.login()))
        await waits_for_a_lock(admin, logging_in)
        if change == "password":
            await set_password(administrator, person.slug, person.email, "another one altogether", NOW)
        else:
            await set_role(administrator, person.slug, person.email, "admin", NOW)

    assert (await logging_in).status_code == 401
    assert await kinds(admin, person) == [f"{change}_changed"]


async def test_a_failed_login_whose_tenant_is_deleted_meanwhile_is_a_failed_login(
    http: httpx.AsyncClient, admin: Connection, admin_url: str, person: Person
) -> None:
    async with held_by_an_administrator(admin_url, person) as administrator:
        await administrator.execute(f"delete from app.tenants where tenant_id = '{person.caller.tenant_id}'")
        wrong = person.login(password="wrong horse battery staple")
        logging_in = asyncio.create_task(http.post("/api/auth/login", json=wrong))
        await waits_for_a_lock(admin, logging_in)  # to note it in the trail of a tenant that is going

    assert (await logging_in).status_code == 401


async def test_a_new_password_waits_for_a_login_that_is_being_saved_and_ends_its_session(
    database: Database, admin: Connection, admin_url: str, person: Person
) -> None:
    async with Administrator.connect(admin_url) as administrator:
        async with database.transaction(person.caller) as transaction:
            [held] = await transaction.fetch(FIND_CONFIRMED_LOGIN, password_hash=HASH, role="member")
            assert held["confirmed"]
            changing = asyncio.create_task(
                set_password(administrator, person.slug, person.email, "another one altogether", NOW)
            )
            await waits_for_a_lock(admin, changing)
            await transaction.fetch(
                SAVE_SESSION,
                session_id=uuid4(),
                token_hash=bytes(32),
                now=NOW,
                expires_at=NOW + timedelta(days=1),
                address=None,
                agent=None,
            )
        assert await changing == 1


async def waits_for_a_lock(admin: Connection, task: "asyncio.Task[Any]") -> None:
    async with asyncio.timeout(10):
        while not await admin.fetchval("select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"):
            assert not task.done()
            await asyncio.sleep(0.01)


async def test_a_batch_that_is_being_kept_when_its_person_logs_out_is_not_given_out_again(
    database: Database, admin: Connection, caller: Caller
) -> None:
    sessions = Sessions(database, Tokens.of(Settings(jwt_secret=SECRET)), Passwords(), Lives())
    pattern = analyse(sample_days(7, NOW.date()))
    batch = make_batch("rules", recommend(pattern), pattern, NOW, NOW + timedelta(hours=1))
    late = make_batch("rules", recommend(pattern), pattern, NOW + timedelta(seconds=1), NOW + timedelta(hours=1))
    out = NOW + timedelta(seconds=2)
    async with database.transaction(caller) as transaction:
        await keep(transaction, batch)
        logging_out = asyncio.create_task(sessions.log_out(caller, out, Asker(), everywhere=False))
        await waits_for_a_lock(admin, logging_out)
    await logging_out
    async with database.transaction(caller) as transaction:  # asked for before, and made only now
        await keep(transaction, late)
    ask = partial(database.read, caller)
    assert await find_kept(ask, out, Keeping()) is None
    again = make_batch("rules", recommend(pattern), pattern, out + timedelta(seconds=1), NOW + timedelta(hours=1))
    async with database.transaction(caller) as transaction:
        await keep(transaction, again)
    assert await find_kept(ask, out + timedelta(seconds=2), Keeping()) is not None


async def test_rotations_logouts_revocations_and_deletions_at_once_end_in_no_error(
    http: httpx.AsyncClient, clock: Clock, person: Person
) -> None:
    old = [await log_in(http, person) for _ in range(4)]
    clock.advance(days=61)  # those are over, and forgotten at the next rotation
    for _ in range(3):
        new = [await log_in(http, person) for _ in range(4)]
        answers = await asyncio.gather(
            *(refresh(http, each["refreshToken"]) for each in (*new, *old)),
            *(http.post("/api/auth/logout", headers=access(each)) for each in new[:2]),
            http.post("/api/auth/logout?everywhere=true", headers=access(new[2])),
            *(http.delete(f"/api/auth/sessions/{each['sessionId']}", headers=access(new[3])) for each in new[:2]),
        )
        assert {answer.status_code for answer in answers} <= {200, 204, 401, 404, 409}


async def test_a_tenant_that_is_not_there_has_nobody_to_log_out(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/auth/logout", headers=bearer(Caller(uuid4(), uuid4())))
    assert answer.status_code == 204


async def test_logging_out_of_what_one_is_out_of_is_no_event(
    http: httpx.AsyncClient, admin: Connection, person: Person
) -> None:
    for _ in range(3):
        assert (await http.post("/api/auth/logout", headers=bearer(person.caller))).status_code == 204
    assert await kinds(admin, person) == []


async def test_a_token_used_again_at_once_is_an_event(
    http: httpx.AsyncClient, admin: Connection, person: Person
) -> None:
    first = await log_in(http, person)
    await refresh(http, first["refreshToken"])
    await refresh(http, first["refreshToken"])
    assert await kinds(admin, person) == ["logged_in", "refresh_superseded", "refreshed"]


async def test_who_has_used_up_their_requests_can_still_leave_and_leaving_in_vain_is_limited_too(
    serve: Serve, person: Person
) -> None:
    async with serve(limit_person=Rate(3, 60)) as http:
        granted, other = await log_in(http, person), await log_in(http, person)
        reads = [(await http.get("/api/auth/sessions", headers=access(granted))).status_code for _ in range(4)]
        assert reads == [200, 200, 200, 429]
        ended = await http.delete(f"/api/auth/sessions/{other['sessionId']}", headers=access(granted))
        assert (ended.status_code, ended.headers["ratelimit"].partition(";t=")[0]) == (204, '"leaving";r=2')
        nothing = [await http.delete(f"/api/auth/sessions/{NOWHERE}", headers=access(granted)) for _ in range(3)]
        assert [answer.status_code for answer in nothing] == [404, 404, 429]


async def test_a_database_whose_transactions_keep_a_snapshot_by_default_is_served_all_the_same(
    serve: Serve, postgres: embedded.Server, own_database: str
) -> None:
    run_as_admin(
        postgres, "postgres", f"alter database {own_database} set default_transaction_isolation = 'repeatable read'"
    )
    own: Connection = await asyncpg.connect(postgres.url("postgres", own_database))
    try:
        caller = Caller(uuid4(), uuid4())
        slug, email = f"t-{caller.tenant_id.hex}", f"{caller.user_id.hex}@example.test"
        await own.execute("insert into app.tenants (tenant_id, slug, name) values ($1, $2, $2)", caller.tenant_id, slug)
        await own.execute(
            "insert into app.users (tenant_id, user_id, email) values ($1, $2, $3)",
            caller.tenant_id,
            caller.user_id,
            email,
        )
        person = await with_password(own, caller)
    finally:
        await own.close()
    async with serve(database_url=postgres.url("daymark_service", own_database)) as http:
        granted = await log_in(http, person)
        assert await works(http, granted)
        answers = await asyncio.gather(*(refresh(http, granted["refreshToken"]) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4


async def test_where_a_provider_has_all_sessions_nobody_logs_in_here(serve: Serve) -> None:
    provider = {
        "jwt_issuer": "http://127.0.0.1:9",
        "jwt_jwks_url": "http://127.0.0.1:9/keys",
        "jwt_audience": "daymark",
    }
    async with serve(jwt_secret=None, **provider) as http:
        for path, body in (
            ("login", {"tenant": "acme", "email": "a@b.test", "password": "x"}),
            ("refresh", {"refreshToken": "dmr_" + "A" * 86}),
        ):
            answer = await http.post(f"/api/auth/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "no_own_sessions")


async def test_what_is_over_for_as_long_as_a_session_lasts_is_forgotten(
    http: httpx.AsyncClient, admin: Connection, clock: Clock, person: Person, make_caller: MakeCaller
) -> None:
    async def counts(who: Person) -> tuple[int, int]:
        own = (who.caller.tenant_id, who.caller.user_id)
        return (
            await admin.fetchval("select count(*) from app.sessions where tenant_id = $1 and user_id = $2", *own),
            await admin.fetchval("select count(*) from app.refresh_tokens where tenant_id = $1 and user_id = $2", *own),
        )

    beside = await with_password(admin, await make_caller(person.caller))
    await log_in(http, beside)
    ended, expired, kept = [await log_in(http, person) for _ in range(3)]
    await http.post("/api/auth/logout", headers=access(ended))
    clock.advance(days=29)
    kept = (await refresh(http, kept["refreshToken"])).json()
    assert await counts(person) == (3, 4)
    clock.advance(days=2)
    kept = (await refresh(http, kept["refreshToken"])).json()
    assert await counts(person) == (2, 4)  # the one that was logged out of is gone
    clock.advance(days=29, seconds=1)
    kept = (await refresh(http, kept["refreshToken"])).json()
    assert await counts(person) == (1, 3)  # and the one that expired, and what was used a month ago
    assert expired["sessionId"] != kept["sessionId"]
    assert await counts(beside) == (1, 1)


async def test_without_a_clock_of_ours_tokens_say_the_real_time(settings: Settings, person: Person) -> None:
    async with served(settings, clock=lambda: datetime.now(UTC)) as http:
        claims = jwt.decode((await log_in(http, person))["accessToken"], options={"verify_signature": False})
        assert abs(datetime.fromtimestamp(claims["iat"], UTC) - datetime.now(UTC)) < timedelta(seconds=30)
