"""The public keys of identity providers (RFC 7517): which of them are used, and for which algorithms."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

MOST_KEYS: Final = 100
LONGEST_KEY_ID: Final = 256  # characters, as of a token's
# Bits. RFC 7518, 3.3 asks for 2,048; of more than 8,192 a check takes milliseconds.
RSA_BITS: Final = range(2_048, 8_193)
# FIPS 186-5, A.1.1 asks for more than 2^16; a large one makes a check as slow as signing.
RSA_EXPONENTS: Final = range(65_537, 2**32)

# By the key's type, and never by what a token asks for alone: that is how a public key became a shared secret.
RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256"})
CURVES: Final[dict[str, tuple[ec.EllipticCurve, str, int]]] = {
    "P-256": (ec.SECP256R1(), "ES256", 32),
    "P-384": (ec.SECP384R1(), "ES384", 48),
}
ED25519_BYTES: Final = 32
PROVIDER_ALGORITHMS: Final = RSA_ALGORITHMS | {"ES256", "ES384", "EdDSA"}
PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
CHECKS: Final[dict[str, Algorithm]] = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name in PROVIDER_ALGORITHMS
}


@dataclass(frozen=True)
class Key:
    """A key of a provider; two are the same where the id, the algorithms and the key itself are."""

    key_id: str | None
    algorithms: frozenset[str]
    thumbprint: str
    public: PublicKey = field(compare=False, repr=False)

    def fits(self, algorithm: str, key_id: str | None) -> bool:
        """Say whether it may check a token that says this; one without an id may be any key's."""
        return algorithm in self.algorithms and key_id in {None, self.key_id}

    def signed(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Say whether `signature` is this key's of `signed`."""
        return CHECKS[algorithm].verify(signed, self.public, signature)


def read_keys(document: dict[str, Any]) -> tuple[list[Key], list[str]]:
    """Read a key set: the keys in it that are used, and why each of the others is not.

    Raises ValueError, with what is wrong as the end of a sentence, where it is no key set.
    """
    given = document.get("keys")
    if not isinstance(given, list) or len(given) > MOST_KEYS:
        raise ValueError(f"is not a key set of at most {MOST_KEYS} keys")
    keys, unused = [], []
    for number, each in enumerate(given):
        try:
            keys.append(read_key(each))
        except ValueError as error:
            unused.append(f"key {number}: {error}")
    return keys, unused


def read_key(jwk: object) -> Key:
    """Read one key (RFC 7517, 4). Raises ValueError, with what is wrong with it, for one that is not to be used."""
    if not isinstance(jwk, dict):
        raise ValueError("no object")  # noqa: TRY004 - it is about what was answered, not about a type of ours
    key_id = jwk.get("kid")
    if "kid" in jwk and (not isinstance(key_id, str) or len(key_id) > LONGEST_KEY_ID):
        raise ValueError("a kid that is no text, or too long")
    if any(member in jwk for member in PRIVATE_MEMBERS):
        raise ValueError("private or symmetric: whoever reads it can sign with it")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("not for verifying")
    public, algorithms = _public(jwk)
    if "alg" in jwk:
        algorithms = frozenset(each for each in algorithms if each == jwk["alg"])
        if not algorithms:
            raise ValueError("for an algorithm that is not accepted")
    return Key(key_id, algorithms, thumbprint(jwk), public)


def _public(jwk: dict[str, Any]) -> tuple[PublicKey, frozenset[str]]:
    match jwk.get("kty"):
        case "RSA":
            return _rsa(jwk), RSA_ALGORITHMS
        case "EC":
            return _elliptic(jwk)
        case "OKP" if jwk.get("crv") == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x", ED25519_BYTES)), frozenset({"EdDSA"})
    raise ValueError("of a type or curve that is not accepted")


def _rsa(jwk: dict[str, Any]) -> rsa.RSAPublicKey:
    modulus, exponent = (int.from_bytes(_bytes(jwk, member)) for member in ("n", "e"))
    if modulus.bit_length() not in RSA_BITS or exponent not in RSA_EXPONENTS:
        raise ValueError("an RSA key that is too weak, or too large")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _elliptic(jwk: dict[str, Any]) -> tuple[ec.EllipticCurvePublicKey, frozenset[str]]:
    curve = jwk.get("crv")
    if not isinstance(curve, str) or curve not in CURVES:
        raise ValueError("of a type or curve that is not accepted")
    kind, algorithm, length = CURVES[curve]
    x, y = (int.from_bytes(_bytes(jwk, member, length)) for member in ("x", "y"))
    # Raises for a point that is not on the curve.
    return ec.EllipticCurvePublicNumbers(x, y, kind).public_key(), frozenset({algorithm})


def _bytes(jwk: dict[str, Any], member: str, length: int | None = None) -> bytes:
    text = jwk.get(member)
    if not isinstance(text, str) or not text.isascii():
        raise ValueError(f"without {member}")
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if not data or (length is not None and len(data) != length):
        raise ValueError(f"{member} has another length")
    return data


THUMBPRINTED: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def thumbprint(jwk: dict[str, Any]) -> str:
    """Give the name that a key has by itself (RFC 7638): the SHA-256 of what makes it, in base64url."""
    made_of = {member: jwk[member] for member in THUMBPRINTED[jwk["kty"]]}
    spelled = json.dumps(made_of, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(spelled).digest()).rstrip(b"=").decode()
