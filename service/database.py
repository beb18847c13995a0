"""The only door to Postgres: `read` for one statement, `transaction` for a write or for several.

Both let the caller's tenant in for exactly as long as they run: `read` inside the statement itself (one round trip),
`transaction` with its first statement. What they set is sealed for the very connection that it is set on. Nothing
outlives them, so a connection goes back to the pool as it came.
"""

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self
from uuid import UUID

import asyncpg
from asyncpg import Record

from service.caller import Caller
from service.errors import Problem, SessionEnded, Unavailable, UnknownTenant
from service.pool import (
    AWAY,
    COMMAND_TIMEOUT,
    CONNECT_TIMEOUT,
    IN_STEP,
    SERVER_SETTINGS,
    Connection,
    Held,
    Pool,
    PooledConnection,
    Undo,
)
from service.queries import CALLERS_OWN, ENTER_TRANSACTION, Query
from service.seal import Seal

# With what a door is used with: nobody else needs to know of the pool.
__all__ = ["COMMAND_TIMEOUT", "CONNECT_TIMEOUT", "SERVER_SETTINGS", "Connection", "Database", "Transaction", "Undo"]

# How long a seal holds: longer than any transaction of ours may take, and the clocks of two machines may differ.
SEAL_LIFE = dt.timedelta(seconds=45)
# Seconds for which a seal is used again, for the same person on the same connection: much less than it holds.
SEAL_USE = 10.0
MOST_SEALS = 4_096  # 3 MB

# Constraints that a caller, and not only a mistake of ours, can run into.
CONSTRAINTS: dict[str | None, type[Problem]] = {
    "users_tenant_fkey": UnknownTenant,
    "audit_events_tenant_fkey": UnknownTenant,
}
SESSION_ENDED = "DM001"  # what app.refuse_session raises


def _ignore(_: UUID) -> None:
    """Do without being told that a session has ended."""


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

    def __init__(self, pool: Pool, seal: Seal, on_session_end: Callable[[UUID], None] = _ignore) -> None:
        self._pool = pool
        self._seal = seal
        self._on_session_end = on_session_end
        # Making a seal takes longer than all else that this process does to enter.
        self._sealed: dict[tuple[int, Caller], _Sealed] = {}

    @classmethod
    async def open(cls, url: str, size: int, seal: Seal, on_session_end: Callable[[UUID], None] = _ignore) -> Self:
        """Make the pool for `url`, of at most `size` connections; connects to nothing yet.

        `seal` must be of a key that the database holds, or every statement is refused. `on_session_end` is told the id
        of each session that Postgres finds to have ended.
        """
        return cls(await Pool.open(url, size), seal, on_session_end)

    async def close(self) -> None:
        """Let what runs finish, for as long as one command may take, then close every connection."""
        await self._pool.close()

    async def read(self, caller: Caller, query: Query, **values: object) -> list[Record]:
        """Run one reading statement as `caller`, in one round trip, and give its rows.

        The tenant enters in the statement itself: the query can only run after the settings are made, since it takes
        the tenant from them. Were that order ever otherwise, the policies would find no tenant and refuse.

        Raises Unavailable where the database is away, and SessionEnded where the caller's session has ended.
        """
        arguments = _arguments(query.entered_parameters, values)
        try:
            async with self._pool.lend() as held:
                return await held.fetch(query.entered, *self._entering(caller, held.backend), *arguments)
        except asyncpg.PostgresError as error:
            self._explain(error, caller)
            raise

    @asynccontextmanager
    async def transaction(self, caller: Caller) -> AsyncIterator[Transaction]:
        """Run several statements, or a writing one, as `caller`: all of them hold, or none.

        Raises Unavailable where the database is away (if it went away during COMMIT, whether that held is unknown;
        every write of this service can be sent again), SessionEnded where the caller's session has ended, and the
        Problem that stands in CONSTRAINTS for a constraint. Raise Undo inside to undo all of it.
        """
        async with self._pool.lend() as held:
            connection = held.connection
            try:
                # Two round trips where `BEGIN; SET LOCAL ...` would be one: but that would spell the context out in the
                # text of a query, which logs keep and pg_stat_activity may show to others.
                await connection.execute("begin")
                await connection.fetch(ENTER_TRANSACTION, *self._entering(caller, held.backend))
                yield Transaction(connection, caller)
                await connection.execute("commit")
            except IN_STEP as error:
                if not isinstance(error, AWAY) and not held.is_gone():
                    await _roll_back(held)
                if isinstance(error, asyncpg.PostgresError):
                    self._explain(error, caller)
                raise

    def _explain(self, error: asyncpg.PostgresError, caller: Caller) -> None:
        """Raise the Problem that a caller, and not only a mistake of ours, can run into."""
        if isinstance(error, asyncpg.IntegrityConstraintViolationError) and error.constraint_name in CONSTRAINTS:
            raise CONSTRAINTS[error.constraint_name] from error
        if error.sqlstate == SESSION_ENDED and caller.session_id is not None:
            self._on_session_end(caller.session_id)
            raise SessionEnded from error
        if isinstance(error, asyncpg.DeadlockDetectedError):  # the other one went on: this one can be sent again
            raise Unavailable from error

    def _entering(self, caller: Caller, backend: int) -> tuple[object, ...]:
        """Give the tenant, the person and the seal, as a statement takes them to enter on that backend's connection."""
        now = time.monotonic()
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
        async with self._pool.lend() as held:
            await held.connection.execute("select")


async def _roll_back(held: Held) -> None:
    try:
        await held.connection.execute("rollback")
    except (*AWAY, asyncpg.InterfaceError):
        # It was lost at this very moment: all is undone, and what went wrong before is what the caller is told.
        held.terminate()


def _arguments(names: Sequence[str], values: dict[str, Any]) -> list[object]:
    return [values[name] for name in names]
