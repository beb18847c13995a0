"""Which published keys are used, and for which algorithms."""

from typing import Any

import pytest

from service.identity.keys import read_key, read_keys, thumbprint
from tests.identity.signing import Signer, b64, unb64

RSA, P256, P384, ED = (Signer(name, "k") for name in ("RS256", "ES256", "ES384", "EdDSA"))
ALL = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"}

WEAK, LENGTH = "an RSA key that is too weak, or too large", "x has another length"
KIND, ALGORITHM = "of a type or curve that is not accepted", "for an algorithm that is not accepted"
PRIVATE = "private or symmetric: whoever reads it can sign with it"


@pytest.mark.parametrize(
    ("signer", "algorithms"),
    [
        (RSA, {"RS256", "RS384", "RS512", "PS256"}),
        (P256, {"ES256"}),
        (P384, {"ES384"}),
        (ED, {"EdDSA"}),
    ],
    ids=["RSA", "P-256", "P-384", "Ed25519"],
)
def test_the_algorithms_are_those_of_the_keys_type(signer: Signer, algorithms: set[str]) -> None:
    key = read_key(signer.published(alg=None))

    assert key.algorithms == algorithms
    for algorithm in ALL | {"HS256", "none", "ES512"}:
        assert key.fits(algorithm, "k") == (algorithm in algorithms)


def test_of_them_a_key_that_names_one_is_for_that_one() -> None:
    assert read_key(RSA.published(alg="PS256")).algorithms == {"PS256"}


def test_a_token_that_names_no_key_may_be_any_keys_and_a_key_without_a_name_is_nobodys() -> None:
    named, nameless = read_key(P256.jwk), read_key(P256.published(kid=None))

    assert [key.fits("ES256", name) for key in (named, nameless) for name in ("k", "other", None)] == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("signer", [RSA, P256, P384, ED], ids=["RSA", "P-256", "P-384", "Ed25519"])
def test_a_key_tells_its_own_signatures(signer: Signer) -> None:
    signed, _, signature = signer.sign({}).rpartition(".")
    key, algorithm = read_key(signer.jwk), signer.algorithm

    assert key.signed(algorithm, signed.encode(), unb64(signature))
    assert not key.signed(algorithm, signed.encode() + b"x", unb64(signature))


@pytest.mark.parametrize(
    ("jwk", "said"),
    [
        (None, "no object"),
        ([], "no object"),
        ({}, KIND),
        ({"kty": "oct", "k": "AAAA"}, PRIVATE),
        (P256.published(d="AAAA"), PRIVATE),
        (RSA.published(p="AAAA"), PRIVATE),
        (P256.published(use="enc"), "not for signatures"),
        (P256.published(use=["sig"]), "not for signatures"),
        (P256.published(key_ops=["sign"]), "not for verifying"),
        (P256.published(key_ops=[]), "not for verifying"),
        (P256.published(key_ops="verify"), "not for verifying"),
        (P256.published(kid=1), "a kid that is no text, or too long"),
        (P256.published(kid="k" * 257), "a kid that is no text, or too long"),
        (P256.published(alg="ES384"), ALGORITHM),
        (P256.published(alg="none"), ALGORITHM),
        (P256.published(alg=1), ALGORITHM),
        (RSA.published(alg="HS256"), ALGORITHM),
        (RSA.published(alg="PS512"), ALGORITHM),
        (RSA.published(alg="RSA-OAEP"), ALGORITHM),
        (P256.published(kty="RSA"), "without n"),
        (P256.published(kty="OKP"), KIND),
        (P256.published(crv="P-384"), LENGTH),
        (P256.published(crv="P-521"), KIND),
        (P256.published(crv="secp256k1"), KIND),
        (P256.published(crv=["P-256"]), KIND),
        (P256.published(crv=None), KIND),
        (P256.published(x=None), "without x"),
        (P256.published(x=1), "without x"),
        (P256.published(x=""), LENGTH),
        (P256.published(x=b64(b"\0" + unb64(P256.jwk["x"]))), LENGTH),
        (P256.published(x="é" * 43), "without x"),
        (ED.published(crv="Ed448"), KIND),
        (ED.published(crv="X25519"), KIND),
        (ED.published(x=b64(bytes(31))), LENGTH),
        (RSA.published(n=b64((2**2_046 + 1).to_bytes(256))), WEAK),
        (RSA.published(n=b64((2**8_192 + 1).to_bytes(1_025))), WEAK),
        (RSA.published(e="Aw"), WEAK),
        (RSA.published(e="AQ"), WEAK),
        (RSA.published(e=b64((2**32 + 1).to_bytes(5))), WEAK),
        (Signer("RS256", bits=1_024).jwk, WEAK),
    ],
)
def test_a_key_that_is_not_to_be_used_is_not(jwk: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_key(jwk)


@pytest.mark.parametrize(
    "jwk",
    [
        P256.published(x=b64(bytes(32)), y=b64(bytes(32))),  # infinity
        P256.published(x=b64(bytes(31) + b"\1")),  # not on the curve
        P256.published(x=P256.jwk["x"][:-1] + "!"),  # no base64url
        RSA.published(n=RSA.jwk["n"] + "\n"),
    ],
)
def test_nor_one_that_is_none(jwk: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as cryptography and base64 put it
        read_key(jwk)


def test_one_bad_key_does_not_spoil_the_others() -> None:
    keys, unused = read_keys({"keys": [{"kty": "oct", "k": "AAAA"}, P256.jwk, 7], "more": True})

    assert [key.key_id for key in keys] == ["k"]
    assert unused == [f"key 0: {PRIVATE}", "key 2: no object"]


def test_an_empty_set_is_one() -> None:
    assert read_keys({"keys": []}) == ([], [])


def test_keys_are_the_same_by_what_they_are() -> None:
    key = read_key(P256.jwk)

    assert key == read_key(P256.published(use=None))
    assert key != read_key(P256.published(kid="other"))
    assert key != read_key(Signer("ES256", "k").jwk)
    assert read_key(RSA.published(alg=None)) != read_key(RSA.jwk)
    assert "public" not in repr(key)


def test_a_thumbprint_is_the_one_of_the_rfc() -> None:
    # RFC 7638, 3.1, and RFC 8037, A.3.
    rsa = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    ed25519 = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}

    assert thumbprint(rsa) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(ed25519) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
