"""psql inside one tenant: what it sees, that it writes nothing, and how it behaves at a terminal."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import psycopg
import pytest

from service.administrator import AdministratorError
from service.caller import Caller
from service.psql import Context, PsqlError, find_context, run
from service.seal import Seal
from tests import command
from tests.conftest import SEAL_KEY, MakeCaller

# Makes the terminal on stdin the controlling one, as a login does: only then is Ctrl-C a signal.
AT_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def urls(service_url: str, admin_url: str) -> dict[str, str]:
    """Give the settings of the shared database; its URL has a password and an option of its own."""
    with_password = service_url.replace("daymark_service@", "daymark_service:geheim@")
    assert urlsplit(with_password).password == "geheim"
    return {
        "DAYMARK_DATABASE_URL": f"{with_password}&options=-c%20statement_timeout%3D60s",
        "DAYMARK_ADMIN_DATABASE_URL": admin_url,
        "DAYMARK_SEAL_KEY": SEAL_KEY,
    }


@pytest.fixture
async def people(make_caller: MakeCaller, admin: "asyncpg.Connection[asyncpg.Record]") -> list[Caller]:
    """Give two people of a tenant and one of another; each has a day."""
    one = await make_caller()
    found = [one, await make_caller(one), await make_caller()]
    for person in found:
        await admin.execute(
            "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at)"
            " values ($1, $2, '2026-11-22', 1, 2, 3, now())",
            person.tenant_id,
            person.user_id,
        )
    return found


COUNT = "select count(*) from app.pattern_data"


def ask(folder: Path, urls: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    result = command.run(folder, "psql", *arguments, **urls)
    return result.returncode, result.stdout, result.stderr


def test_it_sees_the_tenant_and_nothing_else(tmp_path: Path, urls: dict[str, str], people: list[Caller]) -> None:
    tenant = str(people[0].tenant_id)
    assert ask(tmp_path, urls, tenant, "--", "-XAtc", COUNT) == (0, "2\n", "")
    who = "select current_user, app.role(), current_setting('statement_timeout')"
    assert ask(tmp_path, urls, tenant, "--", "-XAtc", who) == (0, "daymark_service|admin|1min\n", "")


def test_as_somebody_it_sees_what_they_see(tmp_path: Path, urls: dict[str, str], people: list[Caller]) -> None:
    email = f"{people[0].user_id.hex}@example.test"
    answer = ask(tmp_path, urls, str(people[0].tenant_id), "--as", email, "--", "-XAtc", COUNT)
    assert answer == (0, "1\n", "")


def test_it_writes_nothing_and_its_failure_is_ours(tmp_path: Path, urls: dict[str, str], people: list[Caller]) -> None:
    status, out, err = ask(tmp_path, urls, str(people[0].tenant_id), "--", "-Xc", "delete from app.pattern_data")
    assert (status, out, err) == (1, "", "ERROR:  cannot execute DELETE in a read-only transaction\n")


async def test_a_context_is_an_admins_or_a_users(admin_url: str, people: list[Caller]) -> None:
    tenant_id, user_id = str(people[0].tenant_id), str(people[0].user_id)
    slug, email = f"t-{people[0].tenant_id.hex}", f"{people[0].user_id.hex}@example.test"
    whole = await find_context(admin_url, Seal(SEAL_KEY), slug, None)
    own = await find_context(admin_url, Seal(SEAL_KEY), tenant_id, email)
    assert (whole.tenant_id, whole.shown) == (tenant_id, slug)
    assert whole.seal.split("|")[1:6] == ["0000000000", tenant_id, str(UUID(int=0)), str(UUID(int=0)), "admin"]
    assert (own.tenant_id, own.shown) == (tenant_id, f"{email}@{slug}")
    assert own.seal.split("|")[1:6] == ["0000000000", tenant_id, user_id, str(UUID(int=0)), "member"]
    with pytest.raises(AdministratorError, match="there is no tenant 'nowhere'"):
        await find_context(admin_url, Seal(SEAL_KEY), "nowhere", None)
    with pytest.raises(AdministratorError, match="there is no user 'a@b'"):
        await find_context(admin_url, Seal(SEAL_KEY), slug, "a@b")


def test_a_url_that_libpq_does_not_take_is_one_line() -> None:
    with pytest.raises(PsqlError) as raised:
        run("postgresql://h/d?nonsense=1", Context("", "", "acme"), [])
    assert str(raised.value) == 'psql does not take DAYMARK_DATABASE_URL: invalid URI query parameter: "nonsense"'


class Terminal:
    """The other end of a psql's terminal."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def expect(self, pattern: str) -> None:
        """Read until `pattern` has been shown since the last expectation."""
        deadline = time.monotonic() + 20
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, (pattern, self.shown)
            if select.select([self.file], [], [], 0.1)[0]:
                self.shown += os.read(self.file, 4096).decode()
        self.shown = self.shown[found.end() :]


@contextmanager
def at_a_terminal(
    folder: Path, *arguments: str, **variables: str
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, command.DAYMARK, *arguments],
        cwd=folder,
        env=command.environment(TERM="dumb", PSQL_HISTORY="/dev/null", PAGER="cat", **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        try:
            os.close(theirs)
            yield Terminal(ours), process
        finally:
            process.kill()
            os.close(ours)


def test_at_a_terminal_the_prompt_names_the_tenant_and_ctrl_c_ends_the_query_only(
    tmp_path: Path, urls: dict[str, str], people: list[Caller]
) -> None:
    tenant = people[0].tenant_id
    prompt, slept = re.escape(f"t-{tenant.hex}=> "), f"slept_{tenant.hex}"
    with at_a_terminal(tmp_path, "psql", str(tenant), "--", "-X", **urls) as (terminal, process):
        terminal.expect(prompt)
        terminal.type(f"select pg_sleep(60) as {slept};\n")
        assert command.until(lambda: is_running(urls["DAYMARK_ADMIN_DATABASE_URL"], slept))
        assert b"--set=PROMPT1=" in command_lines(process.pid)
        assert b"geheim" not in command_lines(process.pid)
        terminal.type("\x03")
        terminal.expect("canceling statement due to user request")
        terminal.expect(prompt)
        terminal.type(f"{COUNT};\n")
        terminal.expect(r"2\s+\(1 row\)")
        terminal.expect(prompt)
        terminal.type("\\q\n")
        assert process.wait(10) == 0


def is_running(admin_url: str, query: str) -> bool:
    with psycopg.connect(admin_url) as connection:
        found = connection.execute(
            "select from pg_stat_activity where state = 'active' and query like %s and pid <> pg_backend_pid()",
            (f"%{query}%",),
        )
        return found.fetchone() is not None


def command_lines(pid: int) -> bytes:
    """Give what everybody may read of a process and its children."""
    found = b""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            if pid in (int(path.parent.name), int(fields[1])):
                found += path.with_name("cmdline").read_bytes()
        except OSError:
            continue
    return found


def test_ctrl_c_leaves_an_embedded_database_running_and_sigterm_stops_it(tmp_path: Path) -> None:
    assert command.run(tmp_path, "demo", "--tenants", "1", "--users", "1", "--days", "1").returncode == 0
    with at_a_terminal(tmp_path, "psql", "demo-1", "--", "-X") as (terminal, process):
        terminal.expect("demo-1=> ")
        terminal.type("\x03")
        terminal.expect("demo-1=> ")
        terminal.type(f"{COUNT};\n")
        terminal.expect(r"1\s+\(1 row\)")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    assert not (tmp_path / ".daymark/postgres/postmaster.pid").exists()
