"""A key set: asked for by one for all, renewed in time, kept while its provider is away, and no longer than that."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from service.errors import ProviderUnavailable
from service.identity.claims import Expected
from service.identity.fetching import Fetcher
from service.identity.issuers import Provider as Configured
from service.identity.keys import Key
from service.identity.keyset import KeySet, Pace
from tests.identity.provider import DISCOVERY, KEYS, Provider, answer
from tests.identity.signing import Signer, dumps

ONE, TWO, THREE = (Signer("ES256", name) for name in ("one", "two", "three"))


class Seconds:
    """A clock of seconds that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Keys:
    """A key set of a provider, its clock, and what it said was gone."""

    def __init__(
        self,
        provider: Provider,
        *,
        discovered: bool = False,
        pace: Pace | None = None,
        real: Callable[[], float] | None = None,
    ) -> None:
        self.clock = Seconds()
        self.gone: list[str | None] = []
        self.told = asyncio.Event()
        self.fetcher = Fetcher()
        url = None if discovered else provider.jwks_url
        configured = Configured(provider.issuer, Expected(provider.issuer), url)
        self.set = KeySet(
            provider.issuer,
            lambda: configured.fetch_keys(self.fetcher),
            self.tell,
            pace=pace or Pace(),
            clock=real or self.clock,
        )

    def tell(self, key: Key) -> None:
        self.gone.append(key.key_id)
        self.told.set()

    async def close(self) -> None:
        await self.set.close()
        await self.fetcher.close()

    async def learn(self, key_id: str | None = "one") -> Key | None:
        """Look for a key as a token does: ask only if it is not known."""
        found = self.set.find("ES256", key_id)
        if found is None:
            await self.set.learn("ES256", key_id)
            found = self.set.find("ES256", key_id)
        return found


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider(ONE) as running:
        yield running


@pytest.fixture
async def keys(provider: Provider) -> AsyncIterator[Keys]:
    made = Keys(provider)
    yield made
    await made.close()


async def test_two_hundred_at_once_ask_once(provider: Provider, keys: Keys) -> None:
    found = await asyncio.gather(*(keys.learn() for _ in range(200)))

    assert {key and key.key_id for key in found} == {"one"}
    assert provider.requests == [KEYS]


async def test_a_new_key_is_learnt_at_its_first_sight(provider: Provider, keys: Keys) -> None:
    await keys.learn()
    provider.rotate(ONE, TWO)
    found = await asyncio.gather(*(keys.learn("two") for _ in range(50)))

    assert {key and key.key_id for key in found} == {"two"}
    assert provider.requests == [KEYS, KEYS]


async def test_a_key_published_while_a_fetch_was_under_way_is_learnt_by_the_next(
    provider: Provider, keys: Keys
) -> None:
    await keys.learn()
    provider.answers[KEYS] = answer(200, provider.published())
    provider.released.clear()
    provider.asked.clear()
    first = asyncio.create_task(keys.learn("nobody's"))
    await provider.asked.wait()
    second = asyncio.create_task(keys.learn("two"))
    await asyncio.sleep(0)
    provider.rotate(ONE, TWO)
    provider.released.set()
    assert await first is None
    del provider.answers[KEYS]

    found = await second
    assert found is not None
    assert provider.requests == [KEYS, KEYS, KEYS]


async def test_a_storm_of_unknown_keys_asks_twice_in_thirty_seconds(provider: Provider, keys: Keys) -> None:
    await keys.learn()
    for second in range(60):
        keys.clock.now = 1_000.0 + second
        found = await asyncio.gather(*(keys.learn(f"{second}.{number}") for number in range(20)))
        assert found == [None] * 20

    assert len(provider.requests) == 1 + 4


async def test_while_its_provider_is_away_known_keys_are_used_and_others_are_not_said_to_be_wrong(
    provider: Provider, keys: Keys
) -> None:
    await keys.learn()
    await provider.stop()
    with pytest.raises(ProviderUnavailable):
        await keys.learn("two")
    with pytest.raises(ProviderUnavailable) as raised:
        await keys.learn("two")

    assert raised.value.headers == {"Retry-After": "1"}
    assert await keys.learn("one") is not None
    provider.rotate(ONE, TWO)
    await provider.start()
    keys.clock.now += 1
    assert await keys.learn("two") is not None


async def test_a_provider_that_fails_is_left_alone_twice_as_long_each_time(provider: Provider, keys: Keys) -> None:
    provider.answers[KEYS] = answer(503, b"")
    pauses = []
    for _ in range(9):
        with pytest.raises(ProviderUnavailable) as raised:
            await keys.learn()
        pauses.append(int(raised.value.headers["Retry-After"]))
        before = len(provider.requests)
        keys.clock.now += pauses[-1] - 0.01
        with pytest.raises(ProviderUnavailable):
            await keys.learn()
        assert len(provider.requests) == before
        keys.clock.now += 0.02

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    del provider.answers[KEYS]
    assert await keys.learn() is not None


async def test_keys_are_used_for_a_day_of_failures_and_no_longer(provider: Provider, keys: Keys) -> None:
    await keys.learn()
    await provider.stop()
    keys.clock.now += 86_400
    assert await keys.learn("one") is not None
    assert keys.gone == []
    keys.clock.now += 1
    with pytest.raises(ProviderUnavailable):
        await keys.learn("one")

    assert keys.gone == ["one"]
    await provider.start()


async def test_what_is_no_longer_published_is_gone(provider: Provider, keys: Keys) -> None:
    provider.rotate(ONE, TWO)
    await keys.learn()
    impostor = Signer("ES256", "two")
    provider.rotate(impostor, THREE)
    await keys.learn("three")

    assert sorted(map(str, keys.gone)) == ["one", "two"]
    found = await keys.learn("two")
    assert found is not None
    assert found.public == impostor.public


@pytest.mark.parametrize(
    ("header", "life"),
    [
        ("Cache-Control: max-age=600", 600),
        ("Cache-Control: public, MAX-AGE=600, must-revalidate", 600),
        ("Cache-Control: s-maxage=600", 300),
        ("Cache-Control: max-age=1", 60),
        ("Cache-Control: no-store", 300),
        ("Cache-Control: max-age=999999999", 3_600),
        ("Cache-Control: max-age=-1", 300),
        ("X-Nothing: 1", 300),
    ],
)
async def test_a_set_is_fresh_for_as_long_as_its_provider_says_within_limits(
    provider: Provider, keys: Keys, header: str, life: float
) -> None:
    provider.headers = [header]
    await keys.learn()

    assert keys.set._due - keys.clock.now == life


async def test_a_set_is_renewed_though_nobody_asks(provider: Provider) -> None:
    keys = Keys(provider, pace=Pace(usual=0.02, shortest=0.02), real=time.monotonic)
    keys.set.start()
    async with asyncio.timeout(5):
        await provider.asked.wait()
        provider.rotate(TWO)
        await keys.told.wait()

    assert keys.gone == ["one"]
    assert keys.set.find("ES256", "two") is not None
    await keys.close()


async def test_keys_that_are_too_old_are_gone_though_nobody_asks(provider: Provider) -> None:
    pace = Pace(usual=0.02, shortest=0.02, first_pause=0.02, longest_pause=0.02, kept=0.05)
    keys = Keys(provider, pace=pace, real=time.monotonic)
    await keys.learn()
    provider.answers[KEYS] = answer(500, b"")
    keys.set.start()
    async with asyncio.timeout(5):
        await keys.told.wait()

    assert keys.gone == ["one"]
    await keys.close()


async def test_a_failure_that_a_caller_met_is_made_good_though_nobody_asks(provider: Provider) -> None:
    keys = Keys(provider, pace=Pace(first_pause=0.02), real=time.monotonic)
    keys.set.start()
    assert await keys.learn() is not None
    provider.answers[KEYS] = answer(500, b"")
    with pytest.raises(ProviderUnavailable):
        await keys.learn("two")
    provider.rotate(TWO)
    del provider.answers[KEYS]
    async with asyncio.timeout(5):
        await keys.told.wait()

    assert keys.set.find("ES256", "two") is not None
    await keys.close()


async def test_one_that_is_closed_asks_no_more(provider: Provider) -> None:
    keys = Keys(provider, pace=Pace(usual=0.01, shortest=0.01), real=time.monotonic)
    provider.released.clear()
    keys.set.start()
    async with asyncio.timeout(5):
        await provider.asked.wait()
    await keys.close()
    provider.released.set()
    await asyncio.sleep(0.05)

    assert provider.requests == [KEYS]


async def test_whoever_waits_for_a_fetch_may_leave_without_ending_it(provider: Provider, keys: Keys) -> None:
    provider.released.clear()
    leaving, staying = (asyncio.create_task(keys.learn()) for _ in range(2))
    await provider.asked.wait()
    leaving.cancel()
    provider.released.set()

    assert await staying is not None
    assert leaving.cancelled()
    assert provider.requests == [KEYS]


async def test_its_keys_may_be_discovered(provider: Provider) -> None:
    keys = Keys(provider, discovered=True)

    assert await keys.learn() is not None
    assert provider.requests == [DISCOVERY, KEYS]
    await keys.close()


async def test_a_slash_at_the_end_of_an_issuer_is_not_doubled() -> None:
    async with Provider(ONE, path="/realms/acme/") as provider:
        keys = Keys(provider, discovered=True)

        assert await keys.learn() is not None
        assert provider.requests == [f"/realms/acme{DISCOVERY}", KEYS]
        await keys.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://id.example"}, "describes another issuer"),
        ({"issuer": "HTTP://127.0.0.1"}, "describes another issuer"),
        ({"issuer": None}, "describes another issuer"),
        ({"jwks_uri": None}, "does not say where its keys are, or not by https"),
        ({"jwks_uri": "http://id.example/keys"}, "does not say where its keys are, or not by https"),
        ({"jwks_uri": "file:///etc/passwd"}, "does not say where its keys are, or not by https"),
        ({"jwks_uri": "https://user:word@id.example/keys"}, "does not say where its keys are, or not by https"),
        ({"jwks_uri": ["https://id.example/keys"]}, "does not say where its keys are, or not by https"),
    ],
)
async def test_what_is_discovered_is_not_believed_blindly(
    provider: Provider, caplog: pytest.LogCaptureFixture, changes: dict[str, object], said: str
) -> None:
    provider.changes = changes
    keys = Keys(provider, discovered=True)
    with pytest.raises(ProviderUnavailable):
        await keys.learn()

    assert f"as its provider {said}; its tokens cannot be checked; again in 1 s" in caplog.text
    assert provider.requests == [DISCOVERY]
    await keys.close()


SOUND = dumps({"keys": [ONE.jwk]})
FAULTS: dict[str, tuple[bytes, str]] = {
    "a redirect": (answer(302, b"", "Location: http://127.0.0.1:1/keys"), "answered 302"),
    "a redirect with keys": (answer(307, SOUND, "Location: /other"), "answered 307"),
    "an error": (answer(500, SOUND), "answered 500"),
    "nothing new": (answer(304, b""), "answered 304"),
    "no body": (answer(200, b""), "answered with what does not hold JSON"),
    "HTML": (answer(200, b"<!doctype html>"), "answered with what does not hold JSON"),
    "a list": (answer(200, b"[]"), "answered with what does not hold a JSON object"),
    "invalid UTF-8": (answer(200, b'{"keys":"\xff"}'), "answered with what does not hold JSON"),
    "deep JSON": (answer(200, b'{"keys":' + b"[" * 100_000), "answered with what does not hold JSON"),
    "keys twice": (answer(200, b'{"keys":[],"keys":[]}'), "answered with what holds a name twice"),
    "no keys": (answer(200, b"{}"), "is not a key set of at most 100 keys"),
    "keys that are no list": (answer(200, b'{"keys":{}}'), "is not a key set of at most 100 keys"),
    "101 keys": (answer(200, dumps({"keys": [ONE.jwk] * 101})), "is not a key set of at most 100 keys"),
    "more than 256 KiB": (answer(200, SOUND + b" " * 262_144), "answered with more than 256 KiB"),
    "compressed": (answer(200, SOUND, "Content-Encoding: gzip"), "answered compressed, unasked"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be asked: RemoteProtocolError"),
    "half an answer": (answer(200, SOUND)[:-1], "cannot be asked: RemoteProtocolError"),
    "a hang-up": (b"\r\n", "cannot be asked: RemoteProtocolError"),
}


@pytest.mark.parametrize(("answered", "said"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_provider_changes_nothing_and_is_told(
    provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture, answered: bytes, said: str
) -> None:
    before = await keys.learn()
    provider.answers[KEYS] = answered
    with pytest.raises(ProviderUnavailable):
        await keys.learn("two")

    assert await keys.learn("one") is before
    assert keys.gone == []
    assert f"as its provider {said}; those known are still used; again in 1 s" in caplog.text


async def test_a_provider_that_does_not_answer_is_waited_for_no_longer_than_three_seconds(
    provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    provider.released.clear()
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        await keys.learn()

    assert 2.9 < time.monotonic() - began < 4.5
    assert "as its provider has not answered within 3 s" in caplog.text


async def test_an_unusable_proxy_is_a_failure_and_its_password_is_not_told(
    provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://ada:geheim@proxy.example")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(ProviderUnavailable):
        await keys.learn()

    assert "cannot be asked: ValueError" in caplog.text
    assert "geheim" not in caplog.text
    assert provider.requests == []


async def test_a_key_that_is_not_used_is_named_and_the_others_are(
    provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    provider.keys = [{"kty": "oct", "k": "geheim"}, ONE.jwk]
    with caplog.at_level(logging.INFO):
        assert await keys.learn() is not None

    assert f"keys of {provider.issuer}: 1 (1 new, 0 gone)" in caplog.text
    assert "not used: key 0: private or symmetric: whoever reads it can sign with it" in caplog.text
    assert "geheim" not in caplog.text


async def test_a_defect_of_ours_does_not_end_the_renewals(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    fetch = keys.set._fetch

    async def broken() -> Any:
        raise RuntimeError("a defect")

    keys.set._fetch = broken
    with pytest.raises(ProviderUnavailable):
        await keys.learn()
    assert "RuntimeError: a defect" in caplog.text
    keys.set._fetch = fetch
    keys.clock.now += 1

    assert await keys.learn() is not None
