"""The queries: one file of `sql/` each, loaded once, one constant each at the foot of this module.

A file is plain SQL with psql's own quoted parameters, `:'name'`, so it runs unchanged in psql. Here each becomes `$1`,
`$2` and so on, in order of first appearance. The caller's `:'tenant_id'` and `:'user_id'` are never handed in by hand:
the doors of database.py fill them in from the verified token.
"""

import re
from pathlib import Path

from msgspec import Struct

PACKAGE = Path(__file__).parent
# In a wheel the folder lies inside the package; in a checkout it is a room of its own beside it.
FOLDER = PACKAGE / "sql" if (PACKAGE / "sql").is_dir() else PACKAGE.parent / "sql"

# A comment is matched too, and left alone, so that what it says of a parameter is not taken for one.
PARAMETER = re.compile(r"--[^\n]*|:'([a-z_]+)'")
CALLERS_OWN = ("tenant_id", "user_id")
ENTER_TRANSACTION = "select app.enter($1, $2, $3)"
# What app.enter does, without the call, which took longer than all the rest of entering. The query takes the tenant and
# the person from what the settings have become, so it cannot run before they are set.
ENTER = """\
select q.*
from (
    select
        pg_catalog.set_config('app.tenant_id', $1::uuid::text, true)::uuid as tenant_id,
        case when pg_catalog.set_config('app.seal', $3::text, true) <> '' then $2::uuid end as user_id
    offset 0
) as caller,
lateral (
{query}
) as q"""


class Query(Struct, frozen=True):
    """One file of `sql/`, in the two forms in which it can be run."""

    name: str
    """The file's path without its ending, such as `patterns/list_patterns`."""
    plain: str
    """For a transaction: every parameter numbered."""
    plain_parameters: tuple[str, ...]
    """The names of `$1`, `$2` and so on in `plain`."""
    entered: str
    """For a read: the tenant enters in the statement itself as `$1`, `$2`, `$3` (tenant, user, seal)."""
    entered_parameters: tuple[str, ...]
    """The names of `$4`, `$5` and so on in `entered`."""


def load(name: str) -> Query:
    """Load `sql/<name>.sql`.

    Raises FileNotFoundError where there is no such file.
    """
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").strip().removesuffix(";")
    plain, plain_parameters = _number(text, first=1, known={})
    entered, entered_parameters = _number(text, first=4, known={own: f"caller.{own}" for own in CALLERS_OWN})
    return Query(name, plain, plain_parameters, ENTER.format(query=entered), entered_parameters)


def _number(text: str, *, first: int, known: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Put `$first`, `$first + 1` … for the parameters in `text`, and for those `known` what they are known as."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name in known:
            return known[name]
        if name not in names:
            names.append(name)
        return f"${first + names.index(name)}"

    return PARAMETER.sub(numbered, text), tuple(names)


LIST_PATTERNS = load("patterns/list_patterns")
SAVE_PATTERNS = load("patterns/save_patterns")
DELETE_PATTERN = load("patterns/delete_pattern")
LIST_FRESH_RECOMMENDATIONS = load("recommendations/list_fresh_recommendations")
SAVE_RECOMMENDATIONS = load("recommendations/save_recommendations")
SAVE_VIEWED = load("recommendations/save_viewed")
SAVE_FEEDBACK = load("recommendations/save_feedback")
LIST_STANDINGS = load("recommendations/list_standings")
SAVE_RUN = load("recommendations/save_run")
SAVE_LOST_RUNS = load("recommendations/save_lost_runs")
SAVE_OUTCOME = load("recommendations/save_outcome")
FIND_RUNNING = load("recommendations/find_running")
COUNT_REFRESHES = load("recommendations/count_refreshes")
COUNT_GOOD_RUNS = load("recommendations/count_good_runs")
SAVE_BUDGET_USE = load("usage/save_budget_use")
SAVE_BUDGET_CORRECTION = load("usage/save_budget_correction")
FIND_BUDGET = load("usage/find_budget")
LIST_USAGE = load("usage/list_usage")
SAVE_USE = load("limits/save_use")
SAVE_RETURN = load("limits/save_return")
DELETE_OLD_LIMITS = load("limits/delete_old_limits")
SAVE_TENANT = load("tenants/save_tenant")
FIND_TENANT = load("tenants/find_tenant")
SAVE_BUDGET = load("tenants/save_budget")
SAVE_USER = load("users/save_user")
FIND_USER = load("users/find_user")
SAVE_CALLER = load("users/save_caller")
FIND_LOCKED_PERSON = load("users/find_locked_person")
FIND_USER_TO_CHANGE = load("users/find_user_to_change")
SAVE_CLEARING = load("users/save_clearing")
LIST_PEOPLE = load("users/list_people")
SAVE_PASSWORD = load("users/save_password")
SAVE_ROLE = load("users/save_role")
FIND_LOGIN = load("sessions/find_login")
FIND_CONFIRMED_LOGIN = load("sessions/find_confirmed_login")
SAVE_SESSION = load("sessions/save_session")
SAVE_ROTATION = load("sessions/save_rotation")
SAVE_LOGOUT = load("sessions/save_logout")
LIST_SESSIONS = load("sessions/list_sessions")
DELETE_OLD_SESSIONS = load("sessions/delete_old_sessions")
SAVE_REVOCATION = load("sessions/save_revocation")
LIST_OPEN_SESSIONS = load("sessions/list_open_sessions")
SAVE_REVOCATIONS = load("sessions/save_revocations")
SAVE_EVENT = load("audit/save_event")
LIST_EVENTS = load("audit/list_events")
SAVE_SEAL_KEY = load("seal/save_seal_key")
DELETE_OLD_SEAL_KEYS = load("seal/delete_old_seal_keys")
SAVE_PIN = load("analysts/save_pin")
DELETE_PIN = load("analysts/delete_pin")
LIST_ANALYSTS = load("analysts/list_analysts")
SAVE_DEMO_USERS = load("demo/save_demo_users")
SAVE_DEMO_DAYS = load("demo/save_demo_days")
LIST_DEMO_WEEKS = load("demo/list_demo_weeks")
SAVE_DEMO_RECOMMENDATIONS = load("demo/save_demo_recommendations")
FIND_CONTEXT = load("seal/find_context")
LIST_ROLE_DANGERS = load("wall/list_role_dangers")
FIND_EXAMINER = load("wall/find_examiner")
LIST_ALTERED_FUNCTIONS = load("wall/list_altered_functions")
LIST_BROKEN_CONSTRAINTS = load("wall/list_broken_constraints")
LIST_DEFAULT_PRIVILEGES = load("wall/list_default_privileges")
LIST_EVERYBODYS_FUNCTIONS = load("wall/list_everybodys_functions")
LIST_KEPT_STATISTICS = load("wall/list_kept_statistics")
LIST_MISLED_INDEXES = load("wall/list_misled_indexes")
LIST_MISLED_KEYS = load("wall/list_misled_keys")
LIST_MISOWNED_OBJECTS = load("wall/list_misowned_objects")
LIST_OLD_SEAL_KEYS = load("wall/list_old_seal_keys")
LIST_OPEN_TABLES = load("wall/list_open_tables")
LIST_OPENED_CATALOG = load("wall/list_opened_catalog")
LIST_OVERPOWERED_ROLES = load("wall/list_overpowered_roles")
LIST_PUBLICATIONS = load("wall/list_publications")
LIST_RISKY_EXTENSIONS = load("wall/list_risky_extensions")
LIST_ROLE_SETTINGS = load("wall/list_role_settings")
LIST_SEAL_KEY_FAULTS = load("wall/list_seal_key_faults")
LIST_SEALS = load("wall/list_seals")
LIST_STRANGE_OBJECTS = load("wall/list_strange_objects")
LIST_STRAY_GRANTS = load("wall/list_stray_grants")
LIST_UNLISTED_MEMBERSHIPS = load("wall/list_unlisted_memberships")
LIST_UNPINNED_LOGINS = load("wall/list_unpinned_logins")
LIST_UNSAFE_VIEWS = load("wall/list_unsafe_views")
LIST_WAITING_ROWS = load("wall/list_waiting_rows")
LIST_WRONG_FUNCTIONS = load("wall/list_wrong_functions")
LIST_WRONG_GRANTS = load("wall/list_wrong_grants")
LIST_WRONG_PINS = load("wall/list_wrong_pins")
LIST_WRONG_POLICIES = load("wall/list_wrong_policies")
LIST_WRONG_SCHEMA_RIGHTS = load("wall/list_wrong_schema_rights")
LIST_WRONG_SETTINGS = load("wall/list_wrong_settings")
