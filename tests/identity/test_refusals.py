"""The table of refusals, over real HTTP: each hostile token is 401, says what is wrong, and takes no time."""

import re
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from service.caller import Caller
from service.settings import Settings
from tests.conftest import Clock, served
from tests.identity.hostile import (
    AUDIENCE,
    ED,
    ES256,
    ES384,
    ORDER,
    OTHER_RSA,
    PUBLISHED,
    REFUSALS,
    RSA,
    SHA256_INFO,
    World,
    padded,
)
from tests.identity.provider import Provider
from tests.identity.signing import Signer, claims_of
from tests.identity.test_tokens import HOSTILE

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/tokens.md").read_text()
PATH = "/api/insights/patterns/2026-11-22"
SLOWEST = 0.05  # seconds

Asked = tuple[httpx.AsyncClient, World]


@pytest.fixture(scope="module")
async def asked(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    """Give a service with two providers and a secret of its own."""
    caller, stranger = Caller(uuid4(), uuid4()), Caller(uuid4(), uuid4())
    async with Provider() as provider, Provider(OTHER_RSA, Signer("ES256", "other")) as other:
        provider.keys = PUBLISHED
        file = tmp_path_factory.mktemp("issuers") / "issuers.toml"
        file.write_text(f"""
            [[issuer]]
            issuer = "{provider.issuer}"
            audience = "{AUDIENCE}"
            tenants = ["{caller.tenant_id}"]
            [[issuer]]
            issuer = "{other.issuer}"
            audience = "{AUDIENCE}"
            tenants = "any"
        """)
        changed = msgspec.structs.replace(settings, issuers=str(file), jwt_issuer="urn:daymark")
        async with served(changed, clock=Clock()) as client:
            yield client, World(provider.issuer, other.issuer, caller, stranger)


async def ask(client: httpx.AsyncClient, token: str) -> tuple[httpx.Response, float]:
    """Ask a route that is always strict; give its answer, and how many seconds it took."""
    began = time.perf_counter()
    response = await client.delete(PATH, headers={"Authorization": f"Bearer {token}"})
    return response, time.perf_counter() - began


@pytest.mark.parametrize(("make", "said"), REFUSALS.values(), ids=REFUSALS)
async def test_a_hostile_token_is_refused(asked: Asked, make: Callable[[World], str], said: str) -> None:
    client, world = asked
    token = make(world)
    answers = [await ask(client, token) for _ in range(3)]
    if _median(answers) >= SLOWEST:  # the machine may be busy with something else: that takes more to be seen
        answers += [await ask(client, token) for _ in range(8)]

    for response, _ in answers:
        assert response.status_code == 401
        assert (response.json()["code"], response.json()["detail"]) == ("invalid_token", said)
        assert response.headers["www-authenticate"] == (
            f'Bearer realm="daymark", error="invalid_token", error_description="{said}"'
        )
    assert _median(answers) < SLOWEST


def _median(answers: list[tuple[httpx.Response, float]]) -> float:
    return statistics.median(took for _, took in answers)


@pytest.mark.parametrize(
    ("signer", "algorithm"),
    [
        (RSA, "RS256"),
        (RSA, "RS384"),
        (RSA, "RS512"),
        (RSA, "PS256"),
        (ES256, "ES256"),
        (ES384, "ES384"),
        (ED, "EdDSA"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_sound_token_of_each_algorithm_is_accepted(asked: Asked, signer: Signer, algorithm: str) -> None:
    client, world = asked
    response, _ = await ask(client, signer.sign_as(algorithm, world.claims()))

    assert response.status_code == 404


async def test_sound_tokens_in_other_forms_are_accepted(asked: Asked) -> None:
    client, world = asked
    for token in (
        world.own(),
        world.encoded(lambda digest: padded(SHA256_INFO + digest)),
        world.token(typ="at+jwt"),
        world.token(typ="application/at+jwt"),
        world.token(x5t="x", extra={"of": "others"}),
        world.claiming(aud=["other", AUDIENCE]),
        world.claiming(sid="a session of the provider's, which is none of ours"),
        ES256.sign_under(b'{ "kid" : "p256",\n "alg" : "ES256" }', world.claims()),
        OTHER_RSA.sign(claims_of(world.stranger, world.other, aud=AUDIENCE)),
    ):
        assert (await ask(client, token))[0].status_code == 404


async def test_of_the_two_signatures_that_ecdsa_has_both_say_the_same(asked: Asked) -> None:
    """The high and the low S: signers of good faith give either, so that neither can be refused."""
    client, world = asked

    def other(signature: bytes) -> bytes:
        return signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)

    assert {(await ask(client, each))[0].status_code for each in (world.token(), world.signature(other))} == {404}


@pytest.mark.parametrize(("file", "name"), sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT))))
def test_each_test_that_the_document_names_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_each_row_that_the_document_names_exists() -> None:
    assert set(re.findall(r"`test_refusals\.py: ([^`]+)`", DOCUMENT)) - set(REFUSALS) == set()
    assert set(re.findall(r"`test_tokens\.py: ([^`]+)`", DOCUMENT)) - set(HOSTILE) == set()


def test_every_item_of_rfc_8725_is_answered() -> None:
    rows = re.findall(r"^\| (3\.\d+) \| .* \| .* \| (.*) \|$", DOCUMENT, re.MULTILINE)

    assert [number for number, _ in rows] == [f"3.{number}" for number in range(1, 13)]
    assert all(named.count("`") >= 2 for _, named in rows)
