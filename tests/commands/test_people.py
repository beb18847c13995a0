"""`daymark analyst`, `daymark tenant budget` and `daymark token`, by the real command."""

import re
from pathlib import Path

import jwt
import psycopg
import pytest

from service.embedded import Server
from tests.command import run
from tests.conftest import run_as_admin


def test_an_analyst_is_added_listed_reads_their_tenant_and_is_dropped(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    url = postgres.url("postgres", own_database)
    login = f"ann_{own_database}"
    run_as_admin(
        postgres,
        own_database,
        "insert into app.tenants (slug, name) values ('acme', 'Acme'), ('globex', 'Globex')",
    )

    added = run(tmp_path, "analyst", "add", login, "acme", DAYMARK_ADMIN_DATABASE_URL=url)
    assert (added.returncode, added.stderr) == (0, "")
    assert len(added.stdout.strip()) == 32
    listed = run(tmp_path, "analyst", "list", DAYMARK_ADMIN_DATABASE_URL=url)
    assert listed.stdout == f"{login}  acme\n"
    with psycopg.connect(postgres.url(login, own_database)) as connection:
        assert connection.execute("select slug from app.tenants").fetchall() == [("acme",)]

    twice = run(tmp_path, "analyst", "add", login, "acme", DAYMARK_ADMIN_DATABASE_URL=url)
    assert (twice.returncode, twice.stdout) == (1, "")
    assert twice.stderr == "daymark: there is a role of this name already\n"
    dropped = run(tmp_path, "analyst", "drop", login, DAYMARK_ADMIN_DATABASE_URL=url)
    assert (dropped.returncode, dropped.stdout) == (0, f"dropped {login}\n")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgres.url(login, own_database))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "ann", "nowhere"), "there is no tenant 'nowhere'"),
        (("add", "postgres; drop table x", "acme"), "a login has 1 to 63 of a-z, 0-9 and _"),
        (("add", "pg_ann", "acme"), "a login has 1 to 63 of a-z, 0-9 and _"),
        (("drop", "postgres"), "there is no analyst 'postgres'"),
        (("drop", "daymark_service"), "there is no analyst 'daymark_service'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path, admin_url: str, arguments: tuple[str, ...], said: str
) -> None:
    result = run(tmp_path, "analyst", *arguments, DAYMARK_ADMIN_DATABASE_URL=admin_url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"daymark: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_a_tenants_budget_is_set_kept_and_given_back(tmp_path: Path, postgres: Server, own_database: str) -> None:
    url = postgres.url("postgres", own_database)
    run_as_admin(postgres, own_database, "insert into app.tenants (slug, name) values ('acme', 'Acme')")

    for arguments, held in (
        ((), "calls default, tokens default"),
        (("--calls", "5"), "calls 5, tokens default"),
        (("--tokens", "0"), "calls 5, tokens 0"),
        (("--calls", "default"), "calls default, tokens 0"),
    ):
        result = run(tmp_path, "tenant", "budget", "ACME", *arguments, DAYMARK_ADMIN_DATABASE_URL=url)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"acme: {held} a day\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nowhere",), 1, "daymark: there is no tenant 'nowhere'"),
        (("acme", "--calls", "-1"), 2, "expected a whole number of up to 15 digits or 'default', not '-1'"),
        (("acme", "--calls", "many"), 2, "expected a whole number of up to 15 digits or 'default', not 'many'"),
        (("acme", "--tokens", "9" * 16), 2, "expected a whole number of up to 15 digits or 'default'"),
    ],
)
def test_a_wrong_budget_is_said_in_a_line(
    tmp_path: Path, admin_url: str, arguments: tuple[str, ...], status: int, said: str
) -> None:
    result = run(tmp_path, "tenant", "budget", *arguments, DAYMARK_ADMIN_DATABASE_URL=admin_url)
    assert (result.returncode, result.stdout) == (status, "")
    # A usage error stands in a box, in lines of 80 characters.
    assert said in re.sub(r"[│\s]+", " ", result.stderr)
    assert "Traceback" not in result.stderr


def test_a_token_of_ours_is_never_in_the_name_of_a_provider(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    variables = {"DAYMARK_ADMIN_DATABASE_URL": postgres.url("postgres", own_database), "DAYMARK_JWT_SECRET": "s" * 32}
    run(tmp_path, "tenant", "add", "acme", **variables)
    run(tmp_path, "user", "add", "acme", "ada@acme.test", **variables)
    for issuer, keys, named in (
        ("", "", None),
        ("https://us.example", "", "https://us.example"),
        ("https://id.example", "discover", "urn:daymark"),
    ):
        variables |= {"DAYMARK_JWT_ISSUER": issuer, "DAYMARK_JWT_JWKS_URL": keys}
        made = run(tmp_path, "token", "acme", "ada@acme.test", **variables)

        assert (made.returncode, made.stderr) == (0, "")
        assert jwt.decode(made.stdout.strip(), "s" * 32, ["HS256"]).get("iss") == named
