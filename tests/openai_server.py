"""A small real server on loopback that speaks OpenAI's chat completions, and fails in every way that it is told to.

In a test: `async with Server("500", "sound") as api:`, `api.url`, `api.requests`. As a process:
`python -m tests.openai_server --port-file FILE [--delay SECONDS]`, with POST /script (a list of behaviours), GET and
DELETE /requests. Each request is answered by the next behaviour of the script (see openai_behaviours); the last one
goes on for ever.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path
from typing import Self

from tests.openai_behaviours import JSON, Exchange, find_behaviour
from tests.openai_requests import Received, find_complaints


class Server:
    """The API on a port of its own; a sound answer takes `delay` seconds."""

    def __init__(self, *script: str, delay: float = 0) -> None:
        self.delay = delay
        self.requests: list[Received] = []
        self.in_flight = self.most_in_flight = 0
        self.taken = 0
        """How many bytes of a huge body the other side took."""
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        """Somebody has gone away before their answer was whole."""
        self.released = asyncio.Event()
        """Lets go what is held."""
        self._talks: set[asyncio.Task[None]] = set()
        self.tell(*script)

    def tell(self, *script: str) -> None:
        """Have the next requests answered like this, the last behaviour for ever; soundly where nothing is said."""
        self._script = [find_behaviour(name) for name in script or ["sound"]]
        for event in (self.asked, self.left, self.released):
            event.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=1024 * 1024)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks)
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            while await self._answer(Exchange(self, reader, writer)):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # asyncio logs a talk that ends in an error, be it that it was cancelled.
            pass
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _answer(self, exchange: Exchange) -> bool:
        """Answer one request; say whether another may follow on this connection."""
        request = exchange.request = await exchange.read()
        if request.path in {"/script", "/requests"}:
            return await self._control(exchange, request)
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.asked.set()
        try:
            for status, complaint in find_complaints(request):
                return await exchange.refuse(status, complaint)
            behaviour = self._script.pop(0) if len(self._script) > 1 else self._script[0]
            return await behaviour(exchange)
        except ConnectionError:
            self.left.set()
            raise
        finally:
            self.in_flight -= 1

    async def _control(self, exchange: Exchange, request: Received) -> bool:
        if request.path == "/script":
            self.tell(*request.body)
        elif request.method == "DELETE":
            self.requests.clear()
            self.most_in_flight = self.in_flight
        bodies = [each.body for each in self.requests]
        told = {"count": len(bodies), "mostInFlight": self.most_in_flight, "bodies": bodies}
        return await exchange.send(200, json.dumps(told).encode(), JSON)


async def serve(port_file: Path, delay: float) -> None:
    """Serve until SIGTERM or SIGINT; the port is in `port_file` as soon as it is open."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Server(delay=delay) as server:
        # Whoever waits for the file finds the whole of it.
        written = port_file.with_suffix(".written")
        written.write_text(str(server.port))
        written.replace(port_file)
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted server that speaks OpenAI's API.")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0)
    given = parser.parse_args()
    asyncio.run(serve(given.port_file, given.delay))
