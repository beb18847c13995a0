"""What is measured: an embedded Postgres with made-up people, and the servers on it, each with one worker."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from service import embedded, migrating
from service.administrator import Administrator
from service.caller import Caller
from service.identity.tokens import Tokens
from service.installation import ADMIN_ROLE, DATABASE, SERVICE_ROLE
from service.runtime import utc_now
from service.seal import Seal
from service.settings import kept_secret
from tests.bench import twins
from tests.bench.cores import Cores, running_on
from tests.bench.inside import track
from tests.bench.load import SAMPLE

DAYMARK = Path(sys.executable).with_name("daymark")
ROOT = Path(__file__).parents[2]
TENANTS, USERS, DAYS = 20, 50, 90
START_LIMIT = 30.0  # seconds
POLL = 0.005  # seconds
RECOMMENDATIONS = "/api/insights/recommendations"
RECORDER = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on"}


class Ground(Struct, frozen=True):
    """A database with made-up people."""

    folder: Path
    admin_url: str
    environment: dict[str, str]
    """What a server on it is started with."""
    tokens: Tokens
    people: list[Caller]
    cores: Cores

    def tokens_of(self, people: list[Caller]) -> list[str]:
        """Sign a token for each of these people."""
        return [self.tokens.sign(person, utc_now(), timedelta(hours=24)) for person in people]


class Memory(Struct, frozen=True):
    """What a process takes of memory, in MiB: `rss` with what it shares with others, `pss` with its part of that."""

    rss: float
    pss: float


class Server(Struct, frozen=True):
    """A running server, which has answered once."""

    port: int
    started: float
    """Seconds from its start to its first answer to a person."""
    pid: int

    def memory(self) -> Memory:
        """Say what its worker takes. Linux only."""
        rollup = Path(f"/proc/{self._worker()}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split()[0]: int(line.split()[1]) / 1024 for line in rollup}
        return Memory(sizes["Rss:"], sizes["Pss:"])

    def _worker(self) -> int:
        # Beside it there is multiprocessing's resource tracker.
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        [worker] = [pid for pid in children if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return int(worker)


@contextmanager
def ground(cores: Cores) -> Iterator[Ground]:
    """Start a Postgres, fill it with made-up people and give it, in a folder of its own that is removed at the end."""
    with (
        tempfile.TemporaryDirectory() as name,
        embedded.running(Path(name), purpose="bench", settings=RECORDER) as server,
    ):
        found = ground_on(server, [], cores)
        seal = Seal(kept_secret(server.directory, "seal-key"))
        people = asyncio.run(prepare(server, seal, found))
        yield msgspec.structs.replace(found, people=people)


def ground_on(server: embedded.Server, people: list[Caller], cores: Cores) -> Ground:
    """Say how to serve what is on a Postgres, with the secrets of its folder, to people who are there."""
    folder = server.directory
    jwt_secret, seal_key = kept_secret(folder, "jwt-secret"), kept_secret(folder, "seal-key")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DAYMARK_", "OPENAI_"))}
    environment = ours | {
        "DAYMARK_DATABASE_URL": server.url(SERVICE_ROLE, DATABASE),
        "DAYMARK_JWT_SECRET": jwt_secret,
        "DAYMARK_SEAL_KEY": seal_key,
        "DAYMARK_CACHE_TTL": "86400",  # nothing expires on the way
        "PYTHONPATH": str(ROOT),
    }
    return Ground(folder, server.url(ADMIN_ROLE, DATABASE), environment, Tokens(jwt_secret), people, cores)


async def prepare(server: embedded.Server, seal: Seal, ground: Ground) -> list[Caller]:
    """Make the database and its people; who they are, in an order that mixes the tenants."""
    async with Administrator.connect(server.url(ADMIN_ROLE, "postgres")) as administrator:
        await administrator.make_database(DATABASE)
    url = server.url(ADMIN_ROLE, DATABASE)
    migrating.up(url)
    async with Administrator.connect(url) as administrator:
        await administrator.keep_seal_key(seal)
        counts = ["--tenants", str(TENANTS), "--users", str(USERS), "--days", str(DAYS)]
        run_daymark(ground, "demo", *counts)
        connection = administrator.connection
        await connection.execute("create extension pg_stat_statements")
        await track(connection, "none")
        await connection.execute("vacuum analyze")
        rows = await connection.fetch("select tenant_id, user_id from app.users order by user_id")
        return [Caller(UUID(str(row["tenant_id"])), UUID(str(row["user_id"]))) for row in rows]


def run_daymark(ground: Ground, *arguments: str) -> None:
    """Run a command as the administrator, away from any .env."""
    environment = ground.environment | {"DAYMARK_ADMIN_DATABASE_URL": ground.admin_url}
    with running_on(ground.cores.service):
        done = subprocess.run(
            [DAYMARK, *arguments], check=False, capture_output=True, text=True, env=environment, cwd=ground.folder
        )
    if done.returncode:
        raise SystemExit(f"daymark {' '.join(arguments)}: {done.stderr}")


@contextmanager
def serving(ground: Ground, twin: str | None = None) -> Iterator[Server]:
    """Start the service, or a twin of it, and give it once it has answered a person."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(DAYMARK), "serve", "--port"] if twin is None else [sys.executable, "-m", twins.__name__, twin]
    [token] = ground.tokens_of(ground.people[:1])
    began = time.perf_counter()
    with running_on(ground.cores.service):
        # The log goes nowhere, as in a quiet terminal, but is written all the same.
        process = subprocess.Popen(
            [*command, str(port)],
            env=ground.environment,
            cwd=ground.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_for_answer(process, port, token)
        yield Server(port, time.perf_counter() - began, process.pid)
    finally:
        process.terminate()
        process.wait()


def wait_for_answer(process: "subprocess.Popen[bytes]", port: int, token: str) -> None:
    """Wait until a server that was just started gives a person their recommendations."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            answer(port, RECOMMENDATIONS, token)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(POLL)
        else:
            return


def answer(port: int, path: str, token: str) -> bytes:
    """Ask once, as the load does. Raises OSError where nobody answers; what is no success ends the benchmark."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != HTTPStatus.OK or SAMPLE in body:
        raise SystemExit(f"GET {path}: {response.status} {body.decode()}")
    return body
