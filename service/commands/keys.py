"""`daymark keys`: keys made for those who sign tokens."""

import json
import os
from pathlib import Path
from typing import Any, Final

import rich_click as click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from service.identity.keys import thumbprint
from service.settings import new_secret

SECRET: Final = "HS256"  # noqa: S105 - the name of an algorithm
ALGORITHMS: Final = (SECRET, "RS256", "PS256", "ES256", "ES384", "EdDSA")
RSA_BITS: Final = 3_072  # NIST SP 800-57, 5.6.1: as strong as P-256

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class KeysError(Exception):
    """A key cannot be put where it was asked for; the message is one line for the operator."""


@click.group()
def keys() -> None:
    """Make keys for those who sign tokens."""


@keys.command("generate")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=SECRET, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where private.pem and jwks.json are put; not for HS256.",
)
def keys_generate(algorithm: str, out: Path | None) -> None:
    """Make a key: of HS256, a secret, which is printed and nothing else; of the others, two files in DIR.

    A secret is fit for DAYMARK_JWT_SECRET and DAYMARK_SEAL_KEY. private.pem (PKCS 8, for its owner only) is for whoever
    signs tokens; jwks.json is to be published, and DAYMARK_JWT_JWKS_URL to lead to it. Neither is ever overwritten.
    """
    if algorithm == SECRET:
        if out is not None:
            raise click.UsageError(f"{SECRET} has one secret, which is printed: --out is for the other algorithms")
        click.echo(str(new_secret()))
        return
    if out is None:
        raise click.UsageError(f"{algorithm} makes two files: --out DIR says where")
    private = make_key(algorithm)
    jwk = public_jwk(private, algorithm)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        put(out, {"private.pem": (pem, 0o600), "jwks.json": (_spelled({"keys": [jwk]}), 0o644)})
    except OSError as error:
        raise KeysError(f"cannot write {error.filename}: {error.strerror}") from error
    click.echo(f"{out / 'private.pem'} and {out / 'jwks.json'}: a key of {algorithm}, kid {jwk['kid']}")


def make_key(algorithm: str) -> PrivateKey:
    """Make the private key of an algorithm other than HS256."""
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS)


def public_jwk(private: PrivateKey, algorithm: str) -> dict[str, Any]:
    """Give the public half of a key as it is published (RFC 7517), its `kid` its thumbprint (RFC 7638)."""
    jwk: dict[str, Any]
    if isinstance(private, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwk.pop("key_ops", None)  # `use` says as much
    return jwk | {"use": "sig", "alg": algorithm, "kid": thumbprint(jwk)}


def put(folder: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Write files with their modes into `folder`, made if it is not there: all of them, or none.

    Raises OSError, FileExistsError where one is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for name, (content, mode) in files.items():
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            written.append(folder / name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
    except OSError:
        for path in written:
            path.unlink()
        raise


def _spelled(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()
