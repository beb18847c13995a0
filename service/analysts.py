"""Logins of psql that are pinned to one tenant: made, dropped, listed."""

import base64
import hashlib
import hmac
import re
import secrets

from msgspec import Struct

from service.administrator import Administrator, AdministratorError
from service.queries import DELETE_PIN, LIST_ANALYSTS, SAVE_PIN

LOGIN = re.compile(r"(?!pg_|daymark_)[a-z_][a-z0-9_]{0,62}")
ITERATIONS = 4096  # what Postgres takes by default for SCRAM-SHA-256
STATEMENT_TIMEOUT = "30s"


class Analyst(Struct, frozen=True):
    """A login, and the slug of the tenant that it is pinned to."""

    login: str
    slug: str


async def add_analyst(administrator: Administrator, login: str, tenant: str) -> str:
    """Make the login `login`, pinned to a tenant (slug or id), and give the password that was made for it.

    Raises AdministratorError where there is no such tenant, where the login is there already, or is no plain name.
    """
    if not LOGIN.fullmatch(login):
        raise AdministratorError(
            "a login has 1 to 63 of a-z, 0-9 and _, begins with a letter or _, and not with pg_ or daymark_"
        )
    found = await administrator.find_tenant(tenant)
    password = secrets.token_urlsafe(24)
    async with administrator.transaction():
        # The name is of letters that need no quoting. The password goes as what Postgres would make of it, so that no
        # log of statements ever holds it.
        await administrator.execute(
            f'create role "{login}" login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls'
            f" connection limit 10 password '{scram_verifier(password)}' in role daymark_analyst"
        )
        for setting in (
            f"statement_timeout = '{STATEMENT_TIMEOUT}'",
            "default_transaction_read_only = on",
            "idle_in_transaction_session_timeout = '10min'",
            "search_path = app",
        ):
            await administrator.execute(f'alter role "{login}" set {setting}')
        await administrator.run(SAVE_PIN, login=login, tenant_id=found.tenant_id)
    return password


async def drop_analyst(administrator: Administrator, login: str) -> None:
    """Drop a login that `add_analyst` made, and end its sessions.

    Raises AdministratorError where there is no such analyst: other roles are not touched.
    """
    async with administrator.transaction():
        if not await administrator.run(DELETE_PIN, login=login):
            raise AdministratorError(f"there is no analyst {login!r}")
        await administrator.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{login}'"  # noqa: S608 - pinned, so plain
        )
        await administrator.execute(f'drop role "{login}"')


async def list_analysts(administrator: Administrator) -> list[Analyst]:
    """List all analysts, by login."""
    return [Analyst(row["login"], row["slug"]) for row in await administrator.run(LIST_ANALYSTS)]


def scram_verifier(password: str) -> str:
    """Give what Postgres keeps of a password (RFC 5803): `SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>`."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"
