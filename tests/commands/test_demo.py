"""`daymark demo`, by the real command."""

import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from service.caller import Caller
from service.embedded import Server
from service.seal import NOBODY, Seal
from tests.command import DAYMARK, environment, run, until
from tests.conftest import SEAL_KEY


def test_demo_data_are_complete_in_range_apart_and_not_loaded_twice(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    url = postgres.url("postgres", own_database)
    arguments = ("demo", "--tenants", "3", "--users", "4", "--days", "10")
    first = run(tmp_path, *arguments, DAYMARK_ADMIN_DATABASE_URL=url)
    assert (first.returncode, first.stdout) == (
        0,
        "120 days and 60 recommendations of 12 users in 3 tenants saved\n",
    )
    assert "12/12" in first.stderr
    assert "rows/s" in first.stderr
    again = run(tmp_path, *arguments, DAYMARK_ADMIN_DATABASE_URL=url)
    assert (again.returncode, again.stdout) == (0, "0 days and 0 recommendations of 12 users in 3 tenants saved\n")
    with psycopg.connect(url) as connection:
        assert connection.execute(
            "select count(*), count(distinct tenant_id), count(distinct user_id), count(distinct date),"
            " min(least(energy, focus, fulfillment)) >= 0, max(greatest(energy, focus, fulfillment)) <= 100"
            " from app.pattern_data"
        ).fetchone() == (120, 3, 12, 10, True, True)
        [(tenant_id,), *_] = connection.execute("select tenant_id from app.tenants").fetchall()
    with psycopg.connect(postgres.url("daymark_service", own_database)) as connection:
        admin = Caller(tenant_id, NOBODY, "admin")
        seal = Seal(SEAL_KEY).sign(admin, connection.info.backend_pid, datetime.now(UTC) + timedelta(minutes=1))
        connection.execute("select app.enter(%s, null, %s)", (tenant_id, seal))
        assert connection.execute("select count(*) from app.pattern_data").fetchone() == (40,)
        assert connection.execute("select count(*) from app.user_recommendations").fetchone() == (20,)


def test_stopped_by_ctrl_c_it_leaves_whole_people_and_another_run_goes_on(
    tmp_path: Path, postgres: Server, own_database: str
) -> None:
    url = postgres.url("postgres", own_database)
    arguments = ("demo", "--tenants", "40", "--users", "200", "--days", "10")
    with (
        psycopg.connect(url, autocommit=True) as connection,
        subprocess.Popen(
            [DAYMARK, *arguments],
            cwd=tmp_path,
            env=environment(DAYMARK_ADMIN_DATABASE_URL=url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as loading,
    ):

        def counted() -> tuple[int, int, int]:
            [counts] = connection.execute(
                "select (select count(*) from app.users), (select count(*) from app.pattern_data),"
                " (select count(*) from app.user_recommendations)"
            ).fetchall()
            return counts[0], counts[1], counts[2]

        assert until(lambda: counted()[0] > 0, 30)
        loading.send_signal(signal.SIGINT)
        stdout, stderr = loading.communicate(timeout=30)

        assert (loading.returncode, stdout) == (1, "")
        assert "Traceback" not in stderr
        people, days, recommendations = counted()
        assert 0 < people < 8_000
        assert (days, recommendations) == (people * 10, people * 5)
        said = re.search(r"stopped after (\d+) of 8000 users: run it again for the others\n", stderr)
        assert said is not None
        # Of what was being committed at that very moment, by two connections, it cannot tell.
        assert 0 <= people - int(said[1]) <= 2 * 200
        others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        assert connection.execute(others).fetchall() == [(0,)]

        again = run(tmp_path, *arguments, DAYMARK_ADMIN_DATABASE_URL=url)
        missing = 8_000 - people
        assert again.stdout == (
            f"{missing * 10} days and {missing * 5} recommendations of 8000 users in 40 tenants saved\n"
        )
        assert counted() == (8_000, 80_000, 40_000)
