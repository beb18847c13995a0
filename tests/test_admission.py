"""How often somebody is let in, over HTTP: whatever is asked for, whoever asks, and whichever way it is answered."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import date
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from service import express
from service.admission import count_anonymous, count_login, standings_of
from service.app import create_app
from service.caller import Caller
from service.database import Connection, Database
from service.embedded import Server
from service.front import Front
from service.limits import Limits
from service.patterns import routes, sample
from service.setting_values import Origins, Rate
from service.settings import Settings
from service.windows import LimitReached
from tests.conftest import SEAL_KEY, Serve, bearer, run_as_admin, sign
from tests.recommendations.scripted import Scripted
from tests.wire import exchange, request, status_of

PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
OFF = Rate(0, 1)
BAD = {"Authorization": "Bearer x.y.z"}
PERSON = '"person";q=5;w=60'
ANONYMOUS = '"anonymous";q=5;w=60'


@pytest.fixture
async def limited(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a service that lets in five requests a minute, of a person and of an address."""
    async with serve(limit_person=Rate(5, 60), limit_anonymous=Rate(5, 60)) as client:
        yield client


def limit_of(answer: httpx.Response) -> str:
    """Give the RateLimit header of an answer within the first seconds of a minute's window, without those."""
    [said] = answer.headers.get_list("ratelimit")
    told, seconds = re.fullmatch(r"(.*);t=(\d+)", said).groups()  # type: ignore[union-attr]
    assert 45 <= int(seconds) <= 60
    return str(told)


async def test_each_answer_of_a_person_says_what_is_left(limited: httpx.AsyncClient, caller: Caller) -> None:
    answers = [
        await limited.post(PATTERNS, json=DAY, headers=bearer(caller)),
        await limited.get(PATTERNS, headers=bearer(caller)),
        await limited.delete(f"{PATTERNS}/2026-01-01", headers=bearer(caller)),
        await limited.get(f"{PATTERNS}?days=91", headers=bearer(caller)),
        await limited.get("/api/insights/usage", headers=bearer(caller)),
    ]
    refused = await limited.get(PATTERNS, headers=bearer(caller))

    assert [answer.status_code for answer in answers] == [201, 200, 404, 400, 403]
    # What is wrong with a parameter is found before anybody asks who asks: it counts for the address.
    assert [limit_of(answer) for answer in answers] == [
        '"person";r=4',
        '"person";r=3',
        '"person";r=2',
        '"anonymous";r=4',
        '"person";r=1',
    ]
    assert refused.status_code == 200
    assert (await limited.get(PATTERNS, headers=bearer(caller))).status_code == 429


async def test_who_is_refused_is_told_when_to_come_again(limited: httpx.AsyncClient, caller: Caller) -> None:
    for _ in range(5):
        assert (await limited.get(PATTERNS, headers=bearer(caller))).status_code == 200
    refused = await limited.get(PATTERNS, headers=bearer(caller))

    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "status": 429,
        "type": "urn:daymark:problem:too_many_requests",
        "title": "Too many requests",
        "detail": "There may be 5 of these within 60 seconds",
        "code": "too_many_requests",
    }
    assert refused.headers["ratelimit-policy"] == PERSON
    assert [limit_of(refused)] == ['"person";r=0']
    [after] = refused.headers.get_list("retry-after")
    assert 45 <= int(after) <= 60


async def test_the_express_way_counts_as_every_other(
    limited: httpx.AsyncClient, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[bool] = []
    answer = express.Express._answer

    async def noting(*arguments: Any) -> bool:
        answered.append(await answer(*arguments))
        return answered[-1]

    monkeypatch.setattr(express.Express, "_answer", noting)
    await limited.post(PATTERNS, json=DAY, headers=bearer(caller))
    answers = [await limited.get(RECOMMENDATIONS, headers=bearer(caller)) for _ in range(6)]

    # The first makes them; those that the express way does not answer are counted once all the same.
    assert answered == [False, True, True, True, False, False]
    assert [response.status_code for response in answers] == [200, 200, 200, 200, 429, 429]
    assert [limit_of(response) for response in answers[:4]] == [f'"person";r={left}' for left in (3, 2, 1, 0)]
    assert [limit_of(answers[4])] == ['"person";r=0']


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", PATTERNS, {}, 200),
        ("GET", RECOMMENDATIONS, {}, 200),
        ("GET", PATTERNS, BAD, 200),
        ("GET", RECOMMENDATIONS, BAD, 200),
        ("GET", RECOMMENDATIONS, {"Authorization": "Basic x"}, 200),
        ("GET", PATTERNS, {"Prefer": "handling=strict"}, 401),
        ("POST", PATTERNS, {}, 401),
        ("POST", PATTERNS, BAD, 401),
        ("PUT", PATTERNS, BAD, 405),
        ("OPTIONS", PATTERNS, {}, 204),
        ("HEAD", PATTERNS, {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/nowhere", BAD, 404),
        ("GET", "/docs", BAD, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/openapi.json", BAD, 200),
        ("GET", "/assets/swagger-ui.css", BAD, 200),
        ("HEAD", "/assets/swagger-ui.css", BAD, 200),
    ],
)
async def test_who_is_nobody_counts_by_address_whatever_they_ask_for(
    limited: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answers = [await limited.request(method, path, headers=headers) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [status] * 5 + [429] * 2
    assert [limit_of(answer) for answer in answers] == [f'"anonymous";r={left}' for left in (4, 3, 2, 1, 0, 0, 0)]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {ANONYMOUS}
    assert 45 <= int(answers[6].headers["retry-after"]) <= 60
    assert answers[6].headers["content-type"] == "application/problem+json"
    assert answers[6].content == b"" if method == "HEAD" else answers[6].json()["code"] == "too_many_requests"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_is_never_refused(limited: httpx.AsyncClient, path: str) -> None:
    answers = [await limited.get(path, headers=headers) for headers in ({}, BAD) for _ in range(6)]

    assert {answer.status_code for answer in answers} == {200}
    assert not [answer for answer in answers if "ratelimit" in answer.headers]


async def test_a_path_that_only_looks_like_health_is_counted(limited: httpx.AsyncClient) -> None:
    for path in ("/health", "/healthy", "/HEALTH/live", "//health/live", "/%2fhealth/live"):
        assert "ratelimit" in (await limited.get(path)).headers


async def test_a_flood_of_bad_tokens_keeps_no_person_of_the_same_address_out(
    limited: httpx.AsyncClient, caller: Caller
) -> None:
    assert [(await limited.get(PATTERNS, headers=BAD)).status_code for _ in range(6)][-1] == 429

    assert (await limited.get(PATTERNS, headers=bearer(caller))).status_code == 200


async def test_a_bad_token_that_is_refused_is_made_no_sample(
    limited: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    sample_days = sample.sample_days

    def noting(days: int, until: date) -> Any:
        made.append(days)
        return sample_days(days, until)

    monkeypatch.setattr(routes, "sample_days", noting)
    for _ in range(7):
        await limited.get(PATTERNS, headers=BAD)

    assert made == [7] * 5


async def test_the_body_of_a_request_that_is_refused_is_not_taken_for_the_next_one(
    limited: httpx.AsyncClient, caller: Caller
) -> None:
    for _ in range(5):
        await limited.get(PATTERNS)
    body = request("GET", PATTERNS, f"Authorization: Bearer {sign(caller)}") * 200
    refused = request("POST", PATTERNS, f"Content-Length: {len(body)}", body=body)
    answer = await exchange(limited, refused.replace(b"Connection: close\r\n", b""))

    assert status_of(answer) == 429
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_without_limits_there_are_no_headers_of_limits(serve: Serve, caller: Caller) -> None:
    async with serve(limit_person=OFF, limit_anonymous=OFF) as client:
        answers = [await client.get(PATTERNS, headers=headers) for headers in ({}, BAD, bearer(caller))]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert not [name for answer in answers for name in answer.headers if name.startswith(("ratelimit", "retry"))]


async def test_an_address_is_what_the_trusted_proxy_says(serve: Serve) -> None:
    async with serve(limit_anonymous=Rate(1, 60), trusted_proxies=1) as client:
        asked = [
            (await client.get(PATTERNS, headers={"X-Forwarded-For": said})).status_code
            for said in ("203.0.113.7", "198.51.100.1, 203.0.113.7", "203.0.113.8", "203.0.113.7, 203.0.113.9")
        ]

    assert asked == [200, 429, 200, 200]


async def test_nobody_has_a_limit_of_their_own_by_what_they_say(limited: httpx.AsyncClient) -> None:
    asked = [
        (await limited.get(PATTERNS, headers={"X-Forwarded-For": f"203.0.113.{number}"})).status_code
        for number in range(6)
    ]

    assert asked == [200] * 5 + [429]


async def test_a_table_that_is_gone_keeps_nobody_out(
    serve: Serve, postgres: Server, own_database: str, caller: Caller
) -> None:
    run_as_admin(
        postgres,
        own_database,
        "drop table app.rate_limits",
        f"insert into app.tenants (tenant_id, slug, name) values ('{caller.tenant_id}', 'x', 'x')",
    )
    async with serve(database_url=postgres.url("daymark_service", own_database), limit_person=Rate(2, 60)) as client:
        stored = await client.post(PATTERNS, json=DAY, headers=bearer(caller))
        read = await client.get(PATTERNS, headers=bearer(caller))
        refused = await client.get(PATTERNS, headers=bearer(caller))

    assert [answer.status_code for answer in (stored, read, refused)] == [201, 200, 429]


async def test_a_try_to_log_in_counts_besides_its_request_and_what_refuses_it_is_said_too(
    database: Database, settings: Settings
) -> None:
    rates = {"limit_anonymous": Rate(5, 60), "limit_login": Rate(1, 900), "limit_login_address": Rate(3, 900)}
    limited = msgspec.structs.replace(settings, trusted_proxies=1, **rates)
    runtime = SimpleNamespace(settings=limited, limits=Limits(database, limited, SEAL_KEY))
    account, address = uuid4().hex, f"2001:db8:{uuid4().hex[:4]}::1"

    async def count(counting: Callable[[Any], Awaitable[None]]) -> list[tuple[str, int]]:
        scope = {"client": None, "headers": [(b"x-forwarded-for", address.encode())]}
        connection: Any = SimpleNamespace(scope=scope, app=SimpleNamespace(state=SimpleNamespace(runtime=runtime)))
        count_anonymous(connection.scope, connection.app.state.runtime)
        with suppress(LimitReached):
            await counting(connection)
        return [(each.policy, each.left) for each in standings_of(connection.scope)]

    def log_in(connection: Any) -> Awaitable[None]:
        return count_login(connection, account)

    assert [await count(counting) for counting in (log_in, log_in, log_in, log_in)] == [
        # How the account stands is not said, until it is refused: that would tell when its owner logs in.
        [("anonymous", 4), ("login-address", 2)],
        # The address's use is not said, since it is the account that is refused.
        [("anonymous", 3), ("login", 0)],
        [("anonymous", 2), ("login", 0)],
        [("anonymous", 1), ("login-address", 0)],
    ]


@pytest.mark.parametrize(
    ("method", "status", "told"),
    [("POST", 200, 200), ("POST", 201, 201), ("DELETE", 204, 204), ("POST", 404, 429), ("GET", 200, 429)],
)
async def test_the_answer_of_what_has_been_done_is_never_put_away(
    database: Database, settings: Settings, method: str, status: int, told: int
) -> None:
    limited = msgspec.structs.replace(settings, limit_anonymous=Rate(1, 60))
    app = Litestar()
    app.state.runtime = SimpleNamespace(settings=limited, limits=Limits(database, limited, SEAL_KEY))

    async def inner(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"done", "more_body": False})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    front: Any = Front(app, inner, Origins())
    headers = [(b"host", b"a"), (b"authorization", b"Bearer x.y.z")]
    for _ in range(2):
        scope = {"type": "http", "method": method, "path": "/", "http_version": "1.1", "client": None}
        await front(scope | {"headers": headers}, None, send)

    assert [each["status"] for each in sent[::2]] == [status, told]
    assert (sent[3]["body"] == b"done") == (told == status)
    assert dict(sent[2]["headers"])[b"ratelimit"] == b'"anonymous";r=0;t=60'


def test_every_route_that_does_something_counts_before_it_does(settings: Settings) -> None:
    app: Any = create_app(settings)
    doing = {
        f"{method} {route.path}": {getattr(guard, "func", guard).__name__ for guard in handler.resolve_guards()}
        for route in app._litestar.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method not in {"GET", "HEAD", "OPTIONS"}
    }
    counting = {"require_caller", "require_leaving_caller", "require_admin", "require_room"}

    assert len(doing) == 9
    assert [route for route, guards in doing.items() if not guards & counting] == []


WEIRD = [
    "Authorization: Bearer",
    "Authorization: Bearer " + "a" * 9_000,
    "Authorization: Bearer x.y.z",
    "Authorization: Basic YWRhOnBhc3N3b3Jk",
    "Authorization: \u00ff",
    "X-Forwarded-For: ::1, 'or true--",
    "Cookie: session=" + "x" * 5_000,
    "Prefer: " + '"' * 5_000,
    "If-None-Match: *",
    "X-Request-ID: drop table app.users",
    "Accept: application/xml",
    "Content-Type: text/xml",
    "Origin: null",
    "X-HTTP-Method-Override: DELETE",
    "Range: bytes=0-1",
]


async def test_what_nobody_needs_a_token_for_costs_no_statement_and_no_recommendation(
    serve: Serve,
) -> None:
    """Whatever is thrown at it: nobody ever knocks where the database would be, and the engine is never asked."""
    knocks: list[object] = []

    def knocked(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocks.append(writer.get_extra_info("peername"))
        writer.close()

    listening = await asyncio.start_server(knocked, "127.0.0.1", 0)
    port, engine = listening.sockets[0].getsockname()[1], Scripted()
    async with listening, serve(database_url=f"postgresql://nobody@127.0.0.1:{port}/none", engine=engine) as client:
        statuses = [
            status_of(await exchange(client, request(method, path, header)))
            for header in WEIRD
            for method in ("GET", "HEAD")
            for path in (PATTERNS, RECOMMENDATIONS, f"{PATTERNS}?days=90")
        ]

        assert (await client.get("/health/ready")).status_code == 503
        knocked_by_asking = len(knocks)

    assert statuses == [200] * len(WEIRD) * 6
    # Readiness knocks, and shows that it would have been heard.
    assert knocked_by_asking == 1
    assert engine.asked == []


async def test_postgres_sees_nothing_of_a_thousand_requests_of_nobody(
    serve: Serve, admin: Connection, postgres: Server, own_database: str
) -> None:
    # A database that nobody else uses: what others did is counted when their backends come to it.
    counted = "select xact_commit + xact_rollback from pg_stat_database where datname = $1"
    before = await admin.fetchval(counted, own_database)
    async with serve(database_url=postgres.url("daymark_service", own_database)) as client:
        for number in range(500):
            await client.get(
                (PATTERNS, RECOMMENDATIONS)[number % 2], headers=(BAD, {}, {"Authorization": "Basic x"})[number % 3]
            )
            await client.post(PATTERNS, json=DAY, headers=BAD)
    # Closed: a backend that was ever there would have counted what it did as it went. Vacuum may have looked in.
    assert await admin.fetchval(counted, own_database) - before <= 5
