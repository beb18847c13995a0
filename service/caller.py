"""Who is asking."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

Role = Literal["member", "admin"]


class Caller(Struct, frozen=True):
    """A person whose token has been verified: what Postgres is told about whoever runs a statement."""

    tenant_id: UUID
    user_id: UUID
    role: Role = "member"
    session_id: UUID | None = None


NOBODY_YET = Caller(UUID(int=0), UUID(int=0))
"""Whoever has not said who they are: of tenant zero, which has no people and no data (see app.find_login)."""
NOBODY_KNOWN = UUID(int=1)
"""Whose account it is when somebody tries an e-mail address that no user of the tenant has (see app.audit_events)."""
