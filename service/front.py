"""The front: what holds for every request and every answer, whatever route it is for, or none.

An ASGI layer around the whole application, since Litestar's own middleware does not see what no route takes.
"""

import logging
import os
import re
import time
from collections.abc import Iterable

import msgspec
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct, field
from structlog.contextvars import bind_contextvars, reset_contextvars

from service.admission import count_anonymous, is_counted, standings_of
from service.cors import Cors
from service.errors import InvalidRequest, Problem, document_of
from service.logs import REQUESTS, RequestRecord
from service.protection import EVERYWHERE, NOTHING, POLICY
from service.runtime import Runtime
from service.setting_values import Origins
from service.windows import LimitReached, headers_of

log = logging.getLogger(REQUESTS)

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# What has no business in a path and may be a secret, sent to the wrong place: an e-mail address, or what is longer than
# any id.
SECRET = re.compile(r"[^/]*@[^/]*|[^/]{37,}")
FIRST_ERROR = 400  # of the statuses
SAFE = {"GET", "HEAD", "OPTIONS"}  # methods by which nothing is done (RFC 9110, 9.2.1)
UNLIMITED = "/health/"  # whoever watches over the service shall always get an answer


class _Given(Struct):
    """What the front wants to know of a request's headers: of each, every value."""

    request_ids: list[bytes] = field(default_factory=list)
    hosts: list[bytes] = field(default_factory=list)
    credentials: list[bytes] = field(default_factory=list)
    origins: list[bytes] = field(default_factory=list)
    wanted_methods: list[bytes] = field(default_factory=list)


FIELDS = {
    b"x-request-id": "request_ids",
    b"host": "hosts",
    b"authorization": "credentials",
    b"origin": "origins",
    b"access-control-request-method": "wanted_methods",
}


class Front:
    """Gives each request an id (the caller's own, if it brings a plain one), answers HEAD as GET, and logs a line.

    Counts who has no token, and gives every answer the headers that all have.
    """

    def __init__(self, app: Litestar, inner: ASGIApp, origins: Origins) -> None:
        self.app = inner
        self._litestar = app
        self._cors = Cors(origins) if origins else None
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
        given = _given(scope)
        own = given.request_ids
        plain = len(own) == 1 and REQUEST_ID.fullmatch(own[0])
        request_id = own[0].decode() if plain else os.urandom(16).hex()
        id_header = b"x-request-id", request_id.encode()
        method = scope["method"]
        answer = _Answer(self, scope, given, id_header, send)
        bound = bind_contextvars(request_id=request_id)
        try:
            problem = self._problem_of(scope, given)
            if problem is not None:
                await _refuse(problem, answer.send)
            else:
                if method == "HEAD":
                    scope["method"] = "GET"
                await self.app(scope, receive, answer.send)
            if log.isEnabledFor(logging.INFO):
                ms = round((time.perf_counter() - started) * 1000, 1)
                log.handle(RequestRecord(request_id, method, SECRET.sub("…", scope["path"]), answer.status, ms))
        finally:
            reset_contextvars(**bound)

    @property
    def _runtime(self) -> Runtime:
        runtime: Runtime = self._litestar.state.runtime
        return runtime

    def _problem_of(self, scope: HTTPScope, given: _Given) -> Problem | None:
        """Give what is wrong with a request before any route sees it."""
        # RFC 9112, 3.2. The server lets it through, and where there is none, gives an empty one.
        if (len(given.hosts) != 1 or not given.hosts[0]) and scope["http_version"] == "1.1":
            return InvalidRequest("A request needs one Host header")
        return None if given.credentials else self.count(scope)

    def count(self, scope: HTTPScope) -> Problem | None:
        """Count a request of nobody's; give what is wrong where that is one too many."""
        if not scope["path"].startswith(UNLIMITED):
            try:
                count_anonymous(scope, self._runtime)
            except LimitReached as problem:
                return problem
        return None

    def headers(
        self,
        scope: HTTPScope,
        given: _Given,
        method: str,
        id_header: tuple[bytes, bytes],
        headers: Iterable[tuple[bytes, bytes]],
    ) -> list[tuple[bytes, bytes]]:
        """Give the headers of an answer with those that all have."""
        answer, is_page = [], False
        for name, value in headers:
            is_page = is_page or name == POLICY
            answer.append((name, self._allow(scope, value) if name == b"allow" else value))
        answer += [id_header, *EVERYWHERE]
        if not is_page:
            answer.append(NOTHING)
        answer += headers_of(standings_of(scope))
        if self._cors is None:
            return answer
        preflight = method == "OPTIONS" and len(given.wanted_methods) == 1
        return self._cors.add(answer, given.origins, preflight=preflight)

    def _allow(self, scope: Scope, value: bytes) -> bytes:
        # A 405 comes before its path is known, and has every method.
        return self.allowed.get(scope.get("path_template", "")) or _with_head(value.decode().split(", "))


class _Answer:
    """An answer on its way out. A class: a function that named itself would be left to the garbage collector."""

    __slots__ = ("_front", "_given", "_id_header", "_method", "_refused", "_scope", "_send", "status")

    def __init__(
        self, front: Front, scope: HTTPScope, given: _Given, id_header: tuple[bytes, bytes], send: Send
    ) -> None:
        self._front = front
        self._scope = scope
        self._given = given
        self._id_header = id_header
        self._method = scope["method"]  # the caller's own
        self._send = send
        self._refused = False
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a message of the application's, unless the request is one too many."""
        if self._refused:
            return
        if message["type"] == "http.response.start":
            problem = None if is_counted(self._scope) else self._front.count(self._scope)
            # What has been done is told: who is refused would do it again, or has lost what they were given.
            if problem is not None and (self._method in SAFE or message["status"] >= FIRST_ERROR):
                self._refused = True
                await _refuse(problem, self._pass_on)
                return
        await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._front.headers(
                self._scope, self._given, self._method, self._id_header, message["headers"]
            )
        elif message["type"] == "http.response.body" and self._method == "HEAD":
            message["body"] = b""
        await self._send(message)


def _given(scope: HTTPScope) -> _Given:
    given = _Given()
    for name, value in scope["headers"]:
        if name in FIELDS:
            getattr(given, FIELDS[name]).append(value)
    return given


def _with_head(methods: Iterable[str]) -> bytes:
    """Spell an Allow header: every GET answers HEAD, which the routes themselves do not know."""
    allowed = set(methods) | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(sorted(allowed)).encode()


async def _refuse(problem: Problem, send: Send) -> None:
    """Answer with a problem that is found before the application sees a request, or after it has answered."""
    body = msgspec.json.encode(document_of(problem))
    headers = {"Content-Type": "application/problem+json", "Content-Length": str(len(body))} | problem.headers
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})
