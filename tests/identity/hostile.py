"""Every hostile form of a provider's token that we know of, and what is said to each.

The kinds are those of RFC 8725, of Project Wycheproof's JSON Web Signature vectors,
and of attacks that libraries fell to. Those that depend on no key of a provider are in test_tokens.HOSTILE.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from service.caller import Caller
from tests.conftest import SECRET
from tests.identity.signing import AT, Signer, b64, claims_of, dumps, unb64

AUDIENCE = "daymark"

RSA, OTHER_RSA, WEAK = Signer("RS256", "rsa"), Signer("RS256", "rsa"), Signer("RS256", "weak", bits=1_024)
ES256, OTHER_ES256, ES384 = Signer("ES256", "p256"), Signer("ES256", "p256"), Signer("ES384", "p384")
ED = Signer("EdDSA", "ed")
P521, K1 = Signer("ES512", "p521"), Signer("ES256K", "k1")
PRIVATE, ENCRYPTING, SIGNING, TWICE, AGAIN, NAMELESS = (
    Signer("ES256", name) for name in ("private", "encrypting", "signing", "twice", "twice", None)
)
OCT = b"a symmetric key that someone has published by mistake"

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256: SEC 2, 2.4.2
ED_ORDER = 2**252 + 27_742_317_777_372_353_535_851_937_790_883_648_493  # RFC 8032, 5.1

PUBLISHED: list[object] = [
    RSA.published(alg=None),
    ES256.jwk,
    ES384.jwk,
    ED.jwk,
    RSA.published(kid="only512", alg="RS512"),
    WEAK.jwk,
    P521.jwk,
    K1.jwk,
    PRIVATE.published(d=b64(PRIVATE.private.private_numbers().private_value.to_bytes(32))),
    ENCRYPTING.published(use="enc"),
    SIGNING.published(use=None, key_ops=["sign"]),
    TWICE.jwk,
    AGAIN.jwk,
    NAMELESS.jwk,
    {"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64(OCT)},
    ES256.published(kid="off", x=b64(bytes(31) + b"\1")),
    ES256.published(kid=7),
    "no object",
]


@dataclass(frozen=True)
class World:
    """A provider that may speak for one tenant, another one that may speak for all, and people."""

    issuer: str
    other: str
    caller: Caller
    stranger: Caller

    def claims(self, **changes: object) -> dict[str, Any]:
        return claims_of(self.caller, self.issuer) | {"aud": AUDIENCE} | changes

    def token(self, signer: Signer = ES256, **header: object) -> str:
        return signer.sign(self.claims(), **header)

    def claiming(self, **changes: object) -> str:
        return ES256.sign(self.claims(**changes))

    def without(self, name: str) -> str:
        return ES256.sign({claim: value for claim, value in self.claims().items() if claim != name})

    def spelled(self, old: bytes, new: bytes) -> str:
        """Give a token of claims that JSON's writer would not write."""
        spelled = dumps(self.claims())
        assert old in spelled
        return ES256.sign(spelled.replace(old, new))

    def added(self, member: bytes) -> str:
        return ES256.sign(dumps(self.claims())[:-1] + b"," + member + b"}")

    def own(self, **changes: object) -> str:
        """Give a token signed with our own secret."""
        claims = claims_of(self.caller, "urn:daymark") | changes
        return mac({"alg": "HS256", "typ": "JWT"}, claims, SECRET.encode())

    def confused(self, key: bytes, **header: object) -> str:
        """Give a token signed with `key` as a shared secret, where the header names a public key."""
        return mac({"alg": "HS256", "typ": "JWT", "kid": "rsa"} | header, self.claims(), key)

    def signature(self, change: Callable[[bytes], bytes], signer: Signer = ES256) -> str:
        """Give a sound token with a signature that was changed."""
        signed, _, signature = self.token(signer).rpartition(".")
        return f"{signed}.{b64(change(unb64(signature)))}"

    def drawn(self, r: int, s: int) -> str:
        """Give a token of ES256 with a signature of these two numbers."""
        return self.signature(lambda _: r.to_bytes(32) + s.to_bytes(32))

    def encoded(self, encode: Callable[[bytes], bytes]) -> str:
        """Give a token of RS256 whose signature is of another encoding of the message's hash (RFC 8017, 9.2)."""
        numbers = RSA.private.private_numbers()
        modulus = numbers.public_numbers.n

        def forge(signed: bytes) -> bytes:
            message = int.from_bytes(encode(hashlib.sha256(signed).digest()).rjust(256, b"\0"))
            forged: int = pow(message, numbers.d, modulus)
            return forged.to_bytes(256)

        signed = self.token(RSA).rpartition(".")[0]
        return f"{signed}.{b64(forge(signed.encode()))}"

    def rsa(self, scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm, algorithm: str) -> str:
        """Give a token that says `algorithm` and is signed in another way."""
        signed = self.token(RSA, alg=algorithm).rpartition(".")[0]
        return f"{signed}.{b64(RSA.private.sign(signed.encode(), scheme, digest))}"


def mac(header: object, claims: object, key: bytes) -> str:
    signed = f"{b64(dumps(header))}.{b64(dumps(claims))}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def public_bytes(signer: Signer, encoding: serialization.Encoding, kind: serialization.PublicFormat) -> bytes:
    encoded: bytes = signer.public.public_bytes(encoding, kind)
    return encoded


def padded(digest_info: bytes, fill: bytes = b"\xff", kind: bytes = b"\0\1") -> bytes:
    return kind + fill * (256 - len(kind) - 1 - len(digest_info)) + b"\0" + digest_info


def twisted(signature: bytes) -> bytes:
    """Give the same Ed25519 signature with another S that is right modulo the group's order."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + ED_ORDER).to_bytes(32, "little")


def as_der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
PEM, DER, SSH = serialization.Encoding.PEM, serialization.Encoding.DER, serialization.Encoding.OpenSSH
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1

NO_JWT = "The token is not a signed JWT"
ALGORITHM = "The token is signed with an algorithm that is not accepted"
MISMATCH = "The signature does not match"
UNKNOWN = "The token is signed with a key that is not known"
ISSUER, FOR_ANOTHER = "The token has another issuer", "The token is for another audience"
NOT_JSON, NO_OBJECT, NAME_TWICE = (
    "The token does not hold JSON",
    "The token does not hold a JSON object",
    "The token holds a name twice",
)
NOT_BASE64, NOT_CANONICAL = "The token is not base64url", "The token is not base64url in its canonical form"
KEY_ID = "kid must be a text of at most 256 characters"
TYPE = "The token is of another type"
USER, TENANT, ROLE, SESSION = (
    "sub must be a UUID in lower case",
    "tenant_id must be a UUID in lower case",
    "role must be member or admin",
    "sid must be a UUID in lower case",
)
EXP, NBF, IAT = (f"{claim} must be in whole seconds" for claim in ("exp", "nbf", "iat"))

Row = tuple[Callable[[World], str], str]
REFUSALS: Mapping[str, Row] = {
    # none: RFC 8725, 3.1 and 3.2
    **{
        f"alg {spelling!r}, unsigned": (lambda w, s=spelling: w.token(alg=s).rpartition(".")[0] + ".", NO_JWT)  # type: ignore[misc]
        for spelling in ("none", "None", "NONE", "nOnE")
    },
    **{
        f"alg {spelling!r}": (lambda w, s=spelling: w.token(alg=s), ALGORITHM)  # type: ignore[misc]
        for spelling in (
            "none",
            "None",
            "NONE",
            "nOnE",
            "none ",
            "\0none",
            "",
            "es256",
            "ES256\0",
            "ES512",
            "PS512",
            "HS384",
            None,
            0,
            True,
            ["ES256"],
            {"ES256": 1},
        )
    },
    "no alg": (lambda w: ES256.sign_under(b'{"typ":"JWT","kid":"p256"}', w.claims()), ALGORITHM),
    "two algs": (lambda w: ES256.sign_under(b'{"alg":"none","alg":"ES256","kid":"p256"}', w.claims()), NAME_TWICE),
    # a public key as a shared secret: RFC 8725, 2.1
    "HS256 by the PEM of an RSA key": (lambda w: w.confused(public_bytes(RSA, PEM, SPKI)), MISMATCH),
    "HS256 by that PEM without its last line break": (
        lambda w: w.confused(public_bytes(RSA, PEM, SPKI).strip()),
        MISMATCH,
    ),
    "HS256 by the PKCS 1 PEM of an RSA key": (lambda w: w.confused(public_bytes(RSA, PEM, PKCS1)), MISMATCH),
    "HS256 by the DER of an RSA key": (lambda w: w.confused(public_bytes(RSA, DER, SPKI)), MISMATCH),
    "HS256 by the modulus of an RSA key": (lambda w: w.confused(unb64(RSA.jwk["n"])), MISMATCH),
    "HS256 by the JWK of an RSA key": (lambda w: w.confused(dumps(PUBLISHED[0])), MISMATCH),
    "HS256 by the whole key set": (lambda w: w.confused(dumps({"keys": PUBLISHED})), MISMATCH),
    "HS256 by the PEM of an EC key": (lambda w: w.confused(public_bytes(ES256, PEM, SPKI), kid="p256"), MISMATCH),
    "HS256 by the x of an EC key": (lambda w: w.confused(unb64(ES256.jwk["x"]), kid="p256"), MISMATCH),
    "HS256 by the bytes of an Ed25519 key": (lambda w: w.confused(unb64(ED.jwk["x"]), kid="ed"), MISMATCH),
    "HS256 by an empty key": (lambda w: w.confused(b""), MISMATCH),
    "HS256 by a published symmetric key": (lambda w: w.confused(OCT, kid="oct"), MISMATCH),
    "HS256 by our secret in the name of a provider": (lambda w: w.confused(SECRET.encode()), ISSUER),
    # another algorithm than the key's: RFC 8725, 3.1
    "RS256 for an EC key": (lambda w: w.token(RSA, kid="p256"), UNKNOWN),
    "ES256 for an RSA key": (lambda w: w.token(ES256, kid="rsa"), UNKNOWN),
    "ES384 for a P-256 key": (lambda w: w.token(ES384, kid="p256"), UNKNOWN),
    "ES256 for a P-384 key": (lambda w: w.token(ES256, kid="p384"), UNKNOWN),
    "EdDSA for an EC key": (lambda w: w.token(ED, kid="p256"), UNKNOWN),
    "ES256 for an Ed25519 key": (lambda w: w.token(ES256, kid="ed"), UNKNOWN),
    "RS256 for a key that is for RS512": (lambda w: w.token(RSA, kid="only512"), UNKNOWN),
    "ES256 for a P-521 key": (lambda w: w.token(ES256, kid="p521"), UNKNOWN),
    "ES512": (lambda w: w.token(P521), ALGORITHM),
    "ES256K": (lambda w: w.token(K1), ALGORITHM),
    "ES256 for a secp256k1 key": (lambda w: w.token(ES256, kid="k1"), UNKNOWN),
    "PS256 said, RS256 done": (lambda w: w.rsa(padding.PKCS1v15(), hashes.SHA256(), "PS256"), MISMATCH),
    "RS256 said, PS256 done": (
        lambda w: w.rsa(padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256(), "RS256"),
        MISMATCH,
    ),
    "RS256 said, RS512 done": (lambda w: w.rsa(padding.PKCS1v15(), hashes.SHA512(), "RS256"), MISMATCH),
    "RS256 said, SHA-1 done": (lambda w: w.rsa(padding.PKCS1v15(), hashes.SHA1(), "RS256"), MISMATCH),  # noqa: S303 - the attack
    "RS512 said, RS256 done": (lambda w: w.rsa(padding.PKCS1v15(), hashes.SHA256(), "RS512"), MISMATCH),
    "PS256 with MGF1 of SHA-1": (
        lambda w: w.rsa(padding.PSS(padding.MGF1(hashes.SHA1()), 32), hashes.SHA256(), "PS256"),  # noqa: S303 - the attack
        MISMATCH,
    ),
    "PS256 without a salt": (
        lambda w: w.rsa(padding.PSS(padding.MGF1(hashes.SHA256()), 0), hashes.SHA256(), "PS256"),
        MISMATCH,
    ),
    "PS256 with a longer salt": (
        lambda w: w.rsa(padding.PSS(padding.MGF1(hashes.SHA256()), 222), hashes.SHA256(), "PS256"),
        MISMATCH,
    ),
    # keys that are not to be used: RFC 8725, 3.5
    "an RSA key of 1,024 bits": (lambda w: w.token(WEAK), UNKNOWN),
    "a key whose private half is published": (lambda w: w.token(PRIVATE), UNKNOWN),
    "a key for encryption": (lambda w: w.token(ENCRYPTING), UNKNOWN),
    "a key for signing, not verifying": (lambda w: w.token(SIGNING), UNKNOWN),
    "a kid that two keys have": (lambda w: w.token(TWICE), UNKNOWN),
    "a key that is not on its curve": (lambda w: w.token(kid="off"), UNKNOWN),
    "no kid, where several keys fit": (lambda w: ES256.sign_under(b'{"alg":"ES256"}', w.claims()), UNKNOWN),
    # keys of the sender's choosing: RFC 8725, 3.10
    "an embedded jwk": (lambda w: w.token(OTHER_ES256, jwk=OTHER_ES256.jwk), "The token has jwk in its header"),
    "an embedded jwk that is the provider's": (lambda w: w.token(jwk=ES256.jwk), "The token has jwk in its header"),
    "an embedded jwk and no kid": (
        lambda w: OTHER_ES256.sign_under(dumps({"alg": "ES256", "jwk": OTHER_ES256.jwk}), w.claims()),
        "The token has jwk in its header",
    ),
    "jku": (lambda w: w.token(jku=f"{w.issuer}/keys"), "The token has jku in its header"),
    "x5u": (lambda w: w.token(x5u="http://127.0.0.1/cert"), "The token has x5u in its header"),
    "x5c": (lambda w: w.token(x5c=["MII"]), "The token has x5c in its header"),
    "a kid that is an address": (lambda w: w.token(kid=f"{w.other}/keys"), UNKNOWN),
    "a kid that is a path": (lambda w: w.token(kid="../../../../dev/null"), UNKNOWN),
    "a kid that is SQL": (lambda w: w.token(kid="p256' or '1'='1"), UNKNOWN),
    "a kid that is a command": (lambda w: w.token(kid="p256; sleep 10"), UNKNOWN),
    "a kid with NUL": (lambda w: w.token(kid="p256\0"), UNKNOWN),
    "a kid with a line break": (lambda w: w.token(kid="p256\r\nX-Role: admin"), UNKNOWN),
    "a kid that is a lone surrogate": (lambda w: w.token(kid="\ud800"), UNKNOWN),
    "a kid in other letters": (lambda w: w.token(kid="P256"), UNKNOWN),
    "a kid that is empty": (lambda w: w.token(kid=""), UNKNOWN),
    "a kid of another issuer": (lambda w: w.token(kid="other"), UNKNOWN),
    "a kid that is huge": (lambda w: w.token(kid="k" * 257), KEY_ID),
    "a kid that is a number": (lambda w: w.token(kid=7), KEY_ID),
    "a kid that is null": (lambda w: w.token(kid=None), KEY_ID),
    "a kid that is a list": (lambda w: w.token(kid=["p256"]), KEY_ID),
    "a kid that is an object": (lambda w: w.token(kid={"p256": 1}), KEY_ID),
    # the header
    "crit": (lambda w: w.token(crit=["exp"], exp=1), "The token has crit in its header"),
    "crit of something unknown": (lambda w: w.token(crit=["http://x/y"]), "The token has crit in its header"),
    "crit empty": (lambda w: w.token(crit=[]), "The token has crit in its header"),
    "b64 false": (lambda w: w.token(b64=False, crit=["b64"]), "The token has crit in its header"),
    "b64 false, not critical": (lambda w: w.token(b64=False), "The token has b64 in its header"),
    "zip": (lambda w: w.token(zip="DEF"), "The token has zip in its header"),
    "cty JWT, a nested token": (lambda w: ES256.sign(w.token().encode(), cty="JWT"), "The token has cty in its header"),
    "a nested token, unsaid": (lambda w: ES256.sign(w.token().encode()), NOT_JSON),
    "typ of a logout token": (lambda w: w.token(typ="logout+jwt"), TYPE),
    "typ of a security event": (lambda w: w.token(typ="secevent+jwt"), TYPE),
    "typ of a DPoP proof": (lambda w: w.token(typ="dpop+jwt"), TYPE),
    "typ JWE": (lambda w: w.token(typ="JWE"), TYPE),
    "typ null": (lambda w: w.token(typ=None), TYPE),
    "a JWE of five parts": (lambda w: f"{w.token(alg='dir', enc='A256GCM')}.a.a", NO_JWT),
    "a JWE of three": (lambda w: w.token(alg="RSA-OAEP", enc="A256GCM"), ALGORITHM),
    "enc beside a sound alg": (lambda w: w.token(enc="A256GCM"), "The token has enc in its header"),
    "a header in invalid UTF-8": (lambda w: ES256.sign_under(b'{"alg":"ES256","kid":"\xff"}', w.claims()), NOT_JSON),
    "a header with a byte order mark": (
        lambda w: ES256.sign_under(b'\xef\xbb\xbf{"alg":"ES256","kid":"p256"}', w.claims()),
        NOT_JSON,
    ),
    "a header with a comment": (lambda w: ES256.sign_under(b'{"alg":"ES256"/**/,"kid":"p256"}', w.claims()), NOT_JSON),
    "a header and more": (lambda w: ES256.sign_under(b'{"alg":"ES256","kid":"p256"}{}', w.claims()), NOT_JSON),
    "a header that is a list": (lambda w: ES256.sign_under(b'["ES256"]', w.claims()), NO_OBJECT),
    # the form: RFC 7515, 5.2
    "JSON serialization": (
        lambda w: json.dumps(dict(zip(("protected", "payload", "signature"), w.token().split("."), strict=True))),
        NO_JWT,
    ),
    "four parts": (lambda w: f"{w.token()}.a", NO_JWT),
    "an empty fourth part": (lambda w: f"{w.token()}.", NO_JWT),
    "no signature": (lambda w: w.token().rpartition(".")[0] + ".", NO_JWT),
    "no signature and no dot": (lambda w: w.token().rpartition(".")[0], NO_JWT),
    "no payload": (lambda w: "{0}..{2}".format(*w.token().split(".")), NO_JWT),
    "no header": (lambda w: ".{1}.{2}".format(*w.token().split(".")), NO_JWT),
    "padding": (lambda w: f"{w.token()}==", NO_JWT),
    "plain base64": (lambda w: f"{w.token()[:-2]}+/", NO_JWT),
    "a space": (lambda w: w.token().replace(".", ". ", 1), NO_JWT),
    "a letter too many": (lambda w: f"{w.token(RSA)[:-1]}AAAA", NOT_BASE64),
    "a spare bit set": (lambda w: w.token()[:-1] + flipped(w.token()[-1]), NOT_CANONICAL),
    "over 8 KiB": (lambda w: w.claiming(x="a" * 8_192), "The token is too long"),
    # the signature
    "another's payload": (lambda w: spliced(w.token(), w.claiming(role="admin")), MISMATCH),
    "another's header": (
        lambda w: ".".join([w.token(typ="at+jwt").split(".")[0], *w.token().split(".")[1:]]),
        MISMATCH,
    ),
    "another key of the same kid": (lambda w: w.token(OTHER_ES256), MISMATCH),
    "another RSA key of the same kid": (lambda w: w.token(OTHER_RSA), MISMATCH),
    "ES256 0, 0 (psychic)": (lambda w: w.drawn(0, 0), MISMATCH),
    "ES256 0, 1": (lambda w: w.drawn(0, 1), MISMATCH),
    "ES256 1, 0": (lambda w: w.drawn(1, 0), MISMATCH),
    "ES256 1, 1": (lambda w: w.drawn(1, 1), MISMATCH),
    "ES256 n, n": (lambda w: w.drawn(ORDER, ORDER), MISMATCH),
    "ES256 n, 1": (lambda w: w.drawn(ORDER, 1), MISMATCH),
    "ES256 1, n": (lambda w: w.drawn(1, ORDER), MISMATCH),
    "ES256 n - 1, n - 1": (lambda w: w.drawn(ORDER - 1, ORDER - 1), MISMATCH),
    "ES256 2^256 - 1, twice": (lambda w: w.drawn(2**256 - 1, 2**256 - 1), MISMATCH),
    "ES256 in DER": (lambda w: w.signature(as_der), MISMATCH),
    "ES256 and a byte": (lambda w: w.signature(lambda s: s + b"\0"), MISMATCH),
    "ES256 after a byte": (lambda w: w.signature(lambda s: b"\0" + s), MISMATCH),
    "ES256 padded within": (lambda w: w.signature(lambda s: b"\0" + s[:32] + b"\0" + s[32:]), MISMATCH),
    "ES256, half of it": (lambda w: w.signature(lambda s: s[:32]), MISMATCH),
    "ES256, its halves swapped": (lambda w: w.signature(lambda s: s[32:] + s[:32]), MISMATCH),
    "ES384 0, 0 (psychic)": (lambda w: w.signature(lambda _: bytes(96), ES384), MISMATCH),
    "ES384 as long as of ES256": (lambda w: w.signature(lambda s: s[:64], ES384), MISMATCH),
    "EdDSA of zeros": (lambda w: w.signature(lambda _: bytes(64), ED), MISMATCH),
    "EdDSA of the neutral element": (lambda w: w.signature(lambda _: b"\1" + bytes(63), ED), MISMATCH),
    "EdDSA with S + L (malleable)": (lambda w: w.signature(twisted, ED), MISMATCH),
    "EdDSA and a byte": (lambda w: w.signature(lambda s: s + b"\0", ED), MISMATCH),
    "EdDSA, half of it": (lambda w: w.signature(lambda s: s[:32], ED), MISMATCH),
    "RS256 of zeros": (lambda w: w.signature(lambda _: bytes(256), RSA), MISMATCH),
    "RS256 of one": (lambda w: w.signature(lambda _: (1).to_bytes(256), RSA), MISMATCH),
    "RS256 of n - 1": (lambda w: w.signature(lambda _: (modulus() - 1).to_bytes(256), RSA), MISMATCH),
    "RS256 of n": (lambda w: w.signature(lambda _: modulus().to_bytes(256), RSA), MISMATCH),
    "RS256 plus n": (lambda w: w.signature(lambda s: (int.from_bytes(s) + modulus()).to_bytes(257), RSA), MISMATCH),
    "RS256 and a byte": (lambda w: w.signature(lambda s: s + b"\0", RSA), MISMATCH),
    "RS256 after a byte": (lambda w: w.signature(lambda s: b"\0" + s, RSA), MISMATCH),
    "RS256 without its last byte": (lambda w: w.signature(lambda s: s[:-1], RSA), MISMATCH),
    "RS256 without NULL": (
        lambda w: w.encoded(lambda d: padded(bytes.fromhex("302f300b0609608648016503040201") + b"\4\x20" + d)),
        MISMATCH,
    ),
    "RS256 with a bare hash": (lambda w: w.encoded(padded), MISMATCH),
    "RS256 of another hash's name": (
        lambda w: w.encoded(lambda d: padded(SHA256_INFO.replace(b"\2\1\5\0", b"\2\2\5\0") + d)),
        MISMATCH,
    ),
    "RS256 with a length in BER": (
        lambda w: w.encoded(lambda d: padded(b"\x30\x81\x31" + SHA256_INFO[2:] + d)),
        MISMATCH,
    ),
    "RS256 with garbage after the hash (Bleichenbacher)": (
        lambda w: w.encoded(lambda d: (b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_INFO + d).ljust(256, b"\0")),
        MISMATCH,
    ),
    "RS256 with other padding": (lambda w: w.encoded(lambda d: padded(SHA256_INFO + d, b"\xfe")), MISMATCH),
    "RS256 padded as for encryption": (lambda w: w.encoded(lambda d: padded(SHA256_INFO + d, kind=b"\0\2")), MISMATCH),
    # the issuer, and whom it may speak for: RFC 8725, 3.8
    "iss missing": (lambda w: w.without("iss"), ISSUER),
    "iss null": (lambda w: w.claiming(iss=None), ISSUER),
    "iss a list": (lambda w: w.claiming(iss=[w.issuer]), ISSUER),
    "iss an object": (lambda w: w.claiming(iss={w.issuer: 1}), ISSUER),
    "iss with a slash more": (lambda w: w.claiming(iss=f"{w.issuer}/"), ISSUER),
    "iss in upper case": (lambda w: w.claiming(iss=w.issuer.upper()), ISSUER),
    "iss and more": (lambda w: w.claiming(iss=f"{w.issuer}.evil.example"), ISSUER),
    "iss of an unknown provider": (lambda w: w.claiming(iss="https://evil.example"), ISSUER),
    "iss our own": (lambda w: w.claiming(iss="urn:daymark"), ISSUER),
    "iss another provider's": (lambda w: w.claiming(iss=w.other), UNKNOWN),
    "a key of another provider": (lambda w: OTHER_RSA.sign(w.claims(), kid="rsa"), MISMATCH),
    "another tenant than the issuer may speak for": (
        lambda w: ES256.sign(claims_of(w.stranger, w.issuer, aud=AUDIENCE)),
        "The token's issuer does not speak for this tenant",
    ),
    "a tenant that nobody has": (
        lambda w: w.claiming(tenant_id=str(uuid4())),
        "The token's issuer does not speak for this tenant",
    ),
    # whom it is for, and what kind it is: RFC 8725, 3.9, 3.11, 3.12
    "aud missing": (lambda w: w.without("aud"), FOR_ANOTHER),
    "aud another": (lambda w: w.claiming(aud="other"), FOR_ANOTHER),
    "aud others": (lambda w: w.claiming(aud=["other", "daymarks"]), FOR_ANOTHER),
    "aud in upper case": (lambda w: w.claiming(aud="DAYMARK"), FOR_ANOTHER),
    "aud an object": (lambda w: w.claiming(aud={"daymark": 1}), FOR_ANOTHER),
    "aud within a list within a list": (lambda w: w.claiming(aud=[["daymark"]]), FOR_ANOTHER),
    "a logout token": (
        lambda w: w.claiming(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
        "The token tells of an event",
    ),
    "a token bound to a key": (lambda w: w.claiming(cnf={"jkt": "x"}), "The token is bound to a key"),
    # the times
    "exp missing": (lambda w: w.without("exp"), "The token needs exp"),
    "exp past": (lambda w: w.claiming(exp=AT), "The token has expired"),
    "exp long past, by a key that is not known": (
        lambda w: ES256.sign(w.claims(exp=1), kid="nobody's"),
        "The token has expired",
    ),
    "exp too far": (lambda w: w.claiming(exp=AT + 86_401), "The token lives longer than is allowed"),
    "exp a text": (lambda w: w.claiming(exp=str(AT + 60)), EXP),
    "exp a float": (lambda w: w.claiming(exp=AT + 60.0), EXP),
    "exp true": (lambda w: w.claiming(exp=True), EXP),
    "exp null": (lambda w: w.claiming(exp=None), EXP),
    "exp negative": (lambda w: w.claiming(exp=-1), EXP),
    "exp huge": (lambda w: w.claiming(exp=10**400), EXP),
    "exp 1e400": (lambda w: w.spelled(str(AT + 3_600).encode(), b"1e400"), EXP),
    "exp -0": (lambda w: w.spelled(str(AT + 3_600).encode(), b"-0.0"), EXP),
    "exp NaN": (lambda w: w.spelled(str(AT + 3_600).encode(), b"NaN"), NOT_JSON),
    "exp Infinity": (lambda w: w.spelled(str(AT + 3_600).encode(), b"Infinity"), NOT_JSON),
    "exp with a leading zero": (
        lambda w: w.spelled(str(AT + 3_600).encode(), b"0" + str(AT + 3_600).encode()),
        NOT_JSON,
    ),
    "exp of 5,000 digits": (lambda w: w.spelled(str(AT + 3_600).encode(), b"9" * 5_000), NOT_JSON),
    "nbf to come": (lambda w: w.claiming(nbf=AT + 1), "The token is not valid yet"),
    "nbf a text": (lambda w: w.claiming(nbf="0"), NBF),
    "iat a list": (lambda w: w.claiming(iat=[AT]), IAT),
    # what it says
    "a claim twice": (lambda w: w.added(b'"sub":"x"'), NAME_TWICE),
    "a claim twice, once escaped": (lambda w: w.added(b'"\\u0069ss":"x"'), NAME_TWICE),
    "iss twice": (lambda w: w.added(b'"iss":"' + w.other.encode() + b'"'), NAME_TWICE),
    "a name twice further in": (lambda w: w.added(b'"x":[{"a":1,"a":2}]'), NAME_TWICE),
    "deep": (lambda w: w.added(b'"x":' + b"[" * 2_500 + b"]" * 2_500), NOT_JSON),
    "deep in objects": (lambda w: w.added(b'"x":' + b'{"":' * 1_100 + b"1" + b"}" * 1_100), NOT_JSON),
    "claims in invalid UTF-8": (lambda w: w.added(b'"x":"\xff"'), NOT_JSON),
    "claims in UTF-16": (lambda w: ES256.sign(json.dumps(w.claims()).encode("utf-16")), NOT_JSON),
    "claims with a byte order mark": (lambda w: ES256.sign(b"\xef\xbb\xbf" + dumps(w.claims())), NOT_JSON),
    "claims with NUL after them": (lambda w: ES256.sign(dumps(w.claims()) + b"\0"), NOT_JSON),
    "claims that are a list": (lambda w: ES256.sign([w.claims()]), NO_OBJECT),
    "claims that are a text": (lambda w: ES256.sign(json.dumps(json.dumps(w.claims())).encode()), NO_OBJECT),
    "sub with NUL": (lambda w: w.claiming(sub=f"{w.caller.user_id}\0"), USER),
    "sub a lone surrogate": (lambda w: w.claiming(sub="\ud800"), USER),
    "sub in upper case": (lambda w: w.claiming(sub=str(w.caller.user_id).upper()), USER),
    "sub nobody": (lambda w: w.claiming(sub="00000000-0000-0000-0000-000000000000"), USER),
    "sub as Auth0 has it": (lambda w: w.claiming(sub="auth0|5f7c8ec7c33c6c004bbafe82"), USER),
    "tenant_id missing": (lambda w: w.without("tenant_id"), TENANT),
    "tenant_id a list": (lambda w: w.claiming(tenant_id=[str(w.caller.tenant_id)]), TENANT),
    "role unknown": (lambda w: w.claiming(role="owner"), ROLE),
    "role a list": (lambda w: w.claiming(role=["admin"]), ROLE),
    "role null": (lambda w: w.claiming(role=None), ROLE),
    # tokens of our own
    "our own, in the name of a provider": (lambda w: w.own(iss=w.issuer), ISSUER),
    "our own, without iss": (lambda w: w.own(iss=None), ISSUER),
    "our own, sid in upper case": (lambda w: w.own(sid="A" + str(uuid4())[1:]), SESSION),
    "our own, sid a number": (lambda w: w.own(sid=1), SESSION),
    "our own, sid null": (lambda w: w.own(sid=None), SESSION),
    "our own, sid empty": (lambda w: w.own(sid=""), SESSION),
    "our own, sid nobody's": (lambda w: w.own(sid="00000000-0000-0000-0000-000000000000"), SESSION),
}


def flipped(letter: str) -> str:
    """Give the letter of base64url that differs in its last bit."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(letter) ^ 1]


def spliced(token: str, other: str) -> str:
    """Give `token` with the claims of another."""
    return ".".join([token.split(".", maxsplit=1)[0], other.split(".")[1], token.split(".")[2]])


def modulus() -> int:
    return int.from_bytes(unb64(RSA.jwk["n"]))
