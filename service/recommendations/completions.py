"""One request to an API that speaks OpenAI's chat completions, and nothing of its answer taken on trust.

Imported only where it is used: the openai package takes a second to load.
"""

import datetime as dt
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from math import isnan
from typing import Final

import httpx2
import openai
from msgspec import Struct

from service.setting_values import Secret

# Said here, as the package would take an empty OPENAI_BASE_URL for an address.
OPENAI_URL: Final = "https://api.openai.com/v1"

# Bytes. Five recommendations take 4 KiB.
LARGEST_BODY: Final = 256 * 1024

# All that is sent beside the question. The package would add the machine's system and versions, what OPENAI_ORG_ID and
# the like say, and cookies, by which an API could tell which questions come from the same process.
HEADERS_SENT: Final = frozenset(
    {
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-stainless-raw-response",  # by which the package knows that it is not to read the answer
    }
)

# One question a connection: what an API or a proxy sends beyond its answer would be taken for the answer to the next
# question, which is somebody else's. That costs a handshake an hour a person.
LIMITS: Final = httpx2.Limits(
    max_connections=openai.DEFAULT_CONNECTION_LIMITS.max_connections, max_keepalive_connections=0
)
# No connection to the API, or none that the proxy lets through.
NOTHING_SENT: Final = (httpx2.ConnectError, httpx2.ProxyError)
# What the operator has set that a client is made of.
LOOK_AT: Final = "OPENAI_BASE_URL, a proxy (HTTPS_PROXY, ALL_PROXY ...) or SSL_CERT_FILE"


class Reply(Struct, frozen=True):
    """What the API answered."""

    status: int
    body: bytes | None = None
    """None where it was not read: it is an error's, compressed, or longer than LARGEST_BODY."""
    retry_after: float | None = None
    """In how many seconds the API wants to be asked again; None where it does not say."""


class Completions:
    """Asks `model` at `base_url` (None: OpenAI's own). Sets no time limit: that is the caller's.

    Raises ConnectionError, whose message is the kind of failure, where the address, or the proxy or certificates that
    the environment asks for, cannot be used.
    """

    def __init__(self, api_key: Secret, base_url: str | None, model: str) -> None:
        async def keep_to_the_point(request: httpx2.Request) -> None:
            for name in request.headers.keys() - HEADERS_SENT:
                del request.headers[name]
            request.headers["Authorization"] = f"Bearer {api_key}"
            # A compressed answer can be short on the wire and endless in memory.
            request.headers["Accept-Encoding"] = "identity"

        # Proxies and certificates are taken from the environment (HTTPS_PROXY, SSL_CERT_FILE), as httpx does: a house
        # that lets nothing out but through its proxy sets them for all programs. A redirect is not followed, lest the
        # key and the figures go to whoever it names.
        try:
            http = openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                timeout=None,
                limits=LIMITS,
                event_hooks={"request": [keep_to_the_point], "response": [require_success]},
            )
            httpx2.URL(base_url or OPENAI_URL)  # as the package does, which would fail outside of this
        except (OSError, ImportError, ValueError, httpx2.InvalidURL) as error:
            # The messages may quote a proxy's password.
            raise ConnectionError(f"{type(error).__name__}: {LOOK_AT} cannot be used") from None
        self._model = model
        self._api = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url or OPENAI_URL, max_retries=0, timeout=None, http_client=http
        )
        # Fetched here, because the package loads this part, too, when it is first asked for.
        self._create = self._api.chat.completions.with_streaming_response.create

    async def ask(self, system: str, user: str, schema: dict[str, object], most_tokens: int) -> Reply:
        """Have the model answer in JSON of `schema`, with `most_tokens` tokens at most.

        Raises ConnectionError, whose message is the kind of failure, where the connection broke off; it is a
        ConnectionRefusedError where there was none, and so nothing was sent.
        """
        try:
            async with self._create(
                model=self._model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "recommendations", "strict": True, "schema": schema},
                },
                max_completion_tokens=most_tokens,
                # OpenAI is to keep neither question nor answer for its customer to look at.
                store=False,
            ) as response:
                return Reply(response.status_code, await read(response.http_response))
        except _NoSuccess as error:
            return error.reply
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            # The messages may quote what the API sent: only the kind is passed on.
            cause = error.__cause__ or error
            broken = ConnectionRefusedError if isinstance(cause, NOTHING_SENT) else ConnectionError
            raise broken(type(cause).__name__) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()


class _NoSuccess(Exception):
    """The API answered with another status than 200."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


async def require_success(response: httpx2.Response) -> None:
    """Turn away an answer of another status than 200 before the package reads its body, however long."""
    if response.status_code != httpx2.codes.OK:
        raise _NoSuccess(Reply(response.status_code, None, retry_after(response.headers, dt.datetime.now(dt.UTC))))


def retry_after(headers: httpx2.Headers, now: dt.datetime) -> float | None:
    """Read what an answer says about when to ask again: seconds from `now`, 0 or more; None where it says nothing.

    `Retry-After` is seconds or a date (RFC 9110, 10.2.3); `retry-after-ms` is OpenAI's own, and more exact.
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = headers.get(name, "")
        try:
            seconds = float(text) / unit
        except ValueError:
            continue
        if not isnan(seconds):
            return max(0.0, seconds)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, (date - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # a date without a zone cannot be compared
        return None


async def read(response: httpx2.Response) -> bytes | None:
    """Read an answer's body; None where it is compressed, or too long."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > LARGEST_BODY:
                return None
    return bytes(body)
