"""The runner: one at a time, all or nothing, and whatever kills it, the next run goes on from there."""

import hashlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service import embedded, migrating
from service.migrating import ADVISORY_LOCK, FOLDER, Entry, MigrationError
from tests.conftest import run_as_admin

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql") if not path.stem.endswith(".rollback"))

# `daymark migrate up` as a process of its own, which can be killed.
UP = "import sys; from pathlib import Path; from service import migrating; migrating.up(sys.argv[1], Path(sys.argv[2]))"


class Asked:
    """What a database says to its administrator."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, statement: str, *values: object) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


@pytest.fixture
def empty(postgres: embedded.Server) -> Iterator[str]:
    """Give the administrator's URL of a database in which nothing is."""
    name = f"empty_{time.monotonic_ns()}"
    run_as_admin(postgres, "postgres", f"create database {name}")
    yield postgres.url("postgres", name)
    run_as_admin(postgres, "postgres", f"drop database {name} with (force)")


@pytest.fixture
def migrated(postgres: embedded.Server, own_database: str) -> str:
    """Give the administrator's URL of a migrated database."""
    return postgres.url("postgres", own_database)


def write(folder: Path, name: str, text: str, rollback: str | None = "select") -> Path:
    path = folder / f"{name}.sql"
    path.write_text(text, "utf-8")
    if rollback is not None:
        path.with_suffix(".rollback.sql").write_text(rollback, "utf-8")
    return path


def until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.01)
    return False


def test_up_applies_every_file_in_its_order_and_a_second_time_none(empty: str) -> None:
    assert migrating.up(empty) == NAMES
    assert migrating.up(empty) == []
    assert migrating.status(empty) == [Entry(name, applied=True) for name in NAMES]


def test_status_lists_what_is_pending_and_changes_nothing(empty: str) -> None:
    assert migrating.status(empty) == [Entry(name, applied=False) for name in NAMES]
    assert Asked(empty)("select to_regnamespace('app')") is None


def test_down_takes_back_as_many_as_it_is_told_newest_first(migrated: str) -> None:
    assert migrating.down(migrated, 2) == NAMES[:-3:-1]
    assert [entry.applied for entry in migrating.status(migrated)] == [True] * (len(NAMES) - 2) + [False] * 2
    assert migrating.up(migrated) == NAMES[-2:]
    assert migrating.down(migrated, 0) == []


def test_the_contents_of_each_file_are_booked(empty: str) -> None:
    migrating.up(empty)

    with psycopg.connect(empty) as connection:
        booked = connection.execute("select migration_id, sha256 from migrations.contents").fetchall()
    assert dict(booked) == {name: hashlib.sha256((FOLDER / f"{name}.sql").read_bytes()).hexdigest() for name in NAMES}


def test_what_is_rolled_back_is_booked_no_more(migrated: str) -> None:
    migrating.down(migrated, None)

    assert Asked(migrated)("select count(*) from migrations.contents") == 0
    assert Asked(migrated)("select count(*) from migrations._yoyo_migration") == 0


def test_a_failing_migration_names_itself_and_leaves_what_came_before(migrated: str, tmp_path: Path) -> None:
    write(tmp_path, "0101.good", "create table app.good ()", "drop table app.good")
    write(tmp_path, "0102.bad", "create table app.bad (); select 1 / 0;", "drop table app.bad")
    write(tmp_path, "0103.never", "create table app.never ()", "drop table app.never")

    with pytest.raises(MigrationError, match=r"^0102\.bad: division by zero$"):
        migrating.up(migrated, tmp_path)

    assert Asked(migrated)("select array_agg(relname) from pg_class where relname in ('good', 'bad', 'never')") == [
        "good"
    ]
    assert [entry.applied for entry in migrating.status(migrated, tmp_path)] == [True, False, False]
    write(tmp_path, "0102.bad", "create table app.bad ()", "drop table app.bad")
    assert migrating.up(migrated, tmp_path) == ["0102.bad", "0103.never"]


def test_a_failing_rollback_names_itself_and_stays_applied(migrated: str, tmp_path: Path) -> None:
    write(tmp_path, "0101.good", "create table app.good ()", "drop table app.good; select 1 / 0;")
    migrating.up(migrated, tmp_path)

    with pytest.raises(MigrationError, match=r"^0101\.good: division by zero$"):
        migrating.down(migrated, 1, tmp_path)

    assert Asked(migrated)("select to_regclass('app.good') is not null") is True
    assert migrating.status(migrated, tmp_path) == [Entry("0101.good", applied=True)]


def test_without_one_rollback_none_is_rolled_back(migrated: str, tmp_path: Path) -> None:
    write(tmp_path, "0101.no-way-back", "create table app.first ()", rollback=None)
    write(tmp_path, "0102.later", "create table app.second ()", "drop table app.second")
    migrating.up(migrated, tmp_path)

    with pytest.raises(MigrationError, match=r"^0101\.no-way-back has no rollback$"):
        migrating.down(migrated, 2, tmp_path)

    assert Asked(migrated)("select to_regclass('app.second') is not null") is True


def test_a_migration_is_run_as_psql_would_run_it(migrated: str, tmp_path: Path) -> None:
    text = """-- A comment; with a semicolon, a 'quote and 100 %s.
create table app.said (what text default 'it''s; 50 % done %(and)s :more');
create function app.say() returns text language plpgsql as $body$
begin
    -- ; inside
    return $$a;b$$ || E'\\';\\'' || '%';
end;
$body$;
/* a comment; /* and one within; */ still; */
do $$ begin perform 'x;y'; end $$;
insert into app.said default values;
insert into app.said values (app.say()), ('ä€😀')"""
    write(tmp_path, "0101.odd", text, "drop function app.say(); drop table app.said; select '%s;';")

    migrating.up(migrated, tmp_path)

    assert Asked(migrated)("select array_agg(what) from app.said") == [
        "it's; 50 % done %(and)s :more",
        "a;b';'%",
        "ä€😀",
    ]
    migrating.down(migrated, 1, tmp_path)
    assert Asked(migrated)("select to_regclass('app.said')") is None


CONCURRENTLY = """-- transactional: false
set lock_timeout = '5s';
create index concurrently users_created on app.users (tenant_id, created_at);
"""


def test_an_index_is_built_outside_a_transaction_where_the_file_says_so(migrated: str, tmp_path: Path) -> None:
    path = write(
        tmp_path, "0101.index", CONCURRENTLY, "-- transactional: false\ndrop index concurrently app.users_created"
    )

    assert migrating.up(migrated, tmp_path) == ["0101.index"]
    ask = Asked(migrated)
    assert ask("select indisvalid from pg_index where indexrelid = 'app.users_created'::regclass") is True
    assert ask("select sha256 from migrations.contents where migration_id = '0101.index'") == (
        hashlib.sha256(path.read_bytes()).hexdigest()
    )

    assert migrating.down(migrated, 1, tmp_path) == ["0101.index"]
    assert ask("select to_regclass('app.users_created')") is None
    assert ask("select count(*) from migrations.contents where migration_id = '0101.index'") == 0
    assert migrating.up(migrated, tmp_path) == ["0101.index"]


def test_while_another_run_goes_on_a_run_waits(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as other, ThreadPoolExecutor(1) as runs:
        other.execute("select pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        waiting = runs.submit(migrating.up, empty)
        ask = Asked(empty)
        assert until(lambda: ask("select count(*) > 0 from pg_stat_activity where query like %s", "%pg_try_advisory%"))
        assert ask("select to_regnamespace('migrations')") is None
        other.execute("select pg_advisory_unlock(%s)", (ADVISORY_LOCK,))

        assert waiting.result(30) == NAMES


def test_two_runs_at_once_on_a_fresh_database_apply_each_migration_once(empty: str) -> None:
    with ThreadPoolExecutor(2) as runs:
        applied = [run.result(60) for run in [runs.submit(migrating.up, empty) for _ in range(2)]]

    assert sorted(applied) == [[], NAMES]


def test_the_lock_row_of_a_killed_run_is_broken(migrated: str) -> None:
    run_sql = Asked(migrated)
    run_sql("insert into migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4194304)")

    assert migrating.up(migrated) == []
    assert run_sql("select count(*) from migrations.yoyo_lock") == 0


def test_a_run_killed_in_the_middle_leaves_nothing_half_done_and_the_next_completes(
    migrated: str, tmp_path: Path
) -> None:
    write(tmp_path, "0101.first", "create table app.first ()")
    write(tmp_path, "0102.blocked", "create table app.half (); alter table app.users add column half text; select 1;")
    ask = Asked(migrated)
    blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%add column half%'"
    with closing(psycopg.connect(migrated)) as other:
        other.execute("lock table app.users in access share mode")
        with subprocess.Popen([sys.executable, "-c", UP, migrated, str(tmp_path)], cwd=ROOT) as run:
            assert until(lambda: ask(blocked) == 1)
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        # Postgres has not noticed: the orphan still waits.
        assert ask(blocked) == 1
        other.rollback()
    assert until(lambda: ask(blocked) == 0)

    assert until(lambda: ask("select to_regclass('app.half')") is None)
    assert [entry.applied for entry in migrating.status(migrated, tmp_path)] == [True, False]
    assert migrating.up(migrated, tmp_path) == ["0102.blocked"]
    assert ask("select count(*) from pg_attribute where attrelid = 'app.users'::regclass and attname = 'half'") == 1


@pytest.mark.parametrize("reached", [3, 14, 60])
def test_killed_at_any_moment_a_run_can_be_run_again(empty: str, reached: int) -> None:
    ask = Asked(empty)
    relations = "select count(*) from pg_class where relnamespace::regnamespace::text in ('app', 'migrations')"
    with subprocess.Popen([sys.executable, "-c", UP, empty, str(FOLDER)], cwd=ROOT) as run:
        assert until(lambda: run.poll() is not None or ask(relations) >= reached)
        run.kill()

    migrating.up(empty)

    assert all(entry.applied for entry in migrating.status(empty))
    assert ask("select count(*) from migrations.contents") == len(NAMES)


def test_a_role_that_the_wall_would_bind_is_told_what_migrations_need(postgres: embedded.Server, empty: str) -> None:
    needs = "^migrations need a superuser, or the database's owner with BYPASSRLS and CREATEROLE$"
    database = empty.partition("@/")[2].partition("?")[0]
    run_as_admin(postgres, database, "drop role if exists owner_of_nothing", "create role owner_of_nothing login")
    for statement in ("select", "alter role owner_of_nothing bypassrls", "alter role owner_of_nothing createrole"):
        run_as_admin(postgres, database, statement)
        for run in (migrating.up, migrating.status, lambda url: migrating.down(url, 1)):
            with pytest.raises(MigrationError, match=needs):
                run(postgres.url("owner_of_nothing", database))
    run_as_admin(postgres, database, "drop role owner_of_nothing")

    assert Asked(empty)("select to_regnamespace('migrations')") is None


@pytest.mark.parametrize(
    ("role", "database", "said"),
    [
        ("postgres", "no_such_database", 'cannot reach the database: .*database "no_such_database" does not exist'),
        ("no_such_role", "postgres", 'cannot reach the database: .*role "no_such_role" does not exist'),
    ],
)
def test_where_the_database_cannot_be_reached_the_reason_is_given(
    postgres: embedded.Server, role: str, database: str, said: str
) -> None:
    with pytest.raises(MigrationError, match=said):
        migrating.up(postgres.url(role, database))


def test_a_lock_that_is_not_given_is_not_taken_for_a_database_that_is_away(migrated: str, tmp_path: Path) -> None:
    write(tmp_path, "0101.quick", "set lock_timeout = '10ms'; alter table app.users add column more text;")
    with closing(psycopg.connect(migrated)) as other:
        other.execute("lock table app.users in access share mode")
        with pytest.raises(MigrationError, match=r"^0101\.quick: canceling statement due to lock timeout$"):
            migrating.up(migrated, tmp_path)


def test_a_url_may_leave_the_user_to_its_query(postgres: embedded.Server, own_database: str) -> None:
    url = f"postgresql:///{own_database}?{postgres.url('postgres', own_database).partition('?')[2]}&user=postgres"

    assert migrating.up(url) == []


def test_a_new_migration_is_two_files_of_the_next_number(tmp_path: Path) -> None:
    write(tmp_path, "0007.what-is-there", "select")

    paths = migrating.new("add-a-table-2", tmp_path)

    assert [path.name for path in paths] == ["0008.add-a-table-2.sql", "0008.add-a-table-2.rollback.sql"]
    assert all("set lock_timeout = '5s';" in path.read_text() for path in paths)


def test_a_new_migration_makes_a_table_behind_the_wall_and_takes_it_away(migrated: str, tmp_path: Path) -> None:
    migrating.new("team-notes", tmp_path)

    assert migrating.up(migrated, tmp_path) == ["0001.team-notes"]
    with psycopg.connect(migrated) as connection:
        policies = connection.execute(
            "select polname from pg_policy where polrelid = 'app.team_notes'::regclass order by polname"
        ).fetchall()
    assert policies == [("analyst_rows",), ("tenant_floor",), ("tenant_rows",)]
    assert migrating.down(migrated, 1, tmp_path) == ["0001.team-notes"]


@pytest.mark.parametrize("name", ["", "Upper", "two words", "under_score", "-a", "a-", "a--b", "../x", "ä", "a\n"])
def test_a_new_migration_is_named_in_lower_case_words_and_hyphens(tmp_path: Path, name: str) -> None:
    with pytest.raises(MigrationError, match="lower-case words joined by hyphens"):
        migrating.new(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_migration_that_cannot_be_read_is_an_error(migrated: str, tmp_path: Path) -> None:
    write(tmp_path, "0101.lost", "-- depends: 0100.nowhere\nselect 1;")

    with pytest.raises(MigrationError, match=r"0101\.lost"):
        migrating.up(migrated, tmp_path)


def test_runs_in_two_databases_do_not_wait_for_each_other(migrated: str, empty: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        done = threading.Event()
        with ThreadPoolExecutor(1) as runs:
            runs.submit(migrating.up, empty).add_done_callback(lambda _: done.set())
            assert done.wait(20)


# What `daymark migrate check` says.


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Give a copy of the migrations that a test may change."""
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations"))


def test_a_database_that_is_as_the_release_has_it_has_no_fault(migrated: str) -> None:
    assert migrating.check(migrated) == []


def test_in_an_empty_database_every_migration_is_pending_and_stays_so(empty: str) -> None:
    assert migrating.check(empty) == [f"pending: {name}" for name in NAMES]
    assert Asked(empty)("select to_regnamespace('migrations')") is None


def test_what_has_been_rolled_back_is_pending(migrated: str) -> None:
    migrating.down(migrated, 2)

    assert migrating.check(migrated) == [f"pending: {name}" for name in NAMES[-2:]]


@pytest.mark.parametrize("more", ["\n", "-- Said better.\n", "create table app.later ();\n"])
def test_a_file_that_is_not_as_it_was_applied_is_altered(migrated: str, release: Path, more: str) -> None:
    with (release / f"{NAMES[1]}.sql").open("a", encoding="utf-8") as file:
        file.write(more)

    assert migrating.check(migrated, release) == [
        f"altered: {NAMES[1]} is not the file that was applied; a landed migration never changes, a new one follows it"
    ]


def test_a_migration_whose_contents_nobody_booked_is_altered(migrated: str) -> None:
    Asked(migrated)("delete from migrations.contents where migration_id = %s", NAMES[0])

    [fault] = migrating.check(migrated)
    assert fault.startswith(f"altered: {NAMES[0]} ")


def test_where_a_file_is_gone_it_is_missing(migrated: str, release: Path) -> None:
    (release / f"{NAMES[-1]}.sql").unlink()

    assert migrating.check(migrated, release) == [
        f"missing: {NAMES[-1]} has been applied, and this release has no such file"
    ]


def test_all_faults_are_told_at_once(migrated: str, release: Path) -> None:
    (release / f"{NAMES[2]}.sql").rename(release / "0003.renamed.sql")
    write(release, NAMES[0], "select 1;")
    Asked(migrated)("insert into migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4194304)")

    assert [fault.partition(":")[0] for fault in migrating.check(migrated, release)] == [
        "altered",
        "missing",
        "pending",
        "stale lock",
    ]


def test_the_lock_row_of_a_killed_run_is_told_with_how_to_clear_it(migrated: str) -> None:
    Asked(migrated)("insert into migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4194304)")
    stale = "stale lock: yoyo's process 4194304 was killed and left it behind; `daymark migrate up` clears it"

    assert migrating.check(migrated) == [stale]
    assert migrating.check(migrated) == [stale]
    migrating.up(migrated)
    assert migrating.check(migrated) == []


def test_a_run_that_goes_on_is_told_and_its_lock_row_is_not_stale(migrated: str) -> None:
    Asked(migrated)("insert into migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4194304)")
    with psycopg.connect(migrated, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (ADVISORY_LOCK,))

        assert migrating.check(migrated) == ["running: another migration is under way"]


def test_another_check_is_no_migration(migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as other:
        other.execute("select pg_advisory_lock_shared(%s)", (ADVISORY_LOCK,))

        assert migrating.check(migrated) == []


@pytest.mark.parametrize(
    ("role", "database", "said"),
    [
        ("postgres", "no_such_database", 'cannot reach the database: .*database "no_such_database" does not exist'),
        ("daymark_service", "{own}", "permission denied for schema migrations"),
    ],
)
def test_who_cannot_read_the_book_is_told_why(
    postgres: embedded.Server, own_database: str, role: str, database: str, said: str
) -> None:
    with pytest.raises(MigrationError, match=said):
        migrating.check(postgres.url(role, database.format(own=own_database)))
