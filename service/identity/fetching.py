"""What identity providers publish: one JSON object over HTTP, small and soon, or nothing."""

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from service.strict_json import parse_object

if TYPE_CHECKING:
    import httpx2

TIME_LIMIT: Final = 3.0  # seconds, around a whole answer
LARGEST_ANSWER: Final = 256 * 1024  # bytes
SUCCESS: Final = 200
MAX_AGE = re.compile(r'(?:^|[\s,])max-age="?([0-9]{1,9})', re.IGNORECASE | re.ASCII)


class FetchError(Exception):
    """Something cannot be fetched; the message is why, as the end of a sentence, and quotes nothing of the answer."""


class Fetched(Struct, frozen=True):
    """What was answered."""

    content: dict[str, Any]
    max_age: int | None = None
    """For how long it may be kept, in seconds; None where the answer does not say."""


class Fetcher:
    """Fetches from identity providers. Proxies and certificates are taken from the environment, as for OpenAI."""

    def __init__(self) -> None:
        self._http: httpx2.AsyncClient | None = None

    async def get(self, url: str) -> Fetched:
        """Fetch the JSON object at `url`. Raises FetchError."""
        import httpx2  # noqa: PLC0415 - no service without an identity provider needs it to start

        try:
            async with asyncio.timeout(TIME_LIMIT):
                return await self._ask(self._client(), url)
        except TimeoutError:
            raise FetchError(f"has not answered within {TIME_LIMIT:.0f} s") from None
        except (OSError, ImportError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            # The message may quote a proxy's password, or what was answered: only the kind is passed on.
            raise FetchError(f"cannot be asked: {type(error).__name__}") from None

    def _client(self) -> "httpx2.AsyncClient":
        import httpx2  # noqa: PLC0415 - as above

        if self._http is None:
            # No redirect: it could lead to keys that anybody has put somewhere. No connection is kept: one that a
            # provider has closed since would fail the next question, minutes later.
            self._http = httpx2.AsyncClient(
                follow_redirects=False,
                timeout=None,  # there is a limit around all of it
                limits=httpx2.Limits(max_keepalive_connections=0),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "daymark"},
            )
        return self._http

    async def _ask(self, http: "httpx2.AsyncClient", url: str) -> Fetched:
        async with http.stream("GET", url) as response:
            if response.status_code != SUCCESS:
                raise FetchError(f"answered {response.status_code}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise FetchError("answered compressed, unasked")
            body = bytearray()
            async with aclosing(response.aiter_raw()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        raise FetchError(f"answered with more than {LARGEST_ANSWER // 1024} KiB")
            try:
                content = parse_object(bytes(body))
            except ValueError as error:
                raise FetchError(f"answered with what {error}") from error
            return Fetched(content, max_age(response.headers.get("cache-control", "")))

    async def close(self) -> None:
        """Close what is open."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None


def max_age(cache_control: str) -> int | None:
    """Read for how long an answer may be kept (RFC 9111, 5.2.2.1), in seconds; None where it does not say."""
    match = MAX_AGE.search(cache_control)
    return int(match[1]) if match else None
