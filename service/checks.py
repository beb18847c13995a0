"""The checks of `daymark doctor`, in the order in which they are run and shown: one file of `sql/wall/` each."""

from typing import Literal

from msgspec import Struct

from service import queries
from service.queries import Query

Verdict = Literal["ok", "warn", "fail"]


class Check(Struct, frozen=True):
    """One file of `sql/wall/`."""

    name: str
    holds: str
    query: Query
    remedy: str
    verdict: Verdict = "fail"
    """What it means that something is wrong."""
    for_superusers: bool = False
    """Only a superuser can mend it: for anybody else it is no more than a warning."""


ISOLATE = "call app.isolate(…) for each of these tables, in a migration"

CHECKS = (
    Check(
        "roles",
        "no role behind the wall has an attribute that lifts it above",
        queries.LIST_OVERPOWERED_ROLES,
        "alter role … nosuperuser nobypassrls nocreaterole nocreatedb noreplication; for a missing role, migrate up",
    ),
    Check(
        "memberships",
        "an analyst is a member of daymark_analyst, and that is all",
        queries.LIST_UNLISTED_MEMBERSHIPS,
        "revoke the one role from the other",
    ),
    Check(
        "role-settings",
        "no setting is kept for a role that changes names, rights or who is asking",
        queries.LIST_ROLE_SETTINGS,
        "alter role … reset …, or alter database … reset …",
    ),
    Check(
        "ownership",
        "no role behind the wall owns anything",
        queries.LIST_MISOWNED_OBJECTS,
        "alter … owner to the role that migrates",
    ),
    Check(
        "tables",
        "every table, partitions included, has a tenant and forced row security",
        queries.LIST_OPEN_TABLES,
        ISOLATE,
    ),
    Check(
        "policies",
        "every policy is as app.isolate spells it, and there is no other",
        queries.LIST_WRONG_POLICIES,
        ISOLATE,
    ),
    Check(
        "grants",
        "each role has the listed rights on tables, columns and views, and no others",
        queries.LIST_WRONG_GRANTS,
        "grant or revoke it; a new table's rights are listed in sql/wall/list_wrong_grants.sql",
    ),
    Check(
        "stray-grants",
        "no role behind the wall has rights on anything outside schema app",
        queries.LIST_STRAY_GRANTS,
        "revoke them",
    ),
    Check(
        "database-rights",
        "nobody but the owner may make anything in this database",
        queries.LIST_WRONG_SCHEMA_RIGHTS,
        "grant or revoke it",
    ),
    Check(
        "functions",
        "every function is listed, with its rights, its volatility and its search_path",
        queries.LIST_WRONG_FUNCTIONS,
        "alter, revoke or drop it; a new function is listed in sql/wall/list_wrong_functions.sql",
    ),
    Check(
        "keys",
        "the tenant leads every key and foreign key",
        queries.LIST_MISLED_KEYS,
        "make the key anew with tenant_id first",
    ),
    Check(
        "indexes",
        "the tenant leads every index",
        queries.LIST_MISLED_INDEXES,
        "make the index anew with tenant_id first",
    ),
    Check(
        "constraints",
        "every constraint is validated and enforced, every index valid",
        queries.LIST_BROKEN_CONSTRAINTS,
        "alter table … validate constraint, or enable trigger all; reindex an index",
    ),
    Check(
        "statistics",
        "no statistics are kept of what people wrote",
        queries.LIST_KEPT_STATISTICS,
        "alter table … alter column … set statistics 0, then analyze; drop statistics …",
    ),
    Check(
        "views",
        "every view runs with the rights of whoever asks, behind a barrier",
        queries.LIST_UNSAFE_VIEWS,
        "alter view … set (security_invoker, security_barrier); drop a materialized one",
    ),
    Check(
        "strange-objects",
        "no trigger, rule, sequence, operator or foreign table lies beside the policies",
        queries.LIST_STRANGE_OBJECTS,
        "drop it",
    ),
    Check(
        "publications",
        "no publication carries rows of all tenants away",
        queries.LIST_PUBLICATIONS,
        "drop publication …, or take these tables out of it",
    ),
    Check(
        "default-privileges",
        "what is made next comes with no rights for anybody",
        queries.LIST_DEFAULT_PRIVILEGES,
        "alter default privileges … revoke …",
    ),
    Check(
        "seal-keys",
        "there are one or two keys, each whole",
        queries.LIST_SEAL_KEY_FAULTS,
        "daymark seal rotate",
    ),
    Check(
        "seal-age",
        "the newest key is less than 90 days old",
        queries.LIST_OLD_SEAL_KEYS,
        "daymark seal rotate",
        "warn",
    ),
    Check(
        "pins",
        "every pin belongs to an analyst's login",
        queries.LIST_WRONG_PINS,
        "daymark analyst drop …",
    ),
    Check(
        "unpinned-logins",
        "every analyst's login is pinned to a tenant",
        queries.LIST_UNPINNED_LOGINS,
        "daymark analyst drop …, then add",
        "warn",
    ),
    Check(
        "waiting-rows",
        "every day lies in its month's partition",
        queries.LIST_WAITING_ROWS,
        "call app.add_partitions(from, to) makes their months and moves them",
        "warn",
    ),
    Check(
        "postgres-functions",
        "nobody may call the functions of Postgres that reach over tenants",
        queries.LIST_EVERYBODYS_FUNCTIONS,
        "as a superuser: revoke execute on function … from public",
        for_superusers=True,
    ),
    Check(
        "postgres-catalog",
        "the catalog is no more open than initdb made it",
        queries.LIST_OPENED_CATALOG,
        "as a superuser: revoke … from public",
        for_superusers=True,
    ),
    Check(
        "extensions",
        "no extension, language or event trigger reaches beyond this database's tables",
        queries.LIST_RISKY_EXTENSIONS,
        "drop it, unless you know who may use it",
        "warn",
    ),
    Check(
        "server-settings",
        "the server's own settings leave row security on",
        queries.LIST_WRONG_SETTINGS,
        "alter system reset …, or alter database … reset …",
    ),
)
OWN_ROLE = Check(
    "own-role",
    "the role that the service logs in as cannot pass the wall",
    queries.LIST_ROLE_DANGERS,
    "log in as daymark_service; `daymark doctor` says more",
)
SEAL = Check(
    "seal",
    "a context is believed under its own seal and no other",
    queries.LIST_SEALS,
    "daymark migrate up; if nothing is pending, make the functions anew as the migrations do",
)
FUNCTION_BODIES = Check(
    "function-bodies",
    "every function does what this release's migrations say",
    queries.LIST_ALTERED_FUNCTIONS,
    "daymark migrate up; if nothing is pending, make the functions anew as the migrations do",
)
EXAMINER = Check(
    "examiner",
    "whoever examines can see the whole wall",
    queries.FIND_EXAMINER,
    "set DAYMARK_ADMIN_DATABASE_URL to the role that migrates, and run daymark migrate up",
)
