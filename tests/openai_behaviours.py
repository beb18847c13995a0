"""What the server of tests/openai_server.py can do with a request, on the wire.

A behaviour is the name of an answer (openai_answers.NAMES), a status (`429`, `429:SECONDS` with that Retry-After,
`429 date:SECONDS`, `429 ms:MILLISECONDS`), or one of ODDITIES, some with an argument (`slow:0.2`).
"""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from tests.openai_answers import NAMES, answer
from tests.openai_requests import Received

if TYPE_CHECKING:
    from tests.openai_server import Server

JSON = "Content-Type: application/json"
HUGE = 10 * 1024 * 1024  # bytes
CHUNK = 64 * 1024


class Exchange:
    """One request and its answer."""

    request: Received

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader, self.writer = reader, writer

    async def read(self) -> Received:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        try:
            return Received(method, path, headers, json.loads(body), time.monotonic())
        except ValueError:
            return Received(method, path, headers, body, time.monotonic())

    async def send(self, status: int, body: bytes, *headers: str) -> bool:
        await self.begin(status, f"Content-Length: {len(body)}", *headers)
        await self.write(body)
        return True

    async def begin(self, status: int, *headers: str) -> None:
        await self.write("\r\n".join([f"HTTP/1.1 {status} As Told", *headers, "", ""]).encode())

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def refuse(self, status: int, message: str, *headers: str) -> bool:
        error = {"message": message, "type": "as_told", "param": None, "code": None}
        return await self.send(status, json.dumps({"error": error}).encode(), JSON, *headers)

    async def pause(self, seconds: float | None) -> None:
        """Wait, for ever where it is None. Raises ConnectionError as soon as the other side has gone away."""
        try:
            async with asyncio.timeout(seconds):
                await self.reader.read(1)
        except TimeoutError:
            return
        raise ConnectionResetError

    def sound(self) -> bytes:
        return answer("sound", self.request.body)


Behaviour = Callable[[Exchange], Awaitable[bool]]


def find_behaviour(name: str) -> Behaviour:
    """Find what a script means. Raises ValueError where it means nothing."""
    kind, _, argument = name.partition(":")
    if kind in ODDITIES:
        return lambda exchange: ODDITIES[kind](exchange, argument)
    if kind in NAMES:
        return lambda exchange: say(exchange, kind)
    status, _, unit = kind.partition(" ")
    if status.isdigit() and unit in {"", "date", "ms"}:
        return lambda exchange: fail(exchange, int(status), unit, argument)
    raise ValueError(f"no behaviour {name!r}")


async def say(exchange: Exchange, name: str) -> bool:
    if name == "sound" and exchange.server.delay:
        await exchange.pause(exchange.server.delay)
    return await exchange.send(200, answer(name, exchange.request.body), JSON)


async def fail(exchange: Exchange, status: int, unit: str, wait: str) -> bool:
    if unit == "date":
        wait = format_datetime(datetime.now(UTC) + timedelta(seconds=float(wait)), usegmt=True)
    field = "retry-after-ms" if unit == "ms" else "Retry-After"
    return await exchange.refuse(status, "as told", *([f"{field}: {wait}"] if wait else []))


async def echo(exchange: Exchange, _: str) -> bool:
    return await exchange.refuse(401, f"Incorrect API key provided: {exchange.request.headers['authorization']}")


async def slow(exchange: Exchange, argument: str) -> bool:
    await exchange.pause(float(argument))
    return await exchange.send(200, exchange.sound(), JSON)


async def hang(exchange: Exchange, argument: str) -> bool:
    if argument == "body":
        await exchange.begin(200, "Content-Length: 1000", JSON)
        await exchange.write(b'{"id": ')
    await exchange.pause(None)
    return False


async def held(exchange: Exchange, _: str) -> bool:
    """Answer soundly as soon as the test says so."""
    await exchange.server.released.wait()
    return await exchange.send(200, exchange.sound(), JSON)


async def drip(exchange: Exchange, argument: str) -> bool:
    """Send a byte at a time, for ever: of the body, where spaces may stand, or of a header."""
    if argument == "headers":
        await exchange.write(b"HTTP/1.1 200 As Told\r\nX-Slow: ")
    else:
        await exchange.begin(200, "Content-Length: 1000000", JSON)
    while True:
        await exchange.write(b" ")
        await exchange.pause(0.02)


async def close(exchange: Exchange, argument: str) -> bool:
    """Hang up in the middle of the body, or at once."""
    if argument != "at once":
        body = exchange.sound()
        await exchange.begin(200, f"Content-Length: {len(body)}", JSON)
        await exchange.write(body[: len(body) // 2])
    return False


async def huge(exchange: Exchange, argument: str) -> bool:
    """Send more than anybody should read, then a sound answer; `chunked`: not said how much."""
    body = exchange.sound()
    length = "Transfer-Encoding: chunked" if argument == "chunked" else f"Content-Length: {HUGE + len(body)}"
    await exchange.begin(200, length, JSON)
    # Else this side's buffers, and not the other side, would take some megabytes of it.
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    exchange.writer.transport.set_write_buffer_limits(high=0)
    for _ in range(HUGE // CHUNK):
        data = b" " * CHUNK
        await exchange.write(b"%x\r\n%b\r\n" % (CHUNK, data) if argument == "chunked" else data)
        exchange.server.taken += CHUNK
    await exchange.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if argument == "chunked" else body)
    return True


async def compressed(exchange: Exchange, argument: str) -> bool:
    """Send a compressed answer, though none was asked for: a sound one; `bomb`: with spaces that make it huge."""
    body = (b" " * HUGE if argument == "bomb" else b"") + exchange.sound()
    return await exchange.send(200, gzip.compress(body, 1), JSON, "Content-Encoding: gzip")


async def chunked(exchange: Exchange, argument: str) -> bool:
    """Send a sound answer in two chunks; `wrong`: the second has no length."""
    body = exchange.sound()
    await exchange.begin(200, "Transfer-Encoding: chunked", JSON)
    await exchange.write(b"10\r\n%b\r\n" % body[:16])
    rest = b"%x" % (len(body) - 16) if argument != "wrong" else b"many"
    await exchange.write(rest + b"\r\n%b\r\n0\r\n\r\n" % body[16:])
    return True


async def twice(exchange: Exchange, _: str) -> bool:
    """Send a sound answer two times at once."""
    body = exchange.sound()
    head = f"HTTP/1.1 200 As Told\r\n{JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    await exchange.write(2 * (head.encode() + body))
    return True


async def redirect(exchange: Exchange, argument: str) -> bool:
    """Send on to a place on this server, under another name: as another would see it, with or without the key."""
    location = f"Location: http://localhost:{exchange.server.port}/elsewhere"
    return await exchange.refuse(int(argument or 307), "as told", location)


async def informational(exchange: Exchange, argument: str) -> bool:
    """Say that an answer is to come; `endless`: again and again."""
    await exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    while argument == "endless":
        await exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50)
        await exchange.pause(0.001)
    return await exchange.send(200, exchange.sound(), JSON)


async def headers(exchange: Exchange, argument: str) -> bool:
    return await exchange.send(200, exchange.sound(), JSON, *(f"X-{turn}: {'x' * 90}" for turn in range(int(argument))))


async def header(exchange: Exchange, argument: str) -> bool:
    """Send a sound answer with this header alone."""
    return await exchange.send(200, exchange.sound(), *filter(None, [argument]))


async def nothing(exchange: Exchange, argument: str) -> bool:
    """Answer 204, or another status that has no body."""
    await exchange.begin(int(argument or 204))
    return True


ODDITIES: dict[str, Callable[[Exchange, str], Awaitable[bool]]] = {
    "slow": slow,
    "hang": hang,
    "held": held,
    "drip": drip,
    "close": close,
    "huge": huge,
    "compressed": compressed,
    "chunked": chunked,
    "twice": twice,
    "redirect": redirect,
    "informational": informational,
    "headers": headers,
    "header": header,
    "nothing": nothing,
    "echo": echo,
}
