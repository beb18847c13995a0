"""What the tests share: a real Postgres, a fresh tenant for each test, and the service served over real HTTP."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import psycopg
import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server as Granian

from service import embedded, migrating
from service.app import create_app
from service.caller import Caller, Role
from service.database import Connection, Database
from service.identity.tokens import Tokens
from service.seal import Seal
from service.setting_values import Rate, Secret
from service.settings import Settings

SECRET = Secret("a secret of the tests, of no use elsewhere")
SEAL_KEY = Secret("a key of the tests' seal, of no use elsewhere")
NOW = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Serve(Protocol):
    """Serve the application in this process, over real HTTP on a port of its own."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Take settings to change, and `clock` and `engine` as create_app does."""


class MakeCaller(Protocol):
    """Add a user to a tenant, a new one if none is given."""

    def __call__(
        self, beside: Caller | None = None, *, role: Role = "member", timezone: str = "UTC"
    ) -> Awaitable[Caller]:
        """Give the caller that a token of theirs speaks for."""


def run_as_admin(postgres: embedded.Server, database: str, *statements: str) -> None:
    with psycopg.connect(postgres.url("postgres", database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    """Give the Postgres of this run; fsync is off, and there is room for the load tests.

    DAYMARK_TEST_SOCKETS names the socket folder of another server, to run on another major version.
    """
    if sockets := os.environ.get("DAYMARK_TEST_SOCKETS"):
        yield embedded.Server(Path(sockets), Path(sockets), owned=False)
        return
    folder = tmp_path_factory.mktemp("postgres")
    with embedded.running(folder, purpose="pytest", durable=False, settings={"max_connections": "300"}) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: embedded.Server) -> str:
    """Give the name of a migrated database, of which a copy takes milliseconds."""
    name = f"daymark_template_{uuid4().hex[:12]}"  # two processes of one run may share a server
    run_as_admin(postgres, "postgres", f"create database {name}")
    migrating.up(postgres.url("postgres", name))
    keep_seal_key(postgres.url("postgres", name))
    return name


def keep_seal_key(url: str) -> None:
    """Have the database at `url` hold the key that the tests seal with."""
    seal = Seal(SEAL_KEY)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into app.seal_keys values (%s, %s, %s)", (seal.key_id, *seal.pads))


@pytest.fixture(scope="session")
def database_name(postgres: embedded.Server, template: str) -> str:
    """Give the database that all tests share; each takes tenants of its own in it."""
    return copy_database(postgres, template)


@pytest.fixture
def own_database(postgres: embedded.Server, template: str) -> Iterator[str]:
    """Give a database that a test may break."""
    name = copy_database(postgres, template)
    yield name
    run_as_admin(postgres, "postgres", f"drop database {name} with (force)")


def copy_database(postgres: embedded.Server, template: str) -> str:
    name = f"test_{uuid4().hex[:12]}"
    run_as_admin(
        postgres,
        "postgres",
        f"create database {name} template {template}",
        # The rights on a database are not copied with it.
        f"revoke all on database {name} from public",
        f"grant connect on database {name} to daymark_service, daymark_analyst",
    )
    return name


@pytest.fixture(scope="session")
def service_url(postgres: embedded.Server, database_name: str) -> str:
    """Give the shared database's URL as the service's role."""
    return postgres.url("daymark_service", database_name)


@pytest.fixture(scope="session")
def admin_url(postgres: embedded.Server, database_name: str) -> str:
    """Give the shared database's URL as the administrator."""
    return postgres.url("postgres", database_name)


@pytest.fixture(scope="session")
async def admin(admin_url: str) -> AsyncIterator[Connection]:
    """Give a connection to the shared database as the administrator, whom row security does not bind."""
    connection: Connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def as_service(service_url: str) -> AsyncIterator[Connection]:
    """Give a bare connection as the service's role: what an injected statement would have."""
    connection: Connection = await asyncpg.connect(service_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def database(service_url: str) -> AsyncIterator[Database]:
    """Give the service's own door to the shared database."""
    opened = await Database.open(service_url, 4, Seal(SEAL_KEY))
    yield opened
    await opened.close()


@pytest.fixture
def make_caller(admin: Connection) -> MakeCaller:
    async def make(beside: Caller | None = None, *, role: Role = "member", timezone: str = "UTC") -> Caller:
        tenant_id = beside.tenant_id if beside else uuid4()
        user_id = uuid4()
        if beside is None:
            slug = f"t-{tenant_id.hex}"
            await admin.execute("insert into app.tenants (tenant_id, slug, name) values ($1, $2, $2)", tenant_id, slug)
        await admin.execute(
            "insert into app.users (tenant_id, user_id, email, role, timezone) values ($1, $2, $3, $4, $5)",
            tenant_id,
            user_id,
            f"{user_id.hex}@example.test",
            role,
            timezone,
        )
        return Caller(tenant_id, user_id, role)

    return make


@pytest.fixture
async def caller(make_caller: MakeCaller) -> Caller:
    """Give a member of a tenant that is this test's own."""
    return await make_caller()


@pytest.fixture
async def stranger(make_caller: MakeCaller) -> Caller:
    """Give a member of another tenant."""
    return await make_caller()


@pytest.fixture(scope="session")
def settings(service_url: str) -> Settings:
    """Give the settings of a service on the shared database."""
    return Settings(
        database_url=Secret(service_url),
        jwt_secret=SECRET,
        seal_key=SEAL_KEY,
        pool_size=4,
        limit_login_address=Rate(0, 1),  # all tests log in from one
    )


async def enter(connection: Connection, caller: Caller, *, local: bool = False) -> None:
    """Put a bare connection inside a caller's context, for a minute: for the session, or `local`, the transaction."""
    seal = Seal(SEAL_KEY).sign(caller, connection.get_server_pid(), datetime.now(UTC) + timedelta(minutes=1))
    for name, value in {"app.tenant_id": str(caller.tenant_id), "app.seal": seal}.items():
        await connection.execute("select set_config($1, $2, $3)", name, value, local)


def sign(caller: Caller, now: datetime = NOW, life: timedelta = timedelta(hours=2)) -> str:
    return Tokens(SECRET).sign(caller, now, life)


def bearer(caller: Caller, now: datetime = NOW) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(caller, now)}"}


@asynccontextmanager
async def served(settings: Settings, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Granian(
        create_app(settings, **options),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    running = asyncio.create_task(server.serve())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await _answering(client, running)
            yield client
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        await running


async def _answering(client: httpx.AsyncClient, running: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await client.get("/health/live")
            except httpx.TransportError:
                if running.done():
                    await running
                await asyncio.sleep(0.01)
            else:
                return


@pytest.fixture
def serve(settings: Settings) -> Serve:
    def start(*, clock: Callable[[], datetime] | None = None, engine: Any = None, **changes: Any) -> Any:
        return served(msgspec.structs.replace(settings, **changes), clock=clock or Clock(), engine=engine)

    return start


@pytest.fixture(scope="session")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of one service that all tests share; its clock stands at NOW."""
    async with served(settings, clock=Clock()) as shared:
        yield shared
