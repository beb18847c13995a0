"""The front: what holds for every request and every answer, whatever route it is for, or none.

An ASGI layer around the whole application, since Litestar's own middleware does not see what no route takes.
"""

import logging
import os
import re
import time
from collections.abc import Iterable

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from service.logs import REQUESTS, RequestRecord

log = logging.getLogger(REQUESTS)

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NO_HOST = (
    b'{"status":400,"type":"urn:daymark:problem:invalid_request","title":"Invalid request",'
    b'"detail":"A request needs one Host header","code":"invalid_request"}'
)


class Front:
    """Gives each request an id (the caller's own, if it brings a plain one), answers HEAD as GET, and logs a line."""

    def __init__(self, app: Litestar, inner: ASGIApp) -> None:
        self.app = inner
        # Litestar's own OPTIONS knows only the methods of the first handler of its path.
        self.allowed = {
            route.path_format: _with_head(route.methods) for route in app.routes if isinstance(route, HTTPRoute)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != ScopeType.HTTP:  # the lifespan, or a websocket, which no route takes
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id, hosts = _read(scope["headers"])
        id_header = b"x-request-id", request_id.encode()
        method, status = scope["method"], 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *(
                        (name, self._allow(scope, value) if name == b"allow" else value)
                        for name, value in message["headers"]
                    ),
                    id_header,
                    (b"x-content-type-options", b"nosniff"),
                ]
            elif message["type"] == "http.response.body" and method == "HEAD":
                message["body"] = b""
            await send(message)

        bound = bind_contextvars(request_id=request_id)
        try:
            # RFC 9112, 3.2. The server lets it through, and where there is none, gives an empty one.
            if (len(hosts) != 1 or not hosts[0]) and scope["http_version"] == "1.1":
                await _refuse(answer)
            else:
                if method == "HEAD":
                    scope["method"] = "GET"
                await self.app(scope, receive, answer)
            if log.isEnabledFor(logging.INFO):
                ms = round((time.perf_counter() - started) * 1000, 1)
                log.handle(RequestRecord(request_id, method, scope["path"], status, ms))
        finally:
            reset_contextvars(**bound)

    def _allow(self, scope: Scope, value: bytes) -> bytes:
        # A 405 comes before its path is known, and has every method.
        return self.allowed.get(scope.get("path_template", "")) or _with_head(value.decode().split(", "))


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, list[bytes]]:
    """Give the id of a request with these headers, and the hosts that they name."""
    given, hosts = [], []
    for name, value in headers:
        if name == b"x-request-id":
            given.append(value)
        elif name == b"host":
            hosts.append(value)
    plain = len(given) == 1 and REQUEST_ID.fullmatch(given[0])
    return given[0].decode() if plain else os.urandom(16).hex(), hosts


def _with_head(methods: Iterable[str]) -> bytes:
    """Spell an Allow header: every GET answers HEAD, which the routes themselves do not know."""
    allowed = set(methods) | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(sorted(allowed)).encode()


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(NO_HOST)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": NO_HOST, "more_body": False})
