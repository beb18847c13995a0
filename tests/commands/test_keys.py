"""`daymark keys generate`: what it makes is taken, and what is there is never overwritten."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

from service.cli import cli
from service.identity.keys import read_keys, thumbprint
from service.setting_values import secret
from tests.command import run


def generate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", "generate", *arguments], terminal_width=1000)


def test_a_secret_is_printed_fit_to_be_set_and_another_each_time() -> None:
    first, second = generate(), generate("--algorithm", "HS256")

    for made in (first, second):
        assert made.exit_code == 0
        assert made.stdout.count("\n") == 1
        assert len(secret(made.stdout.strip())) == 64
        assert made.stderr == ""
    assert first.stdout != second.stdout


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_what_the_private_key_signs_holds_by_the_published_one(tmp_path: Path, algorithm: str) -> None:
    folder = tmp_path / "new" / "keys"
    made = generate("--algorithm", algorithm, "--out", str(folder))
    document = json.loads((folder / "jwks.json").read_text())
    (key,), unused = read_keys(document)
    private = load_pem_private_key((folder / "private.pem").read_bytes(), None)
    signature = get_default_algorithms()[algorithm].sign(b"signed", private)

    assert key.signed(algorithm, b"signed", signature)
    assert (sorted(key.algorithms), unused) == ([algorithm], [])
    assert key.key_id == thumbprint(document["keys"][0])
    assert document["keys"][0]["use"] == "sig"
    assert "d" not in document["keys"][0]
    assert stat.S_IMODE((folder / "private.pem").stat().st_mode) == 0o600
    assert made.exit_code == 0
    assert made.stdout == (f"{folder}/private.pem and {folder}/jwks.json: a key of {algorithm}, kid {key.key_id}\n")


@pytest.mark.parametrize("there", ["private.pem", "jwks.json"])
def test_what_is_there_is_not_overwritten_and_nothing_is_left_beside_it(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    made = run(tmp_path, "keys", "generate", "--algorithm", "ES256", "--out", ".")

    assert made.returncode == 1
    assert made.stdout == ""
    assert made.stderr == f"daymark: cannot write {there}: File exists\n"
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private.pem").symlink_to(tmp_path / "elsewhere")
    made = run(tmp_path, "keys", "generate", "--algorithm", "EdDSA", "--out", ".")

    assert made.returncode == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--algorithm", "none"], "'none' is not one of 'HS256', 'RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'"),
        (["--algorithm", "ES256"], "ES256 makes two files: --out DIR says where"),
        (["--out", "x"], "HS256 has one secret, which is printed: --out is for the other algorithms"),
        (["--algorithm", "ES256", "--out", __file__], "is a file"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], said: str) -> None:
    made = generate(*arguments)

    assert made.exit_code == 2
    assert said in " ".join(made.stderr.replace("│", " ").split())
