"""What `daymark migrate` does, over yoyo.

yoyo keeps the order and the book; three of its ways are made safe here:
- it books a migration after committing it, so a kill in between leaves one applied and not booked: here a migration
  and its entry are one transaction;
- it takes a lock row that a killed run leaves behind for ever: here an advisory lock, which ends with its connection,
  lets only one run in, which may then break a lock row that it finds;
- it passes over a migration that cannot be read: here that is an error.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
import yoyo
from msgspec import Struct
from yoyo.exceptions import BadMigration
from yoyo.migrations import MigrationStep

PACKAGE = Path(__file__).parent
# In a wheel the folder lies inside the package; in a checkout it is a room of its own beside it.
FOLDER = PACKAGE / "migrations" if (PACKAGE / "migrations").is_dir() else PACKAGE.parent / "migrations"

# Where yoyo keeps its book, out of the way of the tables that it is about.
SCHEMA = "migrations"
MAKE_CONTENTS = "create table if not exists migrations.contents (migration_id text primary key, sha256 text not null)"
BOOK_CONTENTS = "insert into migrations.contents values (:migration_id, :sha256)"
UNBOOK_CONTENTS = "delete from migrations.contents where migration_id = :migration_id"

ADVISORY_LOCK = 0x6461796D  # "daym"
LOCK_WAIT = 30.0  # seconds
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

# Months of pattern_data that are there before anybody needs them.
MONTHS_BACK, MONTHS_AHEAD = 3, 12

HEAD = """\
-- What this is for.

set lock_timeout = '5s';
set statement_timeout = '1min';

"""
# A table that stands, so that whoever changes it to their own begins behind the wall.
NEW_MIGRATION = (
    HEAD
    + """\
create table app.{table} (
    tenant_id uuid not null,
    id        uuid not null default gen_random_uuid(),
    constraint {table}_pkey primary key (tenant_id, id),
    constraint {table}_tenant_fkey foreign key (tenant_id) references app.tenants (tenant_id) on delete cascade
);
-- The only way a table gets its policies. Then grant what the service needs, by column, and list it in sql/wall/.
call app.isolate('app.{table}');
"""
)
NEW_ROLLBACK = HEAD + "drop table app.{table};\n"


class MigrationError(Exception):
    """A migration cannot be run; the message says which and why."""


class Entry(Struct, frozen=True):
    """One migration, as `daymark migrate status` lists it."""

    name: str
    applied: bool


def up(url: str, folder: Path = FOLDER) -> list[str]:
    """Apply what is pending at `url` (the administrator's), then make the months ahead. Give the names applied.

    Raises MigrationError; what was applied before the failing one stays.
    """
    with _locked(url) as (connection, backend):
        pending = backend.to_apply(_read(folder))
        for migration in pending:
            _run(backend, migration, "apply")
        connection.execute("set lock_timeout = '5s'")
        connection.execute(
            "call app.add_partitions("
            "(current_date - make_interval(months => %s))::date, (current_date + make_interval(months => %s))::date)",
            (MONTHS_BACK, MONTHS_AHEAD),
        )
        return [migration.id for migration in pending]


def down(url: str, steps: int | None, folder: Path = FOLDER) -> list[str]:
    """Roll back the newest `steps` migrations at `url`, or all of them for None. Give the names rolled back.

    Raises MigrationError, and rolls nothing back, where one of them has no rollback.
    """
    with _locked(url) as (_, backend):
        newest = backend.to_rollback(_read(folder))[:steps]
        for migration in newest:
            if not _rollback_file(migration).is_file():
                raise MigrationError(f"{migration.id} has no rollback")
        for migration in newest:
            _run(backend, migration, "rollback")
        return [migration.id for migration in newest]


def status(url: str, folder: Path = FOLDER) -> list[Entry]:
    """List every migration of this release, oldest first, and whether it has been applied at `url`."""
    with _locked(url) as (_, backend):
        pending = {migration.id for migration in backend.to_apply(_read(folder))}
        return [Entry(migration.id, migration.id not in pending) for migration in _read(folder)]


def check(url: str, folder: Path = FOLDER) -> list[str]:
    """Compare the book at `url` with the files of this release; a sentence for each fault, and nothing is changed.

    Raises MigrationError where the database cannot be reached or read.
    """
    files = {migration.id: Path(migration.path) for migration in _read(folder)}
    with connected(url) as connection:
        if connection.execute("select to_regclass('migrations._yoyo_migration')").fetchone() == (None,):
            return [f"pending: {name}" for name in files]
        booked = {name for (name,) in connection.execute("select migration_id from migrations._yoyo_migration")}
        contents: dict[str, str] = {}
        if connection.execute("select to_regclass('migrations.contents')").fetchone() != (None,):
            contents = dict(connection.execute("select migration_id, sha256 from migrations.contents").fetchall())
        locks = connection.execute("select pid from migrations.yoyo_lock").fetchall()
        # Shared: two checks at once are no migration.
        idle = connection.execute("select pg_try_advisory_lock_shared(%s)", (ADVISORY_LOCK,)).fetchone() == (True,)
    faults = [f"pending: {name}" for name in files if name not in booked]
    faults += [f"missing: {name} has been applied, and this release has no such file" for name in booked - files.keys()]
    faults += [
        f"altered: {name} is not the file that was applied; a landed migration never changes, a new one follows it"
        for name, path in files.items()
        if name in booked and contents.get(name) != hashlib.sha256(path.read_text("utf-8").encode()).hexdigest()
    ]
    if not idle:
        faults.append("running: another migration is under way")
    elif locks:
        faults.append(
            f"stale lock: yoyo's process {locks[0][0]} was killed and left it behind; `daymark migrate up` clears it"
        )
    return sorted(faults)


def new(name: str, folder: Path = FOLDER) -> list[Path]:
    """Write the two files of the next migration, which make a table behind the wall, and give their paths.

    Raises MigrationError for a name that is not lower-case words joined by hyphens.
    """
    if not NAME.fullmatch(name):
        raise MigrationError(f"a migration is named in lower-case words joined by hyphens, not {name!r}")
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9].*.sql")]
    stem = f"{max(numbers, default=0) + 1:04}.{name}"
    paths = [folder / f"{stem}.sql", folder / f"{stem}.rollback.sql"]
    for path, text in zip(paths, (NEW_MIGRATION, NEW_ROLLBACK), strict=True):
        path.write_text(text.format(table=name.replace("-", "_")), "utf-8")
    return paths


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect to `url`. Raises MigrationError where that cannot be, and for whatever Postgres refuses inside."""
    try:
        opened = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:  # the latter: an URL that libpq does not take
        raise MigrationError(f"cannot reach the database: {_first_line(error)}") from error
    try:
        with opened as connection:
            yield connection
    except (psycopg.Error, BadMigration, OSError) as error:
        raise MigrationError(_first_line(error)) from error


@contextmanager
def _locked(url: str) -> Iterator[tuple[psycopg.Connection[Any], Any]]:
    """Connect, and keep every other run out until done."""
    with connected(url) as connection:
        _check_rights(connection)
        _wait_for_lock(connection)
        # Not `if not exists`, which warns: a notice on every run would hide the one that matters.
        if connection.execute("select to_regnamespace(%s)", (SCHEMA,)).fetchone() == (None,):
            connection.execute(f"create schema {SCHEMA}")
        with yoyo.get_backend(_yoyo_url(url)) as backend:
            # We hold the advisory lock, so whoever left a lock row is gone.
            backend.break_lock()
            yield connection, backend


def _check_rights(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "select rolsuper or (rolbypassrls and rolcreaterole and pg_has_role(datdba, 'usage'))"
        " from pg_roles, pg_database where rolname = current_user and datname = current_database()"
    ).fetchone()
    if row != (True,):
        # FORCE ROW LEVEL SECURITY binds the owner too, and months are moved out of the default partition for all; and
        # to revoke a database's rights from everybody only warns whoever does not own it.
        raise MigrationError("migrations need a superuser, or the database's owner with BYPASSRLS and CREATEROLE")


def _wait_for_lock(connection: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    while connection.execute("select pg_try_advisory_lock(%s)", (ADVISORY_LOCK,)).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise MigrationError(f"another migration has been running for more than {LOCK_WAIT:.0f} seconds")
        time.sleep(0.1)


def _yoyo_url(url: str) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), ("schema", SCHEMA)])
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, ""))


def _read(folder: Path) -> Any:
    return yoyo.read_migrations(str(folder))


def _run(backend: Any, migration: Any, direction: Literal["apply", "rollback"]) -> None:
    """Apply a migration or roll it back, and book that, in one transaction.

    A file that must run outside a transaction (`-- transactional: false`) stays as yoyo reads it, and is booked after.
    yoyo's own apply_one also logs who ran it and where, and fails where the system has no name for that user.
    """
    with _explained(migration), backend.copy() as alone:
        migration.load()
        booked = _Booked(migration)
        if migration.use_transactions:
            # The whole file as one query, as psql would send it, and not cut up by a parser that guesses at quotes.
            rollback = _rollback_file(migration)
            whole = MigrationStep(0, migration.source, rollback.read_text("utf-8") if rollback.is_file() else None)
            migration.steps = [whole, booked]
        migration.process_steps(alone, direction)
        if not migration.use_transactions:
            with alone.transaction():
                getattr(booked, direction)(alone)


class _Booked(MigrationStep):  # type: ignore[misc]  # yoyo is not typed
    """The step that books its migration, with the SHA-256 of its contents, which yoyo does not keep."""

    def __init__(self, migration: Any) -> None:
        super().__init__(1, None, None)
        self.migration = migration

    def apply(self, backend: Any, force: bool = False) -> None:  # noqa: ARG002 - yoyo's signature
        backend.execute(MAKE_CONTENTS)
        booked = {
            "migration_id": self.migration.id,
            "migration_hash": self.migration.hash,
            "when": datetime.now(UTC).replace(tzinfo=None),
            "sha256": hashlib.sha256(self.migration.source.encode()).hexdigest(),
        }
        backend.execute(backend.format_sql(backend.mark_migration_sql), booked)
        backend.execute(BOOK_CONTENTS, booked)

    def rollback(self, backend: Any, force: bool = False) -> None:  # noqa: ARG002 - yoyo's signature
        booked = {"migration_id": self.migration.id, "migration_hash": self.migration.hash}
        backend.execute(backend.format_sql(backend.unmark_migration_sql), booked)
        backend.execute(UNBOOK_CONTENTS, booked)


def _rollback_file(migration: Any) -> Path:
    return Path(migration.path).with_suffix(".rollback.sql")


@contextmanager
def _explained(migration: Any) -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, BadMigration, OSError) as error:
        raise MigrationError(f"{migration.id}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
