"""The `daymark` command, run as a person at a terminal or a script would."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
import rich_click as click
from click.testing import CliRunner

from service.administrator import Administrator, AdministratorError
from service.cli import cli
from service.embedded import Server
from tests.command import DAYMARK, Running, ended, environment, run, started, until

READY = "psql acme"
ALL_DAYS = "/api/insights/patterns?days=90"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


EVERY = [pytest.param(path, id=" ".join(("daymark", *path))) for path in commands(cli)]


@pytest.mark.parametrize("path", EVERY)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("path", EVERY)
def test_every_command_exits_2_on_an_unknown_option(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--nonsense"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "No such option" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("dev --port 0", "0 is not in the range"),
        ("dev --port 65536", "65536 is not in the range"),
        ("serve --workers 0", "0 is not in the range"),
        ("tenant add", "Missing argument 'SLUG'"),
        ("tenant add acme other", "unexpected extra argument"),
        ("user add acme", "Missing argument 'EMAIL'"),
        ("user add acme a@b --role owner", "'owner' is not one of 'member', 'admin'"),
        ("token acme a@b --ttl 1x", "expected a duration such as 90s, 15m, 1h or 1d"),
        ("token acme a@b --ttl -5", "expected a duration such as 90s, 15m, 1h or 1d"),
        ("token acme a@b --ttl \uff15m", "expected a duration such as 90s, 15m, 1h or 1d"),
        ("token acme a@b --ttl 9999999999", "expected a duration such as 90s, 15m, 1h or 1d"),
        ("migrate down x", "expected a number or 'all', not 'x'"),
        ("migrate down -- -1", "expected a number or 'all', not '-1'"),
        ("migrate down 1.5", "expected a number or 'all', not '1.5'"),
        ("migrate new", "Missing argument 'NAME'"),
        ("demo --users 0", "0 is not in the range"),
        (f"url --data {__file__}", "is a file"),
        ("url --data=", "expected a folder"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(arguments: str, said: str) -> None:
    result = CliRunner().invoke(cli, arguments.split(" "), terminal_width=1000)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a `daymark dev` that was started in an empty folder; it ends like its terminal, and cleanly."""
    with started(tmp_path_factory.mktemp("dev"), "dev", ready=READY) as running:
        yield running
        family = running.family()
        assert running.stop(signal.SIGHUP) == 0
        assert until(lambda: ended(family))


@pytest.fixture
def folder(dev: Running) -> Path:
    """Give the folder that `daymark dev` runs in, where other commands use its database."""
    return dev.stdout.parent


def lines(running: Running, start: str) -> list[str]:
    return [line for line in running.stdout.read_text().splitlines() if line.startswith(start)]


def get(running: Running, path: str) -> dict[str, object]:
    [token] = lines(running, "TOKEN=")
    answer = httpx.get(
        f"{running.url}{path}", headers={"Authorization": f"Bearer {token[6:]}", "Prefer": "handling=strict"}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def days(answer: dict[str, object]) -> list[str]:
    patterns = answer["patterns"]
    assert isinstance(patterns, list)
    return [day["date"] for day in patterns]


def test_dev_prints_lines_that_work_when_pasted(dev: Running, folder: Path) -> None:
    pasted = [*lines(dev, "TOKEN="), *lines(dev, "curl "), *lines(dev, str(DAYMARK))]
    assert len(pasted) == 4
    first, second = (line.rpartition(" ")[2].removeprefix(dev.url) for line in pasted[1:3])
    assert days(get(dev, first)) == [str(today() - timedelta(days=back)) for back in range(6, -1, -1)]
    assert [get(dev, second)["cached"] for _ in range(2)] == [False, True]

    script = "\n".join(["set -e", *(pasted if shutil.which("curl") else [pasted[0], pasted[3]])])
    shell = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, timeout=30, check=True
    )
    assert "(5 rows)" in shell.stdout
    if shutil.which("curl"):
        assert shell.stdout.count('"source":"user"') == 2


def today() -> date:
    return datetime.now(UTC).date()


def test_dev_has_thirty_days_of_each_demo_user(dev: Running, folder: Path) -> None:
    assert len(days(get(dev, ALL_DAYS))) == 30
    with psycopg.connect(run(folder, "url", "--admin").stdout.strip()) as connection:
        found = connection.execute(
            "select tenant.slug, person.email, person.role, count(*)"
            " from app.pattern_data join app.users as person using (tenant_id, user_id)"
            " join app.tenants as tenant using (tenant_id) group by 1, 2, 3 order by 2"
        ).fetchall()
    assert found == [
        ("acme", "ada@acme.test", "admin", 30),
        ("acme", "bob@acme.test", "member", 30),
        ("globex", "eve@globex.test", "member", 30),
    ]


def test_a_second_dev_gets_one_clear_line(dev: Running, folder: Path) -> None:
    result = run(folder, "dev", "--port", "1024")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"daymark: the database in .daymark is already in use by `daymark dev` (pid {dev.process.pid})\n"
    )


def test_an_occupied_port_says_so_before_anything_starts(dev: Running, tmp_path: Path) -> None:
    result = run(tmp_path, "dev", "--port", str(dev.port))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"daymark: cannot listen on 127.0.0.1:{dev.port}: Address already in use; choose another with --port\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_tenant_a_user_and_a_token_for_the_running_service(dev: Running, folder: Path) -> None:
    tenant = run(folder, "tenant", "add", "initech", "--name", "Initech & Söhne")
    user = run(folder, "user", "add", "initech", "Peter@initech.test", "--timezone", "Asia/Tokyo", "--role", "admin")
    token = run(folder, "token", "initech", "peter@INITECH.test", "--ttl", "90s")
    for result in (tenant, user, token):
        assert (result.returncode, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    UUID(tenant.stdout.strip()), UUID(user.stdout.strip())
    day = {"date": "2026-01-01", "energy": 1, "focus": 2, "fulfillment": 3}
    authorization = {"Authorization": f"Bearer {token.stdout.strip()}"}
    stored = httpx.post(f"{dev.url}/api/insights/patterns", json=day, headers=authorization)
    assert (stored.status_code, stored.json()) == (201, {"stored": 1, "created": 1, "replaced": 0})


FAILING = {
    ("token", "nowhere", "a@b"): "there is no tenant 'nowhere'",
    ("token", "acme", "eve@globex.test"): "there is no user 'eve@globex.test' in tenant 'acme'",
    ("token", "acme", "ada@acme.test", "--ttl", "25h"): "a token lives from 1 second to 24 hours",
    ("tenant", "add", "acme"): "there is a tenant of this slug already",
    ("user", "add", "acme", "ADA@acme.test"): "there is a user of this e-mail address in this tenant already",
    ("user", "add", "acme", "a@b", "--timezone", "Mars/Base"): "expected an IANA time zone, such as Europe/Berlin",
    ("migrate", "new", "../Bad Name"): (
        "a migration is named in lower-case words joined by hyphens, not '../Bad Name'"
    ),
}


def test_a_failure_is_one_clear_line(dev: Running, folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = dict(zip(FAILING, pool.map(lambda arguments: run(folder, *arguments), FAILING), strict=True))
    assert {arguments: result.stderr for arguments, result in results.items()} == {
        arguments: f"daymark: {said}\n" for arguments, said in FAILING.items()
    }
    assert {(result.returncode, result.stdout) for result in results.values()} == {(1, "")}
    assert dev.process.poll() is None


@pytest.mark.parametrize(
    ("slug", "name", "said"),
    [
        ("Bad", "A name", "a slug has 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at either end"),
        ("-bad", "A name", "a slug has 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at either end"),
        ("b" * 64, "A name", "a slug has 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at either end"),
        ("2b2d0f5e-43ef-4c1c-8f5a-2d9c4a7ab4f1", "A name", "a slug may not look like an id"),
        ("good", "", "a name has 1 to 200 characters"),
        ("good", "x" * 201, "a name has 1 to 200 characters"),
    ],
)
async def test_a_wrong_tenant_is_said_in_the_operators_words(admin_url: str, slug: str, name: str, said: str) -> None:
    async with Administrator.connect(admin_url) as administrator:
        with pytest.raises(AdministratorError) as raised:
            await administrator.add_tenant(slug, name)
    assert str(raised.value) == said


def test_an_argument_that_is_not_utf8_is_one_clear_line(folder: Path) -> None:
    result = run(folder, "tenant", "add", b"\xff\xfe")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("daymark: not a text that Postgres takes")


def test_what_a_person_changed_is_still_so_after_ctrl_c_and_after_a_kill(tmp_path: Path) -> None:
    changed, deleted = str(today() - timedelta(days=3)), str(today() - timedelta(days=4))
    day = {"date": changed, "energy": 1, "focus": 2, "fulfillment": 3}

    def is_as_left(dev: Running) -> bool:
        answer = get(dev, ALL_DAYS)
        patterns = answer["patterns"]
        assert isinstance(patterns, list)
        return deleted not in days(answer) and [
            {**day, "day": each["day"]} for each in patterns if each["energy"] == 1
        ] == [each for each in patterns if each["date"] == changed]

    with started(tmp_path, "dev", ready=READY) as dev:
        authorization = {"Authorization": f"Bearer {lines(dev, 'TOKEN=')[0][6:]}"}
        url = f"{dev.url}/api/insights/patterns"
        assert httpx.post(url, json=day, headers=authorization).json() == {"stored": 1, "created": 0, "replaced": 1}
        assert httpx.delete(f"{url}/{deleted}", headers=authorization).status_code == 204
        family = dev.family()
        assert len(family) > 3
        assert dev.stop(signal.SIGINT, group=True) == 0
        assert until(lambda: ended(family))
        assert [line for line in dev.stderr.read_text().splitlines() if " request " not in line] == []

    with started(tmp_path, "dev", ready=READY) as dev:
        assert is_as_left(dev)
        family = dev.family()
        assert dev.stop(signal.SIGKILL) == -signal.SIGKILL
        assert until(lambda: ended(family))

    with started(tmp_path, "dev", ready=READY) as dev:
        assert is_as_left(dev)
        family = dev.family()
        assert dev.stop(signal.SIGTERM) == 0
        assert until(lambda: ended(family))


def test_dev_runs_in_a_folder_that_is_a_package_and_is_called_anything(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "litestar_offline_docs.py").write_text(
        "raise SystemExit('the working folder is no place to import from')"
    )
    with started(tmp_path, "dev", "--data", "it's here", ready=READY) as dev:
        [psql] = lines(dev, str(DAYMARK))
        assert psql.startswith(f"""{DAYMARK} psql acme --data 'it'"'"'s here' -- -c """)
        assert dev.stop(signal.SIGTERM) == 0


def test_a_command_starts_the_database_and_stops_it_again(tmp_path: Path) -> None:
    result = run(tmp_path, "tenant", "add", "acme")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "daymark: the database has no tables yet: run `daymark migrate up`\n"
    assert not (tmp_path / ".daymark/postgres/postmaster.pid").exists()


def test_migrate_up_status_and_down(tmp_path: Path, postgres: Server, own_database: str) -> None:
    url = postgres.url("postgres", own_database)
    everything = [
        "0001.roles-and-schema",
        "0002.tenant-context",
        "0003.isolate",
        "0004.tenants-and-users",
        "0005.pattern-data",
        "0006.user-recommendations",
        "0007.sealed-context",
        "0008.analysts",
        "0009.narrow-rights",
        "0010.feedback",
        "0011.budgets",
        "0012.recommendation-runs",
        "0013.check-what-was-there",
        "0014.judged-recommendations",
        "0015.rate-limits",
        "0016.sessions",
        "0017.audit-events",
        "0018.cleared-recommendations",
        "0019.sessions-in-the-context",
        "0020.one-check-a-table",
    ]

    def migrate(*arguments: str) -> list[str]:
        result = run(tmp_path, "migrate", *arguments, DAYMARK_ADMIN_DATABASE_URL=url)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.splitlines()

    assert migrate("down") == [f"rolled back {everything[-1]}"]
    assert migrate("status") == [*(f"applied  {name}" for name in everything[:-1]), f"pending  {everything[-1]}"]
    assert migrate("down", "99") == [f"rolled back {name}" for name in reversed(everything[:-1])]
    assert migrate("up") == [f"applied {name}" for name in everything]
    assert not (tmp_path / ".daymark").exists()


def test_output_into_a_closed_pipe_is_no_traceback(tmp_path: Path, admin_url: str) -> None:
    shell = subprocess.run(
        ["sh", "-c", f"{DAYMARK} migrate status | true"],
        cwd=tmp_path,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=admin_url),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert shell.stderr == ""


@pytest.mark.parametrize("command", ["tenant add acme", "migrate status"])
def test_a_database_that_is_away_is_one_line_without_its_password(tmp_path: Path, command: str) -> None:
    result = run(tmp_path, *command.split(), DAYMARK_ADMIN_DATABASE_URL="postgresql://a:geheim@127.0.0.1:1/b")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("daymark: cannot reach the database: ")
    assert "geheim" not in result.stderr


def test_wrong_settings_are_each_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DAYMARK_LOG=xml\n")
    result = run(tmp_path, "dev", DAYMARK_DATABASE_URL="nonsense", DAYMARK_POOL_SIZE="", DAYMARK_CACHE_TTL="0")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        (
            "daymark: DAYMARK_DATABASE_URL: expected postgresql://role:password@host:5432/database,"
            " with %2F for / and the like in a password"
        ),
        "daymark: DAYMARK_CACHE_TTL: expected a whole number of seconds from 1 to 86400, not '0'",
        "daymark: DAYMARK_LOG: expected text or json, not 'xml'",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
