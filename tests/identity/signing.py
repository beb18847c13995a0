"""Keys of identity providers, and tokens signed with them, sound or not."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from service.caller import Caller
from tests.conftest import NOW

AT = int(NOW.timestamp())
CHECKS = get_default_algorithms()
CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def dumps(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


class Signer:
    """A key that signs; `jwk` is its public half, as a provider publishes it."""

    def __init__(self, algorithm: str, key_id: str | None = None, *, bits: int = 2_048) -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        if algorithm in CURVES:
            self.private: Any = ec.generate_private_key(CURVES[algorithm])
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
        self.public: Any = self.private.public_key()
        self.jwk: dict[str, Any] = {"alg": algorithm, "use": "sig"}
        self.jwk |= CHECKS[algorithm].to_jwk(self.public, as_dict=True)
        self.jwk.pop("key_ops", None)
        self.header: dict[str, Any] = {"alg": algorithm, "typ": "JWT"}
        if key_id is not None:
            self.jwk["kid"] = self.header["kid"] = key_id

    def sign(self, claims: object, **header: object) -> str:
        """Sign anything, by the key's own algorithm, whatever the header says."""
        return self.sign_under(dumps(self.header | header), claims)

    def sign_as(self, algorithm: str, claims: object) -> str:
        """Sign by another algorithm of the key's type."""
        return self.sign_under(dumps(self.header | {"alg": algorithm}), claims, algorithm)

    def sign_under(self, header: bytes, claims: object, algorithm: str | None = None) -> str:
        signed = f"{b64(header)}.{b64(dumps(claims))}"
        return f"{signed}.{b64(CHECKS[algorithm or self.algorithm].sign(signed.encode(), self.private))}"

    def published(self, **changes: object) -> dict[str, Any]:
        """Give the public half with changes; what is changed to None is left out."""
        return {name: value for name, value in (self.jwk | changes).items() if value is not None}


def claims_of(caller: Caller, issuer: str, **changes: object) -> dict[str, Any]:
    return {
        "iss": issuer,
        "sub": str(caller.user_id),
        "tenant_id": str(caller.tenant_id),
        "iat": AT,
        "exp": AT + 3_600,
    } | changes
