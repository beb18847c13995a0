"""Two tenants with rows in every table, and what a connection sees of them."""

from typing import NamedTuple
from uuid import UUID

from service.caller import Caller
from service.database import Connection
from tests.conftest import MakeCaller

# How somebody gets in; each row for one person.
ACCOUNT_ROWS = {
    "sessions": (
        "insert into app.sessions (tenant_id, session_id, user_id, created_at, used_at, expires_at)"
        " values ($1, gen_random_uuid(), $2, '2026-11-22 09:00Z', '2026-11-22 09:00Z', '2026-12-22 09:00Z')"
    ),
    "refresh_tokens": (
        "insert into app.refresh_tokens (tenant_id, token_hash, user_id, session_id, issued_at)"
        " values ($1, sha256(uuid_send($2)), $2,"
        " (select session_id from app.sessions where tenant_id = $1 and user_id = $2), '2026-11-22 09:00Z')"
    ),
    "audit_events": (
        "insert into app.audit_events (tenant_id, user_id, occurred_at, kind)"
        " values ($1, $2, '2026-11-22 09:00Z', 'logged_in')"
    ),
}
# A row of every table for one person; the tenant's and the person's own come with the caller. A new table fails the
# suite until it has its line here.
ROWS = {
    "tenants": None,
    "users": None,
    "pattern_data": (
        "insert into app.pattern_data (tenant_id, user_id, date, energy, focus, fulfillment)"
        " values ($1, $2, '2026-11-22', 70, 80, 90)"
    ),
    "user_recommendations": (
        "insert into app.user_recommendations"
        " (tenant_id, id, user_id, generated_at, position, engine, recommendation, reasoning, based_on)"
        " values ($1, gen_random_uuid(), $2, '2026-11-22 09:00Z', 1, 'rules', 'Rest', 'It helps. It does.', '{}')"
    ),
    "recommendation_runs": (
        "insert into app.recommendation_runs"
        " (tenant_id, run_id, user_id, reason, started_at, lease_until, engine, based_on)"
        " values ($1, gen_random_uuid(), $2, 'missed', '2026-11-22 09:00Z', '2026-11-22 09:00:09Z', 'rules', '{}')"
    ),
    # The tenant's, not the person's: two people of one tenant have one row.
    "budget_use": (
        "insert into app.budget_use (tenant_id, date, calls, tokens)"
        " select $1, '2026-11-22', 1, 500 where $2::uuid is not null on conflict do nothing"
    ),
    "rate_limits": (
        "insert into app.rate_limits (tenant_id, subject, used, ends_at)"
        " values ($1, sha256($2::uuid::text::bytea), 1, '2026-11-22 10:00Z')"
    ),
} | ACCOUNT_ROWS
VIEWS = ("cache_hits", "daily_averages", "engine_use")
RELATIONS = (*ROWS, *VIEWS)
# What a limit has been used, and who is logged in, is no business of analysts.
FOR_ANALYSTS = tuple(relation for relation in RELATIONS if relation not in {"rate_limits", *ACCOUNT_ROWS})
SECRETS = ("credentials", "pins", "seal_keys")  # nobody's but the owner's

EVERYTHING, EVERYTHING_FOR_ANALYSTS = (
    " union all ".join(f"select tenant_id from app.{relation}" for relation in relations)
    for relations in (RELATIONS, FOR_ANALYSTS)
)


class World(NamedTuple):
    """Who is there."""

    caller: Caller
    colleague: Caller
    stranger: Caller


async def seed(admin: Connection, make_caller: MakeCaller) -> World:
    caller, stranger = await make_caller(), await make_caller()
    world = World(caller, await make_caller(caller), stranger)
    for person in world:
        for statement in filter(None, ROWS.values()):
            await admin.execute(statement, person.tenant_id, person.user_id)
    return world


async def tenants_seen(connection: Connection, relation: str | None = None, everything: str = EVERYTHING) -> set[UUID]:
    """Give whose rows a connection sees, in one table or view or in all of them. No predicate: row security alone."""
    rows = await connection.fetch(everything if relation is None else f"select tenant_id from app.{relation}")
    return {row["tenant_id"] for row in rows}
