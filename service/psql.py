"""psql inside one tenant."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service import embedded
from service.administrator import Administrator
from service.caller import Caller
from service.seal import ANY_BACKEND, NOBODY, Seal


class PsqlError(Exception):
    """psql cannot be run; the message is one line for a person at a terminal."""


SESSION_LIFE = timedelta(hours=12)


class Context(Struct, frozen=True):
    """Whom a session of psql is: what goes into its settings and its prompt."""

    tenant_id: str
    seal: str
    shown: str


async def find_context(admin_url: str, seal: Seal, tenant: str, email: str | None) -> Context:
    """Find who looks, and seal it: a user of the tenant, or, without one, somebody who sees all of it.

    The seal is good on any connection, since psql's is yet to be made, and for twelve hours.
    """
    expires = datetime.now(UTC) + SESSION_LIFE
    async with Administrator.connect(admin_url) as administrator:
        found = await administrator.find_tenant(tenant)
        if email is None:
            nobody = Caller(found.tenant_id, NOBODY, "admin")
            return Context(str(found.tenant_id), seal.sign(nobody, ANY_BACKEND, expires), found.slug)
        caller = await administrator.find_caller(tenant, email)
        return Context(str(found.tenant_id), seal.sign(caller, ANY_BACKEND, expires), f"{email}@{found.slug}")


def run(url: str, context: Context, arguments: Sequence[str]) -> int:
    """Run psql as the service's role inside `context`, read-only, and give its exit status."""
    program = shutil.which("psql") or str(embedded.binary("psql"))
    try:
        connection: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise PsqlError(f"psql does not take DAYMARK_DATABASE_URL: {str(error).strip()}") from error
    settings = {
        "app.tenant_id": context.tenant_id,
        "app.seal": context.seal,
        "default_transaction_read_only": "on",
    }
    # Options of the URL's own would win over PGOPTIONS: ours are put after them.
    given = str(connection.pop("options", ""))
    options = " ".join([given, *(f"-c {name}={value}" for name, value in settings.items())])
    environment = os.environ | {"PGOPTIONS": options}
    # Not on the command line, where every user of the machine could read it.
    password = connection.pop("password", None)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    prompt = context.shown.replace("%", "%%")
    command = [
        program,
        f"--dbname={make_conninfo(**connection)}",
        f"--set=PROMPT1={prompt}%R%x%# ",
        f"--set=PROMPT2={prompt}%R%x%# ",
        *arguments,
    ]
    # Ctrl-C is psql's: it cancels a query there, and must not end us, who keep the database. Not SIG_IGN, which psql
    # would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        # The arguments are those of the person who runs us, and no shell sees them.
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    except OSError as error:
        raise PsqlError(f"cannot run psql: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)
