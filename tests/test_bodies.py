import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.bodies import BODY_TIMEOUT
from service.caller import Caller
from service.database import Connection
from service.errors import RequestTimeout
from tests.conftest import bearer, sign
from tests.wire import body_of, exchange, request, status_of

PATH = "/api/insights/patterns"
DAY = {"date": "2026-11-20", "energy": 1, "focus": 2, "fulfillment": 3}
JSON = json.dumps(DAY).encode()
MIB = 1024 * 1024


async def post(client: httpx.AsyncClient, caller: Caller, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(
        PATH, content=body, headers=bearer(caller) | {"Content-Type": "application/json"} | headers
    )


async def count_days(admin: Connection, caller: Caller) -> Any:
    return await admin.fetchval("select count(*) from app.pattern_data where tenant_id = $1", caller.tenant_id)


async def refused_fields(client: httpx.AsyncClient, caller: Caller, body: object) -> list[dict[str, str]]:
    response = await post(client, caller, json.dumps(body).encode())
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"
    errors: list[dict[str, str]] = response.json()["errors"]
    return errors


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" ", id="space"),
        pytest.param(b"\0", id="NUL"),
        pytest.param(JSON + b"x", id="trailing garbage"),
        pytest.param(JSON + JSON, id="two values"),
        pytest.param(JSON[:-1], id="cut short"),
        pytest.param(b"\xef\xbb\xbf" + JSON, id="byte order mark"),
        pytest.param(JSON.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep and closed"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
        pytest.param(b'{"date":"\xff"}', id="invalid UTF-8"),
        pytest.param(b'{"\xff":1}', id="invalid UTF-8 in a name"),
        pytest.param(b'{"date":"\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"\\udc00":1}', id="lone surrogate in a name"),
        pytest.param(b'{"date":"\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"date":"a\0b"}', id="NUL in a string"),
        pytest.param(JSON.replace(b": 1,", b": NaN,"), id="NaN"),
        pytest.param(JSON.replace(b": 1,", b": Infinity,"), id="Infinity"),
        pytest.param(JSON.replace(b": 1,", b": -Infinity,"), id="minus Infinity"),
        pytest.param(JSON.replace(b": 1,", b": 1e999,"), id="1e999"),
        pytest.param(JSON.replace(b": 1,", b": " + b"9" * 5_000 + b","), id="5,000 digits"),
        pytest.param(JSON.replace(b": 1,", b": 01,"), id="leading zero"),
        pytest.param(JSON.replace(b'"', b"'"), id="single quotes"),
        pytest.param(JSON.replace(b"}", b",}"), id="trailing comma"),
        pytest.param(b"energy=1&focus=2", id="a form"),
    ],
)
async def test_what_is_not_json_is_malformed_and_nothing_is_stored(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, body: bytes
) -> None:
    response = await post(client, caller, body)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "malformed_body"
    assert response.json()["detail"].startswith("The body ")
    assert await count_days(admin, caller) == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("85", "Expected int, got str"),
        (True, "Expected int, got bool"),
        (None, "Expected int, got null"),
        (85.5, "Expected int, got float"),
        (85.0, "Expected int, got float"),
        (-1, "Expected int >= 0"),
        (101, "Expected int <= 100"),
        (2**31, "Expected int <= 100"),
        (2**63, "Expected int <= 100"),
        (-(2**63) - 1, "Expected int >= 0"),
        (10**30, "Expected int <= 100"),
        ([], "Expected int, got array"),
        ({}, "Expected int, got object"),
    ],
)
async def test_a_score_that_is_no_whole_number_up_to_100_is_named(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, value: object, message: str
) -> None:
    assert await refused_fields(client, caller, DAY | {"energy": value}) == [{"message": message, "pointer": "/energy"}]
    assert await count_days(admin, caller) == 0


@pytest.mark.parametrize(
    ("date", "message"),
    [
        (20261120, "Expected date, got int"),
        (None, "Expected date, got null"),
        ("", "Invalid RFC3339 encoded date"),
        ("today", "Invalid RFC3339 encoded date"),
        ("20261120", "Invalid RFC3339 encoded date"),
        ("2026-W47-5", "Invalid RFC3339 encoded date"),
        ("2026-11-20T00:00:00", "Invalid RFC3339 encoded date"),
        ("2026-11-20T00:00:00Z", "Invalid RFC3339 encoded date"),
        (" 2026-11-20", "Invalid RFC3339 encoded date"),
        ("2026-11-31", "Invalid RFC3339 encoded date"),
        ("2026-02-29", "Invalid RFC3339 encoded date"),
        ("1900-02-29", "Invalid RFC3339 encoded date"),
        ("0000-01-01", "Invalid RFC3339 encoded date"),
        ("10000-01-01", "Invalid RFC3339 encoded date"),
        ("-0001-01-01", "Invalid RFC3339 encoded date"),
        ("infinity", "Invalid RFC3339 encoded date"),
        ("2026-11-2\u0660", "Invalid RFC3339 encoded date"),
        ("2026-11-20\u0000", "Invalid RFC3339 encoded date"),
    ],
)
async def test_a_date_that_is_none_is_named(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, date: object, message: str
) -> None:
    assert await refused_fields(client, caller, DAY | {"date": date}) == [{"message": message, "pointer": "/date"}]
    assert await count_days(admin, caller) == 0


async def test_every_wrong_field_of_every_item_is_named(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    body = [DAY, {"date": "x", "energy": "1", "focus": 101}, 7, DAY | {"a/b~c": 1, "": 2, "0": 3}]

    assert await refused_fields(client, caller, body) == [
        {"message": "Invalid RFC3339 encoded date", "pointer": "/1/date"},
        {"message": "Expected int, got str", "pointer": "/1/energy"},
        {"message": "Expected int <= 100", "pointer": "/1/focus"},
        {"message": "Required, but missing", "pointer": "/1/fulfillment"},
        {"message": "Expected object, got int", "pointer": "/2"},
        {"message": "Not a field of this object", "pointer": "/3/a~1b~0c"},
        {"message": "Not a field of this object", "pointer": "/3/"},
        {"message": "Not a field of this object", "pointer": "/3/0"},
    ]
    assert await count_days(admin, caller) == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (1, "Expected object | array, got int"),
        (None, "Expected object | array, got null"),
        ("x", "Expected object | array, got str"),
        ([], "Expected a list of 1 to 1000, got 0"),
        ([DAY] * 1_001, "Expected a list of 1 to 1000, got 1001"),
    ],
)
async def test_a_body_that_is_neither_a_day_nor_a_list_of_some_is_named_as_a_whole(
    client: httpx.AsyncClient, caller: Caller, body: object, message: str
) -> None:
    assert await refused_fields(client, caller, body) == [{"message": message, "pointer": ""}]


async def test_a_great_many_wrongs_are_not_all_named(client: httpx.AsyncClient, caller: Caller) -> None:
    wrongs = await refused_fields(client, caller, {str(number): 0 for number in range(50_000)})

    assert len(wrongs) == 5_000


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;",
        "application/json; charset=utf-8",
        'application/json ; Charset="UTF-8"',
    ],
)
async def test_json_may_be_called_so_in_every_spelling(
    client: httpx.AsyncClient, caller: Caller, content_type: str
) -> None:
    response = await post(client, caller, JSON, **{"Content-Type": content_type})

    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "json",
        "text/plain",
        "text/json",
        "application/jsonl",
        "application/ld+json",
        "application/msgpack",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json, text/plain",
        "application/json\u00ff",
    ],
)
async def test_another_content_type_is_415(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, content_type: str
) -> None:
    response = await client.post(
        PATH,
        content=JSON,
        headers={name.encode(): value.encode("latin-1") for name, value in bearer(caller).items()}
        | {b"Content-Type": content_type.encode("latin-1")},
    )

    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"
    assert await count_days(admin, caller) == 0


async def test_no_content_type_is_415(client: httpx.AsyncClient, caller: Caller) -> None:
    assert (await client.post(PATH, content=JSON, headers=bearer(caller))).status_code == 415


async def test_a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_413(
    client: httpx.AsyncClient, caller: Caller
) -> None:
    most = JSON + b" " * (MIB - len(JSON))

    assert (await post(client, caller, most)).status_code == 201
    assert (await post(client, caller, most + b" ")).status_code == 413


async def test_a_body_that_does_not_say_how_long_it_is_is_413_once_it_is_too_long(
    client: httpx.AsyncClient, caller: Caller, admin: Connection
) -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        yield JSON
        for _ in range(count):
            yield b" " * 65_536

    headers = bearer(caller) | {"Content-Type": "application/json"}
    taken = await client.post(PATH, content=pieces(15), headers=headers)
    refused = await client.post(PATH, content=pieces(16), headers=headers)

    assert taken.status_code == 201
    assert refused.status_code == 413
    assert refused.json()["code"] == "body_too_large"
    assert await count_days(admin, caller) == 1


async def test_a_length_that_is_too_large_is_413_before_the_body_comes(
    client: httpx.AsyncClient, caller: Caller
) -> None:
    answer = await exchange(client, spell(caller, "Content-Length: 99999999999999"))

    assert status_of(answer) == 413


@pytest.mark.parametrize(
    "length", ["-1", "abc", "1e3", "99999999999999999999999999", "5\r\nContent-Length: 6"], ids=lambda value: value[:9]
)
async def test_a_length_that_is_none_is_400(client: httpx.AsyncClient, caller: Caller, length: str) -> None:
    assert status_of(await exchange(client, spell(caller, f"Content-Length: {length}", body=JSON))) == 400


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"fffffffffffffffff\r\nx\r\n0\r\n\r\n", id="a size that overflows"),
        pytest.param(b"zz\r\nx\r\n0\r\n\r\n", id="a size that is none"),
        pytest.param(b"-1\r\nx\r\n0\r\n\r\n", id="a negative size"),
        pytest.param(b"2\r\n{}{}\r\n0\r\n\r\n", id="a chunk longer than its size"),
        pytest.param(b"1\r\n{\r\nzz\r\n", id="a good chunk and a bad one"),
    ],
)
async def test_chunks_that_make_no_sense_are_a_malformed_body(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, chunks: bytes
) -> None:
    answer = await exchange(client, spell(caller, "Transfer-Encoding: chunked", body=chunks))

    assert status_of(answer) == 400
    assert json.loads(body_of(answer))["code"] == "malformed_body"
    assert await count_days(admin, caller) == 0


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
async def test_a_body_that_breaks_off_is_malformed(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, framing: str
) -> None:
    body = b"3b\r\n" + JSON if "chunked" in framing else JSON
    answer = await exchange(client, spell(caller, framing, body=body), half_close=True)

    assert status_of(answer) == 400
    assert json.loads(body_of(answer))["detail"] == "The body broke off before its end"
    assert await count_days(admin, caller) == 0


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    client: httpx.AsyncClient, caller: Caller, admin: Connection, framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.bodies.BODY_TIMEOUT", 0.2)
    body = f"{len(JSON):x}\r\n".encode() + JSON if "chunked" in framing else JSON
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(spell(caller, framing, body=body).replace(b"Connection: close\r\n", b""))
    # Not to its end: the server itself waits for the client, or the rest of the body, before it hangs up.
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        said = await reader.readuntil(b"}")
    writer.close()

    assert status_of(head) == 408
    assert b"\r\nconnection: close\r\n" in head.lower()
    assert json.loads(said) == {
        "status": 408,
        "type": "urn:daymark:problem:request_timeout",
        "title": "Request timeout",
        "detail": "The body took longer than 30 seconds.",
        "code": "request_timeout",
    }
    assert await count_days(admin, caller) == 0


def test_the_time_that_a_problem_names_is_the_one_that_is_given() -> None:
    assert str(RequestTimeout()) == f"The body took longer than {BODY_TIMEOUT} seconds."


async def test_a_client_that_goes_away_in_the_middle_of_its_body_leaves_nothing_behind(
    client: httpx.AsyncClient, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(spell(caller, "Content-Length: 500", body=JSON))
        await writer.drain()
        writer.transport.abort()
    stored = await post(client, caller, JSON)

    assert stored.json() == {"stored": 1, "created": 1, "replaced": 0}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_waits_for_100_continue_gets_it(client: httpx.AsyncClient, caller: Caller) -> None:
    answer = await exchange(client, spell(caller, "Expect: 100-continue", f"Content-Length: {len(JSON)}", body=JSON))

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")


async def test_a_body_is_not_looked_at_before_the_token(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, content=b"{" * (2 * MIB))

    assert response.status_code == 401


def spell(caller: Caller, *headers: str, body: bytes = b"") -> bytes:
    authorization = f"Authorization: Bearer {sign(caller)}"
    return request("POST", PATH, authorization, "Content-Type: application/json", *headers, body=body)
