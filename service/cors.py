"""CORS: which pages of other origins may read our answers. Off unless the settings name origins, and exact then.

Written here and not left to Litestar's, which does not see what no route takes, what the express way answers and what
the front refuses, and which would have every method allowed on every path.
"""

from collections.abc import Sequence

from service.setting_values import Origins

# What browsers do not send, or show to a page, of their own accord.
TAKEN = b"Authorization, Content-Type, If-None-Match, Prefer, X-Request-ID"
SHOWN = (
    b"Content-Location, ETag, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate,"
    b" X-Request-ID"
)
REMEMBERED = b"600"  # seconds for which a browser need not ask again what is allowed

Header = tuple[bytes, bytes]


class Cors:
    """Says in an answer whether a page of another origin may read it.

    No credentials: a page sends its token itself, so that no cookie and no certificate of its reader ever counts.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def add(self, answer: list[Header], origins: Sequence[bytes], *, preflight: bool) -> list[Header]:
        """Give the headers of an answer with CORS's own; `origins` are those that the request names.

        A preflight is an OPTIONS that asks what is allowed. It is told what `Allow` says of its path: where there is
        none (404), nothing.
        """
        answer = _varying(answer)
        if len(origins) != 1 or origins[0] not in self._origins:
            return answer
        answer.append((b"access-control-allow-origin", origins[0]))
        if preflight:
            answer += [
                *((b"access-control-allow-methods", value) for name, value in answer if name == b"allow"),
                (b"access-control-allow-headers", TAKEN),
                (b"access-control-max-age", REMEMBERED),
            ]
        else:
            answer.append((b"access-control-expose-headers", SHOWN))
        return answer


def _varying(answer: list[Header]) -> list[Header]:
    """Say that another origin may get another answer, even where none was named: a cache serves both."""
    varying = [value for name, value in answer if name == b"vary"]
    rest = [(name, value) for name, value in answer if name != b"vary"]
    return [*rest, (b"vary", b", ".join([*varying, b"Origin"]))]
