"""What an operator does by command and no HTTP caller can: add tenants and users, look people up, load made-up data.

All of it runs as the administrator, whom row security does not bind; so every query names its tenant.
"""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self, TypeVar, get_args
from uuid import UUID

import asyncpg
from asyncpg import Record
from msgspec import Struct

from service.caller import Caller, Role
from service.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, Connection
from service.queries import (
    DELETE_OLD_SEAL_KEYS,
    FIND_TENANT,
    FIND_USER,
    SAVE_BUDGET,
    SAVE_DEMO_DAYS,
    SAVE_DEMO_USERS,
    SAVE_SEAL_KEY,
    SAVE_TENANT,
    SAVE_USER,
    Query,
)
from service.seal import Seal

T = TypeVar("T")

# Constraint names, and what the operator did wrong.
CONSTRAINTS = {
    "tenants_slug_key": "there is a tenant of this slug already",
    "tenants_slug_is_a_label": "a slug has 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at either end",
    "tenants_slug_is_no_id": "a slug may not look like an id",
    "tenants_name_length": "a name has 1 to 200 characters",
    "users_email_key": "there is a user of this e-mail address in this tenant already",
    "users_email_is_an_address": "this is not an e-mail address",
    "pattern_data_user_fkey": "a user was deleted while their days were imported: run it again",
    "users_timezone_known": "expected an IANA time zone, such as Europe/Berlin",
}


class AdministratorError(Exception):
    """What an operator asked for cannot be done; the message is one line for them."""


class UnknownTenantError(AdministratorError):
    """There is no such tenant."""


class Tenant(Struct, frozen=True):
    """A tenant, found by id or slug."""

    tenant_id: UUID
    slug: str


class Budget(Struct, frozen=True):
    """What a tenant may use of AI in a day; None: as much as the service's settings say."""

    tenant: str
    calls: int | None
    tokens: int | None


class Person(Struct, frozen=True):
    """A made-up user; the address is in lower case."""

    email: str
    role: Role = "member"


class Administrator:
    """One connection as the administrator."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, command_timeout: float | None = COMMAND_TIMEOUT) -> AsyncIterator[Self]:
        """Connect to `url`. Raises AdministratorError where there is nobody, or nobody lets us in."""
        try:
            connection: Connection = await asyncpg.connect(
                url, timeout=CONNECT_TIMEOUT, command_timeout=command_timeout, server_settings={"jit": "off"}
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
            raise AdministratorError(f"cannot reach the database: {str(error) or type(error).__name__}") from error
        try:
            yield cls(connection)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT)

    async def make_database(self, name: str) -> None:
        """Make the database `name` unless it is there."""
        if not await self._connection.fetchval("select exists (select from pg_database where datname = $1)", name):
            await self._connection.execute(f'create database "{name}"')

    async def add_tenant(self, slug: str, name: str) -> UUID:
        """Add a tenant and give its id."""
        [row] = await self.run(SAVE_TENANT, slug=slug, name=name)
        return UUID(str(row["tenant_id"]))

    async def find_tenant(self, tenant: str) -> Tenant:
        """Find a tenant by its id or slug."""
        rows = await self.run(FIND_TENANT, tenant=tenant)
        if not rows:
            raise UnknownTenantError(f"there is no tenant {tenant!r}")
        return Tenant(rows[0]["tenant_id"], rows[0]["slug"])

    async def set_budget(self, tenant: str, calls: str, tokens: str) -> Budget:
        """Set how many calls and tokens of AI a tenant may use a day, and give what holds now.

        Each is a number, or "default" for as many as the service's settings say, or "" to leave it alone.
        """
        found = await self.find_tenant(tenant)
        [row] = await self.run(SAVE_BUDGET, tenant_id=found.tenant_id, calls=calls, tokens=tokens)
        return Budget(found.slug, row["daily_calls"], row["daily_tokens"])

    async def add_user(self, tenant: str, email: str, role: str, timezone: str) -> UUID:
        """Add a user to a tenant and give their id."""
        if role not in get_args(Role):
            raise AdministratorError(f"a role is {' or '.join(get_args(Role))}, not {role!r}")
        found = await self.find_tenant(tenant)
        [row] = await self.run(SAVE_USER, tenant_id=found.tenant_id, email=email, role=role, timezone=timezone)
        return UUID(str(row["user_id"]))

    async def find_caller(self, tenant: str, email: str) -> Caller:
        """Find whom a token for this person speaks for."""
        found = await self.find_tenant(tenant)
        rows = await self.run(FIND_USER, tenant_id=found.tenant_id, email=email)
        if not rows:
            raise AdministratorError(f"there is no user {email!r} in tenant {found.slug!r}")
        return Caller(found.tenant_id, rows[0]["user_id"], rows[0]["role"])

    async def fill_tenant(self, slug: str, people: Sequence[Person], days: int, now: dt.datetime) -> int:
        """See that a tenant, these people in it and their made-up last days are there. Give how many days are new."""
        async with self.transaction():
            try:
                found = await self.find_tenant(slug)
            except UnknownTenantError:
                found = Tenant(await self.add_tenant(slug, slug.capitalize()), slug)
            await self.run(
                SAVE_DEMO_USERS,
                tenant_id=found.tenant_id,
                emails=[person.email for person in people],
                roles=[person.role for person in people],
            )
            [row] = await self.run(
                SAVE_DEMO_DAYS,
                tenant_id=found.tenant_id,
                emails=[person.email for person in people],
                days=days,
                now=now,
            )
            return int(row["saved"])

    async def keep_seal_key(self, seal: Seal) -> None:
        """See that the database holds this key of the seal, and no more than one before it."""
        inner_pad, outer_pad = seal.pads
        async with self.transaction():
            await self.run(SAVE_SEAL_KEY, key_id=seal.key_id, inner_pad=inner_pad, outer_pad=outer_pad)
            await self.run(DELETE_OLD_SEAL_KEYS)

    @property
    def connection(self) -> Connection:
        """The connection itself, for what asks the catalog."""
        return self._connection

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Run what is inside together, or not at all."""
        return self._connection.transaction()

    async def run(self, query: Query, **values: Any) -> list[Record]:
        """Run one file of `sql/`. Raises AdministratorError for what an operator can cause."""
        arguments = [values[name] for name in query.plain_parameters]
        return await self._explained(self._connection.fetch(query.plain, *arguments))

    async def execute(self, statement: str) -> None:
        """Run a statement that takes no parameters, such as CREATE ROLE. Raises AdministratorError likewise."""
        await self._explained(self._connection.execute(statement))

    async def _explained(self, running: Awaitable[T]) -> T:
        try:
            return await running
        except asyncpg.IntegrityConstraintViolationError as error:
            raise AdministratorError(CONSTRAINTS.get(error.constraint_name or "", str(error))) from error
        except asyncpg.InvalidParameterValueError as error:  # what Postgres says of a time zone that it does not know
            raise AdministratorError(CONSTRAINTS["users_timezone_known"]) from error
        except asyncpg.DeadlockDetectedError as error:
            raise AdministratorError("others were changing the same at this very moment: run it again") from error
        except asyncpg.DuplicateObjectError as error:
            raise AdministratorError("there is a role of this name already") from error
        except (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError) as error:
            raise AdministratorError("the database has no tables yet: run `daymark migrate up`") from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise AdministratorError(f"the administrator's role may not do this: {error}") from error
        except (
            asyncpg.CharacterNotInRepertoireError,
            asyncpg.UntranslatableCharacterError,
            asyncpg.DataError,
        ) as error:
            raise AdministratorError(f"not a text that Postgres takes: {error}") from error
        except (
            OSError,
            TimeoutError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,  # what asyncpg raises where the connection is lost between two statements
            asyncpg.OperatorInterventionError,
            asyncpg.PostgresConnectionError,
        ) as error:
            raise AdministratorError(f"the database went away: {str(error) or type(error).__name__}") from error
