"""The migrations themselves: there and back again, and the months of scores."""

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service import embedded, migrating
from service.migrating import FOLDER
from tests.conftest import run_as_admin

FILES = sorted(path for path in FOLDER.glob("*.sql") if not path.stem.endswith(".rollback"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    """Give a Postgres of this module's own: roles belong to the whole of it."""
    with embedded.running(tmp_path_factory.mktemp("cluster"), purpose="pytest", durable=False) as server:
        yield server


@pytest.fixture
def fresh(cluster: embedded.Server) -> Iterator[str]:
    """Give a database in a cluster in which nothing of ours is."""
    run_as_admin(cluster, "postgres", "create database fresh")
    yield "fresh"
    run_as_admin(
        cluster,
        "postgres",
        "drop database fresh with (force)",
        "drop role if exists daymark_service, daymark_analyst",
    )


@pytest.fixture
def admin(postgres: embedded.Server, own_database: str) -> Iterator[psycopg.Connection[Any]]:
    """Give the administrator of a migrated database that is the test's own."""
    with closing(psycopg.connect(postgres.url("postgres", own_database), autocommit=True)) as connection:
        yield connection


def one(connection: psycopg.Connection[Any], statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def schema(server: embedded.Server, database: str, *options: str) -> str:
    """What pg_dump makes of it: tables, keys, policies, functions, grants, comments."""
    dump = subprocess.run(
        [
            embedded.binary("pg_dump"),
            server.url("postgres", database),
            "--schema-only",
            "--restrict-key=x",
            "--exclude-schema=migrations",
            *options,
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TZ": "UTC"},
    )
    return dump.stdout


def rights(server: embedded.Server, database: str) -> list[tuple[Any, ...]]:
    """What pg_dump does not tell: the database's own rights, and the roles."""
    with psycopg.connect(server.url("postgres", database)) as connection:
        return connection.execute(
            """
            select
                array(
                    select (grantee::regrole::text, privilege_type)::text
                    from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
                    where datname = current_database()
                    order by 1
                ),
                array(select rolname from pg_roles where rolname !~ '^pg_' order by 1),
                array(select pg_describe_object(classid, objid, objsubid) from pg_shdepend
                      where dbid = (select oid from pg_database where datname = current_database())
                          and pg_describe_object(classid, objid, objsubid) !~ 'migrations' order by 1)
            """
        ).fetchall()


def test_up_then_down_leaves_nothing_and_up_again_is_the_same(cluster: embedded.Server, fresh: str) -> None:
    url = cluster.url("postgres", fresh)
    nothing = schema(cluster, fresh), rights(cluster, fresh)
    migrating.up(url)
    migrated = schema(cluster, fresh), rights(cluster, fresh)

    migrating.down(url, None)
    assert (schema(cluster, fresh), rights(cluster, fresh)) == nothing

    migrating.up(url)
    assert (schema(cluster, fresh), rights(cluster, fresh)) == migrated
    assert "daymark_service" in migrated[0]


def test_each_step_back_is_undone_by_the_step_forward(cluster: embedded.Server, fresh: str) -> None:
    url = cluster.url("postgres", fresh)
    migrating.up(url)
    stages = []
    for _ in FILES:
        stages.append(schema(cluster, fresh, "--exclude-table=app.pattern_data_*"))
        assert len(migrating.down(url, 1)) == 1

    # The months are made once all is applied, and so are no part of a stage.
    for path, after in zip(FILES, reversed(stages), strict=True):
        apply_alone(url, path)
        assert schema(cluster, fresh, "--exclude-table=app.pattern_data_*") == after


def apply_alone(url: str, path: Path) -> None:
    text = path.read_text("utf-8")
    # Several statements that are sent as one query are a transaction, which such a file must not be.
    alone = text.startswith("-- transactional: false\n")
    with psycopg.connect(url, autocommit=alone) as connection:
        for statement in text.split(";\n") if alone else [text]:
            connection.execute(statement.encode())


def test_an_index_whose_building_was_broken_off_is_built_anew(cluster: embedded.Server, fresh: str) -> None:
    url = cluster.url("postgres", fresh)
    migrating.up(url)
    before = schema(cluster, fresh)
    index = "app.user_recommendations_judged"
    migrating.down(url, len([path for path in FILES if path.stem >= "0014"]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create index user_recommendations_judged on app.user_recommendations (tenant_id)")
        connection.execute("update pg_index set indisvalid = false where indexrelid = %s::regclass", (index,))

    migrating.up(url)

    with psycopg.connect(url) as connection:
        assert one(connection, "select indisvalid from pg_index where indexrelid = %s::regclass", index) is True
    assert schema(cluster, fresh) == before


def test_rolling_back_in_one_of_two_databases_leaves_the_other_as_it_was(cluster: embedded.Server, fresh: str) -> None:
    run_as_admin(cluster, "postgres", "create database second")
    nothing = schema(cluster, "second"), rights(cluster, "second")
    migrating.up(cluster.url("postgres", fresh))
    migrating.up(cluster.url("postgres", "second"))
    first = schema(cluster, fresh), rights(cluster, fresh)

    migrating.down(cluster.url("postgres", "second"), None)

    assert (schema(cluster, fresh), rights(cluster, fresh)) == first
    left = rights(cluster, "second")
    assert schema(cluster, "second") == nothing[0]
    # The role serves the first database still; in this one it has no right, and everybody has what is everybody's.
    run_as_admin(cluster, "postgres", "drop database second with (force)")
    assert left == [(nothing[1][0][0], ["daymark_analyst", "daymark_service", "postgres"], [])]
    migrating.down(cluster.url("postgres", fresh), None)
    assert rights(cluster, fresh) == nothing[1]


def test_two_databases_of_a_fresh_cluster_can_be_migrated_at_once(cluster: embedded.Server, fresh: str) -> None:
    names = [fresh, "second", "third"]
    run_as_admin(cluster, "postgres", "create database second", "create database third")
    with ThreadPoolExecutor(3) as runs:
        applied = list(runs.map(lambda name: migrating.up(cluster.url("postgres", name)), names))
    dumps = {schema(cluster, name) for name in names}
    run_as_admin(cluster, "postgres", "drop database second with (force)", "drop database third with (force)")

    assert [len(each) for each in applied] == [len(FILES)] * 3
    assert len(dumps) == 1


def test_a_databases_owner_who_is_no_superuser_can_migrate(cluster: embedded.Server, fresh: str) -> None:
    run_as_admin(
        cluster,
        "postgres",
        "create role keeper login nosuperuser createrole bypassrls",
        "alter database fresh owner to keeper",
    )
    url = cluster.url("keeper", fresh)
    before = schema(cluster, fresh), rights(cluster, fresh)

    migrating.up(url)
    with psycopg.connect(url) as connection:
        connection.execute("call app.add_partitions('2030-01-01', '2030-02-01')")
    temporary = "select has_database_privilege('daymark_service', current_database(), 'temporary')"
    with psycopg.connect(url) as connection:
        assert one(connection, temporary) is False
    migrating.down(url, None)
    after = schema(cluster, fresh), rights(cluster, fresh)
    run_as_admin(cluster, "postgres", "alter database fresh owner to postgres")
    run_as_admin(cluster, fresh, "drop owned by keeper", "drop role keeper")

    assert after[0] == before[0]
    assert after[1] == before[1]


def test_roles_that_the_operator_made_are_taken_as_they_are(cluster: embedded.Server, fresh: str) -> None:
    run_as_admin(
        cluster,
        "postgres",
        "create role daymark_service login noinherit password 'made by hand'",
        "create role daymark_analyst nologin",
        "create role keeper login nosuperuser createrole bypassrls",
        "alter database fresh owner to keeper",
    )

    applied = migrating.up(cluster.url("keeper", fresh))
    # Down to where the analysts' role is gone from the schema, and stays in the cluster.
    later = [path.stem[:4] for path in FILES if path.stem >= "0008"]
    taken_back = migrating.down(cluster.url("keeper", fresh), len(later))
    [(_, roles, _)] = rights(cluster, fresh)
    run_as_admin(cluster, "postgres", "drop database fresh with (force)", "create database fresh", "drop role keeper")

    assert len(applied) == len(FILES)
    assert [name[:4] for name in taken_back] == later[::-1]
    assert "daymark_analyst" in roles


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_migration_has_a_number_a_reason_a_lock_timeout_and_a_way_back(path: Path) -> None:
    text = path.read_text("utf-8")
    rollback = path.with_suffix(".rollback.sql").read_text("utf-8")

    assert re.fullmatch(r"\d{4}\.[a-z0-9]+(-[a-z0-9]+)*", path.stem)
    assert re.match(r"-- \S.*", text)
    for each in (text, rollback):
        assert re.sub(r"--.*|\s+", " ", each).split(";")[0].split() == ["set", "lock_timeout", "=", "'5s'"]
        assert each.endswith(";\n")


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in FILES] == list(range(1, len(FILES) + 1))


# The months of scores.


def add_person(connection: psycopg.Connection[Any]) -> tuple[UUID, UUID]:
    tenant = uuid4()
    connection.execute("insert into app.tenants (tenant_id, slug, name) values (%s, %s, 'x')", (tenant, tenant.hex))
    person = one(connection, "insert into app.users (tenant_id) values (%s) returning user_id", tenant)
    return tenant, person


def record(connection: psycopg.Connection[Any], person: tuple[UUID, UUID], *days: str) -> None:
    for day in days:
        connection.execute("insert into app.pattern_data values (%s, %s, %s, 1, 2, 3)", (*person, day))


def where(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The partition that each day lies in."""
    rows = connection.execute("select date, tableoid::regclass from app.pattern_data order by date").fetchall()
    return {day.isoformat(): partition.removeprefix("app.pattern_data_") for day, partition in rows}


def test_up_makes_three_months_back_and_twelve_ahead(admin: psycopg.Connection[Any]) -> None:
    months = one(
        admin,
        "select array_agg(relname order by relname) from pg_class"
        " where relkind = 'r' and relname ~ '^pattern_data_[0-9]'",
    )
    today = one(admin, "select current_date")

    first, last = month_after(today, -3), month_after(today, 12)
    assert (months[0], months[-1], len(months)) == (f"pattern_data_{first}", f"pattern_data_{last}", 16)


def month_after(day: date, months: int) -> str:
    count = day.year * 12 + day.month - 1 + months
    return f"{count // 12}_{count % 12 + 1:02}"


def test_days_that_waited_move_into_their_month_and_none_is_lost(admin: psycopg.Connection[Any]) -> None:
    person = add_person(admin)
    record(admin, person, "2031-11-30", "2031-12-01", "2031-12-31", "2032-01-01", "2032-02-29", "2032-03-01")
    before = admin.execute("select * from app.pattern_data order by date").fetchall()

    admin.execute("call app.add_partitions('2031-12-31', '2032-02-01')")

    assert where(admin) == {
        "2031-11-30": "default",
        "2031-12-01": "2031_12",
        "2031-12-31": "2031_12",
        "2032-01-01": "2032_01",
        "2032-02-29": "2032_02",
        "2032-03-01": "default",
    }
    assert admin.execute("select * from app.pattern_data order by date").fetchall() == before


def test_whatever_no_month_takes_is_kept_all_the_same(admin: psycopg.Connection[Any]) -> None:
    person = add_person(admin)
    record(admin, person, "0001-01-01", "1999-12-31", "9999-12-31")
    admin.execute("call app.add_partitions('1999-12-01', '1999-12-01')")
    record(admin, person, "0001-01-02")

    assert where(admin) == {
        "0001-01-01": "default",
        "0001-01-02": "default",
        "1999-12-31": "1999_12",
        "9999-12-31": "default",
    }


def test_months_that_are_there_are_left_alone(admin: psycopg.Connection[Any]) -> None:
    admin.execute("call app.add_partitions('2031-01-01', '2031-02-01')")
    oids = "select array_agg(oid order by oid) from pg_class where relname like 'pattern_data_2031%'"
    before = one(admin, oids)

    admin.execute("call app.add_partitions('2031-01-15', '2031-02-15')")
    admin.execute("call app.add_partitions('2031-02-15', '2031-01-15')")

    assert one(admin, oids) == before


def test_a_partition_is_behind_the_wall_as_its_table_is(admin: psycopg.Connection[Any]) -> None:
    admin.execute("call app.add_partitions('2031-01-01', '2031-01-01')")

    assert admin.execute(
        """
        select relname, relrowsecurity, relforcerowsecurity, relacl is null or not exists (
            select from aclexplode(relacl) where grantee <> relowner
        )
        from pg_class
        where relname in ('pattern_data_2031_01', 'pattern_data_default')
        order by relname
        """
    ).fetchall() == [("pattern_data_2031_01", True, True, True), ("pattern_data_default", True, True, True)]
    policies = (
        "select array_agg((policyname, permissive, roles, cmd, qual, with_check)::text order by policyname)"
        " from pg_policies where tablename = %s"
    )
    assert one(admin, policies, "pattern_data_2031_01") == one(admin, policies, "pattern_data")


def test_a_person_takes_their_days_along_from_every_partition(admin: psycopg.Connection[Any]) -> None:
    person = add_person(admin)
    admin.execute("call app.add_partitions('2031-01-01', '2031-01-01')")
    record(admin, person, "2031-01-01", "2041-01-01")

    admin.execute("delete from app.tenants where tenant_id = %s", (person[0],))

    assert where(admin) == {}


def test_many_may_make_the_same_months_at_once(postgres: embedded.Server, own_database: str) -> None:
    def add(_: int) -> None:
        with psycopg.connect(postgres.url("postgres", own_database)) as connection:
            connection.execute("call app.add_partitions('2031-01-01', '2031-04-01')")

    with ThreadPoolExecutor(4) as runs:
        list(runs.map(add, range(4)))

    with psycopg.connect(postgres.url("postgres", own_database)) as connection:
        assert one(connection, "select count(*) from pg_class where relname ~ '^pattern_data_2031_..$'") == 4


def test_days_stored_while_their_month_is_made_are_neither_lost_nor_refused(
    admin: psycopg.Connection[Any], postgres: embedded.Server, own_database: str
) -> None:
    """Writers go on as the service does, user first and then the day, while months come into being beneath them."""
    people = [add_person(admin) for _ in range(3)]

    def write(person: tuple[UUID, UUID]) -> None:
        with closing(psycopg.connect(postgres.url("postgres", own_database))) as connection:
            for number in range(200):
                connection.execute("insert into app.users values (%s, %s) on conflict do nothing", person)
                record(connection, person, str(date(2031, 1, 1) + timedelta(days=number * 37 % 365)))
                connection.commit()

    with ThreadPoolExecutor(3) as writers:
        running = [writers.submit(write, person) for person in people]
        for month in range(1, 13):
            admin.execute(f"call app.add_partitions('2031-{month:02}-01', '2031-{month:02}-01')")
        for each in running:
            each.result()

    assert one(admin, "select count(*) from app.pattern_data") == 600
    assert one(admin, "select count(*) from app.pattern_data_default") == 0


def test_a_day_being_stored_holds_the_making_of_its_month_up_and_nothing_deadlocks(
    admin: psycopg.Connection[Any], postgres: embedded.Server, own_database: str
) -> None:
    person = add_person(admin)
    url = postgres.url("postgres", own_database)
    with closing(psycopg.connect(url)) as writer, ThreadPoolExecutor(1) as runs:
        writer.execute("insert into app.users (tenant_id, user_id) values (%s, %s) on conflict do nothing", person)
        making = runs.submit(
            run_as_admin, postgres, own_database, "call app.add_partitions('2031-01-01', '2031-01-01')"
        )
        waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and datname = %s"
        while not one(admin, waiting, own_database):
            assert not making.done()
        record(writer, person, "2031-01-01")
        writer.commit()
        making.result(10)

    assert where(admin) == {"2031-01-01": "2031_01"}
