"""The only door to Postgres: `read` for one statement, `transaction` for a write or for several.

Both let the caller's tenant in for exactly as long as they run: `read` inside the statement itself (one round trip),
`transaction` with its first statement. What they set is sealed for the very connection that it is set on. Nothing
outlives them, so a connection goes back to the pool as it came.
"""

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import asyncpg
import msgspec
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from service.caller import Caller
from service.errors import Problem, SessionEnded, Unavailable, UnknownTenant
from service.queries import CALLERS_OWN, ENTER_TRANSACTION, Query
from service.seal import Seal

# In quotes: only the stubs know these as generic.
Connection: TypeAlias = "asyncpg.Connection[Record]"
PooledConnection: TypeAlias = "PoolConnectionProxy[Record]"

# Seconds. asyncpg waits for ever on a backend that is frozen unless each step has its own limit.
CONNECT_TIMEOUT = 2.0
ACQUIRE_TIMEOUT = 2.0
COMMAND_TIMEOUT = 5.0

# How long a seal holds: longer than any transaction of ours may take, and the clocks of two machines may differ.
SEAL_LIFE = dt.timedelta(seconds=45)
# Seconds for which a seal is used again, for the same person on the same connection: much less than it holds.
SEAL_USE = 10.0
MOST_SEALS = 4_096  # 3 MB

# The server's own limits, should this process be gone before it can cancel what it started; and no name is ever
# looked up outside the schema that the query itself names. Every query reads a few rows off an index that has them in
# order: a bitmap scan, which the planner prefers where it thinks little of the policies, would have them sorted.
SERVER_SETTINGS = {
    "application_name": "daymark",
    "enable_bitmapscan": "off",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "search_path": "",
    "statement_timeout": "5s",
    "timezone": "UTC",
}

POSTGRES_EPOCH = dt.date(2000, 1, 1).toordinal()

# What says that Postgres is away (down, restarting, full, failing over, or too slow), and not that a query is wrong.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # a connection that was lost between two statements, as asyncpg tells it
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Undo(Exception):
    """Raised inside a transaction to undo it; whoever raises it catches it outside."""


# After these the connection is in step, unless Postgres is away: it has answered, or nobody asked it anything. After
# all else (cancelled, timed out, cut off) a statement may still be running or a transaction be open behind it.
IN_STEP = (asyncpg.PostgresError, Problem, Undo)

# What says that a connection is not as we left it (a statement of ours gone, row security off): somebody ran SQL of
# their own on it. Nobody else shall get it.
LEFT_BEHIND = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSQLStatementNameError)

# Constraints that a caller, and not only a mistake of ours, can run into.
CONSTRAINTS: dict[str | None, type[Problem]] = {"users_tenant_fkey": UnknownTenant}


SESSION_ENDED = "DM001"  # what app.refuse_session raises


class _Sealed(NamedTuple):
    """A seal, and until when it is used again, in seconds of the clock that only grows."""

    seal: str
    until: float


class Transaction:
    """Statements of one caller that hold or fall together; see Database.transaction."""

    def __init__(self, connection: PooledConnection, caller: Caller) -> None:
        self._connection = connection
        self._caller = caller

    async def fetch(self, query: Query, **values: object) -> list[Record]:
        """Run `query` and give its rows. The caller's tenant and person are filled in, all else is in `values`."""
        own = {name: getattr(self._caller, name) for name in CALLERS_OWN}
        arguments = _arguments(query.plain_parameters, values | own)
        return await self._connection.fetch(query.plain, *arguments)

    async def wait_for_locks(self, milliseconds: int) -> None:
        """Have the rest of the transaction raise LockNotAvailableError rather than wait longer for others' rows."""
        await self._connection.execute(f"set local lock_timeout = {milliseconds:d}")


class Database:
    """A pool of connections and its two doors.

    The pool connects when first asked, so that a service can start before its database does.
    """

    def __init__(self, pool: "asyncpg.Pool[Record]", size: int, seal: Seal) -> None:
        self._pool = pool
        self._seal = seal
        # asyncpg wakes those who wait for a connection unfairly, which shows in the tail; a semaphore does not.
        self._slots = asyncio.Semaphore(size)
        # Making a seal takes longer than all else that this process does to enter.
        self._sealed: dict[tuple[int, Caller], _Sealed] = {}

    @classmethod
    async def open(cls, url: str, size: int, seal: Seal) -> Self:
        """Make the pool for `url`, of at most `size` connections; connects to nothing yet.

        `seal` must be of a key that the database holds, or every statement is refused.
        """
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=SERVER_SETTINGS,
            init=_prepare_connection,
            connection_class=_Connection,
            reset=_leave_as_it_is,
        )
        return cls(pool, size, seal)

    async def close(self) -> None:
        """Let what runs finish, for as long as one command may take, then close every connection."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def read(self, caller: Caller, query: Query, **values: object) -> list[Record]:
        """Run one reading statement as `caller`, in one round trip, and give its rows.

        The tenant enters in the statement itself: the query can only run after the settings are made, since it takes
        the tenant from them. Were that order ever otherwise, the policies would find no tenant and refuse.

        Raises Unavailable where the database is away.
        """
        arguments = _arguments(query.entered_parameters, values)
        async with self._connection() as connection:
            return await connection.fetch(query.entered, *self._entering(caller, connection), *arguments)

    @asynccontextmanager
    async def transaction(self, caller: Caller) -> AsyncIterator[Transaction]:
        """Run several statements, or a writing one, as `caller`: all of them hold, or none.

        Raises Unavailable where the database is away (if it went away during COMMIT, whether that held is unknown;
        every write of this service can be sent again), and the Problem that stands in CONSTRAINTS for a constraint.
        Raise Undo inside to undo all of it.
        """
        async with self._connection() as connection:
            try:
                # Two round trips where `BEGIN; SET LOCAL ...` would be one: but that would spell the context out in the
                # text of a query, which logs keep and pg_stat_activity may show to others.
                await connection.execute("begin")
                await connection.fetch(ENTER_TRANSACTION, *self._entering(caller, connection))
                yield Transaction(connection, caller)
                await connection.execute("commit")
            except IN_STEP as error:
                if not isinstance(error, AWAY) and not _is_gone(connection):
                    await _roll_back(connection)
                if isinstance(error, asyncpg.IntegrityConstraintViolationError):
                    problem = CONSTRAINTS.get(error.constraint_name)
                    if problem:
                        raise problem from error
                raise

    def _entering(self, caller: Caller, connection: PooledConnection) -> tuple[object, ...]:
        """Give the tenant, the person and the seal, as a statement takes them to enter."""
        backend, now = connection.get_server_pid(), time.monotonic()
        sealed = self._sealed.get((backend, caller))
        if sealed is None or sealed.until <= now:
            if len(self._sealed) >= MOST_SEALS:
                self._sealed.clear()
            seal = self._seal.sign(caller, backend, dt.datetime.now(dt.UTC) + SEAL_LIFE)
            sealed = _Sealed(seal, now + SEAL_USE)
            self._sealed[backend, caller] = sealed
        return caller.tenant_id, caller.user_id, sealed.seal

    async def ping(self) -> None:
        """Raise Unavailable unless Postgres answers. Reads no table, and so needs no tenant."""
        async with self._connection() as connection:
            await connection.execute("select")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PooledConnection]:
        """Lend a connection, and take back only one that is in step."""
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                await self._slots.acquire()
            try:
                try:
                    connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
                except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    # Whatever the reason for which we are not let in, it is nothing that a caller did.
                    raise Unavailable from error
                try:
                    yield connection
                except BaseException as error:
                    # asyncpg's word for a connection that is gone, but for a wrong argument as well.
                    if isinstance(error, asyncpg.InterfaceError) and _is_gone(connection):
                        raise Unavailable from error
                    if isinstance(error, (*AWAY, *LEFT_BEHIND)) or not isinstance(error, IN_STEP):
                        _terminate(connection)
                    raise
                finally:
                    await self._pool.release(connection)
            finally:
                self._slots.release()
        except AWAY as error:
            raise Unavailable from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == SESSION_ENDED:
                raise SessionEnded from error
            raise


async def _roll_back(connection: PooledConnection) -> None:
    try:
        await connection.execute("rollback")
    except (*AWAY, asyncpg.InterfaceError):
        # It was lost at this very moment: all is undone, and what went wrong before is what the caller is told.
        _terminate(connection)


def _is_gone(connection: PooledConnection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # One that it has lost, asyncpg takes back by itself, and then answers no question about it.
        return True


def _terminate(connection: PooledConnection) -> None:
    if not _is_gone(connection):
        connection.terminate()


class _Connection(asyncpg.Connection[Record] if TYPE_CHECKING else asyncpg.Connection):  # type: ignore[misc]
    """A connection whose prepared statements have names that nobody can guess.

    asyncpg counts them. Who runs SQL of their own on a pooled connection could then prepare another statement under the
    name of one of ours, and would be handed the next caller's seal (migration 0009 keeps the names from being listed).
    """

    def _get_unique_id(self, prefix: str) -> str:
        return f"__daymark_{prefix}_{secrets.token_hex(16)}__"


async def _prepare_connection(connection: Connection) -> None:
    # The binary form of jsonb is a version byte, 1, and then the text.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )
    # asyncpg on its own sends the calendar's first and last day as -infinity and infinity. The binary form of date is
    # the number of days since 2000-01-01.
    await connection.set_type_codec(
        "date",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: (value.toordinal() - POSTGRES_EPOCH).to_bytes(4, "big", signed=True),
        decoder=lambda data: dt.date.fromordinal(int.from_bytes(data, "big", signed=True) + POSTGRES_EPOCH),
    )


async def _leave_as_it_is(_: Connection) -> None:
    """Reset nothing: what the doors set ends with their statement or transaction, so there is nothing to reset."""


def _arguments(names: Sequence[str], values: dict[str, Any]) -> list[object]:
    return [values[name] for name in names]
