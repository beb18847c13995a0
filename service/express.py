"""The express way of the one request that front ends send again and again: for recommendations that are kept.

The answer is the route's own, byte for byte, without what a framework does for requests of which it knows nothing.
Whatever is not plainly that request, or cannot be answered from what is kept, goes the usual way.
"""

from typing import Any

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.status_codes import HTTP_200_OK, HTTP_304_NOT_MODIFIED
from litestar.types import Receive, Scope, Send

from service.admission import count_person
from service.errors import Problem, Unavailable
from service.fallback import VARY
from service.identity.bearer import identify_by
from service.recommendations.answer import caching_of
from service.runtime import Runtime

PATH = "/api/insights/recommendations"
# Requests with these take more understanding: a preference, or a body.
UNUSUAL = {b"prefer", b"content-length", b"transfer-encoding"}
AWAY = "database_away"


class Express:
    """Answers that request by itself, and passes all others on to `app`."""

    def __init__(self, app: Litestar) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        answered = (
            scope["type"] == ScopeType.HTTP
            and scope["path"] == PATH
            and scope["method"] == "GET"
            and not scope["query_string"]
            and await self._answer(scope, send)
        )
        if not answered:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, send: Send) -> bool:
        credentials, known = [], []
        for name, value in scope["headers"]:
            if name == b"authorization":
                credentials.append(value.decode("latin-1"))
            elif name == b"if-none-match":
                known.append(value.decode("latin-1"))
            elif name in UNUSUAL:
                return False
        runtime: Runtime = self._app.state.runtime
        state = _state_of(scope)
        now = state["now"] = runtime.clock()
        try:
            caller = identify_by(credentials, runtime.tokens, now)
            await count_person(scope, runtime, caller)
            answer = await runtime.recommender.answers.find(caller, now, known)
        except Unavailable as problem:
            state[AWAY] = problem
            return False
        except Problem:
            return False
        if answer is None:
            return False
        headers = VARY | caching_of(answer.expires_at, now) | {"ETag": answer.tag}
        if answer.body is None:
            status, body = HTTP_304_NOT_MODIFIED, b""
        else:
            status, body = HTTP_200_OK, answer.body
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True


def raise_if_away(scope: Scope) -> None:
    """Raise Unavailable where the database was asked on the express way, and was away: nobody waits for that twice."""
    problem = _state_of(scope).get(AWAY)
    if problem is not None:
        raise problem


def _state_of(scope: Scope) -> dict[str, Any]:
    state: dict[str, Any] = scope.setdefault("state", {})
    return state
