"""The engine that asks OpenAI, or a server that speaks its API: in time, within bounds, believed only if sound."""

import asyncio
import random
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from service.patterns.analysis import Pattern
from service.recommendations.advice import Advice, Advised, EngineFailed, History, Outcome, Usage
from service.recommendations.prompt import LARGEST_MESSAGE, PROMPT, SCHEMA, Answer, message
from service.recommendations.soundness import Unsound, check
from service.setting_values import Secret

if TYPE_CHECKING:
    from service.recommendations.completions import Completions, Reply

# Five recommendations take 600 to 900 tokens.
MOST_TOKENS_OUT: Final = 2_000
# English has a token for about four bytes, JSON of short words and figures one for more than two.
BYTES_A_TOKEN: Final = 2

# Seconds before the second try and the third.
PAUSES: Final = (0.2, 0.6)
# The share of the time limit that must be left for a further try: with less it would be paid for and thrown away.
ROOM: Final = 0.25

# No model takes in or gives so much at once. An API that counts more is wrong, and must not use up a tenant's budget.
MOST_COUNTED: Final = 1_000_000


class OpenAI:
    """Asks `model` at `base_url` (None: OpenAI's own), and takes `timeout` seconds at most, whatever happens.

    One object serves all tasks of one event loop; `close` ends it.
    """

    name: str = "openai"
    prompt_version: str | None = PROMPT.version
    most_calls: int = 1 + len(PAUSES)

    def __init__(self, *, api_key: Secret, base_url: str | None, model: str, timeout: float) -> None:
        self.model: str | None = model
        self._settings = api_key, base_url, model
        self._timeout = timeout
        self._opening: asyncio.Task[Completions] | None = None

    @property
    def most_tokens(self) -> int:
        """The most tokens, in and out, of one run: three tries, each with the longest message and answer.

        What goes in is counted as a token for two bytes of instructions, schema and message, which is about twice as
        many as there are; what comes out has a limit that is sent along.
        """
        sent = len(PROMPT.system.encode()) + len(msgspec.json.encode(SCHEMA)) + LARGEST_MESSAGE
        return (1 + len(PAUSES)) * (sent // BYTES_A_TOKEN + MOST_TOKENS_OUT)

    async def advise(self, pattern: Pattern, history: History, most_calls: int | None = None) -> Advised:
        """Have the model make five recommendations, which are sound (see `check`).

        A try that fails in passing (no connection, 408, 429, 5xx) is followed by two more at most, if `most_calls` and
        what is left of the time allow it. An answer that is not sound is not asked for again: it would cost the same
        once more.

        Raises EngineFailed.
        """
        calls = 0
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(until):
                completions = await self._open()
                for pause in (*PAUSES[: (most_calls or self.most_calls) - 1], None):
                    calls += 1
                    try:
                        body = await ask(completions, message(pattern, history))
                        break
                    except _Passing as failure:
                        calls -= not failure.sent
                        wait = pause_before(pause, failure.retry_after)
                        left = until - asyncio.get_running_loop().time()
                        if wait is None or wait > left - ROOM * self._timeout:
                            raise
                    await asyncio.sleep(wait)
        except TimeoutError:
            raise EngineFailed("timed_out", f"no answer within {self._timeout:g} s", Usage(calls)) from None
        except EngineFailed as failure:
            raise EngineFailed(failure.outcome, failure.detail, Usage(calls)) from None
        return take(body, calls, pattern, history)

    async def _open(self) -> "Completions":
        """Load the openai package and make its client, once, in a thread: both keep the processor busy for a second.

        Who has no time to wait for that goes without; the next comes to find it done.
        """
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.create_task(asyncio.to_thread(load, *self._settings))
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close all connections."""
        if self._opening is not None:
            with suppress(Exception):  # whoever asked was told that it could not be opened
                await (await self._opening).close()


def load(api_key: Secret, base_url: str | None, model: str) -> "Completions":
    """Load the module that needs the openai package, and make its client.

    Raises EngineFailed where that cannot be made of what the operator has set.
    """
    from service.recommendations.completions import Completions  # noqa: PLC0415 - it takes a second: see its module

    try:
        return Completions(api_key, base_url, model)
    except ConnectionError as error:
        raise EngineFailed("unreachable", str(error)) from None


class _Passing(EngineFailed):
    """A failure that may be gone at the next try."""

    def __init__(self, outcome: Outcome, detail: str, retry_after: float | None = None, *, sent: bool = True) -> None:
        super().__init__(outcome, detail)
        self.retry_after = retry_after
        self.sent = sent


async def ask(completions: "Completions", question: str) -> bytes:
    """Ask once, and give the answer's body, unread.

    Raises EngineFailed without its usage: whoever counts the calls knows that.
    """
    try:
        reply = await completions.ask(PROMPT.system, question, SCHEMA, MOST_TOKENS_OUT)
    except ConnectionError as error:
        raise _Passing("unreachable", str(error), sent=not isinstance(error, ConnectionRefusedError)) from None
    if reply.status == HTTPStatus.OK:
        if reply.body is None:
            raise EngineFailed("invalid", "the answer is compressed, or too long")
        return reply.body
    raise failure_of(reply)


def failure_of(reply: "Reply") -> EngineFailed:
    """Say what an answer of another status than 200 means."""
    detail = f"the API answered {reply.status}"
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _Passing("rate_limited", detail, reply.retry_after)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _Passing("server_error", detail, reply.retry_after)
    if reply.status == HTTPStatus.REQUEST_TIMEOUT:
        return _Passing("rejected", detail, reply.retry_after)
    # Redirects too: the key goes nowhere but where the operator sends it.
    return EngineFailed("rejected", detail)


def pause_before(pause: float | None, retry_after: float | None) -> float | None:
    """How long to wait before the next try, in seconds; None where there is none.

    Spread by half, so that many who failed together do not come back together.
    """
    return None if pause is None else max(pause * random.uniform(0.75, 1.25), retry_after or 0.0)  # noqa: S311 - no secret


class _Tokens(Struct, frozen=True):
    prompt_tokens: Any = 0
    completion_tokens: Any = 0


class _Bill(Struct, frozen=True):
    usage: _Tokens | None = None


class _Said(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct, frozen=True):
    message: _Said
    finish_reason: str | None = None


class _Completion(Struct, frozen=True):
    choices: list[_Choice]


# What msgspec raises for bytes that are not as described: no JSON, another shape, no UTF-8, nested without end.
NOT_AS_ASKED = (msgspec.MsgspecError, UnicodeError, RecursionError)


def take(body: bytes, calls: int, pattern: Pattern, history: History) -> Advised:
    """Take the advice out of an answer of the API, with what it cost.

    Raises EngineFailed ("refused" or "invalid") where it holds none that is sound.
    """
    usage = usage_of(body, calls)
    try:
        choice = msgspec.json.decode(body, type=_Completion).choices[0]
    except (*NOT_AS_ASKED, IndexError):
        raise EngineFailed("invalid", "the answer is no chat completion", usage) from None
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise EngineFailed("refused", "the model would not answer", usage)
    if choice.finish_reason == "length":
        raise EngineFailed("invalid", f"the answer is longer than {MOST_TOKENS_OUT} tokens", usage)
    try:
        answer = msgspec.json.decode(choice.message.content or "", type=Answer)
    except NOT_AS_ASKED:
        raise EngineFailed("invalid", "the recommendations are not in the form asked for", usage) from None
    advice = [
        Advice(each.recommendation, each.reasoning, each.data_point, each.topic) for each in answer.recommendations
    ]
    try:
        check(advice, pattern, history)
    except Unsound as defect:
        raise EngineFailed("invalid", str(defect), usage) from None
    return Advised(advice, usage)


def usage_of(body: bytes, calls: int) -> Usage:
    """Read what an answer cost, be the rest of it what it may; no tokens where it does not say."""
    try:
        tokens = msgspec.json.decode(body, type=_Bill).usage or _Tokens()
    except NOT_AS_ASKED:
        tokens = _Tokens()
    return Usage(calls, counted(tokens.prompt_tokens), counted(tokens.completion_tokens))


def counted(tokens: object) -> int:
    """Believe a number of tokens so far as it can be one."""
    return min(max(tokens, 0), MOST_COUNTED) if type(tokens) is int else 0
