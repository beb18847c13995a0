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


# Who nobody is yet, while they log in: no token can name a tenant or a person that is all zeros (RFC 9562, 5.9).
NOBODY_YET = Caller(UUID(int=0), UUID(int=0))
