"""`daymark serve`: what it refuses to start as, and how it starts, stops, and lives on when a worker does not."""

import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from service.caller import Caller
from service.embedded import Server
from service.seal import Seal
from service.serving import ServingError, _room_for_connections, check_wall, find_address
from service.setting_values import Secret
from tests.command import DAYMARK, Running, ended, run, started, until
from tests.conftest import SEAL_KEY, SECRET, run_as_admin, sign
from tests.wire import request

READY = "serving on 127.0.0.1:"
PATTERNS = "/api/insights/patterns"


@contextmanager
def made_role(postgres: Server, database: str, *statements: str) -> Iterator[str]:
    """Make a role by `statements`, in which it is called {role}; give its URL."""
    role = f"role_{uuid4().hex[:12]}"
    run_as_admin(postgres, database, f"grant connect on database {database} to public")
    try:
        run_as_admin(postgres, database, *(statement.format(role=role) for statement in statements))
        yield postgres.url(role, database)
    finally:
        run_as_admin(
            postgres,
            database,
            f"reassign owned by {role} to postgres",
            f"drop owned by {role}",
            f"drop role {role}",
        )


@pytest.mark.parametrize(
    ("statements", "danger"),
    [
        (["create role {role} login superuser"], "it is a superuser"),
        (["create role {role} login bypassrls"], "it has BYPASSRLS"),
        (["create role {role} login", "grant postgres to {role}"], "it may become pg_database_owner, postgres"),
        (
            ["create role {role} login noinherit", "grant postgres to {role}"],
            "it may become pg_database_owner, postgres",
        ),
        (
            [
                "create role {role} login",
                "grant usage on schema app to {role}",
                "alter table app.users owner to {role}",
            ],
            "it owns app.users",
        ),
    ],
    ids=["superuser", "bypassrls", "member of a superuser", "noinherit member", "owner"],
)
async def test_a_role_that_could_pass_the_wall_is_refused(
    postgres: Server, own_database: str, statements: list[str], danger: str
) -> None:
    with made_role(postgres, own_database, *statements) as url, pytest.raises(ServingError) as raised:
        await check_wall(url, Seal(SEAL_KEY))
    assert str(raised.value).startswith("this role could pass the wall between tenants: ")
    assert danger in str(raised.value)


async def test_a_key_that_the_database_does_not_hold_is_named(service_url: str) -> None:
    with pytest.raises(ServingError, match="the database does not take DAYMARK_SEAL_KEY"):
        await check_wall(service_url, Seal(Secret("another key, of which the database knows nothing")))


async def test_the_services_own_role_is_taken(service_url: str) -> None:
    await check_wall(service_url, Seal(SEAL_KEY))


async def test_a_database_that_is_away_is_said() -> None:
    with pytest.raises(ServingError, match="cannot reach the database: "):
        await check_wall("postgresql://a@127.0.0.1:1/b", Seal(SEAL_KEY))


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", "127.0.0.1")])
def test_a_host_is_an_address_or_a_name(host: str, address: str) -> None:
    assert find_address(host, 0) == address


@pytest.mark.parametrize("host", ["192.0.2.1", "", "no..name", "x" * 300])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(ServingError) as raised:
        find_address(host, 8000)
    assert str(raised.value).startswith(f"cannot listen on {host}:8000: ")


def test_serve_refuses_a_superuser_in_one_line(tmp_path: Path, admin_url: str) -> None:
    result = run(
        tmp_path, "serve", DAYMARK_DATABASE_URL=admin_url, DAYMARK_JWT_SECRET=SECRET, DAYMARK_SEAL_KEY=SEAL_KEY
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("daymark: this role could pass the wall between tenants: it is a superuser; ")


def test_serve_names_every_setting_that_it_lacks(tmp_path: Path) -> None:
    result = run(tmp_path, "serve")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "daymark: DAYMARK_DATABASE_URL is not set",
        "daymark: DAYMARK_JWT_SECRET is not set, nor an identity provider (DAYMARK_JWT_JWKS_URL, DAYMARK_ISSUERS)",
        "daymark: DAYMARK_SEAL_KEY is not set",
        "daymark: for a trial that needs none of it: daymark dev",
    ]


def token_of(caller: Caller) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(caller, datetime.now(UTC), timedelta(hours=1))}"}


def listens(worker: int) -> bool:
    """Whether a worker has loaded the application, and its server's own thread has begun. Linux only."""
    threads = Path(f"/proc/{worker}/task").glob("*/comm")
    return any(each.read_text().startswith("tokio") for each in threads)


@pytest.fixture
def room_for_sockets() -> Iterator[None]:
    """Let this process open as many files as it may at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("room_for_sockets")
def test_who_is_asked_for_answers_with_1500_idle_connections_beside_it(tmp_path: Path, service_url: str) -> None:
    settings = {"DAYMARK_DATABASE_URL": service_url, "DAYMARK_JWT_SECRET": SECRET, "DAYMARK_SEAL_KEY": SEAL_KEY}
    # As many files as most systems let a process open that does not ask for more.
    narrow = ("sh", "-c", 'ulimit -Sn 1024; exec "$0" "$@"', DAYMARK)
    with started(tmp_path, "serve", ready=READY, daymark=narrow, **settings) as serve, ExitStack() as idle:
        for number in range(1_500):
            connection = idle.enter_context(socket.create_connection(("127.0.0.1", serve.port), timeout=5))
            if number % 2:
                connection.sendall(request("GET", "/health/live").replace(b"Connection: close\r\n", b""))
                assert connection.recv(4_096).startswith(b"HTTP/1.1 200 ")
        answer = httpx.get(f"{serve.url}/health/live", timeout=1)

        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("may_open", "room"),
    [(256, 128), (512, 256), (1_024, 768), (8_448, 8_192), (20_000, 8_192), (resource.RLIM_INFINITY, 8_192)],
)
def test_a_worker_keeps_as_many_connections_as_it_has_files_for(may_open: int, room: int) -> None:
    assert _room_for_connections(may_open) == room


def test_two_workers_one_of_which_is_killed(tmp_path: Path, service_url: str, caller: Caller) -> None:
    settings = {
        "DAYMARK_DATABASE_URL": service_url,
        "DAYMARK_JWT_SECRET": SECRET,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
        "DAYMARK_LOG": "json",
    }
    with started(tmp_path, "serve", "--workers", "2", ready=READY, **settings) as serve:
        day = {"date": "2026-01-01", "energy": 1, "focus": 2, "fulfillment": 3}
        headers = token_of(caller)
        assert httpx.post(f"{serve.url}{PATTERNS}", json=day, headers=headers).status_code == 201
        main, *workers = serve.family()
        assert len(workers) == 2
        # The first answer says that one of them is there; killed before the other is, it would leave nobody.
        assert until(lambda: all(map(listens, workers)))

        os.kill(workers[0], signal.SIGKILL)
        assert until(lambda: len(serve.family()) == 3 and workers[0] not in serve.family())
        strict = headers | {"Prefer": "handling=strict"}
        for _ in range(10):
            answer = httpx.get(f"{serve.url}{PATTERNS}?until=2026-01-01", headers=strict)
            assert (answer.status_code, len(answer.json()["patterns"])) == (200, 1)

        family = serve.family()
        assert serve.stop(signal.SIGTERM) == 0
        assert main == family[0]
        assert until(lambda: ended(family))
        logged = [json.loads(line) for line in serve.stderr.read_text().splitlines()]
        assert [entry["event"] for entry in logged if entry["level"] == "error"] == ["Unexpected exit from worker-1"]


@contextmanager
def serving_own(folder: Path, postgres: Server, database: str, **settings: str) -> Iterator[Running]:
    url = postgres.url("daymark_service", database)
    with started(
        folder,
        "serve",
        ready=READY,
        DAYMARK_DATABASE_URL=url,
        DAYMARK_JWT_SECRET=SECRET,
        DAYMARK_SEAL_KEY=SEAL_KEY,
        **settings,
    ) as serve:
        yield serve


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path, postgres: Server, own_database: str) -> None:
    someone = token_of(Caller(uuid4(), uuid4(), "member")) | {"Prefer": "handling=strict"}
    answers: list[int] = []
    with (
        serving_own(tmp_path, postgres, own_database) as serve,
        psycopg.connect(postgres.url("postgres", own_database)) as admin,
    ):
        admin.execute("lock table app.pattern_data")
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{serve.url}{PATTERNS}", headers=someone, timeout=20).status_code)
        )
        asking.start()
        waits = "select from pg_locks where not granted and relation = 'app.pattern_data'::regclass"
        assert until(lambda: admin.execute(waits).fetchone() is not None)
        serve.process.send_signal(signal.SIGTERM)
        assert until(lambda: refused(serve.url))
        assert answers == []
        admin.rollback()
        asking.join(10)
        assert answers == [404]
        assert serve.process.wait(10) == 0


def refused(url: str) -> bool:
    try:
        httpx.get(f"{url}/health/live")
    except httpx.TransportError:
        return True
    return False


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_unexpected_error_is_whole_in_the_log_and_says_nothing_to_the_caller(
    tmp_path: Path, postgres: Server, own_database: str, form: str
) -> None:
    run_as_admin(postgres, own_database, "alter table app.pattern_data rename column energy to geheim_column")
    headers = token_of(Caller(uuid4(), uuid4(), "member"))
    with serving_own(tmp_path, postgres, own_database, DAYMARK_LOG=form) as serve:
        answer = httpx.get(f"{serve.url}{PATTERNS}", headers=headers | {"X-Request-ID": "the-one"})
        assert serve.stop(signal.SIGTERM) == 0
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "energy" not in answer.text
    log = serve.stderr.read_text()
    assert "Traceback (most recent call last)" in log
    assert "UndefinedColumnError: column recorded.energy does not exist" in log
    assert headers["Authorization"][7:] not in log
    assert SECRET not in log
    if form == "json":
        entries = [json.loads(line) for line in log.splitlines()]
        error, request = (entry for entry in entries if entry.get("request_id") == "the-one")
        assert (error["event"], error["level"]) == ("unexpected error", "error")
        assert "UndefinedColumnError" in error["exception"]
        assert {name: request[name] for name in ("event", "method", "path", "status")} == {
            "event": "request",
            "method": "GET",
            "path": PATTERNS,
            "status": 500,
        }
    else:
        first = [line for line in log.splitlines() if "request_id=the-one" in line]
        assert ["unexpected error" in line for line in first] == [True, False]
