"""`daymark user password`, `user role` and `daymark session`, by the real command."""

import os
import pty
import subprocess
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from service.embedded import Server
from tests.command import DAYMARK, environment, run
from tests.conftest import run_as_admin

SESSION = "00000000-0000-4000-8000-00000000000c"
OTHER = "00000000-0000-4000-8000-00000000000d"


class Place(NamedTuple):
    """A database with one tenant, two people and a session of each."""

    folder: Path
    url: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder, *arguments, DAYMARK_ADMIN_DATABASE_URL=self.url)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def place(tmp_path: Path, postgres: Server, own_database: str) -> Place:
    begun = "now() - interval '1 hour', now() - interval '1 minute', now() + interval '1 day', '192.0.2.7'"
    run_as_admin(
        postgres,
        own_database,
        "insert into app.tenants (slug, name) values ('acme', 'Acme')",
        "insert into app.users (tenant_id, email) select tenant_id, unnest(array['ada@acme.test', 'bob@acme.test'])"
        " from app.tenants",
        "insert into app.sessions"
        " (tenant_id, user_id, session_id, created_at, used_at, expires_at, address, agent)"
        f" select tenant_id, user_id, '{SESSION}'::uuid, {begun}, e'Fire\\x1bfox' from app.users"
        " where email like 'ada%'",
        "insert into app.sessions"
        " (tenant_id, user_id, session_id, created_at, used_at, expires_at, address)"
        f" select tenant_id, user_id, '{OTHER}'::uuid, {begun} from app.users where email like 'bob%'",
    )
    return Place(tmp_path, postgres.url("postgres", own_database))


def test_a_password_is_read_from_a_pipe_kept_as_argon2id_and_ends_all_sessions(place: Place) -> None:
    result = subprocess.run(
        [DAYMARK, "user", "password", "acme", "ada@acme.test"],
        input="correct horse battery staple\n",
        cwd=place.folder,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=place.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "password set; sessions ended: 1\n", "")
    [(kept,)] = place.ask("select password_hash from app.credentials")
    assert str(kept).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert place.ask("select session_id::text from app.sessions where ended_at is null") == [(OTHER,)]
    assert place.ask("select kind, detail from app.audit_events") == [
        ("password_changed", {"by": "operator", "sessions": 1})
    ]


def test_a_password_is_asked_for_twice_at_a_terminal_and_never_shown(place: Place) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [DAYMARK, "user", "password", "acme", "ada@acme.test"],
        cwd=place.folder,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=place.url),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt in (b"Password: ", b"Repeat for confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 1_000)
            os.write(ours, b"correct horse battery staple\n")
        assert process.stdout is not None
        assert process.stdout.read() == b"password set; sessions ended: 1\n"
    os.close(ours)
    assert process.returncode == 0
    assert b"horse" not in shown


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("acme", "ada@acme.test"), "too short", "a password has 12 to 1000 characters"),
        (("acme", "ada@acme.test"), "", "a password has 12 to 1000 characters"),
        (("acme", "eve@acme.test"), "correct horse battery", "there is no user 'eve@acme.test' in tenant 'acme'"),
        (("nowhere", "ada@acme.test"), "correct horse battery", "there is no tenant 'nowhere'"),
    ],
)
def test_a_password_that_cannot_be_set_is_said_in_a_line(
    place: Place, arguments: tuple[str, str], typed: str, said: str
) -> None:
    result = subprocess.run(
        [DAYMARK, "user", "password", *arguments],
        input=typed,
        cwd=place.folder,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=place.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"daymark: {said}\n")
    assert place.ask("select count(*) from app.credentials") == [(0,)]


def test_another_role_ends_all_sessions_and_the_same_ends_none(place: Place) -> None:
    same = place.run("user", "role", "acme", "ada@acme.test", "member")
    assert (same.returncode, same.stdout) == (0, "member; sessions ended: 0\n")
    other = place.run("user", "role", "acme", "ada@acme.test", "admin")
    assert (other.returncode, other.stdout) == (0, "admin; sessions ended: 1\n")
    assert place.ask("select role from app.users where email = 'ada@acme.test'") == [("admin",)]
    assert place.ask("select ended_reason from app.sessions order by session_id") == [("role_changed",), (None,)]
    assert place.ask("select kind, detail from app.audit_events") == [
        ("role_changed", {"by": "operator", "from": "member", "to": "admin"})
    ]
    assert place.run("user", "role", "acme", "ada@acme.test", "king").returncode == 2


def test_open_sessions_are_listed_a_line_each(place: Place) -> None:
    lines = place.run("session", "list", "acme").stdout.splitlines()
    assert sorted(line.split()[:2] for line in lines) == [[SESSION, "ada@acme.test"], [OTHER, "bob@acme.test"]]
    [line] = place.run("session", "list", "acme", "ada@acme.test").stdout.splitlines()
    assert line.endswith("  192.0.2.7  Fire?fox")
    nobody = place.run("session", "list", "acme", "eve@acme.test")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr == "daymark: there is no user 'eve@acme.test' in tenant 'acme'\n"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [((SESSION,), [OTHER]), (("ada@acme.test",), [OTHER]), (("--all",), [])],
    ids=["a session", "a user", "all"],
)
def test_sessions_are_revoked(place: Place, arguments: tuple[str, ...], left: list[str]) -> None:
    result = place.run("session", "revoke", "acme", *arguments)
    assert (result.returncode, result.stdout) == (0, f"sessions ended: {2 - len(left)}\n")
    assert place.ask("select session_id::text from app.sessions where ended_at is null") == [(each,) for each in left]
    assert place.ask("select count(*) from app.audit_events where kind = 'session_revoked'") == [(2 - len(left),)]


def test_a_revocation_that_names_nothing_is_wrong_usage_and_one_that_finds_nothing_fails(place: Place) -> None:
    assert place.run("session", "revoke", "acme").returncode == 2
    assert place.run("session", "revoke", "acme", SESSION, "--all").returncode == 2
    gone = place.run("session", "revoke", "acme", "00000000-0000-4000-8000-0000000000ff")
    assert (gone.returncode, gone.stdout) == (1, "sessions ended: 0\n")
