"""What `daymark doctor` does: examine the wall on the live database, a line for each check.

A check (see checks.py) lists what is wrong, in sentences; where it lists nothing, it has passed. Most read the catalog;
two try the wall out, see probes.py. Nothing is changed: all of it is rolled back.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from msgspec import Struct

from service import probes, queries
from service.checks import CHECKS, EXAMINER, FUNCTION_BODIES, OWN_ROLE, SEAL, Check, Verdict
from service.database import Connection

SHOWN = 6  # of what is wrong, on one line
UNEXAMINED = "could not be examined"


class Finding(Struct, frozen=True):
    """What one check found."""

    check: str
    """The check's name, by which machines tell it from others."""
    verdict: Verdict
    """`warn`: worth knowing, and no way through the wall by itself, or one that cannot be closed from here."""
    holds: str
    """What the check is about, as a sentence that is true where it passes."""
    dangers: list[str]
    """What is wrong, a sentence each; empty where it passes."""
    remedy: str
    """How to mend it."""


async def examine(connection: Connection, now: datetime) -> list[Finding]:
    """Run every check as the administrator; `now` is what ages are worked out from."""
    async with _rolled_back(connection):
        # What the catalog says in words depends on what the search_path shows without a schema.
        await connection.execute("set local search_path = ''")
        [examiner] = await connection.fetch(queries.FIND_EXAMINER.plain)
        if not examiner["migrated"]:
            return [_find(EXAMINER, ["there is no wall here yet"])]
        if not examiner["sees_all"]:
            return [_find(EXAMINER, ["this role does not see past row security"])]
        async with _rolled_back(connection):
            await connection.execute("set transaction read only")
            findings = [await _examine(connection, check, now, superuser=examiner["superuser"]) for check in CHECKS]
        findings.append(await _probe(connection, SEAL, probes.try_seals))
        findings.append(await _probe(connection, FUNCTION_BODIES, probes.compare_functions))
        return findings


async def examine_own_role(connection: Connection) -> list[Finding]:
    """Run, as the service's role, what concerns that role: nothing else is in its reach."""
    return [await _probe(connection, OWN_ROLE, _list_role_dangers)]


@asynccontextmanager
async def _rolled_back(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def _examine(connection: Connection, check: Check, now: datetime, *, superuser: bool) -> Finding:
    async def ask(connection: Connection) -> list[str]:
        arguments = [now for _ in check.query.plain_parameters]
        return [row["danger"] for row in await connection.fetch(check.query.plain, *arguments)]

    finding = await _probe(connection, check, ask)
    if finding.verdict == "fail" and check.for_superusers and not superuser:
        return Finding(check.name, "warn", check.holds, finding.dangers, check.remedy)
    return finding


async def _list_role_dangers(connection: Connection) -> list[str]:
    return [row["danger"] for row in await connection.fetch(queries.LIST_ROLE_DANGERS.plain)]


async def _probe(connection: Connection, check: Check, probe: Callable[[Connection], Awaitable[list[str]]]) -> Finding:
    """Run one check; what Postgres refuses to answer is itself something wrong."""
    try:
        async with connection.transaction():
            return _find(check, await probe(connection))
    except asyncpg.PostgresError as error:
        return Finding(check.name, "fail", check.holds, [f"{UNEXAMINED}: {error}"], check.remedy)


def _find(check: Check, dangers: list[str]) -> Finding:
    return Finding(check.name, check.verdict if dangers else "ok", check.holds, dangers, check.remedy)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether a check failed; warnings are none."""
    return any(finding.verdict == "fail" for finding in findings)


def render(findings: Sequence[Finding]) -> str:
    """Give a line for each finding, for people; machines take the findings themselves, as JSON."""
    return "\n".join(_line(finding) for finding in findings)


def _line(finding: Finding) -> str:
    if finding.verdict == "ok":
        return f"ok   {finding.check}: {finding.holds}"
    wrong = "; ".join(finding.dangers[:SHOWN])
    if len(finding.dangers) > SHOWN:
        wrong += f"; and {len(finding.dangers) - SHOWN} more (--json lists all)"
    mark = {"warn": "warn", "fail": "FAIL"}[finding.verdict]
    return f"{mark} {finding.check}: {wrong}. To mend it: {finding.remedy}"
