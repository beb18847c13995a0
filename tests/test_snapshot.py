"""The snapshot: alike where the migrations made the schema, and a line for whatever else has changed it."""

import os
from pathlib import Path

import pytest

from service import embedded, migrating, snapshot
from service.migrating import MigrationError
from service.snapshot import SNAPSHOT
from tests.conftest import run_as_admin


@pytest.fixture
def url(postgres: embedded.Server, own_database: str) -> str:
    """Give the administrator's URL of a migrated database."""
    return postgres.url("postgres", own_database)


def test_the_snapshot_is_what_the_migrations_make(url: str) -> None:
    assert snapshot.differences(url) == []


def test_it_tells_what_is_there_and_who_may_what_and_nothing_of_the_one_who_looked(url: str) -> None:
    lines = SNAPSHOT.read_text("utf-8").splitlines()

    assert "CREATE SCHEMA app;" in lines
    assert "ALTER TABLE ONLY app.users FORCE ROW LEVEL SECURITY;" in lines
    assert "GRANT SELECT ON TABLE app.users TO daymark_service;" in lines
    assert "GRANT UPDATE(viewed_at) ON TABLE app.user_recommendations TO daymark_service;" in lines
    assert [line for line in lines if "postgres" in line or line.startswith(("--", "SET ", "\\"))] == []
    assert snapshot.take(url) == snapshot.take(url)


DRIFTS = {
    "a column": ("alter table app.users add column nickname text", "+    nickname text"),
    "a default": ("alter table app.users alter column timezone set default 'Etc/GMT'", "Etc/GMT"),
    "a constraint": (
        "alter table app.users drop constraint users_timezone_known",
        "-    CONSTRAINT users_timezone_known",
    ),
    "a grant": ("grant delete on app.users to daymark_service", "+GRANT SELECT,DELETE ON TABLE app.users"),
    "a column's grant": (
        "grant update (role) on app.users to daymark_service",
        "+GRANT UPDATE(role) ON TABLE app.users",
    ),
    "a right that is gone": ("revoke select on app.tenants from daymark_service", "-GRANT SELECT ON TABLE app.tenants"),
    "everybody's right": ("grant execute on procedure app.isolate to public", "-REVOKE ALL ON PROCEDURE app.isolate"),
    "a policy": (
        "alter policy own_updates on app.users using (true)",
        "+CREATE POLICY own_updates ON app.users FOR UPDATE TO",
    ),
    "another policy": (
        "create policy hole on app.users using (true)",
        "+CREATE POLICY hole ON app.users USING (true);",
    ),
    "row security": ("alter table app.users disable row level security", "-ALTER TABLE app.users ENABLE ROW LEVEL"),
    "FORCE": ("alter table app.users no force row level security", "-ALTER TABLE ONLY app.users FORCE ROW LEVEL"),
    "a function's body": (
        "create or replace function app.role() returns text return 'admin'",
        "+    RETURN 'admin'::text;",
    ),
    "a function's setting": (
        "alter function app.delete_pattern reset search_path",
        "-    SET search_path TO 'pg_catalog', 'pg_t",
    ),
    "an index": (
        "create index users_created on app.users (tenant_id, created_at)",
        "+CREATE INDEX users_created ON app.users",
    ),
    "an index that is gone": ("drop index app.users_email_key", "-CREATE UNIQUE INDEX users_email_key ON app.users"),
    "a view": ("alter view app.cache_hits set (security_invoker = off)", "+CREATE VIEW app.cache_hits"),
    "statistics": (
        "alter table app.users alter column email set statistics 100",
        "+ALTER TABLE ONLY app.users ALTER COLUMN",
    ),
    "a trigger": (
        "create trigger again before update on app.users execute function suppress_redundant_updates_trigger()",
        "+CREATE TRIGGER again",
    ),
    "a comment": ("comment on table app.users is 'Others'", "+COMMENT ON TABLE app.users IS 'Others';"),
    "the default partition": (
        "alter table app.pattern_data_default disable row level security",
        "-ALTER TABLE app.pat",
    ),
    "a table": ("create table app.pattern_data_2_hidden ()", "+CREATE TABLE app.pattern_data_2_hidden ("),
}


@pytest.mark.parametrize(("statement", "line"), DRIFTS.values(), ids=DRIFTS)
def test_what_has_drifted_is_told_line_by_line(
    postgres: embedded.Server, own_database: str, url: str, statement: str, line: str
) -> None:
    run_as_admin(postgres, own_database, statement)

    told = snapshot.differences(url)
    assert told[:2] == ["--- snapshot", "+++ live"]
    assert [each for each in told if line in each and each[0] in "+-"]


def test_months_come_and_go_without_a_word(postgres: embedded.Server, own_database: str, url: str) -> None:
    run_as_admin(
        postgres,
        own_database,
        "call app.add_partitions('1999-11-01', '1999-12-01')",
        "call app.add_partitions('2031-01-01', '2031-02-01')",
        "drop table app.pattern_data_1999_11",
    )

    assert snapshot.differences(url) == []


def test_rows_are_no_schema(postgres: embedded.Server, own_database: str, url: str) -> None:
    run_as_admin(postgres, own_database, "insert into app.tenants (slug, name) values ('acme', 'Acme')", "analyze")

    assert snapshot.differences(url) == []


def test_there_and_back_again_nothing_differs(url: str) -> None:
    migrating.down(url, 3)
    assert snapshot.differences(url) != []

    migrating.up(url)
    assert snapshot.differences(url) == []


def test_whoever_owns_the_schema_it_is_the_same(postgres: embedded.Server) -> None:
    run_as_admin(postgres, "postgres", "create role snapshot_keeper login createrole bypassrls", "create database kept")
    run_as_admin(postgres, "postgres", "alter database kept owner to snapshot_keeper")
    try:
        url = postgres.url("snapshot_keeper", "kept")
        migrating.up(url)
        told = snapshot.differences(url)
    finally:
        run_as_admin(postgres, "postgres", "drop database kept with (force)", "drop role snapshot_keeper")

    assert told == []


def test_what_is_written_is_what_the_next_look_compares_with(
    postgres: embedded.Server, own_database: str, url: str, tmp_path: Path
) -> None:
    written = tmp_path / "snapshot" / "schema.sql"
    run_as_admin(postgres, own_database, "alter table app.users add column nickname text")
    snapshot.write(url, written)

    assert snapshot.differences(url, written) == []
    assert "    nickname text" in written.read_text("utf-8")
    run_as_admin(postgres, own_database, "alter table app.users drop column nickname")
    assert [line for line in snapshot.differences(url, written) if "nickname" in line] == ["-    nickname text,"]


def test_an_empty_database_differs_by_all_of_it(postgres: embedded.Server) -> None:
    run_as_admin(postgres, "postgres", "create database bare")
    try:
        told = snapshot.differences(postgres.url("postgres", "bare"))
    finally:
        run_as_admin(postgres, "postgres", "drop database bare with (force)")

    assert "-CREATE SCHEMA app;" in told
    assert [line for line in told[2:] if line.startswith("+")] == []


def test_where_there_is_nobody_the_reason_is_given_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"^cannot reach the database: ") as said:
        snapshot.take(f"postgresql://postgres:secret@/x?host={tmp_path}")

    assert os.linesep not in str(said.value)
    assert "secret" not in str(said.value)
