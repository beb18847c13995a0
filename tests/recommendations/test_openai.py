"""The engine that asks OpenAI, over real HTTP to a server that does as it is told."""

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import pytest

from service.patterns.analysis import Day, Pattern, analyse
from service.recommendations.advice import Advised, DataPoint, EngineFailed, History, Standing, Usage
from service.recommendations.openai import OpenAI
from service.recommendations.prompt import PROMPT
from service.recommendations.soundness import check
from tests.command import environment
from tests.openai_answers import SAYINGS
from tests.openai_behaviours import HUGE
from tests.openai_server import Server
from tests.recommendations.faults import KEY, LIMIT, MODEL, RESULTS, SLACK, load_openai

PATTERN = analyse(
    [
        Day(date(2026, 11, 19), 66, 71, 90),
        Day(date(2026, 11, 20), 62, 84, 88),
        Day(date(2026, 11, 21), 84, 85, 87),
        Day(date(2026, 11, 22), 85, 86, 80),
    ]
)
HISTORY = History(
    (
        Standing("rest", given=4, viewed=2, helpful=0, unhelpful=1, avoid=True, helped=False),
        Standing("sleep", given=2, viewed=2, helpful=1, unhelpful=0, avoid=False, helped=True),
        Standing("food", given=3, viewed=0, helpful=0, unhelpful=0, avoid=False, helped=False),
    ),
    frozenset({"Count the sheep of Ada Lovelace."}),
)


@pytest.fixture(scope="session", autouse=True)
async def loaded() -> None:
    await load_openai()


@asynccontextmanager
async def opened(url: str, limit: float = LIMIT) -> AsyncIterator[OpenAI]:
    engine = OpenAI(api_key=KEY, base_url=url, model=MODEL, timeout=limit)
    # On a busy machine, making the client takes half of the limit.
    await engine._open()
    yield engine
    await engine.close()


async def advise(engine: OpenAI) -> Advised | EngineFailed:
    try:
        return await engine.advise(PATTERN, HISTORY)
    except EngineFailed as failure:
        return failure


@pytest.fixture(scope="session")
async def pair() -> AsyncIterator[tuple[Server, OpenAI]]:
    """Give an API and an engine that asks it, which many tests put to use one after the other."""
    async with Server() as api, opened(api.url) as engine:
        yield api, engine


@pytest.mark.parametrize("behaviour", RESULTS)
async def test_whatever_the_api_does_the_engine_answers_in_time_as_expected_and_goes_on(
    behaviour: str, pair: tuple[Server, OpenAI]
) -> None:
    expected = RESULTS[behaviour]
    api, engine = pair
    api.requests.clear()
    api.tell(behaviour)
    began = time.perf_counter()
    result = await advise(engine)
    took = time.perf_counter() - began
    requests = len(api.requests)
    api.tell("sound")
    next_ = await advise(engine)

    assert took < LIMIT + SLACK
    assert result.usage == Usage(expected.calls, *expected.tokens)
    assert requests == expected.calls
    if isinstance(result, EngineFailed):
        assert result.outcome == expected.outcome, result.detail
    else:
        assert expected.outcome == "made"
        check(result.advice, PATTERN, HISTORY)
    assert isinstance(next_, Advised)


@pytest.mark.parametrize("behaviour", ["sound", "401", "429:60", "redirect", "close", "hang", "html", "headers:5000"])
async def test_the_key_is_in_no_log_and_in_no_error(
    behaviour: str, pair: tuple[Server, OpenAI], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api, engine = pair
    api.tell(behaviour)
    result = await advise(engine)

    assert "httpcore2.http11" in {record.name for record in caplog.records}
    assert KEY not in caplog.text + repr(engine) + repr(vars(engine))
    if isinstance(result, EngineFailed):
        assert KEY not in "".join(traceback.format_exception(result)) + repr([result.__cause__, result.__context__])


async def test_the_request_is_what_the_prompt_says_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package looks at these.
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "X-Who: you")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    async with Server("header:Set-Cookie: who=you") as api, opened(api.url) as engine:
        await engine.advise(PATTERN, HISTORY)
        await engine.advise(PATTERN, HISTORY)
    request, again = api.requests

    body = request.body
    _, message = body.pop("messages")
    schema = body["response_format"]["json_schema"].pop("schema")
    assert again.body["messages"] == [
        {"role": "system", "content": PROMPT.system},
        {"role": "user", "content": message["content"]},
    ]
    assert body == {
        "model": "gpt-of-the-tests",
        "response_format": {"type": "json_schema", "json_schema": {"name": "recommendations", "strict": True}},
        "max_completion_tokens": 2000,
        "store": False,
    }
    assert schema["properties"] == {
        "recommendations": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 5, "maxItems": 5}
    }
    assert schema["$defs"]["Item"]["properties"] == {
        "dataPoint": {"$ref": "#/$defs/DataPoint"},
        "topic": {"type": "string", "enum": sorted(SAYINGS)},
        "reasoning": {"type": "string"},
        "recommendation": {"type": "string"},
    }
    assert json.loads(message["content"]) == {
        "days": [
            {"day": "Thu", "energy": 66, "focus": 71, "fulfillment": 90},
            {"day": "Fri", "energy": 62, "focus": 84, "fulfillment": 88},
            {"day": "Sat", "energy": 84, "focus": 85, "fulfillment": 87},
            {"day": "Sun", "energy": 85, "focus": 86, "fulfillment": 80},
        ],
        "averages": {"energy": 74, "focus": 82, "fulfillment": 86},
        "trends": {
            "energy": trend("rising", 19, 2, "weak", significant=False),
            "focus": trend("rising", 15, 3, "moderate", significant=True),
            "fulfillment": trend("falling", -10, 3, "moderate", significant=True),
        },
        "weakest": "energy",
        "figures": [
            {"metric": "energy", "statistic": "average", "value": 74},
            {"metric": "focus", "statistic": "average", "value": 82},
            {"metric": "fulfillment", "statistic": "average", "value": 86},
            {"metric": "energy", "statistic": "consecutiveDays", "value": 2},
            {"metric": "focus", "statistic": "consecutiveDays", "value": 3},
            {"metric": "fulfillment", "statistic": "consecutiveDays", "value": 3},
            {"metric": "energy", "statistic": "lowDays", "value": 2},
            {"metric": "focus", "statistic": "peakDays", "value": 2},
        ],
        "topics": {"avoid": ["rest"], "buildUpon": ["sleep"], "lastResort": ["food"]},
    }
    # Neither a date nor what the person called unhelpful, nor the machine that asks, nor a cookie.
    sent = json.dumps(again.body) + str(again.headers)
    assert not [word for word in ("2026", "Ada", "sheep", "who=", "X-Who", "linux", "Linux") if word in sent]
    assert again.headers.keys() == {
        "host",
        "connection",
        "authorization",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "user-agent",
        "x-stainless-raw-response",
    }
    assert again.headers["authorization"] == "Bearer sk-of-the-tests"


def trend(direction: str, change: int, steps: int, strength: str, *, significant: bool) -> dict[str, object]:
    return {
        "direction": direction,
        "change": change,
        "consecutiveDays": steps,
        "strength": strength,
        "isSignificant": significant,
    }


async def test_who_refused_nearly_every_topic_is_advised_on_those_that_are_left() -> None:
    avoided = [topic for topic in SAYINGS if topic not in {"people", "meaning", "growth"}]
    history = History(tuple(Standing(topic, 1, 1, 0, 1, True, False) for topic in avoided))  # type: ignore[arg-type]  # topics
    async with Server() as api, opened(api.url) as engine:
        advised = await engine.advise(PATTERN, history)

    check(advised.advice, PATTERN, history)
    assert {each.topic for each in advised.advice} == {"people", "meaning", "growth"}


async def test_what_was_called_unhelpful_is_turned_away_word_for_word() -> None:
    text = SAYINGS["sleep"].upper()
    async with Server() as api, opened(api.url) as engine:
        with pytest.raises(EngineFailed, match=r"invalid: recommendation 2: .* called unhelpful"):
            await engine.advise(PATTERN, History(refused=frozenset({text})))


@pytest.mark.parametrize(
    "script",
    [
        ("500", "sound"),
        ("503:0", "sound"),
        ("408", "sound"),
        ("429", "sound"),
        ("429:0.05", "sound"),
        ("429 ms:50", "sound"),
        ("429 date:-60", "sound"),
        ("close", "sound"),
        ("close:at once", "sound"),
        ("chunked:wrong", "sound"),
    ],
)
async def test_what_passes_is_over_at_the_second_try(script: tuple[str, ...]) -> None:
    async with Server(*script) as api, opened(api.url, limit=2) as engine:
        advised = await engine.advise(PATTERN, HISTORY)

    assert advised.usage == Usage(2, 700, 300)
    assert len(api.requests) == 2


async def test_there_are_three_tries_at_most() -> None:
    async with Server("500", "close", "429", "sound") as api, opened(api.url, limit=2) as engine:
        failure = await advise(engine)

    assert isinstance(failure, EngineFailed)
    assert (failure.outcome, failure.usage, len(api.requests)) == ("rate_limited", Usage(3), 3)


@pytest.mark.parametrize(("wait", "seconds"), [("429 ms:400", 0.4), ("503:1", 1.0)])
async def test_the_api_is_not_asked_before_it_wants_to_be(wait: str, seconds: float) -> None:
    async with Server(wait, "sound") as api, opened(api.url, limit=3) as engine:
        await engine.advise(PATTERN, HISTORY)
    first, second = api.requests

    assert second.at - first.at >= seconds


async def test_an_api_that_is_not_there_is_unreachable() -> None:
    async with Server() as api, opened(api.url) as engine:
        url = api.url
    async with opened(url) as engine:
        failure = await advise(engine)

    assert isinstance(failure, EngineFailed)
    # Nothing was sent, and so nothing is counted.
    assert (failure.outcome, failure.usage) == ("unreachable", Usage(0))


async def test_a_question_that_was_sent_counts_though_the_next_could_not_be() -> None:
    async with Server("close:at once") as api, opened(api.url, limit=2) as engine:
        asking = asyncio.create_task(advise(engine))
        await api.asked.wait()
        await api.__aexit__()
        failure = await asking

    assert isinstance(failure, EngineFailed)
    assert (failure.outcome, failure.usage) == ("unreachable", Usage(1))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("ALL_PROXY", "socks5://me:geheim@127.0.0.1:9", "ImportError"),
        ("ALL_PROXY", "gopher://me:geheim@127.0.0.1:9", "ValueError"),
        ("HTTPS_PROXY", "http://me:geheim@127.0.0.1:port", "InvalidURL"),
        ("SSL_CERT_FILE", "/nowhere/geheim", "FileNotFoundError"),
        ("SSL_CERT_FILE", __file__, "SSLError"),
    ],
)
async def test_what_the_operator_has_set_wrong_is_named_and_what_is_in_it_is_not(
    name: str, value: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    engine = OpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1", model=MODEL, timeout=LIMIT)
    failure = await advise(engine)
    await engine.close()

    assert isinstance(failure, EngineFailed)
    assert (failure.outcome, failure.usage) == ("unreachable", Usage(0))
    assert failure.detail == (
        f"{kind}: OPENAI_BASE_URL, a proxy (HTTPS_PROXY, ALL_PROXY ...) or SSL_CERT_FILE cannot be used"
    )


async def test_an_address_that_is_none_is_named() -> None:
    engine = OpenAI(api_key=KEY, base_url="http://\u2603/v1", model=MODEL, timeout=LIMIT)
    failure = await advise(engine)

    assert isinstance(failure, EngineFailed)
    assert failure.detail.startswith("InvalidURL: OPENAI_BASE_URL")


async def test_what_comes_after_an_answer_is_not_the_next_ones(pair: tuple[Server, OpenAI]) -> None:
    api, engine = pair
    api.requests.clear()
    api.tell("twice", "sound")
    ada, bob = (analyse([Day(date(2026, 11, 22), score, 70, 81)]) for score in (31, 66))
    first = await engine.advise(ada, History())
    second = await engine.advise(bob, History())

    assert [each.advice[0].data_point for each in (first, second)] == [
        DataPoint("energy", "average", 31),
        DataPoint("energy", "average", 66),
    ]
    assert len(api.requests) == 2


@pytest.mark.parametrize("way", ["huge", "huge:chunked"])
async def test_ten_megabytes_are_not_read(way: str) -> None:
    async with Server(way) as api, opened(api.url) as engine:
        await advise(engine)
        await asyncio.wait_for(api.left.wait(), 5)

    assert api.taken < HUGE / 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_the_key_stays(status: int) -> None:
    async with Server(f"redirect:{status}") as api, opened(api.url) as engine:
        await advise(engine)

    assert [request.path for request in api.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize("way", ["hang", "hang:body", "drip", "huge"])
async def test_who_gives_up_hangs_up(way: str) -> None:
    async with Server(way) as api, opened(api.url, limit=30) as engine:
        asked = asyncio.create_task(engine.advise(PATTERN, HISTORY))
        await api.asked.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.wait_for(api.left.wait(), 1)
        assert api.in_flight == 0
        api.tell("sound")
        assert isinstance(await advise(engine), Advised)


async def test_a_time_out_hangs_up() -> None:
    async with Server("hang") as api, opened(api.url, limit=0.1) as engine:
        await advise(engine)
        await asyncio.wait_for(api.left.wait(), 1)
        assert api.in_flight == 0


async def test_closing_does_not_wait_for_an_api_that_hangs() -> None:
    async with Server("hang") as api, opened(api.url, limit=30) as engine:
        asked = asyncio.create_task(advise(engine))
        await api.asked.wait()
        began = time.perf_counter()
        await engine.close()
        took = time.perf_counter() - began
        await asyncio.wait_for(api.left.wait(), 1)
        done, _ = await asyncio.wait({asked}, timeout=1)

    assert took < SLACK
    # With what is of no interest: the service gives up all runs before it closes the engine.
    assert [task for task in done if task.exception() or isinstance(task.result(), EngineFailed)] == [asked]


async def test_an_engine_that_was_never_asked_closes() -> None:
    await OpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1", model=MODEL, timeout=LIMIT).close()


async def test_a_hundred_at_once_are_each_answered_for_themselves() -> None:
    patterns = [analyse([Day(date(2026, 11, 22), score, 70, 81)]) for score in range(100)]
    async with Server() as api, opened(api.url, limit=20) as engine:
        answers = await asyncio.gather(*[engine.advise(pattern, History()) for pattern in patterns])

    for pattern, advised in zip(patterns, answers, strict=True):
        check(advised.advice, pattern, History())
    assert len(api.requests) == 100


def longest_pattern() -> Pattern:
    """Make the pattern about which there is most to say: three figures a score, and trends of which each counts."""
    return analyse([Day(date(2026, 11, day), 100 - day % 2, 100 - day % 3 % 2, 100 - day % 2) for day in range(1, 31)])


async def test_one_run_takes_no_more_tokens_than_it_says() -> None:
    async with Server() as api, opened(api.url) as engine:
        await engine.advise(longest_pattern(), HISTORY)
        most = engine.most_tokens
    [request] = api.requests

    # At two bytes a token, of which English has about four.
    assert 3 * int(request.headers["content-length"]) / 2 < most - 3 * request.body["max_completion_tokens"]


def test_the_openai_package_is_loaded_by_who_needs_it_and_within_the_time_limit() -> None:
    code = """
        import asyncio, sys, time
        from datetime import date
        import service.app, service.cli
        from service.patterns.analysis import Day, analyse
        from service.recommendations.advice import EngineFailed, History
        from service.recommendations.openai import OpenAI
        from service.setting_values import Secret

        async def main():
            engine = OpenAI(api_key=Secret("sk-of-the-tests"), base_url="http://127.0.0.1:9/v1", model="m", timeout=0.1)
            assert "openai" not in sys.modules
            began = time.monotonic()
            try:
                await engine.advise(analyse([Day(date(2026, 11, 22), 60, 70, 81)]), History())
            except EngineFailed as failure:
                print(failure.outcome, failure.usage.calls, time.monotonic() - began < 0.3)
            await engine.close()
            assert "openai" in sys.modules
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", textwrap.dedent(code)],
        env=environment(PYTHONPATH="."),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("timed_out 0 True\n", 0), done.stderr
