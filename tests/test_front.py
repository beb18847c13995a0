import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest

from service import logs
from service.caller import Caller
from tests.conftest import bearer, sign
from tests.wire import body_of, exchange, request, status_of


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give the log as the service writes it for machines."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger("service")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("given", ["a", "a" * 64, "0123-ab_C.d"])
async def test_a_plain_request_id_is_taken_over(client: httpx.AsyncClient, given: str) -> None:
    response = await client.get("/health/live", headers={"X-Request-ID": given})

    assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [b"", b"a" * 65, b"a b", b"a\tb", b"\xff", b'a"b', b"<a>", b"a,b"])
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, given: bytes) -> None:
    response = await client.get("/health/live", headers=[(b"X-Request-ID", given)])

    [made] = response.headers.get_list("x-request-id")
    assert len(made) == 32
    assert set(made) <= set("0123456789abcdef")


async def test_of_two_request_ids_neither_is_taken_over(client: httpx.AsyncClient) -> None:
    response = await client.get("/health/live", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])

    assert len(response.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("HEAD", "/openapi.json", 200),
        ("OPTIONS", "/health/ready", 204),
        ("GET", "/nowhere", 404),
        ("PUT", "/health/live", 405),
        ("POST", "/api/insights/patterns", 401),
        ("GET", "/health/live?x=1", 400),
    ],
)
async def test_every_answer_bears_its_request_id_and_is_logged_under_it(
    client: httpx.AsyncClient, log: io.StringIO, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)

    [line] = [json.loads(each) for each in log.getvalue().splitlines()]
    assert response.status_code == status
    assert response.headers["x-content-type-options"] == "nosniff"
    assert line["event"] == "request"
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == (method, path.partition("?")[0], status)
    assert line["ms"] >= 0


async def test_neither_token_nor_query_is_logged(client: httpx.AsyncClient, caller: Caller, log: io.StringIO) -> None:
    await client.get("/api/insights/patterns?access_token=secret-in-query", headers=bearer(caller))
    await client.get("/api/insights/patterns", headers={"Authorization": f"Bearer {sign(caller)}x"})

    assert len(log.getvalue().splitlines()) == 2
    assert "secret-in-query" not in log.getvalue()
    assert sign(caller) not in log.getvalue()


async def test_a_line_break_in_a_path_makes_no_second_log_line(client: httpx.AsyncClient, log: io.StringIO) -> None:
    await client.get("/%0a%7B%22forged%22%3A1%7D")

    [line] = [json.loads(each) for each in log.getvalue().splitlines()]
    assert line["path"] == '/\n{"forged":1}'


@pytest.mark.parametrize("host", [[], ["Host: a", "Host: b"], ["Host: a", "Host: a"], ["Host:"]])
async def test_one_host_is_needed(client: httpx.AsyncClient, host: list[str]) -> None:
    lines = ["GET /health/live HTTP/1.1", "Connection: close", *host, "", ""]
    answer = await exchange(client, "\r\n".join(lines).encode())

    assert status_of(answer) == 400
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert json.loads(body_of(answer)) == {
        "status": 400,
        "type": "urn:daymark:problem:invalid_request",
        "title": "Invalid request",
        "detail": "A request needs one Host header",
        "code": "invalid_request",
    }


async def test_a_host_that_is_none_is_400(client: httpx.AsyncClient) -> None:
    answer = await exchange(client, b"GET /health/live HTTP/1.1\r\nConnection: close\r\nHost: a b/c\r\n\r\n")

    assert status_of(answer) == 400
    assert json.loads(body_of(answer))["code"] == "invalid_request"


async def test_http_1_0_needs_no_host(client: httpx.AsyncClient) -> None:
    answer = await exchange(client, b"GET /health/live HTTP/1.0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert body_of(answer) == b'{"status":"ok"}'


async def test_requests_sent_in_a_row_are_answered_in_that_row(client: httpx.AsyncClient) -> None:
    first = b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-ID: one\r\n\r\n"
    second = b"HEAD /health/live HTTP/1.1\r\nHost: a\r\nX-Request-ID: two\r\n\r\n"
    last = request("GET", "/nowhere", "X-Request-ID: three")
    answer = await exchange(client, first + second + last)

    heads = [part for part in answer.split(b"\r\n") if part.startswith((b"HTTP/", b"x-request-id"))]
    assert heads[0] == b"HTTP/1.1 200 OK"
    assert [part for part in heads if part.startswith(b"x-")] == [
        b"x-request-id: one",
        b"x-request-id: two",
        b"x-request-id: three",
    ]
    assert answer.count(b'{"status":"ok"}') == 1
    assert answer.count(b"HTTP/1.1 404 Not Found") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/%00",
        "/%ff",
        "/%zz",
        "/%",
        "/%ed%a0%80",
        "/api/insights/patterns%00",
        "/API/insights/patterns",
        "/api/insights/../insights/patterns",
        "/" + "a" * 60_000,
    ],
    ids=lambda path: path[:40],
)
async def test_a_path_that_is_nowhere_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await exchange(client, request("GET", path))

    assert status_of(answer) == 404
    assert json.loads(body_of(answer))["code"] == "not_found"


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        pytest.param("GET /%s HTTP/1.1" % ("a" * 70_000), [], 414, id="a URL of 70,000 bytes"),
        pytest.param("GET /\u00ff HTTP/1.1", [], 400, id="a byte that is no ASCII"),
        pytest.param("GET /a b HTTP/1.1", [], 400, id="a space"),
        pytest.param("GET / HTTP/9.9", [], 400, id="a version that is none"),
        pytest.param("GET /", [], 400, id="no version"),
        pytest.param("GET / HTTP/1.1", ["X: a\0b"], 400, id="NUL in a header"),
        pytest.param("GET / HTTP/1.1", ["X : a"], 400, id="a space before the colon"),
        pytest.param("GET / HTTP/1.1", ["X: a", " folded"], 400, id="a folded header"),
        pytest.param("GET / HTTP/1.1", ["no colon"], 400, id="no colon"),
        pytest.param("GET / HTTP/1.1", [f"X-{number}: a" for number in range(500)], 431, id="500 headers"),
        pytest.param("GET / HTTP/1.1", ["X: " + "a" * 1_000_000], 431, id="a megabyte of header"),
    ],
)
async def test_what_is_not_http_is_refused_by_the_server_itself(
    client: httpx.AsyncClient, line: str, headers: list[str], status: int
) -> None:
    answer = await exchange(client, "\r\n".join([line, "Host: a", *headers, "", ""]).encode("latin-1"))

    assert status_of(answer) == status


@pytest.mark.parametrize(
    "header",
    [
        "Accept: application/xml",
        "Accept: \u00ff",
        "Accept-Language: " + "a," * 20_000,
        "Cookie: " + "a=b; " * 10_000,
        "Cookie: \u00ff=\u00ff",
        "Range: bytes=5-1",
        "Prefer: " + '"' * 20_000,
        "Prefer: \u00ff=\u00ff",
        "If-None-Match: " + '"' * 20_001,
        "If-None-Match: \u00ff",
        "Authorization: \u00ff",
        "Content-Type: \u00ff",
        "Content-Encoding: gzip",
        "Expect: nothing",
        "X-Forwarded-For: \u00ff",
        "X-HTTP-Method-Override: DELETE",
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Transfer-Encoding: chunked",
    ],
    ids=lambda header: header[:24],
)
@pytest.mark.parametrize("path", ["/api/insights/patterns", "/api/insights/recommendations"])
async def test_an_absurd_header_does_not_keep_a_lenient_route_from_answering(
    client: httpx.AsyncClient, path: str, header: str
) -> None:
    body = b"0\r\n\r\n" if "chunked" in header else b""

    assert status_of(await exchange(client, request("GET", path, header, body=body))) == 200


@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/api/insights/patterns", "/health/live?x=1", "/docs"])
async def test_head_is_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    changing = {"x-request-id", "date", "ratelimit"}

    assert head.content == b""
    assert head.status_code == got.status_code
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in got.headers.items() if name not in changing
    }


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "FOO", "get", "QUERY"])
async def test_405_allows_what_the_route_takes(client: httpx.AsyncClient, method: str) -> None:
    answer = await exchange(client, request(method, "/api/insights/patterns"))

    assert status_of(answer) == 405
    assert b"\r\nallow: GET, HEAD, OPTIONS, POST\r\n" in answer
