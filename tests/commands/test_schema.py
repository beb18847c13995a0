"""`daymark migrate check`, `migrate snapshot`, `seal rotate` and `doctor`, by the real command."""

import json
from pathlib import Path

import psycopg

from service.embedded import Server
from service.seal import Seal
from service.setting_values import Secret
from tests.command import run
from tests.conftest import SEAL_KEY, run_as_admin


def test_doctor_has_a_line_for_each_check_and_ends_well_on_a_sound_wall(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    result = run(tmp_path, "doctor", DAYMARK_ADMIN_DATABASE_URL=postgres.url("postgres", own_database))
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "ok   policies: every policy is as app.isolate spells it, and there is no other" in lines
    assert len(lines) == 29


def test_doctor_ends_with_1_and_says_what_is_wrong_and_how_to_mend_it(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    run_as_admin(postgres, own_database, "alter table app.users no force row level security")
    url = postgres.url("postgres", own_database)
    people = run(tmp_path, "doctor", DAYMARK_ADMIN_DATABASE_URL=url)
    machines = run(tmp_path, "doctor", "--json", DAYMARK_ADMIN_DATABASE_URL=url)
    assert (people.returncode, machines.returncode) == (1, 1)
    [line] = [line for line in people.stdout.splitlines() if line.startswith("FAIL")]
    assert "users" in line
    [finding] = [each for each in json.loads(machines.stdout) if each["verdict"] == "fail"]
    assert finding["check"] == "tables"
    assert finding["dangers"] != []


def test_a_sound_database_passes_the_check_and_an_altered_one_does_not(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    url = postgres.url("postgres", own_database)
    sound = run(tmp_path, "migrate", "check", DAYMARK_ADMIN_DATABASE_URL=url)
    run_as_admin(postgres, own_database, "alter table app.users add column nickname text")
    altered = run(tmp_path, "migrate", "check", DAYMARK_ADMIN_DATABASE_URL=url)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout == "the migrations and the live schema are as this release has them\n"
    assert altered.returncode == 1
    assert "+    nickname text" in altered.stdout


def test_a_rotated_key_is_held_beside_the_one_before_it(tmp_path: Path, postgres: Server, own_database: str) -> None:
    url = postgres.url("postgres", own_database)
    result = run(tmp_path, "seal", "rotate", DAYMARK_ADMIN_DATABASE_URL=url)
    name, _, secret = result.stdout.strip().partition("=")
    assert (result.returncode, name) == (0, "DAYMARK_SEAL_KEY")
    with psycopg.connect(url) as connection:
        held = connection.execute("select key_id from app.seal_keys order by created_at").fetchall()
    assert held == [(Seal(SEAL_KEY).key_id,), (Seal(Secret(secret)).key_id,)]

    assert run(tmp_path, "seal", "rotate", DAYMARK_ADMIN_DATABASE_URL=url).returncode == 0
    with psycopg.connect(url) as connection:
        held = connection.execute("select key_id from app.seal_keys order by created_at").fetchall()
    [older, _] = held
    assert older == (Seal(Secret(secret)).key_id,)


def test_embedded_a_rotated_key_is_kept_and_used(tmp_path: Path) -> None:
    assert run(tmp_path, "demo", "--tenants", "1", "--users", "2", "--days", "3").returncode == 0
    before = (tmp_path / ".daymark/seal-key").read_text()
    rotated = run(tmp_path, "seal", "rotate")
    assert rotated.returncode == 0
    kept = tmp_path / ".daymark/seal-key"
    assert kept.read_text().strip() == rotated.stdout.strip().partition("=")[2]
    assert kept.read_text() != before
    assert kept.stat().st_mode & 0o777 == 0o600
    seen = run(tmp_path, "psql", "demo-1", "--", "-XAtc", "select count(*) from app.pattern_data")
    assert (seen.returncode, seen.stdout) == (0, "6\n")
