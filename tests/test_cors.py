"""CORS: off by default, and exact when on, for every kind of answer."""

from collections.abc import AsyncIterator

import httpx
import pytest

from service.caller import Caller
from service.cors import Cors
from service.embedded import Server
from service.setting_values import Origins, Rate
from tests.conftest import Serve, bearer, run_as_admin, sign
from tests.wire import exchange, request

PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
OURS, OTHER = "https://app.example", "http://localhost:3000"
SHOWN = (
    "Content-Location, ETag, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate,"
    " X-Request-ID"
)
STRANGE = [
    "https://evil.example",
    "null",
    "",
    "*",
    "https://app.example.evil.example",
    "https://app.example:8443",
    "https://app.example/",
    "http://app.example",
    "HTTPS://APP.EXAMPLE",
    "https://app.example, https://app.example",
    "https://app.exampl\u00e9",
]


@pytest.fixture
async def opened(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a service whose answers pages of two origins may read."""
    async with serve(cors_origins=Origins((OURS, OTHER))) as client:
        yield client


def cors_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers.get_list("vary") in ([], [answer.headers.get("vary")])
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def asking(method: str, origin: str = OURS, **more: str) -> dict[str, str]:
    """Give the headers of a preflight."""
    return {"Origin": origin, "Access-Control-Request-Method": method} | more


@pytest.mark.parametrize("origin", [OURS, *STRANGE])
async def test_off_no_answer_says_anything_of_origins(client: httpx.AsyncClient, caller: Caller, origin: str) -> None:
    said = [(b"Origin", origin.encode("latin-1"))]
    answers = [
        await client.get(PATTERNS, headers=said),
        await client.get("/nowhere", headers=said),
        await client.options(PATTERNS, headers=[*said, (b"Access-Control-Request-Method", b"POST")]),
        await client.get(PATTERNS, headers=[*said, (b"Authorization", f"Bearer {sign(caller)}".encode())]),
    ]

    assert [cors_of(answer) for answer in answers] == [{}] * 4
    assert not [answer for answer in answers if "origin" in answer.headers.get("vary", "").lower()]


@pytest.mark.parametrize("origin", [OURS, OTHER])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATTERNS, 200),
        ("HEAD", RECOMMENDATIONS, 200),
        ("GET", f"{PATTERNS}?x=1", 400),
        ("POST", PATTERNS, 401),
        ("GET", "/nowhere", 404),
        ("PUT", PATTERNS, 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/health/ready", 200),
        ("OPTIONS", PATTERNS, 204),
    ],
)
async def test_a_page_of_ours_may_read_every_answer(
    opened: httpx.AsyncClient, origin: str, method: str, path: str, status: int
) -> None:
    answer = await opened.request(method, path, headers={"Origin": origin})

    assert answer.status_code == status
    assert cors_of(answer) == {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": SHOWN,
    }
    assert answer.headers["vary"].split(", ")[-1] == "Origin"


async def test_a_page_of_ours_may_read_that_there_were_too_many_requests_or_no_database(
    serve: Serve, postgres: Server, own_database: str, caller: Caller
) -> None:
    run_as_admin(postgres, "postgres", f"alter database {own_database} allow_connections false")
    url = postgres.url("daymark_service", own_database)
    async with serve(database_url=url, cors_origins=Origins((OURS,)), limit_anonymous=Rate(1, 60)) as client:
        answers = [
            await client.post(PATTERNS, json=DAY, headers=bearer(caller) | {"Origin": OURS}),
            await client.get(PATTERNS, headers={"Origin": OURS}),
            await client.get(PATTERNS, headers={"Origin": OURS}),
        ]

    assert [answer.status_code for answer in answers] == [503, 200, 429]
    assert [answer.headers["access-control-allow-origin"] for answer in answers] == [OURS] * 3


async def test_a_page_of_ours_may_read_a_500(serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("service.patterns.routes.delete_day", fail)
    async with serve(cors_origins=Origins((OURS,))) as client:
        answer = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(caller) | {"Origin": OURS})

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == OURS


async def test_a_page_of_ours_may_read_what_the_express_way_answers(opened: httpx.AsyncClient, caller: Caller) -> None:
    await opened.post(PATTERNS, json=DAY, headers=bearer(caller))
    await opened.get(RECOMMENDATIONS, headers=bearer(caller))
    short = await opened.get(RECOMMENDATIONS, headers=bearer(caller) | {"Origin": OURS})
    known = await opened.get(
        RECOMMENDATIONS, headers=bearer(caller) | {"Origin": OURS, "If-None-Match": short.headers["etag"]}
    )

    assert short.json()["cached"] is True
    assert [short.status_code, known.status_code] == [200, 304]
    for answer in (short, known):
        assert cors_of(answer)["access-control-allow-origin"] == OURS
        assert answer.headers.get_list("vary") == ["Authorization, Prefer, Origin"]


@pytest.mark.parametrize("origin", STRANGE)
async def test_no_other_page_is_told_anything(opened: httpx.AsyncClient, origin: str) -> None:
    said = [(b"Origin", origin.encode("latin-1"))]
    read = await opened.get(PATTERNS, headers=said)
    asked = await opened.options(PATTERNS, headers=[*said, (b"Access-Control-Request-Method", b"POST")])

    assert [read.status_code, asked.status_code] == [200, 204]
    assert [cors_of(read), cors_of(asked)] == [{}, {}]
    assert read.headers.get_list("vary") == ["Authorization, Prefer, Origin"]


async def test_two_origins_are_none(opened: httpx.AsyncClient) -> None:
    answer = await exchange(opened, request("GET", PATTERNS, f"Origin: {OURS}", f"Origin: {OURS}"))

    assert b"access-control" not in answer


async def test_without_an_origin_an_answer_still_says_that_it_would_differ(opened: httpx.AsyncClient) -> None:
    assert (await opened.get("/nowhere")).headers.get_list("vary") == ["Origin"]
    assert cors_of(await opened.get("/nowhere")) == {}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (PATTERNS, "GET, HEAD, OPTIONS, POST"),
        (f"{PATTERNS}?days=7", "GET, HEAD, OPTIONS, POST"),
        (f"{PATTERNS}/2026-11-22", "DELETE, OPTIONS"),
        (RECOMMENDATIONS, "GET, HEAD, OPTIONS"),
        (f"{RECOMMENDATIONS}/refresh", "OPTIONS, POST"),
        (f"{RECOMMENDATIONS}/00000000-0000-4000-8000-000000000000/feedback", "OPTIONS, PUT"),
        ("/health/live", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_preflight_is_told_the_methods_of_its_path_and_the_headers_that_we_take(
    opened: httpx.AsyncClient, path: str, methods: str
) -> None:
    sent = {"Access-Control-Request-Headers": "authorization,content-type"}
    answer = await opened.options(path, headers=asking("POST", **sent))

    assert answer.status_code == 204
    assert answer.content == b""
    assert cors_of(answer) == {
        "access-control-allow-origin": OURS,
        "access-control-allow-methods": methods,
        "access-control-allow-headers": "Authorization, Content-Type, If-None-Match, Prefer, X-Request-ID",
        "access-control-max-age": "600",
    }


async def test_a_preflight_of_a_path_that_is_nowhere_is_no_leave(opened: httpx.AsyncClient) -> None:
    answer = await opened.options("/nowhere", headers=asking("GET"))

    assert answer.status_code == 404
    assert "access-control-allow-methods" not in answer.headers


async def test_no_credentials_are_ever_allowed(opened: httpx.AsyncClient) -> None:
    for answer in (
        await opened.get(PATTERNS, headers={"Origin": OURS}),
        await opened.options(PATTERNS, headers=asking("GET")),
    ):
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["access-control-allow-origin"] != "*"


def test_what_varies_already_varies_by_origin_too() -> None:
    cors = Cors(Origins((OURS,)))

    assert cors.add([(b"vary", b"Accept"), (b"vary", b"Prefer"), (b"etag", b'"1"')], [], preflight=False) == [
        (b"etag", b'"1"'),
        (b"vary", b"Accept, Prefer, Origin"),
    ]
