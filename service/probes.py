"""What `daymark doctor` tries out, where the catalog alone would not tell."""

import re
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from service.database import SESSION_ENDED, Connection
from service.migrating import FOLDER
from service.queries import LIST_ALTERED_FUNCTIONS, LIST_SEALS

# Nobody's: no row of any tenant is touched.
TENANT, OTHER_TENANT, USER, SESSION, OTHER, ENDED = (
    UUID(f"00000000-0000-4000-8000-00000000000{digit}") for digit in "abcdef"
)
# A session that lasts, and one that has ended, of a person that is there until all of it is rolled back.
MAKE_SESSIONS = """
    with tenant as (
        insert into app.tenants (tenant_id, slug, name)
        values ($1, 'nobodys-' || pg_catalog.md5(pg_catalog.random()::text), 'Nobody''s')
    ),
    person as (insert into app.users (tenant_id, user_id) values ($1, $2))
    insert into app.sessions
        (tenant_id, user_id, session_id, created_at, used_at, expires_at, ended_at, ended_reason)
    values
        ($1, $2, $3, now(), now(), now(), null, null),
        ($1, $2, $4, now(), now(), now(), now(), 'revoked')
"""

NEVER, LONG_AGO = 9_999_999_999, 1  # seconds since 1970: when a seal expires
ACCESSORS = {"app.tenant_id()": TENANT, "app.user_id()": USER, "app.role()": "member", "app.session_id()": SESSION}
REFUSED = object()

# From `create` to the end of the body, in the three ways in which the migrations spell one.
DEFINITION = re.compile(
    r"^create (?:or replace )?(?:function|procedure) app\.(\w+)\(.*?(?:^\$\$;|^end;|^return [^\n]*;)",
    re.MULTILINE | re.DOTALL,
)


class Forgery(NamedTuple):
    """A context that must be refused."""

    what: str
    tenant: UUID | Literal[""]
    seal: str
    aims_at: tuple[str, ...] = ("app.tenant_id()",)
    """What would be believed."""


async def try_seals(connection: Connection) -> list[str]:
    """Try contexts of nobody's tenant as each key seals them, then forged ones; give what went wrong, a sentence each.

    Only in a transaction that is rolled back: it leaves a context behind.
    """
    dangers = []
    backend = connection.get_server_pid()
    await connection.execute(MAKE_SESSIONS, TENANT, USER, SESSION, ENDED)
    for key_id, seal in await _seal(connection, _context(backend)):
        await _set_context(connection, str(TENANT), seal)
        for accessor, expected in ACCESSORS.items():
            if await _ask(connection, accessor) != expected:
                dangers.append(f"{accessor} does not believe a context that key {key_id} has sealed")
    for forgery in await _forgeries(connection, backend):
        await _set_context(connection, str(forgery.tenant), forgery.seal)
        dangers += [
            f"{accessor} believes {forgery.what}"
            for accessor in forgery.aims_at
            if await _ask(connection, accessor) is not REFUSED
        ]
    return dangers


async def _forgeries(connection: Connection, backend: int) -> list[Forgery]:
    """Give forgeries of what the newest key has sealed; none where there is no key."""
    sealed = [
        await _seal(connection, context)
        for context in (
            _context(backend),
            _context(backend, expires=LONG_AGO),
            _context(backend + 1),
            _context(backend, session=ENDED),
            _context(backend, session=OTHER),
        )
    ]
    if not sealed[0]:
        return []
    [(_, seal), *_], [(_, expired), *_], [(_, elsewhere), *_], [(_, ended), *_], [(_, unknown), *_] = sealed
    return [
        Forgery("a seal without a tenant", "", seal),
        Forgery("a tenant without a seal", TENANT, ""),
        Forgery("a made-up seal", TENANT, f"{seal[:-64]}{'0' * 64}", tuple(ACCESSORS)),
        Forgery("a seal that has expired", TENANT, expired),
        Forgery("a seal of another connection", TENANT, elsewhere),
        Forgery("a session that has ended", TENANT, ended, tuple(ACCESSORS)),
        Forgery("a session that nobody has", TENANT, unknown, tuple(ACCESSORS)),
        Forgery("a seal of another tenant", OTHER_TENANT, seal),
        Forgery("a seal whose expiry was changed", TENANT, seal.replace(str(NEVER), str(NEVER - 1))),
        Forgery("a seal whose tenant was changed", OTHER_TENANT, seal.replace(str(TENANT), str(OTHER_TENANT))),
        Forgery("a seal whose user was changed", TENANT, seal.replace(str(USER), str(OTHER)), ("app.user_id()",)),
        Forgery(
            "a seal whose session was changed", TENANT, seal.replace(str(SESSION), str(OTHER)), ("app.session_id()",)
        ),
        Forgery("a seal whose role was changed", TENANT, seal.replace("|member|", "|admin|"), ("app.role()",)),
    ]


def _context(backend: int, expires: int = NEVER, session: UUID = SESSION) -> str:
    return f"{expires:010}|{backend:010}|{TENANT}|{USER}|{session}|member"


async def _seal(connection: Connection, context: str) -> list[tuple[str, str]]:
    return [(row["key_id"], row["seal"]) for row in await connection.fetch(LIST_SEALS.plain, context)]


async def _set_context(connection: Connection, tenant: str, seal: str) -> None:
    await connection.fetch(
        "select set_config('app.tenant_id', $1, true), set_config('app.seal', $2, true)", tenant, seal
    )


async def _ask(connection: Connection, accessor: str) -> object:
    try:
        async with connection.transaction():
            return await connection.fetchval(f"select {accessor}")
    except asyncpg.PostgresError as error:
        if error.sqlstate in {asyncpg.InsufficientPrivilegeError.sqlstate, SESSION_ENDED}:
            return REFUSED
        raise


async def compare_functions(connection: Connection) -> list[str]:
    """Make every function anew as the migrations of this release do, and give which differ, a sentence each.

    Anew, because Postgres keeps no text of a body that it bound when the function was made. They go into the session's
    own temporary schema: only in a transaction that is rolled back.
    """
    for definition in released_functions().values():
        await connection.execute(definition.replace(" app.", " pg_temp.", 1))
    return [row["danger"] for row in await connection.fetch(LIST_ALTERED_FUNCTIONS.plain)]


def released_functions(folder: Path = FOLDER) -> dict[str, str]:
    """Give, by name, the statement by which the migrations in `folder` last made each function of schema app."""
    newest = {}
    for path in sorted(folder.glob("[0-9]*.sql")):
        if not path.name.endswith(".rollback.sql"):
            for found in DEFINITION.finditer(path.read_text(encoding="utf-8")):
                newest[found[1]] = (
                    found[0]
                    .replace("create function", "create or replace function", 1)
                    .replace("create procedure", "create or replace procedure", 1)
                )
    return newest
