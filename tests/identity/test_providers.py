"""A service whose people come with tokens of an identity provider: discovery, rotation, outages; over real HTTP."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.caller import Caller
from service.identity.tokens import Tokens
from tests.command import free_port, started, until
from tests.conftest import NOW, SEAL_KEY, SECRET, Clock, Serve
from tests.identity.provider import DISCOVERY, KEYS, Provider, answer
from tests.identity.signing import Signer, claims_of, dumps

PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
STRICT = {"Prefer": "handling=strict"}
ONE, TWO, THREE = (Signer("ES256", name) for name in ("one", "two", "three"))

SECONDS = float(os.environ.get("DAYMARK_PROVIDER_SECONDS", "6"))
RATE = 200  # requests a second
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider(ONE) as running:
        yield running


def discovering(provider: Provider) -> dict[str, Any]:
    """Give the settings of a service that has this provider, and no secret."""
    return {"jwt_secret": None, "jwt_issuer": provider.issuer}


def bearer(provider: Provider, caller: Caller, signer: Signer = ONE, **changes: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {signer.sign(claims_of(caller, provider.issuer, **changes))}"}


async def test_whoever_the_provider_speaks_for_reads_what_they_stored(
    serve: Serve, provider: Provider, caller: Caller
) -> None:
    async with serve(**discovering(provider)) as client:
        stored = await client.post(PATTERNS, json=DAY, headers=bearer(provider, caller))
        made = [await client.get(RECOMMENDATIONS, headers=bearer(provider, caller)) for _ in range(2)]
        read = await client.get(PATTERNS, headers=bearer(provider, caller))

    assert stored.status_code == 201
    assert [each.json()["cached"] for each in made] == [False, True]
    assert (read.json()["source"], read.json()["patterns"][0]["focus"]) == ("user", 85)
    assert provider.requests == [DISCOVERY, KEYS]


async def test_a_provider_beside_our_own_secret(serve: Serve, provider: Provider, caller: Caller) -> None:
    ours = Tokens(SECRET, "urn:daymark", "daymark").sign(caller, NOW, timedelta(hours=1))
    changes: dict[str, Any] = {
        "jwt_issuer": provider.issuer,
        "jwt_jwks_url": provider.jwks_url,
        "jwt_audience": "daymark",
    }
    async with serve(**changes) as client:
        own = await client.delete(f"{PATTERNS}/2026-11-22", headers={"Authorization": f"Bearer {ours}"})
        theirs = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(provider, caller, aud="daymark"))
        for_another = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(provider, caller))

    assert (own.status_code, theirs.status_code, for_another.status_code) == (404, 404, 401)
    assert provider.requests == [KEYS]


async def test_a_provider_that_was_never_there_is_503_or_a_sample(
    serve: Serve, provider: Provider, caller: Caller
) -> None:
    await provider.stop()
    async with serve(**discovering(provider)) as client:
        for path in (PATTERNS, RECOMMENDATIONS):
            lenient = await client.get(path, headers=bearer(provider, caller))
            strict = await client.get(path, headers=bearer(provider, caller) | STRICT)
            assert (lenient.status_code, lenient.json()["reason"]) == (200, "unavailable")
            assert strict.status_code == 503
        stored = await client.post(PATTERNS, json=DAY, headers=bearer(provider, caller))
        live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert stored.status_code == 503
    assert stored.json() == {
        "status": 503,
        "type": "urn:daymark:problem:unavailable",
        "title": "Temporarily unavailable",
        "detail": "The identity provider is away, and this token cannot be checked without it; try again shortly.",
        "code": "unavailable",
    }
    assert int(stored.headers["retry-after"]) in range(1, 61)
    assert (live.status_code, ready.status_code) == (200, 200)
    await provider.start()


async def test_while_a_provider_is_waited_for_nobody_else_waits(
    serve: Serve, provider: Provider, caller: Caller
) -> None:
    changes: dict[str, Any] = {"jwt_issuer": provider.issuer, "jwt_jwks_url": provider.jwks_url, "pool_size": 1}
    ours = Tokens(SECRET, "urn:daymark").sign(caller, NOW, timedelta(hours=1))
    provider.released.clear()
    async with serve(**changes) as client:
        waiting = [
            asyncio.create_task(client.post(PATTERNS, json=DAY, headers=bearer(provider, caller, nonce=number)))
            for number in range(20)
        ]
        await provider.asked.wait()
        own = await client.post(PATTERNS, json=DAY, headers={"Authorization": f"Bearer {ours}"})
        done = [task.done() for task in waiting]
        provider.released.set()
        answers = await asyncio.gather(*waiting)

    assert own.status_code == 201
    assert done == [False] * 20
    assert {each.status_code for each in answers} == {201}
    assert provider.requests == [KEYS]


async def test_a_key_that_is_no_longer_published_ends_its_tokens_remembered_or_not(
    serve: Serve, provider: Provider, caller: Caller
) -> None:
    async with serve(**discovering(provider)) as client:
        known = bearer(provider, caller)
        before = [(await client.delete(f"{PATTERNS}/2026-11-22", headers=known)).status_code for _ in range(2)]
        provider.rotate(TWO)
        new = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(provider, caller, TWO))
        after = await client.delete(f"{PATTERNS}/2026-11-22", headers=known)

    assert (before, new.status_code) == ([404, 404], 404)
    assert after.status_code == 401
    assert after.json()["detail"] == "The token is signed with a key that is not known"


async def test_five_hundred_unknown_keys_ask_the_provider_twice(
    serve: Serve, provider: Provider, caller: Caller
) -> None:
    async with serve(**discovering(provider)) as client:
        assert (await client.post(PATTERNS, json=DAY, headers=bearer(provider, caller))).status_code == 201
        storm = [
            client.post(
                PATTERNS,
                json=DAY,
                headers={"Authorization": f"Bearer {ONE.sign(claims_of(caller, provider.issuer), kid=uuid4().hex)}"},
            )
            for _ in range(500)
        ]
        answers = await asyncio.gather(*storm)
        known = await client.post(PATTERNS, json=DAY, headers=bearer(provider, caller, nonce=1))

    assert {each.status_code for each in answers} == {401}
    assert known.status_code == 201
    assert provider.requests == [DISCOVERY, KEYS] * 3


async def test_a_token_past_its_time_asks_nobody(serve: Serve, provider: Provider, caller: Caller) -> None:
    provider.answers[KEYS] = answer(503, b"")
    clock = Clock()
    async with serve(**discovering(provider), clock=clock) as client:
        until_asked = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(provider, caller))
        clock.advance(hours=1)
        expired = await client.delete(f"{PATTERNS}/2026-11-22", headers=bearer(provider, caller))

    assert (until_asked.status_code, expired.status_code) == (503, 401)
    assert expired.json()["detail"] == "The token has expired"


async def test_what_is_remembered_of_a_session_is_forgotten_with_it(caller: Caller) -> None:
    tokens, session_id = Tokens(SECRET), uuid4()
    inside = Caller(caller.tenant_id, caller.user_id, caller.role, session_id)
    elsewhere = Caller(caller.tenant_id, caller.user_id, caller.role, uuid4())
    given = [
        tokens.sign(each, NOW, timedelta(minutes=minutes))
        for each, minutes in ((inside, 10), (inside, 15), (elsewhere, 15), (caller, 15))
    ]
    assert [tokens.verify(token, NOW) for token in given] == [inside, inside, elsewhere, caller]

    tokens.forget(session_id)
    tokens.forget(uuid4())

    assert len(tokens._verified) == 2
    assert tokens.verify(given[0], NOW) == inside


@dataclass
class Load:
    """Requests at a steady rate, each with a token of its own, signed by `signer`."""

    client: httpx.AsyncClient
    caller: Caller
    issuer: str
    signer: Signer = ONE
    began: float = field(default_factory=time.monotonic)
    answers: list[tuple[str | None, int]] = field(default_factory=list)

    def token(self, signer: Signer, number: int) -> dict[str, str]:
        now = int(time.time())
        claims = claims_of(self.caller, self.issuer, iat=now, exp=now + 600, jti=number, aud="daymark")
        return {"Authorization": f"Bearer {signer.sign(claims)}"}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(int(SECONDS * RATE)):
                await asyncio.sleep(max(0.0, self.began + number / RATE - time.monotonic()))
                group.create_task(self.ask(self.signer, number))

    async def ask(self, signer: Signer, number: int) -> int:
        response = await self.client.get(f"{PATTERNS}?days=1", headers=self.token(signer, number) | STRICT)
        self.answers.append((signer.key_id, response.status_code))
        return response.status_code

    async def reach(self, share: float) -> None:
        """Wait until this share of the time is over."""
        await asyncio.sleep(max(0.0, self.began + share * SECONDS - time.monotonic()))


class Published:
    """A provider as a process of its own: its keys, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.publish(ONE)
        (folder / "requests").touch()

    def publish(self, *signers: Signer) -> None:
        fresh = self.folder / "fresh"
        fresh.write_bytes(dumps({"keys": [signer.jwk for signer in signers]}))
        fresh.replace(self.folder / "jwks.json")

    def requests(self) -> list[str]:
        return (self.folder / "requests").read_text().split()

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it; killed at the end, without a word."""
        command = [sys.executable, "-m", "tests.identity.provider", str(self.folder), str(self.port)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
            try:
                assert until(self._answers, 20)
                yield process
            finally:
                process.send_signal(signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/nothing", trust_env=False).status_code == 404
        except httpx.TransportError:
            return False


async def test_a_provider_rotates_and_is_killed_and_comes_back_under_load(
    tmp_path: Path, service_url: str, caller: Caller
) -> None:
    published = Published(tmp_path)
    issuer = f"http://127.0.0.1:{published.port}"
    with started_after(published, tmp_path, service_url, issuer) as (url, first):
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            load = Load(client, caller, issuer)
            today = time.strftime("%Y-%m-%d", time.gmtime())
            stored = await client.post(PATTERNS, json=DAY | {"date": today}, headers=load.token(ONE, -1))
            assert stored.status_code == 201
            load.began = time.monotonic()
            running = asyncio.create_task(load.run())

            await load.reach(0.15)
            published.publish(ONE, TWO)
            load.signer = TWO
            await load.reach(0.3)
            first.send_signal(signal.SIGKILL)
            first.wait()
            stranger = await client.get(PATTERNS, headers=load.token(Signer("ES256", "nobody's"), 0) | STRICT)
            load.signer = ONE
            await load.reach(0.5)
            load.signer = TWO
            published.publish(TWO, THREE)
            before = len(published.requests())
            with published.running():
                back = await asyncio.to_thread(until, lambda: published.requests()[before:].count(KEYS) > 0, 20)
                load.signer = THREE
                await running
                third = [await load.ask(THREE, number) for number in range(5)]
                gone = await load.ask(ONE, 1)

    asked = [path for path in published.requests() if path != "/nothing"]
    print(f"\n{len(load.answers)} requests; the provider was asked {asked}")
    assert back
    assert stranger.status_code == 503
    assert load.answers[-1] == ("one", 401) == ("one", gone)
    assert third == [200] * 5
    assert {status for _, status in load.answers[:-1]} == {200}
    assert len(load.answers) == int(SECONDS * RATE) + 6
    # Once at the start, once for the second key, and once when it was back.
    assert asked == [DISCOVERY, KEYS] * 3


@contextmanager
def started_after(
    published: Published, folder: Path, service_url: str, issuer: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the provider, then the service that believes it; give the service's URL and the provider's process."""
    settings = {
        "DAYMARK_DATABASE_URL": service_url,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
        "DAYMARK_JWT_ISSUER": issuer,
        "DAYMARK_JWT_AUDIENCE": "daymark",
        "DAYMARK_JWT_LEEWAY": "5",
    }
    with published.running() as provider, started(folder, "serve", ready="serving on", **settings) as service:
        yield service.url, provider
