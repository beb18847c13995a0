"""The pool: connections to Postgres, lent for one read or one transaction and taken back as they came.

asyncpg's own pool makes and ends them. Between two who need one they wait here: to lend one out costs next to nothing
that way, and what was prepared on it stays prepared.
"""

import asyncio
import datetime as dt
import secrets
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import asyncpg
import msgspec
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy
from asyncpg.prepared_stmt import PreparedStatement

from service.errors import Problem, Unavailable

# In quotes: only the stubs know these as generic.
Connection: TypeAlias = "asyncpg.Connection[Record]"
PooledConnection: TypeAlias = "PoolConnectionProxy[Record]"

# Seconds. asyncpg waits for ever on a backend that is frozen unless each step has its own limit.
CONNECT_TIMEOUT = 2.0
ACQUIRE_TIMEOUT = 2.0
COMMAND_TIMEOUT = 5.0

# The server's own limits, should this process be gone before it can cancel what it started; and no name is ever
# looked up outside the schema that the query itself names. Every query reads a few rows off an index that has them in
# order: a bitmap scan, which the planner prefers where it thinks little of the policies, would have them sorted.
SERVER_SETTINGS = {
    "application_name": "daymark",
    # Whatever the database or the role has it: an end of a session is seen by no snapshot that is kept.
    "default_transaction_isolation": "read committed",
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


class Held:
    """A connection while it is ours, with the statements that are prepared on it."""

    __slots__ = ("_statements", "backend", "connection")

    def __init__(self, connection: PooledConnection) -> None:
        self.connection = connection
        self.backend: int = connection.get_server_pid()
        self._statements: dict[str, PreparedStatement[Record]] = {}

    async def fetch(self, query: str, *arguments: object) -> list[Record]:
        """Run a statement on its own, prepared once for as long as the connection lasts; gives its rows."""
        statement = self._statements.get(query)
        if statement is None:
            statement = self._statements[query] = await self.connection.prepare(query)
        try:
            return await statement.fetch(*arguments)
        except asyncpg.InvalidCachedStatementError:
            # A migration has changed what the statement returns: it is prepared anew.
            statement = self._statements[query] = await self.connection.prepare(query)
            return await statement.fetch(*arguments)

    def is_gone(self) -> bool:
        """Say whether the connection was lost, or given up."""
        try:
            return self.connection.is_closed()
        except asyncpg.InterfaceError:
            # One that it has lost, asyncpg takes back by itself, and then answers no question about it.
            return True

    def is_as_it_came(self) -> bool:
        """Say whether the connection can be lent to the next."""
        return not self.is_gone() and not self.connection.is_in_transaction()

    def terminate(self) -> None:
        """Cut the connection off, unless it is gone already."""
        if not self.is_gone():
            self.connection.terminate()


class Pool:
    """At most `size` connections, made when they are first needed: a service can start before its database does."""

    def __init__(self, pool: "asyncpg.Pool[Record]", size: int) -> None:
        self._pool = pool
        self._closing = False
        # The one that came back last goes out first: what it needs is still in the processor's caches.
        self.idle: list[Held] = []
        # asyncpg wakes those who wait for a connection unfairly, which shows in the tail; a semaphore does not.
        self.slots = asyncio.Semaphore(size)

    @classmethod
    async def open(cls, url: str, size: int) -> Self:
        """Make the pool for `url`; connects to nothing yet."""
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=SERVER_SETTINGS,
            init=prepare_connection,
            connection_class=_Connection,
            reset=_leave_as_it_is,
        )
        return cls(pool, size)

    async def close(self) -> None:
        """Let what runs finish, for as long as one command may take, then close every connection."""
        self._closing = True
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                while self.idle:
                    await self._pool.release(self.idle.pop().connection)
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def lend(self) -> "_Loan":
        """Lend a connection for as long as `async with` lasts, and take back only one that is in step.

        Raises Unavailable where the database is away, at the beginning or inside.
        """
        return _Loan(self)

    async def take(self) -> Held:
        """Give a connection that nobody else has until it is put back. Raises Unavailable, and what is in AWAY."""
        if self.slots.locked():
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                await self.slots.acquire()
        else:
            await self.slots.acquire()  # at once
        try:
            while self.idle:
                held = self.idle.pop()
                if held.is_as_it_came():
                    return held
                await self._pool.release(held.connection)
            return Held(await self._pool.acquire(timeout=ACQUIRE_TIMEOUT))
        except BaseException as error:
            self.slots.release()
            if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError)):
                # Whatever the reason for which we are not let in, it is nothing that a caller did.
                raise Unavailable from error
            raise

    async def put_back(self, held: Held, error: BaseException | None) -> None:
        """Take a connection back after `error`, or after none."""
        in_step = error is None or (isinstance(error, IN_STEP) and not isinstance(error, (*AWAY, *LEFT_BEHIND)))
        try:
            if in_step and not self._closing and held.is_as_it_came():
                self.idle.append(held)
                return
            if not in_step:
                held.terminate()
            # Whatever else there is, such as a transaction that was left open, asyncpg's pool ends.
            await self._pool.release(held.connection)
        finally:
            self.slots.release()


class _Loan:
    """See Pool.lend. A class, since a generator takes three times as long to enter and to leave."""

    __slots__ = ("_held", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> Held:
        try:
            self._held = await self._pool.take()
        except AWAY as error:
            raise Unavailable from error
        return self._held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # asyncpg's word for a connection that is gone, but for a wrong argument as well.
        lost = isinstance(error, asyncpg.InterfaceError) and self._held.is_gone()
        try:
            await self._pool.put_back(self._held, error)
        except AWAY as away:
            raise Unavailable from away
        if lost or isinstance(error, AWAY):
            raise Unavailable from error


class _Connection(asyncpg.Connection[Record] if TYPE_CHECKING else asyncpg.Connection):  # type: ignore[misc]
    """A connection whose prepared statements have names that nobody can guess.

    asyncpg counts them. Who runs SQL of their own on a pooled connection could then prepare another statement under the
    name of one of ours, and would be handed the next caller's seal (migration 0009 keeps the names from being listed).
    """

    def _get_unique_id(self, prefix: str) -> str:
        return f"__daymark_{prefix}_{secrets.token_hex(16)}__"


async def prepare_connection(connection: Connection) -> None:
    """Have a connection speak jsonb and dates as the service does."""
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
