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
ENTER = "select q.* from app.enter($1, $2, $3) as caller, lateral (\n{query}\n) as q"


class Query(Struct, frozen=True):
    """One file of `sql/`, in the two forms in which it can be run."""

    name: str
    """The file's path without its ending, such as `patterns/list_patterns`."""
    plain: str
    """For a transaction: every parameter numbered."""
    plain_parameters: tuple[str, ...]
    """The names of `$1`, `$2` and so on in `plain`."""
    entered: str
    """For a read: the tenant enters in the statement itself as `$1`, `$2`, `$3` (tenant, user, role)."""
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
SAVE_TENANT = load("tenants/save_tenant")
FIND_TENANT = load("tenants/find_tenant")
SAVE_USER = load("users/save_user")
FIND_USER = load("users/find_user")
SAVE_CALLER = load("users/save_caller")
SAVE_DEMO_USERS = load("demo/save_demo_users")
SAVE_DEMO_DAYS = load("demo/save_demo_days")
LIST_ROLE_DANGERS = load("wall/list_role_dangers")
