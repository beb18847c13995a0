"""The load: keep-alive connections that each send a request as soon as the one before is answered.

Run as a process of its own, so that it shares no event loop with what it measures:
`python -m tests.bench.load PORT PATH TOKEN CONNECTIONS SECONDS` prints {"rate", "p50", "p99", "failed"} as JSON;
rates in requests a second, times in milliseconds.
"""

import asyncio
import json
import statistics
import sys
import time

import uvloop


async def send(port: int, request: bytes, until: float, times: list[float], failed: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (started := time.perf_counter()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        if not head.startswith(b"HTTP/1.1 200"):
            failed.append(head)
    writer.close()
    await writer.wait_closed()


async def load(port: int, path: str, token: str, connections: int, seconds: float) -> dict[str, float]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    times: list[float] = []
    failed: list[bytes] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(send(port, request, until, times, failed) for _ in range(connections)))
    percentiles = statistics.quantiles(times, n=100)
    return {
        "rate": len(times) / seconds,
        "p50": percentiles[49] * 1000,
        "p99": percentiles[98] * 1000,
        "failed": len(failed),
    }


if __name__ == "__main__":
    port, path, token, connections, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(load(int(port), path, token, int(connections), float(seconds)))))
