"""The load, against a real server that counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bench.load import Job, run

LOCAL = "127.0.0.1"


class Counting:
    """Answers every request with `status` and `body`, the n-th `pause` seconds late if n is `slow`."""

    def __init__(self, status: int = 200, body: bytes = b"{}", slow: int = 0, pause: float = 0.0) -> None:
        self.answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        self.slow = slow
        self.pause = pause
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self.requests.append(head + await reader.readexactly(length))
            if len(self.requests) == self.slow:
                await asyncio.sleep(self.pause)
            # In two pieces, as a network may have it.
            writer.write(self.answer[:30])
            await writer.drain()
            writer.write(self.answer[30:])
        writer.close()


@asynccontextmanager
async def serving(counting: Counting) -> AsyncIterator[int]:
    server = await asyncio.start_server(counting.serve, LOCAL, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_it_asks_as_often_as_it_is_told_and_each_token_in_turn() -> None:
    counting = Counting()
    async with serving(counting) as port:
        result = await run(Job(port, "/here", ["one", "two", "three"], connections=1, count=7))
    assert (result.answered, result.failed, counting.connections) == (7, 0, 1)
    assert [request.partition(b"Bearer ")[2].partition(b"\r\n")[0] for request in counting.requests] == [
        b"one", b"two", b"three", b"one", b"two", b"three", b"one",
    ]  # fmt: skip
    assert counting.requests[0].startswith(b"GET /here HTTP/1.1\r\n")


async def test_a_body_is_posted_whole() -> None:
    counting = Counting(status=201)
    async with serving(counting) as port:
        result = await run(Job(port, "/here", ["one"], connections=2, count=4, body='{"a":"é"}'))
    assert (result.answered, result.failed, counting.connections) == (4, 0, 2)
    assert counting.requests[0].startswith(b"POST /here HTTP/1.1\r\n")
    assert counting.requests[0].endswith('\r\n\r\n{"a":"é"}'.encode())


async def test_an_answer_of_no_success_counts_as_failed() -> None:
    async with serving(Counting(status=503)) as port:
        assert (await run(Job(port, "/", ["one"], connections=2, count=4))).failed == 4


async def test_sample_data_counts_as_failed() -> None:
    async with serving(Counting(body=b'{"source":"sample"}')) as port:
        assert (await run(Job(port, "/", ["one"], connections=2, count=4))).failed == 4


async def test_it_ends_when_its_time_is_over() -> None:
    async with serving(Counting()) as port:
        result = await run(Job(port, "/", ["one"], connections=2, seconds=0.2))
    assert result.answered > 10
    assert result.rate < result.answered / 0.2  # by the time that it took, not the time that it was given


async def test_at_a_rate_it_sends_no_more_than_that() -> None:
    async with serving(Counting()) as port:
        result = await run(Job(port, "/", ["one"], connections=4, seconds=0.5, rate=100))
    assert 35 <= result.answered <= 51


async def test_what_is_due_while_another_is_slow_has_waited_since_it_was_due() -> None:
    # Sixteen of twenty come due on the one connection while the second is held up.
    async with serving(Counting(slow=2, pause=0.8)) as port:
        result = await run(Job(port, "/", ["one"], connections=1, seconds=1.0, rate=20))
    assert result.answered >= 18
    assert result.p50 > 200
    assert result.p99 > 700
