import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from service.caller import Caller
from service.errors import InvalidToken
from service.identity.tokens import MOST_REMEMBERED, Tokens
from service.setting_values import Secret
from tests.conftest import NOW, SECRET

TENANT, PERSON = UUID("0b51f4f2-7f0e-4c3a-9a53-0f2b3b1d9a01"), UUID("5d0f8a52-3b8e-4f0c-8f5e-6a1c2d3e4f5a")
AT = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {"sub": str(PERSON), "tenant_id": str(TENANT), "iat": AT, "exp": AT + 3_600}
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
TOKENS = Tokens(SECRET)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def dumps(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def sign(payload: object, header: object = HEADER, key: bytes = SECRET.encode(), algorithm: str = "HS256") -> str:
    """Sign anything as a token, whatever it is."""
    signed = f"{b64(dumps(header))}.{b64(dumps(payload))}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), HASHES[algorithm]))}"


def with_claims(**changes: object) -> str:
    return sign(CLAIMS | changes)


def without(claim: str) -> str:
    return sign({name: value for name, value in CLAIMS.items() if name != claim})


def with_header(**changes: object) -> str:
    return sign(CLAIMS, HEADER | changes)


def refusal(token: str, tokens: Tokens = TOKENS, now: datetime = NOW) -> str:
    with pytest.raises(InvalidToken) as raised:
        tokens.verify(token, now)
    return raised.value.detail


GOOD = sign(CLAIMS)
HEAD, PAYLOAD, SIGNATURE = GOOD.split(".")
LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# 32 bytes are 43 characters, of which the last one has two bits to spare.
SPARE_BIT = SIGNATURE[:-1] + LAST[LAST.index(SIGNATURE[-1]) ^ 1]

NO_JWT, NOT_CANONICAL = "The token is not a signed JWT", "The token is not base64url in its canonical form"
ALGORITHM = "The token is signed with an algorithm that is not accepted"
MISMATCH, NOT_JSON, NO_OBJECT = (
    "The signature does not match",
    "The token does not hold JSON",
    "The token does not hold a JSON object",
)
KID = "kid must be a text of at most 256 characters"
TWICE = "The token holds a name twice"
USER, TENANTS = "sub must be a UUID in lower case", "tenant_id must be a UUID in lower case"
EXP, NBF, IAT = (f"{claim} must be in whole seconds" for claim in ("exp", "nbf", "iat"))

HOSTILE: Mapping[str, tuple[str, str]] = {
    # the signature
    "no signature": (f"{HEAD}.{PAYLOAD}.", NO_JWT),
    "two segments": (f"{HEAD}.{PAYLOAD}", NO_JWT),
    "five segments, as a JWE": (f"{GOOD}.a.a", NO_JWT),
    "no header": (f".{PAYLOAD}.{SIGNATURE}", NO_JWT),
    "no payload": (f"{HEAD}..{SIGNATURE}", NO_JWT),
    "only dots": ("..", NO_JWT),
    "JWS in JSON": ('{"payload":"e30"}', NO_JWT),
    "another key": (sign(CLAIMS, key=b"another secret of thirty-two bytes!"), MISMATCH),
    "an empty key": (sign(CLAIMS, key=b""), MISMATCH),
    "another's payload": (f"{HEAD}.{b64(dumps(CLAIMS | {'role': 'admin'}))}.{SIGNATURE}", MISMATCH),
    "another's header": (f"{b64(dumps({'typ': 'JWT', 'alg': 'HS256'}))}.{PAYLOAD}.{SIGNATURE}", MISMATCH),
    "half a signature": (f"{HEAD}.{PAYLOAD}.{b64(base64.urlsafe_b64decode(SIGNATURE + '=')[:16])}", MISMATCH),
    "a signature and more": (f"{HEAD}.{PAYLOAD}.{b64(base64.urlsafe_b64decode(SIGNATURE + '=') + b'x')}", MISMATCH),
    "a zero signature": (f"{HEAD}.{PAYLOAD}.{b64(bytes(32))}", MISMATCH),
    "a padded signature": (f"{GOOD}=", NO_JWT),
    "a padded header": (f"{HEAD}=.{PAYLOAD}.{SIGNATURE}", NO_JWT),
    "a spare bit set": (f"{HEAD}.{PAYLOAD}.{SPARE_BIT}", NOT_CANONICAL),
    "one character too many": (f"{HEAD}.{PAYLOAD}.{SIGNATURE}AA", "The token is not base64url"),
    "plain base64": (f"{HEAD}.{PAYLOAD}.+/{SIGNATURE[2:]}", NO_JWT),
    "a space in it": (f"{HEAD}. {PAYLOAD}.{SIGNATURE}", NO_JWT),
    "a tab before it": (f"\t{GOOD}", NO_JWT),
    "a comma after it": (f"{GOOD},", NO_JWT),
    "two in a list": (f"{GOOD},{GOOD}", NO_JWT),
    "quoted": (f'"{GOOD}"', NO_JWT),
    # the algorithm
    "alg none, unsigned": (f"{b64(dumps({'alg': 'none'}))}.{PAYLOAD}.", NO_JWT),
    "alg none": (with_header(alg="none"), ALGORITHM),
    "alg None": (with_header(alg="None"), ALGORITHM),
    "alg nOnE": (with_header(alg="nOnE"), ALGORITHM),
    "alg in lower case": (with_header(alg="hs256"), ALGORITHM),
    "alg with a space": (with_header(alg="HS256 "), ALGORITHM),
    "alg empty": (with_header(alg=""), ALGORITHM),
    "alg null": (with_header(alg=None), ALGORITHM),
    "alg a list": (with_header(alg=["HS256"]), ALGORITHM),
    "alg an object": (with_header(alg={"HS256": 1}), ALGORITHM),
    "alg missing": (sign(CLAIMS, {"typ": "JWT"}), ALGORITHM),
    "HS384": (sign(CLAIMS, HEADER | {"alg": "HS384"}, algorithm="HS384"), ALGORITHM),
    "HS512": (sign(CLAIMS, HEADER | {"alg": "HS512"}, algorithm="HS512"), ALGORITHM),
    "RS256": (jwt.encode(CLAIMS, RSA, "RS256"), ALGORITHM),
    "HS256 said, RS256 done": (
        f"{HEAD}.{PAYLOAD}.{b64(base64.urlsafe_b64decode(jwt.encode(CLAIMS, RSA, 'RS256').split('.')[2] + '=='))}",
        MISMATCH,
    ),
    "dir, as a JWE": (with_header(alg="dir", enc="A256GCM"), ALGORITHM),
    # the header
    "typ of another kind": (with_header(typ="logout+jwt"), "The token is of another type"),
    "typ a number": (with_header(typ=1), "The token is of another type"),
    "typ null": (with_header(typ=None), "The token is of another type"),
    "typ an object": (with_header(typ={}), "The token is of another type"),
    "typ a list": (with_header(typ=["JWT"]), "The token is of another type"),
    "crit": (with_header(crit=["exp"]), "The token has crit in its header"),
    "crit empty": (with_header(crit=[]), "The token has crit in its header"),
    "b64 false": (with_header(b64=False), "The token has b64 in its header"),
    "b64 true": (with_header(b64=True), "The token has b64 in its header"),
    "crit b64": (with_header(b64=False, crit=["b64"]), "The token has crit in its header"),
    "jwk": (with_header(jwk={"kty": "oct", "k": b64(SECRET.encode())}), "The token has jwk in its header"),
    "jku": (with_header(jku="http://127.0.0.1/keys"), "The token has jku in its header"),
    "x5u": (with_header(x5u="http://127.0.0.1/cert"), "The token has x5u in its header"),
    "x5c": (with_header(x5c=["MII"]), "The token has x5c in its header"),
    "zip": (with_header(zip="DEF"), "The token has zip in its header"),
    "kid a list": (with_header(kid=["a"]), KID),
    "kid null": (with_header(kid=None), KID),
    "kid too long": (with_header(kid="k" * 257), KID),
    "two algs": (sign(CLAIMS, b'{"alg":"none","alg":"HS256"}'), TWICE),
    "a header that is a list": (sign(CLAIMS, []), NO_OBJECT),
    "a header that is no JSON": (sign(CLAIMS, b"alg"), NOT_JSON),
    "a header in invalid UTF-8": (sign(CLAIMS, b'{"alg":"HS256","x":"\xff"}'), NOT_JSON),
    "a header with a byte order mark": (sign(CLAIMS, b'\xef\xbb\xbf{"alg":"HS256"}'), NOT_JSON),
    # the payload
    "a payload that is no JSON": (sign(b"sub"), NOT_JSON),
    "a payload in invalid UTF-8": (sign(b'{"sub":"\xff"}'), NOT_JSON),
    "a payload in UTF-16": (sign(json.dumps(CLAIMS).encode("utf-16")), NOT_JSON),
    "a payload that is a list": (sign([CLAIMS]), NO_OBJECT),
    "a payload that is null": (sign(None), NO_OBJECT),
    "a payload that is a string": (sign(json.dumps(CLAIMS)), NO_OBJECT),
    "a deep payload": (sign(b"[" * 5_000), NOT_JSON),
    "a deep claim": (sign(dumps(CLAIMS)[:-1] + b',"x":' + b"[" * 2_500 + b"]" * 2_500 + b"}"), NOT_JSON),
    "a claim twice": (sign(dumps(CLAIMS)[:-1] + b',"sub":"x"}'), TWICE),
    "a claim twice, once escaped": (sign(dumps(CLAIMS)[:-1] + b',"\\u0073ub":"x"}'), TWICE),
    "a name twice further in": (sign(dumps(CLAIMS)[:-1] + b',"x":{"a":1,"a":2}}'), TWICE),
    "NaN": (sign(dumps(CLAIMS)[:-1] + b',"x":NaN}'), NOT_JSON),
    "5,000 digits": (sign(dumps(CLAIMS)[:-1] + b',"x":' + b"9" * 5_000 + b"}"), NOT_JSON),
    "over 8 KiB": (with_claims(x="a" * 8_192), "The token is too long"),
    "a megabyte of dots": ("." * 90_000, "The token is too long"),
    # the times
    "exp missing": (without("exp"), "The token needs exp"),
    "exp null": (with_claims(exp=None), EXP),
    "exp a string": (with_claims(exp=str(AT + 60)), EXP),
    "exp a float": (with_claims(exp=AT + 60.0), EXP),
    "exp 1e10": (sign(dumps(CLAIMS).replace(str(AT + 3_600).encode(), b"1e10")), EXP),
    "exp 1e999": (sign(dumps(CLAIMS).replace(str(AT + 3_600).encode(), b"1e999")), EXP),
    "exp a bool": (with_claims(exp=True), EXP),
    "exp a list": (with_claims(exp=[AT + 60]), EXP),
    "exp negative": (with_claims(exp=-1), EXP),
    "exp huge": (with_claims(exp=10**300), EXP),
    "exp in milliseconds": (with_claims(exp=(AT + 60) * 1_000), EXP),
    "exp past": (with_claims(exp=AT - 1), "The token has expired"),
    "exp now": (with_claims(exp=AT), "The token has expired"),
    "exp zero": (with_claims(exp=0), "The token has expired"),
    "exp too far": (with_claims(exp=AT + 86_401), "The token lives longer than is allowed"),
    "exp in year 9999": (with_claims(exp=253_402_300_799), "The token lives longer than is allowed"),
    "nbf to come": (with_claims(nbf=AT + 1), "The token is not valid yet"),
    "nbf a string": (with_claims(nbf="0"), NBF),
    "nbf a float": (with_claims(nbf=0.5), NBF),
    "nbf null": (with_claims(nbf=None), NBF),
    "iat a string": (with_claims(iat=str(AT)), IAT),
    "iat a bool": (with_claims(iat=False), IAT),
    "iat a float": (with_claims(iat=float(AT)), IAT),
    "iat negative": (with_claims(iat=-1), IAT),
    # who
    "sub missing": (without("sub"), USER),
    "sub null": (with_claims(sub=None), USER),
    "sub a number": (with_claims(sub=PERSON.int), USER),
    "sub a list": (with_claims(sub=[str(PERSON)]), USER),
    "sub empty": (with_claims(sub=""), USER),
    "sub in upper case": (with_claims(sub=str(PERSON).upper()), USER),
    "sub in braces": (with_claims(sub=f"{{{PERSON}}}"), USER),
    "sub as a URN": (with_claims(sub=f"urn:uuid:{PERSON}"), USER),
    "sub without hyphens": (with_claims(sub=PERSON.hex), USER),
    "sub and a line break": (with_claims(sub=f"{PERSON}\n"), USER),
    "sub and a space": (with_claims(sub=f" {PERSON}"), USER),
    "sub an injection": (with_claims(sub="'; select 1; --"), USER),
    "sub in other digits": (with_claims(sub=str(PERSON).replace("5", "\uff15")), USER),
    "sub a lone surrogate": (with_claims(sub="\ud800"), USER),
    "tenant_id missing": (without("tenant_id"), TENANTS),
    "tenant_id null": (with_claims(tenant_id=None), TENANTS),
    "tenant_id a slug": (with_claims(tenant_id="acme"), TENANTS),
    "tenant_id a list": (with_claims(tenant_id=[str(TENANT)]), TENANTS),
    "tenant_id an object": (with_claims(tenant_id={"id": str(TENANT)}), TENANTS),
    "tenant_id in upper case": (with_claims(tenant_id=str(TENANT).upper()), TENANTS),
    "tenant_id without hyphens": (with_claims(tenant_id=TENANT.hex), TENANTS),
    "role unknown": (with_claims(role="owner"), "role must be member or admin"),
    "role in upper case": (with_claims(role="ADMIN"), "role must be member or admin"),
    "role a list": (with_claims(role=["admin"]), "role must be member or admin"),
    "role null": (with_claims(role=None), "role must be member or admin"),
    "role empty": (with_claims(role=""), "role must be member or admin"),
    "role true": (with_claims(role=True), "role must be member or admin"),
    "an audience where none is configured": (with_claims(aud="somebody"), "The token is for another audience"),
    "audiences where none is configured": (with_claims(aud=["a", "b"]), "The token is for another audience"),
    "no audience in a list": (with_claims(aud=[]), "The token is for another audience"),
}


@pytest.mark.parametrize(("token", "said"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_token_is_401_with_what_is_wrong(client: httpx.AsyncClient, token: str, said: str) -> None:
    response = await client.delete("/api/insights/patterns/2026-11-22", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert (response.json()["code"], response.json()["detail"]) == ("invalid_token", said)
    assert response.headers["www-authenticate"] == (
        f'Bearer realm="daymark", error="invalid_token", error_description="{said}"'
    )


@pytest.mark.parametrize("token", [token for token, _ in HOSTILE.values()], ids=HOSTILE)
def test_a_hostile_token_is_refused_in_no_time(token: str) -> None:
    # The best of three: a collection of garbage, which is nobody's token's doing, may fall into one.
    spent = []
    for _ in range(3):
        began = time.process_time()
        refusal(token)
        spent.append(time.process_time() - began)

    assert min(spent) < 0.05


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(GOOD, id="as we sign it"),
        pytest.param(sign(CLAIMS, {"alg": "HS256"}), id="without typ"),
        pytest.param(with_header(typ="jwt"), id="typ in lower case"),
        pytest.param(with_header(typ="at+jwt"), id="an access token (RFC 9068)"),
        pytest.param(with_header(kid="../../etc/passwd"), id="a kid, which nobody looks at"),
        pytest.param(without("iat"), id="without iat"),
        pytest.param(with_claims(exp=AT + 1), id="in its last second"),
        pytest.param(with_claims(exp=AT + 86_400), id="with the longest life"),
        pytest.param(with_claims(nbf=AT), id="in its first second"),
        pytest.param(with_claims(iss="anybody"), id="of any issuer, where none is configured"),
        pytest.param(with_claims(name="Ada", groups=[{"a": 1}]), id="with claims of others"),
        pytest.param(sign(json.dumps(CLAIMS, indent=2).encode()), id="in pretty JSON"),
    ],
)
def test_a_token_that_holds_says_who_it_is(token: str) -> None:
    assert TOKENS.verify(token, NOW) == Caller(TENANT, PERSON, "member")


def test_the_role_is_the_tokens() -> None:
    assert TOKENS.verify(with_claims(role="admin"), NOW).role == "admin"
    assert TOKENS.verify(with_claims(role="member"), NOW).role == "member"


def test_a_configured_issuer_must_be_named() -> None:
    tokens = Tokens(SECRET, issuer="https://us")

    assert tokens.verify(with_claims(iss="https://us"), NOW).user_id == PERSON
    for token in (GOOD, with_claims(iss="https://US"), with_claims(iss=["https://us"]), with_claims(iss=None)):
        assert refusal(token, tokens) == "The token has another issuer"


def test_a_configured_audience_must_be_named() -> None:
    tokens = Tokens(SECRET, audience="daymark")

    assert tokens.verify(with_claims(aud="daymark"), NOW).user_id == PERSON
    assert tokens.verify(with_claims(aud=["other", "daymark"]), NOW).user_id == PERSON
    for audience in (None, "other", "daymarks", [], ["other"], [["daymark"]], {"daymark": 1}, 1):
        assert refusal(with_claims(aud=audience), tokens) == "The token is for another audience"
    assert refusal(GOOD, tokens) == "The token is for another audience"


@pytest.mark.parametrize("role", ["member", "admin"])
def test_what_is_signed_is_verified(role: Any) -> None:
    tokens, caller = Tokens(SECRET, "https://us", "daymark"), Caller(TENANT, PERSON, role)
    token = tokens.sign(caller, NOW, timedelta(hours=1))

    assert tokens.verify(token, NOW) == caller
    assert tokens.verify(token, NOW + timedelta(minutes=59, seconds=59)) == caller
    assert refusal(token, tokens, NOW + timedelta(hours=1)) == "The token has expired"
    assert refusal(token, Tokens(Secret("x" * 32), "https://us", "daymark")) == MISMATCH


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1), timedelta(hours=24, seconds=1)])
def test_a_token_that_would_not_be_accepted_is_not_signed(life: timedelta) -> None:
    with pytest.raises(ValueError, match="a token lives from 1 second to 24 hours"):
        TOKENS.sign(Caller(TENANT, PERSON), NOW, life)


class Noting(Tokens):
    """Notes each token that is checked from the ground up."""

    def __init__(self, secret: Secret) -> None:
        super().__init__(secret)
        self.checked: list[str] = []

    def _check(self, token: str, now: datetime) -> Any:
        self.checked.append(token)
        return super()._check(token, now)


def test_a_token_again_is_looked_up_until_it_expires() -> None:
    tokens = Noting(SECRET)
    token = sign(CLAIMS)

    first = tokens.verify(token, NOW)
    again = tokens.verify(token, NOW + timedelta(seconds=3_599.999))
    said = refusal(token, tokens, NOW + timedelta(seconds=3_600))

    assert first == again == Caller(TENANT, PERSON)
    assert said == "The token has expired"
    assert tokens.checked == [token, token]


def test_what_is_remembered_is_checked_again_where_the_clock_goes_back() -> None:
    tokens = Tokens(SECRET)
    token = sign(CLAIMS | {"nbf": AT - 60})
    tokens.verify(token, NOW)

    assert refusal(token, tokens, NOW - timedelta(seconds=61)) == "The token is not valid yet"
    assert refusal(token, tokens, NOW - timedelta(hours=24)) == "The token lives longer than is allowed"


def test_a_token_that_was_refused_is_not_remembered() -> None:
    tokens = Noting(SECRET)
    altered = sign(CLAIMS)[:-2] + "AA"

    for _ in range(2):
        assert refusal(altered, tokens) == refusal(altered)
    assert refusal(sign(CLAIMS | {"exp": AT - 1}), tokens) == "The token has expired"

    assert len(tokens.checked) == 3
    assert len(tokens._verified) == 0


def test_one_that_differs_in_a_letter_is_another() -> None:
    tokens = Tokens(SECRET)
    token = sign(CLAIMS)
    tokens.verify(token, NOW)

    for place in range(0, len(token), 7):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidToken):
            tokens.verify(other, NOW)


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    tokens = Noting(SECRET)
    given = [sign(CLAIMS | {"iat": AT - number}) for number in range(MOST_REMEMBERED + 2)]

    # The last is still remembered, and the first two have made room.
    for token in [*given, given[-1], given[0]]:
        assert tokens.verify(token, NOW) == Caller(TENANT, PERSON)

    assert tokens.checked == [*given, given[0]]
    assert len(tokens._verified) == MOST_REMEMBERED


def test_looking_up_takes_a_twentieth_of_checking() -> None:
    tokens = Tokens(SECRET)
    given = [sign(CLAIMS | {"iat": AT - number}) for number in range(300)]

    def took() -> float:
        began = time.perf_counter()
        for token in given:
            tokens.verify(token, NOW)
        return time.perf_counter() - began

    first, again = took(), min(took() for _ in range(20))

    assert again < first / 20
