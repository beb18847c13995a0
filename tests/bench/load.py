"""The load: keep-alive connections, one request at a time on each, from a process of its own.

`python -m tests.bench.load` reads jobs from its stdin and prints a Result for each, both one line of JSON. It parses no
more of an answer than it must, so that on a machine of two cores it takes little from what it measures.
"""

import asyncio
import gc
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

# What stands in an answer that is no person's own, but an excuse for one: it comes with status 200, too.
SAMPLE = b'"source":"sample"'
HEAD_END = b"\r\n\r\n"
GRACE = 90.0  # seconds past its end that a job may take before it is given up


class Job(Struct, frozen=True):
    """What to ask of the service on `port` of this machine, and how."""

    port: int
    path: str
    tokens: list[str]
    """Who asks: connection n begins with the n-th, and so on in steps of `connections`, round and round."""
    connections: int
    seconds: float = 0.0
    count: int = 0
    """How many requests in all, where no `seconds` say when to end."""
    rate: float = 0.0
    """Requests a second, sent when they are due whether or not others are answered; 0: as fast as answers come."""
    body: str = ""
    """What to POST, as JSON; without one it is a GET."""


class Result(Struct, frozen=True):
    """What came of a job: how many requests were answered, and how many of them not well.

    `rate` in requests a second; `p50` and `p99` in milliseconds; `busy` is the part of one core that the load took.
    """

    answered: int
    failed: int
    rate: float
    p50: float
    p99: float
    busy: float


class Tally:
    """How often to ask, until when, and how long each answer took."""

    def __init__(self, until: float, left: float) -> None:
        self.until = until
        self.left = left
        self.times: list[float] = []
        self.failed = 0

    def another(self) -> bool:
        """Say whether there is another request to be sent, and count it."""
        if self.left <= 0 or time.perf_counter() >= self.until:
            return False
        self.left -= 1
        return True


class Connection(asyncio.Protocol):
    """One connection; `done` holds once it has sent its last and been answered, or was lost."""

    def __init__(self, requests: list[bytes], tally: Tally, every: float, first: float) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests: Iterator[bytes] = cycle(requests)
        self._tally = tally
        self._every = every  # seconds from one request to the next; 0: at once
        self._due = first
        self._received = b""
        self._awaited = 0  # bytes of the answer that comes in, once its head is read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._awaited:
            end = self._received.find(HEAD_END)
            if end < 0:
                return
            head = self._received[:end].lower()
            self._well = head.startswith(b"http/1.1 2")
            length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            self._awaited = end + len(HEAD_END) + length
        if len(self._received) >= self._awaited:
            self._tally.failed += not self._well or SAMPLE in self._received
            self._received, self._awaited = b"", 0
            self._tally.times.append(time.perf_counter() - self._since)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service closed a connection"))

    def _next(self) -> None:
        now = time.perf_counter()
        if self._due > now:
            asyncio.get_running_loop().call_later(self._due - now, self._send)
        else:
            # What was due before the last answer came has waited since then: that is the service's doing. That a timer
            # rings late is not.
            self._send(self._due if self._every else None)

    def _send(self, since: float | None = None) -> None:
        if self.done.done():
            return
        if not self._tally.another():
            self.done.set_result(None)
            self._transport.close()
            return
        self._since = time.perf_counter() if since is None else since
        self._due += self._every
        self._transport.write(next(self._requests))


async def run(job: Job) -> Result:
    """Do one job."""
    requests = [request(job, token) for token in job.tokens]
    began, busy = time.perf_counter(), time.process_time()
    tally = Tally(began + job.seconds if job.seconds else math.inf, job.count or math.inf)
    every = job.connections / job.rate if job.rate else 0.0
    loop = asyncio.get_running_loop()
    connections = []
    for number in range(job.connections):
        own = list(islice(cycle(requests), number, number + len(requests) * job.connections, job.connections))
        first = began + every * number / job.connections  # spread evenly
        _, connection = await loop.create_connection(
            partial(Connection, own, tally, every, first), "127.0.0.1", job.port
        )
        connections.append(connection)
    async with asyncio.timeout(job.seconds + GRACE):
        await asyncio.gather(*(connection.done for connection in connections))
    took = time.perf_counter() - began
    percentiles = statistics.quantiles(tally.times, n=100)
    return Result(
        answered=len(tally.times),
        failed=tally.failed,
        rate=len(tally.times) / took,
        p50=percentiles[49] * 1000,
        p99=percentiles[98] * 1000,
        busy=(time.process_time() - busy) / took,
    )


def request(job: Job, token: str) -> bytes:
    """Spell a request."""
    lines = [f"Host: 127.0.0.1:{job.port}", f"Authorization: Bearer {token}"]
    if job.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(job.body.encode())}"]
    method = "POST" if job.body else "GET"
    return "\r\n".join([f"{method} {job.path} HTTP/1.1", *lines, "", job.body]).encode()


def main() -> None:
    gc.disable()  # a pause of the load would look like one of the service; what it makes is counted, not collected
    for line in sys.stdin.buffer:
        result = uvloop.run(run(msgspec.json.decode(line, type=Job)))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


class Load:
    """The load's process, as the benchmark sees it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def run(self, job: Job) -> Result:
        """Have a job done. Ends the benchmark where a request failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        result = msgspec.json.decode(self._process.stdout.readline(), type=Result)
        if result.failed:
            raise SystemExit(f"{result.failed} of {result.answered} requests to {job.path} failed")
        return result


@contextmanager
def running() -> Iterator[Load]:
    """Give the load's process, until it is not needed any more."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Load(process)


if __name__ == "__main__":
    main()
